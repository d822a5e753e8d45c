/// A small classifier around each operator of the table, for tests that walk it.
#pragma once

#include "octavo/graph/graph.h"

namespace octavo::testing {

/// Images of these graphs: [N, 3, 6, 6].
inline constexpr std::int64_t kOperatorImage = 6;

/// A convolution, `op`, and a matrix product that gives 4 logits, so that the operator stands where it can
/// run in integers. Operators that are defined on positive numbers alone read a sigmoid's output.
Graph graph_around(Op op);

}  // namespace octavo::testing
