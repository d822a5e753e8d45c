/// ONNX operators on ATen tensors: what the float and the fake-quantized executor have in common.
#pragma once

#include <ATen/ATen.h>

#include <vector>

#include "octavo/graph/graph.h"

namespace octavo::train_detail {

/// Conv: x [N, C, H, W], weight [M, C/group, kH, kW], bias [M] or undefined.
at::Tensor convolve(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                    const ConvAttributes& attributes);

/// Any operator but Conv, Gemm, MatMul and BatchNormalization, which quantization treats apart (kInternal),
/// on its operands in order, constants included.
at::Tensor apply_operator(const Node& node, const std::vector<at::Tensor>& operands);

/// The constant as an ATen tensor of its own; four-dimensional ones in channels-last memory format.
at::Tensor to_aten(const Tensor& constant);

/// Writes a tensor of the same shape back into a constant (row-major float32).
void from_aten(const at::Tensor& tensor, Tensor& constant);

}  // namespace octavo::train_detail
