// Which values are quantized, and which share parameters: a function of the graph's structure.
#pragma once

#include <vector>

#include "octavo/graph/graph.h"

namespace octavo {

/// By value: the value whose parameters it has, itself if they are its own, kNoValue if it stays float.
///
/// A value is quantized where a group that reads it will run in integers, which takes an integer form (see
/// octavo/runtime/placement.h), inputs that are all quantized, and an output that is quantized too or may
/// stay real. So what only float32 operators read stays float, and so does the model's output. An elementwise
/// operator behind one that has to run in float32 runs in float32 as well and its result is quantized
/// instead: one rounding rather than one before and one after.
///
/// What only moves integers has its input's parameters. A value that only a Concat reads has the Concat's, so
/// that its integers are copied as they are.
std::vector<ValueId> parameter_owners(const Graph& folded);
/// As above, of a program in which at most those groups of quantizable_groups() run in integers for which
/// `integer` is true.
std::vector<ValueId> parameter_owners(const Graph& folded, const std::vector<bool>& integer);

/// Chooses the parameters of the float32 weight that `node` reads anew, with integers up to `qmax`, for all
/// nodes that read it.
void annotate_weight_anew(Graph& folded, const Node& node, std::int32_t qmax);

}  // namespace octavo
