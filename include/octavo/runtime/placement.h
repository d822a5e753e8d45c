/// Which parts of a graph run in integers, and why the others do not.
#pragma once

#include <string>
#include <vector>

#include "octavo/graph/passes.h"

namespace octavo {

/// What one group runs as.
struct Placement {
  std::vector<int> nodes;  ///< Indices into Graph::nodes: the anchor first, then what is fused into it.
  bool integer = false;    ///< int8; else float32.
  std::string reason;      ///< Why float32; empty for int8.
};

/// One entry per group of fuse(), in the order in which they run. `graph` has its batch norms folded.
std::vector<Placement> placements(const Graph& graph);
/// One entry per group.
std::vector<Placement> placements(const Graph& graph, const std::vector<FusedGroup>& groups);

/// True if docs/arithmetic.md has an integer form for the group, whatever the annotations of its values.
bool has_integer_form(const Graph& graph, const FusedGroup& group);

/// True if the group's integer form may return real numbers: its output then needs no quantization.
bool may_return_real(const Graph& graph, const FusedGroup& group);

/// True if the group's integer form may read float32: LayerNormalization and Softmax, of what is not rounded.
bool may_take_real(const Graph& graph, const FusedGroup& group);

/// True if the operator only moves integers about, so that output and input have the same parameters.
bool moves_integers(const Graph& graph, const FusedGroup& group);

}  // namespace octavo
