#!/usr/bin/python3
"""Octavo beside ONNX Runtime and PyTorch: the same ONNX files, interleaved in one run, each engine in a process of its
own. Prints a table; --json, --markdown and --plot write it. scripts/bench-peers sets everything up and calls this."""
import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import time

import numpy
import onnx

HERE = os.path.dirname(os.path.abspath(__file__))
PEERS = {"onnxruntime": "ONNX Runtime", "torch": "PyTorch"}
# Where int8 products saturate in ONNX Runtime's default kernels, its answers are not ours. With its exact kernels they
# are; a user has to ask for those, so they are shown and do not count as a peer.
EXACT = "onnxruntime-exact"


def engines_of(precision):
    return ("octavo", *PEERS, *((EXACT,) if precision == "int8" else ()))


class Worker:
    def __init__(self, settings):
        self.name = settings["engine"]
        environment = dict(os.environ, OMP_NUM_THREADS=str(settings["threads"]))
        self.process = subprocess.Popen([sys.executable, f"{HERE}/worker.py", json.dumps(settings)], env=environment,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, **request):
        try:
            print(json.dumps(request), file=self.process.stdin, flush=True)
        except BrokenPipeError:
            sys.exit(f"compare.py: {self.name} ended; its message is above")
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"compare.py: {self.name} ended; its message is above")
        return json.loads(line)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def percentile(values, q):
    return float(numpy.percentile(values, q))


def measure(workers, seconds, rounds):
    """Rounds of one engine after the other. Milliseconds, and Octavo's time over the best peer's, round by round."""
    samples, medians = {e: [] for e in workers}, {e: [] for e in workers}
    for _ in range(rounds):
        for engine, worker in workers.items():
            time.sleep(0.05)  # Threads of the engine before it spin on for some milliseconds.
            taken = worker.ask(time=seconds)["samples"]
            samples[engine] += taken
            medians[engine].append(statistics.median(taken))
    ratios = [own / min(medians[e][i] for e in PEERS) for i, own in enumerate(medians["octavo"])]
    row = {engine: {"median_ms": 1e3 * statistics.median(s), "p90_ms": 1e3 * percentile(s, 90), "runs": len(s)}
           for engine, s in samples.items()}
    return {**row, "ratio": statistics.median(ratios), "ratio_low": min(ratios), "ratio_high": max(ratios)}


def difference(workers, engine):
    """Of the logits of Octavo and another engine that runs the same file (PyTorch quantizes for itself), over the
    largest."""
    own, other = (numpy.array(workers[e].ask(logits=True)["logits"]) for e in ("octavo", engine))
    return float(numpy.abs(own - other).max() / numpy.abs(other).max())


def macs(file):
    """Multiply-accumulates of an image, from the shapes in the file."""
    graph = onnx.shape_inference.infer_shapes(onnx.load(file)).graph
    weights = {c.name: list(c.dims) for c in graph.initializer}
    shapes = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in (*graph.value_info, *graph.output)}
    total = 0
    for node in graph.node:
        if node.op_type == "Conv":
            total += math.prod(weights[node.input[1]]) * math.prod(shapes[node.output[0]][2:])
        elif node.op_type == "Gemm":
            total += math.prod(weights[node.input[1]])
        elif node.op_type == "MatMul":
            total += math.prod(shapes[node.output[0]][1:]) * shapes[node.input[0]][-1]
    return total


def rows_of(arguments, model, threads, precision):
    files = {p: f"{arguments.models_folder}/{model}.{p}.onnx" for p in ("fp32", "int8")}
    graph = onnx.load(files[precision]).graph
    dims = [d.dim_value for d in graph.input[0].type.tensor_type.shape.dim]
    settings = {"file": files[precision], "float_file": files["fp32"], "precision": precision, "threads": threads,
                "octavo": arguments.octavo, "onnxruntime": arguments.onnxruntime, "shape": dims[1:],
                "input": graph.input[0].name, "output": graph.output[0].name,
                "classes": graph.output[0].type.tensor_type.shape.dim[1].dim_value}
    workers = {engine: Worker(dict(settings, engine=engine)) for engine in engines_of(precision)}
    try:
        for batch in [b for b in arguments.batches if dims[2] < 100 or b <= 8]:
            for worker in workers.values():
                worker.ask(prepare=batch)
            row = {"model": model, "precision": precision, "batch": batch, "threads": threads,
                   "gmacs": macs(files["fp32"]) * batch / 1e9,
                   "differences": {e: difference(workers, e) for e in workers if e.startswith("onnxruntime")},
                   **measure(workers, arguments.seconds, arguments.rounds)}
            row["gops"] = 2 * row["gmacs"] / row["octavo"]["median_ms"] * 1e3
            yield row
    finally:
        for worker in workers.values():
            worker.close()


HEADER = ("model", "type", "batch", "threads", "Octavo ms", "p90", "ONNX Runtime ms", "its exact ms", "PyTorch ms",
          "Octavo / best peer", "spread", "GOP/s", "of peak")


def cells(row, peaks):
    peak = peaks.get(f"{row['precision']}-{row['threads']}")
    return (row["model"], row["precision"], str(row["batch"]), str(row["threads"]),
            f"{row['octavo']['median_ms']:.3f}", f"{row['octavo']['p90_ms']:.3f}",
            f"{row['onnxruntime']['median_ms']:.3f}",
            f"{row[EXACT]['median_ms']:.3f}" if EXACT in row else "-", f"{row['torch']['median_ms']:.3f}" if "torch" in row else "-", f"{row['ratio']:.2f}",
            f"{row['ratio_low']:.2f}-{row['ratio_high']:.2f}", f"{row['gops']:.0f}",
            f"{100 * row['gops'] / peak:.0f} %" if peak else "-")


def summary(rows):
    """Geometric means of how much faster Octavo is than the best peer, and the rows in which it is not."""
    lines = []
    for precision in ("int8", "fp32"):
        for batch in sorted({r["batch"] for r in rows}):
            some = [1 / r["ratio"] for r in rows if r["precision"] == precision and r["batch"] == batch]
            if some:
                lines.append(f"{precision}, batch {batch}: {statistics.geometric_mean(some):.2f}x as fast as the best "
                             f"peer (geometric mean of {len(some)} rows; {min(some):.2f}x to {max(some):.2f}x)")
    for batch in sorted({r["batch"] for r in rows}):
        some = [r[EXACT]["median_ms"] / r["octavo"]["median_ms"] for r in rows if EXACT in r and r["batch"] == batch]
        if some:
            lines.append(f"int8, batch {batch}: {statistics.geometric_mean(some):.2f}x as fast as ONNX Runtime's exact "
                         f"kernels ({min(some):.2f}x to {max(some):.2f}x)")
    for threads in (1, 2):
        pair = {p: {r["model"]: r for r in rows if r["precision"] == p and r["threads"] == threads and
                    r["batch"] == max(r["batch"] for r in rows)} for p in ("fp32", "int8")}
        for model in pair["int8"].keys() & pair["fp32"].keys():
            times = [pair[p][model]["octavo"]["median_ms"] for p in ("fp32", "int8")]
            lines.append(f"{model}, largest batch, {threads} threads: int8 {times[0] / times[1]:.2f}x as fast as our fp32")
    one, two = ({(r["model"], r["precision"]): r["octavo"]["median_ms"] for r in rows if r["threads"] == t and
                 r["batch"] == 128} for t in (1, 2))
    lines += [f"{model} {precision}, batch 128: {one[model, precision] / two[model, precision]:.2f}x from 1 to 2 threads"
              for model, precision in sorted(one.keys() & two.keys())]
    return lines


def markdown(rows, peaks):
    lines = ["| " + " | ".join(HEADER) + " |", "|" + "---|" * len(HEADER)]
    return "\n".join(lines + ["| " + " | ".join(cells(row, peaks)) + " |" for row in rows]) + "\n"


def plot(rows, file):
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot
    panels = [(p, b) for p in ("fp32", "int8") for b in sorted({r["batch"] for r in rows})]
    threads = max(r["threads"] for r in rows)
    figure, axes = pyplot.subplots(2, len(panels) // 2, figsize=(15, 8), squeeze=False)
    for axis, (precision, batch) in zip(axes.flat, panels):
        some = [r for r in rows if (r["precision"], r["batch"], r["threads"]) == (precision, batch, threads)]
        for offset, (engine, label) in enumerate((("octavo", "Octavo"), *PEERS.items())):
            fastest = [min(r[e]["median_ms"] for e in ("octavo", *PEERS)) for r in some]
            axis.barh([i + 0.27 * offset for i in range(len(some))],
                      [r[engine]["median_ms"] / f for r, f in zip(some, fastest)], 0.25, label=label)
        axis.set_yticks([i + 0.27 for i in range(len(some))], [r["model"] for r in some])
        axis.invert_yaxis()
        axis.set_title(f"{precision}, batch {batch}, {threads} threads")
        axis.set_xlabel("time over the fastest engine's")
    axes.flat[0].legend()
    figure.tight_layout()
    figure.savefig(file)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--octavo", required=True, help="liboctavo.so")
    parser.add_argument("--onnxruntime", required=True, help="libonnxruntime.so.1")
    parser.add_argument("--models-folder", required=True, help="where make_peer_models wrote")
    parser.add_argument("--models", nargs="+", required=True)
    parser.add_argument("--precisions", nargs="+", default=["int8", "fp32"])
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 128], help="224-pixel models: up to 8")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--peers", nargs="+", choices=list(PEERS), default=list(PEERS),
                        help="PyTorch's engine builds convolutional networks alone")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=0.1, help="time an engine has in a round")
    parser.add_argument("--peaks", help="JSON: {\"int8-2\": GOP/s, ...} measured on this machine")
    parser.add_argument("--json")
    parser.add_argument("--markdown")
    parser.add_argument("--plot")
    arguments = parser.parse_args()
    for peer in PEERS.keys() - set(arguments.peers):
        del PEERS[peer]
    peaks = json.loads(arguments.peaks) if arguments.peaks else {}
    widths = (17, 5, 5, 7, 9, 9, 15, 12, 10, 18, 10, 6, 7)
    print("  ".join(f"{name:>{w}}" for name, w in zip(HEADER, widths)))
    rows = []
    for model in arguments.models:
        for precision in arguments.precisions:
            for threads in arguments.threads:
                for row in rows_of(arguments, model, threads, precision):
                    rows.append(row)
                    print("  ".join(f"{c:>{w}}" for c, w in zip(cells(row, peaks), widths)), flush=True)
    lines = summary(rows)
    for precision in arguments.precisions:
        for engine in sorted({e for r in rows if r["precision"] == precision for e in r["differences"]}):
            worst = max((r for r in rows if r["precision"] == precision), key=lambda r: r["differences"][engine])
            lines.append(f"{precision}: logits of Octavo and {engine} differ by at most "
                         f"{worst['differences'][engine]:.1e} of the largest ({worst['model']})")
    print("\n" + "\n".join(lines))
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump({"peaks": peaks, "rows": rows}, file, indent=1)
    if arguments.markdown:
        with open(arguments.markdown, "w", encoding="utf-8") as file:
            file.write(markdown(rows, peaks) + "\n" + "\n".join(f"- {line}" for line in lines) + "\n")
    if arguments.plot:
        plot(rows, arguments.plot)


if __name__ == "__main__":
    sys.exit(main())
