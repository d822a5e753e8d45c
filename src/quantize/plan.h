// Which values are quantized, and which share parameters: a function of the graph's structure.
#pragma once

#include <vector>

#include "octavo/quantize/ptq.h"

namespace octavo {

/// parameter_owners() of a program in which at most those groups of quantizable_groups() run in integers for
/// which `integer` is true.
std::vector<ValueId> parameter_owners(const Graph& folded, const std::vector<bool>& integer);

/// Chooses the parameters of the float32 weight that `node` reads anew, with integers up to `qmax`, for all
/// nodes that read it.
void annotate_weight_anew(Graph& folded, const Node& node, std::int32_t qmax);

}  // namespace octavo
