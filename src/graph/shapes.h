/// Output shapes of the operators that move, join or reduce, and how a rule says that operands do not fit.
#pragma once

#include <string>

#include "octavo/graph/graph.h"

namespace octavo::shape_rules {

/// Throws kBadInput, naming graph, node and operator.
[[noreturn]] void fail(const Graph& graph, const Node& node, const std::string& problem);

/// Throws unless 1 <= axis < rank: the batch is no operator's business.
void check_axis(const Graph& graph, const Node& node, const Shape& x, std::int64_t axis);

Shape concat_shape(const Graph& graph, const Node& node);
Shape slice_shape(const Graph& graph, const Node& node);
Shape pad_shape(const Graph& graph, const Node& node);
Shape reshape_shape(const Graph& graph, const Node& node);
Shape transpose_shape(const Graph& graph, const Node& node);
Shape reduce_shape(const Graph& graph, const Node& node);

}  // namespace octavo::shape_rules
