/// Output shapes, by operator, and how a rule says that operands do not fit. The table of operators names the
/// rules.
#pragma once

#include <string>

#include "octavo/graph/graph.h"

namespace octavo::shape_rules {

/// Throws kBadInput, naming graph, node and operator.
[[noreturn]] void fail(const Graph& graph, const Node& node, const std::string& problem);

/// Throws unless 1 <= axis < rank: the batch is no operator's business.
void check_axis(const Graph& graph, const Node& node, const Shape& x, std::int64_t axis);

Shape conv_shape(const Graph& graph, const Node& node);
Shape gemm_shape(const Graph& graph, const Node& node);
Shape matmul_shape(const Graph& graph, const Node& node);
Shape matmul_of_values_shape(const Graph& graph, const Node& node);
Shape layer_norm_shape(const Graph& graph, const Node& node);
Shape batch_norm_shape(const Graph& graph, const Node& node);
Shape pool_shape(const Graph& graph, const Node& node);
Shape global_pool_shape(const Graph& graph, const Node& node);
Shape flatten_shape(const Graph& graph, const Node& node);
Shape binary_shape(const Graph& graph, const Node& node);
Shape prelu_shape(const Graph& graph, const Node& node);
/// The input's.
Shape same_shape(const Graph& graph, const Node& node);
/// The input's, which has the dimension that AxisAttributes name.
Shape along_axis_shape(const Graph& graph, const Node& node);

// shapes_of_moves.cpp
Shape concat_shape(const Graph& graph, const Node& node);
Shape slice_shape(const Graph& graph, const Node& node);
Shape pad_shape(const Graph& graph, const Node& node);
Shape reshape_shape(const Graph& graph, const Node& node);
Shape transpose_shape(const Graph& graph, const Node& node);
Shape reduce_shape(const Graph& graph, const Node& node);

}  // namespace octavo::shape_rules
