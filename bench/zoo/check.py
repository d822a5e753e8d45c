"""What Octavo makes of one ONNX file, beside ONNX Runtime, for each task (serve.py): what was measured, and `stage` and
`error` where it went no further."""
import collections
import json
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy
import onnxruntime
from PIL import Image

from serve import serve

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "peers"))
import octavo_engine  # noqa: E402

CALIBRATION_IMAGES, COMPARED_IMAGES = 16, 4


class Refused(Exception):
    def __init__(self, stage, error):
        super().__init__(error)
        self.stage = stage


def octavo(task, stage, *arguments):
    answer = subprocess.run([task["octavo"], *map(str, arguments), "--quiet", "--no-color"], capture_output=True, text=True)
    if answer.returncode != 0:
        error = answer.stderr.strip() or answer.stdout.strip()
        if answer.returncode < 0:
            error = f"killed by signal {-answer.returncode}: {error}"
        raise Refused(stage, error[:4000])
    return answer.stdout


class OnnxRuntime:
    def __init__(self, file, threads, exact=False):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        if exact:
            options.add_session_config_entry("session.x64quantprecision", "1")
        self.session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        self.input = self.session.get_inputs()[0]
        self.fixed = self.input.shape[0] if isinstance(self.input.shape[0], int) else None
        self.last = self.input.shape[-1] in (1, 3) and self.input.shape[1] not in (1, 3)

    def run(self, images):
        """Of images [N, C, H, W], whatever the file's own batch and layout."""
        images = numpy.ascontiguousarray(images.transpose(0, 2, 3, 1)) if self.last else images
        if self.fixed in (None, len(images)):
            return self.session.run(None, {self.input.name: images})[0]
        parts = [images[i:i + self.fixed] for i in range(0, len(images), self.fixed)]
        return numpy.concatenate([self.session.run(None, {self.input.name: part})[0] for part in parts])


def normalized(task, size, count):
    files = sorted(pathlib.Path(task["images"]).glob("*/*.png"))
    # From the end: calibration takes the first.
    pixels = [numpy.asarray(Image.open(f).resize((size, size), Image.BICUBIC), numpy.float32) for f in files[-count:]]
    return ((numpy.stack(pixels) / 255 - task["mean"]) / task["std"]).transpose(0, 3, 1, 2).astype(numpy.float32)


def relative_difference(ours, theirs):
    ours, theirs = ours.reshape(len(theirs), -1), theirs.reshape(len(theirs), -1)
    if ours.shape != theirs.shape:
        raise Refused("float", f"shapes: {ours.shape} and ONNX Runtime's {theirs.shape}")
    if not (numpy.isfinite(ours).all() and numpy.isfinite(theirs).all()):
        raise Refused("float", "numbers that are not finite")
    return float(numpy.abs(ours - theirs).max() / max(numpy.abs(theirs).max(), 1e-30))


def layer_shares(task, file, stage):
    model = json.loads(octavo(task, stage, "inspect", "--json", file))["models"][0]
    macs = model["macs"]
    floats = collections.Counter()
    for layer in model["layers"]:
        if layer["precision"] != "int8":
            floats[f'{layer["operators"]}: {layer.get("reason", "")}'] += layer["macs"]
    inside = macs - sum(floats.values())
    return {"macs": macs, "layers": len(model["layers"]),
            "integer_layers": sum(layer["precision"] == "int8" for layer in model["layers"]),
            "integer_macs": inside / macs if macs else 1.0,
            "float_macs": {name: share / macs for name, share in floats.most_common(6) if share}}


def medians(engines, image, seconds):
    """Milliseconds for an image, in turns, so that what else the machine does meets all of them."""
    samples = {name: [] for name in engines}
    for turn in range(5):
        for name, run in engines.items():
            end = time.perf_counter() + seconds / 5
            run(image)  # Wakes threads and caches.
            while True:
                start = time.perf_counter()
                run(image)
                samples[name].append(time.perf_counter() - start)
                if time.perf_counter() >= end:
                    break
    return {f"{name}_ms": 1e3 * float(numpy.median(times)) for name, times in samples.items()}


def engine(task, file, batch):
    made = octavo_engine.Engine(task["library_file"], file, batch, task["threads"])

    def run(images):
        made.batch = len(images)
        made.prepare(images)
        return made.run()[:len(images)].copy()

    return run


def check(task, result, folder):
    file, size = task["path"], task["size"]
    facts = layer_shares(task, file, "import")
    result["macs"], result["nodes"] = facts["macs"], facts["layers"]
    try:
        theirs = OnnxRuntime(file, task["threads"])
        images = normalized(task, size, COMPARED_IMAGES)
        expected = theirs.run(images)
    except Exception as error:
        raise Refused("ONNX Runtime, float", str(error)[:400]) from None
    try:
        ours = engine(task, file, COMPARED_IMAGES)
        logits = ours(images)
    except RuntimeError as error:
        raise Refused("float", str(error)) from None
    result["difference"] = relative_difference(logits[:2], expected[:2])

    if task["only_float"]:
        return
    quantized = str(folder / "quantized.onnx")
    start = time.monotonic()
    mean, std = (",".join([repr(task[key])] * 3) for key in ("mean", "std"))
    octavo(task, "ptq", "ptq", file, "--data", task["images"], "--mean", mean, "--std", std, "--out", quantized,
           "--calibration-samples", CALIBRATION_IMAGES, "--calibration-batch-size", 8, "--threads", task["threads"])
    result["ptq_seconds"] = time.monotonic() - start
    result["quantized_bytes"] = pathlib.Path(quantized).stat().st_size
    facts = layer_shares(task, quantized, "ptq")
    result.update({key: facts[key] for key in ("layers", "integer_layers", "integer_macs", "float_macs")})
    ours_int8 = engine(task, quantized, COMPARED_IMAGES)
    int8 = ours_int8(images)
    result["agreement_with_float"] = float((int8.argmax(1) == logits.argmax(1)).mean())
    try:
        theirs_int8 = OnnxRuntime(quantized, task["threads"], exact=True)
        reference = theirs_int8.run(images).reshape(int8.shape)
    except Exception as error:
        raise Refused("ONNX Runtime, quantized", str(error)[:400]) from None
    result["agreement"] = float((int8.argmax(1) == reference.argmax(1)).mean())
    result["quantized_difference"] = float(numpy.abs(int8 - reference).max() / max(numpy.abs(reference).max(), 1e-30))
    if task["seconds"] > 0:
        fast = OnnxRuntime(quantized, task["threads"])
        one = images[:1]
        result.update(medians({"octavo_float": engine(task, file, 1), "onnxruntime_float": theirs.run,
                               "octavo_int8": engine(task, quantized, 1), "onnxruntime_int8": fast.run}, one,
                              task["seconds"]))


def work(task):
    result = {"stage": "", "error": ""}
    with tempfile.TemporaryDirectory() as folder:
        try:
            check(task, result, pathlib.Path(folder))
        except Refused as refusal:
            result.update({"stage": refusal.stage, "error": str(refusal)})
    return result


if __name__ == "__main__":
    serve(work)
