/// What a node costs, whatever computes it.
#pragma once

#include <cstdint>

#include "octavo/graph/graph.h"

namespace octavo {

/// Multiply-accumulates of a convolution or matrix product for one image, as the direct algorithm does them;
/// 0 for other operators. mac_count(graph) is their sum.
std::int64_t mac_count(const Graph& graph, const Node& node);

}  // namespace octavo
