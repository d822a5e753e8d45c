"""One architecture of timm or torchvision with random weights as an ONNX file for each task (serve.py)."""
import warnings

import timm
import torch
import torch.onnx
import torchvision
from torch import nn

from serve import serve

NORMS = (nn.modules.batchnorm._BatchNorm, nn.LayerNorm, nn.GroupNorm)


def make_timm(name, size):
    # As timm's own onnx_export.py asks for it.
    model = timm.create_model(name, pretrained=False, exportable=True)
    config = model.default_cfg
    given = config["input_size"][-1]
    if config.get("fixed_input_size"):
        return model, [given]
    return model, [max(size, config.get("min_input_size", (3, 0, 0))[-1]), given]


def make_torchvision(name, size):
    fixed = name.startswith(("vit", "maxvit"))
    extra = {"init_weights": True} if name in ("googlenet", "inception_v3") else {}
    if extra:
        extra["aux_logits"] = False
    given = 299 if name == "inception_v3" else 224
    return torchvision.models.get_model(name, weights=None, **extra), [given] if fixed else [size, given]


def settle(model, size):
    """What default initialization leaves degenerate gets numbers as training leaves them: zeros (of heads, of tokens, of
    the last norm of a block), layer scales of 1e-6, and batch statistics that are those of no data."""
    for name, parameter in model.named_parameters():
        leaf = name.rsplit(".", 1)[-1]
        if parameter.numel() == 0 or "bias" in leaf:
            continue
        if parameter.abs().max() >= 0.01 and parameter.abs().max() > 0:
            continue
        owner = model.get_submodule(name.rsplit(".", 1)[0]) if "." in name else model
        if isinstance(owner, NORMS) or "gamma" in leaf or "scale" in leaf or parameter.dim() <= 1:
            nn.init.uniform_(parameter, 0.5, 1)
        else:
            nn.init.normal_(parameter, std=0.02)
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.track_running_stats]
    for norm in norms:
        norm.train()
        norm.momentum = None
    if norms:
        model(smooth_images(16, size))
    for norm in norms:
        norm.running_var.clamp_(min=1e-3)
    model.eval()


def smooth_images(count, size):
    """Noise of a few pixels, enlarged: as much low frequency as photographs have."""
    return sum(nn.functional.interpolate(torch.randn(count, 3, side, side), size=(size, size), mode="bicubic")
               for side in (3, 8, 24)) / 2


def forms(exporter, sizes):
    """What is tried: sizes, a batch that is open before one of one image, opset 17 before 18."""
    script = [(17, True), (18, True), (17, False)]
    for size in sizes:
        for opset, open_batch in script if exporter == "torchscript" else [(None, True), (None, False)]:
            yield size, opset, open_batch


def export(model, exporter, size, opset, open_batch, path):
    images = torch.randn(2 if open_batch else 1, 3, size, size)
    if exporter == "torchscript":
        axes = {"input": {0: "batch"}, "logits": {0: "batch"}} if open_batch else None
        # Debian 12's has no other.
        which = {} if torch.__version__.startswith("1.") else {"dynamo": False}
        torch.onnx.export(model, (images,), path, opset_version=opset, input_names=["input"], output_names=["logits"],
                          dynamic_axes=axes, **which)
    else:
        shapes = ({0: torch.export.Dim("batch")},) if open_batch else None
        torch.onnx.export(model, (images,), path, dynamo=True, external_data=False, verbose=False, dynamic_shapes=shapes)


def work(task):
    warnings.filterwarnings("ignore")
    torch.set_num_threads(task["threads"])
    torch.set_grad_enabled(False)
    torch.manual_seed(0)
    make = {"timm": make_timm, "torchvision": make_torchvision}[task["library"]]
    model, sizes = make(task["name"], task["size"])
    model.eval()
    settled, failure = None, None
    for size, opset, open_batch in forms(task["exporter"], list(dict.fromkeys(sizes))):
        try:
            model(torch.randn(1, 3, size, size))
            if settled is None:
                settle(model, size)
                settled = size
            export(model, task["exporter"], size, opset, open_batch, task["path"])
            return {"size": size, "dynamic_batch": open_batch, "parameters": sum(p.numel() for p in model.parameters()),
                    "mean": 0.5, "std": 0.5}
        except Exception as error:
            print(f"{size} pixels, opset {opset}, open batch {open_batch}: {error}"[:2000])
            failure = failure or error
    raise failure


if __name__ == "__main__":
    serve(work)
