/// The slow, obvious interpreter that defines what a graph computes. Everything fast is tested against it.
#pragma once

#include <map>

#include "octavo/core/tensor.h"
#include "octavo/graph/graph.h"

namespace octavo {

/// Runs `graph` on input [N, C, H, W] float32 and returns every value it makes, the input included, by id. A
/// quantized value is returned in its integers (the container of its parameters), any other in float32.
/// Groups (see fuse()) whose operands are quantized follow docs/arithmetic.md; the rest is plain float32 with
/// double accumulators.
std::map<ValueId, Tensor> interpret_all(const Graph& graph, const Tensor& input);

/// The output value alone: logits [N, classes].
Tensor interpret(const Graph& graph, const Tensor& input);

}  // namespace octavo
