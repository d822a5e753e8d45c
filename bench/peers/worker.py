"""One engine in a process of its own, so that no two engines' threads meet. Reads a JSON line, answers with one:
{"prepare": batch} loads the model; {"time": seconds} runs it for so long (at least once); {"logits": true}."""
import json
import sys
import time

import numpy


def make_engine(settings, batch):
    file, threads = settings["file"], settings["threads"]
    if settings["engine"] == "octavo":
        import octavo_engine
        return octavo_engine.Engine(settings["octavo"], file, batch, threads)
    if settings["engine"].startswith("onnxruntime"):
        import onnxruntime_engine
        return onnxruntime_engine.Engine(settings["onnxruntime"], file, batch, threads, settings["input"],
                                         settings["output"], settings["classes"],
                                         settings["engine"] == "onnxruntime-exact")
    import torch_engine
    return torch_engine.Engine(settings["float_file"], settings["precision"], threads)


def timed(run, seconds):
    samples, end = [], time.perf_counter() + seconds
    run()  # Wakes threads and caches after the other engines' turn.
    while not samples or time.perf_counter() < end:
        start = time.perf_counter()
        run()
        samples.append(time.perf_counter() - start)
    return samples


def main():
    settings = json.loads(sys.argv[1])
    engine = None
    for line in sys.stdin:
        request = json.loads(line)
        answer = {}
        if "prepare" in request:
            engine = make_engine(settings, request["prepare"])
            shape = (request["prepare"], *settings["shape"])
            engine.prepare(numpy.random.default_rng(1).standard_normal(shape, numpy.float32))
            engine.run()
        elif "time" in request:
            answer = {"samples": timed(engine.run, request["time"])}
        elif "logits" in request:
            answer = {"logits": engine.run().tolist()}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    try:
        main()
    except Exception as error:  # One line in place of a traceback: what is missing, as a rule.
        name = json.loads(sys.argv[1])["engine"] if len(sys.argv) > 1 else "worker.py"
        sys.exit(f"{name}: {type(error).__name__}: {error}")
