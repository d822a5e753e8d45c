"""PyTorch: float32 traced and optimized for inference; int8 by its FX workflow, fused, on the onednn engine. The network
is built from the float ONNX file, so that all engines run the same one."""
import onnx
import torch
from onnx import numpy_helper
from torch import nn
from torch.ao.quantization import get_default_qconfig_mapping, quantize_fx


def tensor(constants, name):
    return torch.tensor(numpy_helper.to_array(constants[name]).copy())


def convolution(node, attributes, constants):
    weight = tensor(constants, node.input[1])
    pads, groups = attributes.get("pads", [0, 0, 0, 0]), attributes.get("group", 1)
    module = nn.Conv2d(weight.shape[1] * groups, weight.shape[0], weight.shape[2:], attributes.get("strides", 1),
                       pads[:2], groups=groups, bias=len(node.input) > 2)
    assert pads[:2] == pads[2:] and attributes.get("dilations", [1, 1]) == [1, 1]
    module.weight.data = weight
    if len(node.input) > 2:
        module.bias.data = tensor(constants, node.input[2])
    return module


def batch_norm(node, attributes, constants):
    scale, bias, mean, var = (tensor(constants, name) for name in node.input[1:5])
    module = nn.BatchNorm2d(len(scale), eps=attributes.get("epsilon", 1e-5))
    module.weight.data, module.bias.data = scale, bias
    module.running_mean, module.running_var = mean, var
    return module


def linear(node, attributes, constants):
    weight = tensor(constants, node.input[1])
    if not attributes.get("transB", 0):
        weight = weight.t().contiguous()
    module = nn.Linear(weight.shape[1], weight.shape[0])
    module.weight.data, module.bias.data = weight, tensor(constants, node.input[2])
    return module


def clip(node, attributes, constants):
    assert [float(tensor(constants, name)) for name in node.input[1:]] == [0.0, 6.0]
    return nn.ReLU6()


def max_pool(node, attributes, constants):
    pads = attributes.get("pads", [0, 0, 0, 0])
    assert pads[:2] == pads[2:]
    return nn.MaxPool2d(attributes["kernel_shape"], attributes.get("strides", 1), pads[:2])


MODULES = {
    "Conv": convolution, "BatchNormalization": batch_norm, "Gemm": linear, "Clip": clip, "MaxPool": max_pool,
    "Relu": lambda *_: nn.ReLU(), "GlobalAveragePool": lambda *_: nn.AdaptiveAvgPool2d(1),
    "Flatten": lambda *_: nn.Flatten(),
}


def from_onnx(file):
    """The graph of an ONNX file as a traceable module."""
    model = onnx.load(file).graph
    constants = {c.name: c for c in model.initializer}
    graph, modules, made = torch.fx.Graph(), {}, {}
    made[model.input[0].name] = graph.placeholder("x")
    for index, node in enumerate(model.node):
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        if node.op_type == "Add":
            made[node.output[0]] = graph.call_function(torch.add, tuple(made[name] for name in node.input))
            continue
        name = f"m{index}"
        modules[name] = MODULES[node.op_type](node, attributes, constants)
        made[node.output[0]] = graph.call_module(name, (made[node.input[0]],))
    graph.output(made[model.output[0].name])
    return torch.fx.GraphModule(nn.ModuleDict(modules), graph).eval()


class Engine:
    name = "PyTorch"

    def __init__(self, file, precision, threads):
        torch.set_num_threads(threads)
        self.file, self.precision = file, precision

    def prepare(self, images):
        self.images = torch.tensor(images)
        model = from_onnx(self.file)
        with torch.no_grad():
            if self.precision == "int8":
                torch.backends.quantized.engine = "onednn"
                prepared = quantize_fx.prepare_fx(model, get_default_qconfig_mapping("onednn"), (self.images,))
                prepared(self.images)
                self.model = quantize_fx.convert_fx(prepared)
            else:
                self.model = torch.jit.optimize_for_inference(torch.jit.trace(model, self.images))

    def run(self):
        with torch.no_grad():
            return self.model(self.images).numpy()
