#!/usr/bin/env python3
"""How much of what people export is read: architectures of timm, torchvision and Keras with random weights as ONNX
files, each tried on the importer, on PTQ and beside ONNX Runtime.

  bench/import_zoo.py export FOLDER [--library timm|torchvision|keras] [--exporter torchscript|dynamo|tf2onnx] [--only NAME ...]
  bench/import_zoo.py check FOLDER BUILD [--float] [--again refused|weak|all] [--only NAME ...]
  bench/import_zoo.py table FOLDER [--write docs/onnx.md]

Makes a virtual environment for each exporter in FOLDER, from PyPI (6 GB for PyTorch's, 2 GB for TensorFlow's; with --system
of what Debian's python3-torch and python3-torchvision lack, 0.2 GB: without the dynamo exporter). Exit code 77 where PyPI is not there. The files take 20 GB, and all of it hours:
what is done is kept, as lines of FOLDER/exported.jsonl and FOLDER/checked.jsonl, and a second call does what is missing.
BUILD is a build folder, or one that holds `octavo` and `liboctavo.so`.
"""
import argparse
import datetime
import json
import os
import pathlib
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "zoo"))

import architectures  # noqa: E402
import table  # noqa: E402

PACKAGES = {
    "torch": ["torch==2.15.0", "torchvision==0.29.2", "timm==1.0.31", "onnx==1.23.2", "onnxscript==0.7.2",
              "onnxruntime==1.32.0", "pillow==13.0.0"],
    "keras": ["tensorflow-cpu==2.21.0", "keras==3.15.1", "tf2onnx==1.17.0", "onnx"],
}
# What goes with Debian's.
SYSTEM_PACKAGES = ["timm==1.0.31", "onnx==1.19.1", "onnxruntime==1.23.2", "pillow==11.3.0", "numpy<2"]
NO_PYPI = 77


def environment(folder, kind, system):
    """The interpreter of a virtual environment with the packages of that kind, made where it is not there yet."""
    venv = folder / f"venv-{kind}"
    python, done = venv / "bin/python3", venv / "complete"
    if done.exists():
        return python
    packages = SYSTEM_PACKAGES if system and kind == "torch" else PACKAGES[kind]
    print(f"making {venv} ({', '.join(packages)})", flush=True)
    maker = ["/usr/bin/python3", "-m", "venv", "--system-site-packages"] if system else [sys.executable, "-m", "venv"]
    subprocess.run([*maker, venv], check=True)
    # Debian's torch counts as installed, and nothing of it is looked for.
    command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages]
    answer = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if answer.returncode != 0:
        print(f"import_zoo: PyPI is not there, or has not got the packages: {answer.stdout.strip()[-300:]}")
        sys.exit(NO_PYPI)
    done.write_text("\n".join(packages) + "\n")
    return python


def rows(path):
    """Of lines about the same file the last one counts."""
    found = {}
    if path.exists():
        for line in path.read_text().splitlines():
            row = json.loads(line)
            found[row["file"]] = row
    return found


def append(path, row):
    with path.open("a") as out:
        out.write(json.dumps(row) + "\n")


class Worker:
    """A script that serves tasks (zoo/serve.py)."""

    def __init__(self, python, script, threads):
        self.process = subprocess.Popen([python, HERE / "zoo" / script], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, env={**os.environ, "OMP_NUM_THREADS": str(threads)})

    def answer(self, task):
        self.process.stdin.write(json.dumps(task) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"import_zoo: the worker ended with exit code {self.process.wait()}")
        return json.loads(line)


def selected(arguments):
    for library, exporter, names in architectures.SAMPLE if arguments.sample else architectures.EXPORTS:
        if arguments.library not in (None, library) or arguments.exporter not in (None, exporter):
            continue
        for name in names:
            if not arguments.only or name in arguments.only:
                yield library, exporter, name


def export(arguments):
    folder = arguments.folder.resolve()
    models, logs = folder / "models", folder / "logs"
    for path in (models, logs):
        path.mkdir(parents=True, exist_ok=True)
    record = folder / "exported.jsonl"
    done, workers = rows(record), {}
    partial = folder / f"partial.{os.getpid()}.onnx"
    for library, exporter, name in selected(arguments):
        file = f"{library}.{name}.{exporter}.onnx"
        if file in done and not (done[file]["error"] and arguments.again):
            continue
        kind = "keras" if library == "keras" else "torch"
        if kind not in workers:
            workers[kind] = Worker(environment(folder, kind, arguments.system), f"export_{kind}.py", arguments.threads)
        start = time.monotonic()
        answer = workers[kind].answer({
            "library": library, "name": name, "exporter": exporter, "size": arguments.size, "path": str(partial),
            "threads": arguments.threads, "timeout": arguments.timeout, "log": str(logs / f"{file}.export.log")})
        row = {"file": file, "library": library, "name": name, "exporter": exporter, "error": "", **answer,
               "seconds": round(time.monotonic() - start, 1)}
        if not row["error"]:
            row["bytes"] = partial.stat().st_size
            partial.rename(models / file)
        partial.unlink(missing_ok=True)
        append(record, row)
        print(f"{file}: {row['error'] or 'written'} ({row['seconds']} s)", flush=True)


def found_in(build, places):
    for place in places:
        if (build / place).is_file():
            return build / place
    sys.exit(f"import_zoo: {build} has no {places[0]}; build it, or name another folder")


def check(arguments):
    folder = arguments.folder.resolve()
    logs = folder / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    build = arguments.build.resolve()
    program = found_in(build, ["octavo", "bin/octavo", "apps/octavo/octavo"])
    library = found_in(build, ["liboctavo.so", "src/embed/liboctavo.so"])
    record = folder / "checked.jsonl"
    python = environment(folder, "torch", arguments.system)
    done = rows(record)
    if not (folder / "images").exists():
        cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache"))
        subprocess.run([python, HERE / "zoo/images.py", cache / "octavo/cifar-10-batches-bin", folder / "images"], check=True)
    worker, faults = Worker(python, "check.py", arguments.threads), []
    for file, exported in rows(folder / "exported.jsonl").items():
        if exported["error"] or not (folder / "models" / file).exists():
            if arguments.sample:
                sys.exit(f"import_zoo: {file} was not exported: {exported['error']}")
            continue
        if arguments.only and exported["name"] not in arguments.only:
            continue
        if arguments.library not in (None, exported["library"]) or arguments.exporter not in (None, exported["exporter"]):
            continue
        if file in done and not wanted_again(done[file], arguments.again):
            continue
        start = time.monotonic()
        answer = worker.answer({
            **exported, "path": str(folder / "models" / file), "octavo": str(program), "library_file": str(library),
            "images": str(folder / "images"), "seconds": arguments.seconds, "threads": arguments.threads,
            "timeout": arguments.timeout, "only_float": arguments.only_float,
            "log": str(logs / f"{file}.check.log")})
        row = {"file": file, "stage": "check", **answer,
               "check_seconds": round(time.monotonic() - start, 1),
               "when": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")}
        append(record, row)
        if table.fault(row) or arguments.sample and not table.integers(row):
            faults.append(file)
        print(f"{file}: {table.outcome(row)} ({row['check_seconds']} s)", flush=True)
    if faults and arguments.sample:
        sys.exit(f"import_zoo: {', '.join(faults)}: not read, not the same as in ONNX Runtime, or not in integers")


def wanted_again(row, again):
    return {None: False, "all": True, "refused": bool(table.fault(row)), "unquantized": "integer_macs" not in row,
            "weak": not table.integers(row)}[again]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("folder", type=pathlib.Path)
    common.add_argument("--library", choices=["timm", "torchvision", "keras"])
    common.add_argument("--exporter", choices=["torchscript", "dynamo", "tf2onnx"])
    common.add_argument("--only", metavar="NAME", nargs="+", help="architectures")
    common.add_argument("--sample", action="store_true", help="the dozen of scripts/test-import-zoo")
    common.add_argument("--system", action="store_true", help="Debian's PyTorch")
    common.add_argument("--threads", type=int, default=1)
    one = commands.add_parser("export", parents=[common])
    one.add_argument("--size", type=int, default=128, help="pixels of models that take any size (default 128)")
    one.add_argument("--timeout", type=int, default=240, help="seconds for a model (default 240)")
    one.add_argument("--again", action="store_true", help="try those that failed again")
    two = commands.add_parser("check", parents=[common])
    two.add_argument("build", type=pathlib.Path)
    two.add_argument("--again", choices=["refused", "unquantized", "weak", "all"],
                     help="files that have been checked before: weak are those with too little in integers, too")
    two.add_argument("--seconds", type=float, default=0.5, help="that each program is timed for (default 0.5; 0: not)")
    two.add_argument("--float", dest="only_float", action="store_true", help="import and difference, no quantization")
    two.add_argument("--timeout", type=int, default=300, help="seconds for a file (default 300)")
    three = commands.add_parser("table", parents=[common])
    three.add_argument("--write", type=pathlib.Path, help="Markdown to write the tables into, between its marks")
    arguments = parser.parse_args()
    if arguments.command == "table":
        table.show(rows(arguments.folder / "exported.jsonl"), rows(arguments.folder / "checked.jsonl"), arguments.write)
    else:
        {"export": export, "check": check}[arguments.command](arguments)


main()
