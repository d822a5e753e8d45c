#include <algorithm>

#include "octavo/core/error.h"
#include "octavo/graph/passes.h"

namespace octavo {
namespace {

/// The only reader of `id`, or -1 if it has several or none or the value has to be made.
int only_consumer(const Graph& graph, ValueId id, std::span<const ValueId> kept) {
  if (id == graph.output || graph.value(id).quant || std::ranges::find(kept, id) != kept.end()) return -1;
  int found = -1;
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    const auto uses = std::ranges::count(graph.nodes[i].inputs, id);
    if (uses == 0) continue;
    if (uses > 1 || found >= 0) return -1;
    found = static_cast<int>(i);
  }
  return found;
}

bool is_activation(Op op) { return op == Op::kRelu || op == Op::kClip; }

/// `adds_apart`: no Conv takes in an Add; else those in float32 do.
std::vector<FusedGroup> groups_of(const Graph& graph, bool adds_apart, std::span<const ValueId> kept) {
  const auto node_at = [&](int index) -> const Node& { return graph.nodes[static_cast<std::size_t>(index)]; };
  std::vector<bool> taken(graph.nodes.size(), false);
  std::vector<int> maker(graph.values.size(), -1);
  for (std::size_t i = 0; i < graph.nodes.size(); ++i)
    maker[static_cast<std::size_t>(graph.nodes[i].output)] = static_cast<int>(i);

  std::vector<FusedGroup> groups;
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    if (taken[i]) continue;
    const Node& anchor = graph.nodes[i];
    FusedGroup group{.anchor = static_cast<int>(i), .output = anchor.output};
    taken[i] = true;
    for (const ValueId id : anchor.inputs) {
      if (graph.value(id).constant) continue;
      if (group.input == kNoValue) {
        group.input = id;
      } else if (group.residual == kNoValue) {
        group.residual = id;
      }
    }
    if (anchor.op == Op::kConv) {
      int next = only_consumer(graph, group.output, kept);
      if (next >= 0 && node_at(next).op == Op::kBatchNormalization) {
        group.batch_norm = next;
        group.output = node_at(next).output;
        next = only_consumer(graph, group.output, kept);
      }
      const bool may_add = !adds_apart && !graph.value(anchor.inputs[1]).quant;
      if (may_add && next >= 0 && node_at(next).op == Op::kAdd) {
        const Node& add = node_at(next);
        const ValueId other = add.inputs[0] == group.output ? add.inputs[1] : add.inputs[0];
        const int other_maker = maker[static_cast<std::size_t>(other)];
        // The residual must exist when this group runs: its maker is in an earlier group. A later Conv that
        // also feeds this Add takes it instead.
        const bool made =
            !graph.value(other).constant && (other_maker < 0 || taken[static_cast<std::size_t>(other_maker)]);
        if (made && graph.value(other).shape == graph.value(add.output).shape &&
            graph.value(group.output).shape == graph.value(add.output).shape) {
          group.add = next;
          group.residual = other;
          group.output = add.output;
        }
      }
    }
    if (group.batch_norm >= 0) taken[static_cast<std::size_t>(group.batch_norm)] = true;
    if (group.add >= 0) taken[static_cast<std::size_t>(group.add)] = true;
    const bool takes_activation = anchor.op == Op::kConv || anchor.op == Op::kGemm || anchor.op == Op::kAdd ||
                                  anchor.op == Op::kBatchNormalization;
    const int next = takes_activation ? only_consumer(graph, group.output, kept) : -1;
    if (next >= 0 && is_activation(node_at(next).op)) {
      group.activation = next;
      group.output = node_at(next).output;
      taken[static_cast<std::size_t>(next)] = true;
    }
    groups.push_back(group);
  }
  return groups;
}

}  // namespace

std::vector<FusedGroup> fuse(const Graph& graph, std::span<const ValueId> kept) {
  return groups_of(graph, false, kept);
}

std::vector<FusedGroup> quantizable_groups(const Graph& graph) { return groups_of(graph, true, {}); }

std::vector<ValueId> flowing_inputs(const Graph& graph, const FusedGroup& group) {
  std::vector<ValueId> result;
  for (const ValueId id : graph.nodes[static_cast<std::size_t>(group.anchor)].inputs) {
    if (!graph.value(id).constant) result.push_back(id);
  }
  if (group.add >= 0) result.push_back(group.residual);
  return result;
}

ClipAttributes activation_bounds(const Graph& graph, const FusedGroup& group) {
  if (group.activation < 0) return {};
  const Node& node = graph.nodes[static_cast<std::size_t>(group.activation)];
  if (node.op == Op::kRelu) return {.min = 0.0F};
  return node.as<ClipAttributes>();
}

}  // namespace octavo
