/// What an operator does to one element: the definition that tables of integers, the reference interpreter
/// and float kernels share.
#pragma once

#include <optional>
#include <vector>

#include "octavo/graph/graph.h"

namespace octavo {

/// The operator of `node`, for which is_unary() holds, at x; computed in double and rounded once. Throws
/// kInternal for other operators.
float apply_unary(const Node& node, float x);

/// a op b for Add, Sub, Mul, Div, Min and Max in float32. Throws kInternal for other operators.
float apply_binary(Op op, float a, float b);

/// x < 0 ? slope * x : x
float apply_prelu(float x, float slope);

/// A channel's learned scale and bias and its running statistics.
struct BatchNormChannel {
  float scale, bias, mean, variance;
};
/// (x - mean) / sqrt(variance + epsilon) * scale + bias, computed in double and rounded once.
float apply_batch_norm(const BatchNormAttributes& attributes, float x, const BatchNormChannel& channel);

/// Of Slice, Pad and Transpose (Form::kMove): the index in the input, of shape x, of the element that the
/// output has at `index`; nothing where the output holds the constant of a Pad. Throws kInternal for other
/// operators.
std::optional<std::vector<std::int64_t>> moved_from(const Node& node, const Shape& x,
                                                    const std::vector<std::int64_t>& index);

/// The shape that operands of these shapes broadcast to (ONNX's multidirectional broadcasting), or nothing if
/// they do not. A dynamic dimension goes with itself and with 1.
std::optional<Shape> broadcast_shapes(const Shape& a, const Shape& b);

}  // namespace octavo
