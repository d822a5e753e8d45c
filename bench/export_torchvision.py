#!/usr/bin/python3
"""torchvision's classifiers with random weights as ONNX files, to try the importer on.

  bench/export_torchvision.py FOLDER [MODEL ...]

Needs Debian's python3-torch and python3-torchvision. Opset 13, dynamic batch, 224 pixels (alexnet alike). Batch-norm
statistics are drawn at random too, so that logits differ from image to image. FOLDER lies outside the repository: the
files take 1 GB.
"""
import argparse
import pathlib
import warnings

import torch
import torchvision

MODELS = [
    "alexnet", "vgg11_bn", "resnet18", "resnet50", "wide_resnet50_2", "resnext50_32x4d", "squeezenet1_1", "mobilenet_v2",
    "mobilenet_v3_small", "mobilenet_v3_large", "shufflenet_v2_x1_0", "mnasnet1_0", "densenet121", "googlenet",
    "efficientnet_b0", "regnet_y_400mf", "convnext_tiny",
]


def randomize(model):
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-0.1, 0.1)
            module.running_var.uniform_(0.8, 1.2)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("models", nargs="*", default=[])
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    warnings.filterwarnings("ignore")
    torch.set_grad_enabled(False)
    for name in arguments.models or MODELS:
        torch.manual_seed(0)
        extra = {"aux_logits": False, "init_weights": True} if name == "googlenet" else {}
        model = getattr(torchvision.models, name)(weights=None, **extra).eval()
        randomize(model)
        torch.onnx.export(model, torch.randn(2, 3, 224, 224), str(arguments.folder / f"{name}.onnx"), opset_version=13,
                          input_names=["input"], output_names=["logits"],
                          dynamic_axes={"input": {0: "batch"}, "logits": {0: "batch"}})
        print(name, flush=True)


main()
