/// Rewrites of a graph, and the one place that decides which nodes run as one.
#pragma once

#include <span>
#include <vector>

#include "octavo/graph/graph.h"

namespace octavo {

/// Folds each BatchNormalization into the Conv before it when that Conv has no other consumer: weight *=
/// scale / sqrt(variance + epsilon) per channel, bias likewise. The Conv's output takes the batch norm's
/// output name; unused values are dropped. Other batch norms stay.
Graph fold_batch_norm(const Graph& graph);

/// Drops values that nothing reads or makes and renumbers the rest.
void remove_unused_values(Graph& graph);

/// Nodes that run as one kernel: anchor [-> BatchNormalization] [-> Add residual] [-> Relu or Clip].
/// The anchor may be any node; batch norm and Add only follow a Conv, the activation a Conv, Gemm, Add or
/// BatchNormalization anchor. A Conv with quantized weights leaves the Add alone: the sum's operands are
/// rounded to integers first, as ONNX's QLinearConv and other runtimes' QLinearAdd do. Values inside a group
/// have one consumer and are never quantized; quantization happens at the group's inputs and at its output.
/// -1 means absent; otherwise indices into Graph::nodes.
struct FusedGroup {
  int anchor = -1;
  int batch_norm = -1;
  int add = -1;
  int activation = -1;
  ValueId input = kNoValue;     ///< The anchor's first input that is not a constant.
  ValueId residual = kNoValue;  ///< The Add's other input, unless a constant: made before the group runs.
  ValueId output = kNoValue;    ///< The last node's output.
};

/// Every node in exactly one group, groups in an order in which they can run: what runs as one kernel. Values
/// in `kept` are made, so no group has them inside.
std::vector<FusedGroup> fuse(const Graph& graph, std::span<const ValueId> kept = {});

/// What fuse() would return if all weights were quantized: each Add begins a group. Quantization and training
/// go by these groups, so they and the integer runtime agree on what is rounded.
std::vector<FusedGroup> quantizable_groups(const Graph& graph);

/// Values that the group reads and that depend on the image: input, residual, and whatever more a Concat or
/// other anchor with several reads.
std::vector<ValueId> flowing_inputs(const Graph& graph, const FusedGroup& group);

/// Bounds that the group's activation puts on real outputs: Relu [0, inf), Clip [min, max], none (-inf, inf).
ClipAttributes activation_bounds(const Graph& graph, const FusedGroup& group);

}  // namespace octavo
