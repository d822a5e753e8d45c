#include "octavo/graph/passes.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "octavo/core/error.h"

namespace octavo {

void remove_unused_values(Graph& graph) {
  std::vector<bool> used(graph.values.size(), false);
  const auto use = [&](ValueId id) { used[static_cast<std::size_t>(id)] = true; };
  use(graph.input);
  use(graph.output);
  for (const Node& node : graph.nodes) {
    for (const ValueId id : node.inputs) use(id);
    use(node.output);
  }
  std::vector<ValueId> renumbered(graph.values.size(), kNoValue);
  std::vector<Value> kept;
  for (std::size_t i = 0; i < graph.values.size(); ++i) {
    if (!used[i]) continue;
    renumbered[i] = static_cast<ValueId>(kept.size());
    kept.push_back(std::move(graph.values[i]));
  }
  const auto renumber = [&](ValueId& id) { id = renumbered[static_cast<std::size_t>(id)]; };
  graph.values = std::move(kept);
  renumber(graph.input);
  renumber(graph.output);
  for (Node& node : graph.nodes) {
    for (ValueId& id : node.inputs) renumber(id);
    renumber(node.output);
  }
}

namespace {

/// A name that no value has yet.
std::string fresh_name(const Graph& graph, const std::string& wanted) {
  std::string name = wanted;
  while (graph.find_value(name) != kNoValue) name += "_";
  return name;
}

ValueId add_constant(Graph& graph, const std::string& name, Tensor tensor) {
  graph.values.push_back({fresh_name(graph, name), tensor.shape(), std::move(tensor), {}});
  return static_cast<ValueId>(graph.values.size() - 1);
}

void fold(Graph& graph, Node& conv, const Node& norm) {
  const auto constant = [&](ValueId id) { return graph.value(id).constant->data<float>(); };
  const auto gamma = constant(norm.inputs[1]);
  const auto beta = constant(norm.inputs[2]);
  const auto mean = constant(norm.inputs[3]);
  const auto variance = constant(norm.inputs[4]);
  const double epsilon = norm.as<BatchNormAttributes>().epsilon;

  Tensor weight = *graph.value(conv.inputs[1]).constant;
  const std::int64_t channels = weight.dim(0);
  const std::int64_t per_channel = weight.size() / channels;
  Tensor bias({channels}, DType::kFloat32);
  const auto w = weight.data<float>();
  const auto b = bias.data<float>();
  for (std::int64_t c = 0; c < channels; ++c) {
    const auto i = static_cast<std::size_t>(c);
    const double factor = gamma[i] / std::sqrt(static_cast<double>(variance[i]) + epsilon);
    for (std::int64_t k = 0; k < per_channel; ++k) {
      float& x = w[static_cast<std::size_t>(c * per_channel + k)];
      x = static_cast<float>(x * factor);
    }
    const double before = conv.inputs.size() > 2 ? constant(conv.inputs[2])[i] : 0.0F;
    b[i] = static_cast<float>((before - mean[i]) * factor + beta[i]);
  }
  // New constants: a weight shared by two convolutions must not change for the other.
  const std::string weight_name = graph.value(conv.inputs[1]).name;
  const std::string bias_name =
      conv.inputs.size() > 2 ? graph.value(conv.inputs[2]).name : conv.name + ".bias";
  conv.inputs.resize(2);
  conv.inputs[1] = add_constant(graph, weight_name + ".folded", std::move(weight));
  conv.inputs.push_back(add_constant(graph, bias_name + ".folded", std::move(bias)));
}

}  // namespace

Graph fold_batch_norm(const Graph& source) {
  Graph graph = source;
  std::set<std::size_t> folded;
  for (const FusedGroup& group : fuse(source)) {
    if (group.batch_norm < 0) continue;
    Node& conv = graph.nodes[static_cast<std::size_t>(group.anchor)];
    const Node& norm = graph.nodes[static_cast<std::size_t>(group.batch_norm)];
    fold(graph, conv, norm);
    conv.output = norm.output;
    folded.insert(static_cast<std::size_t>(group.batch_norm));
  }
  std::vector<Node> nodes;
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    if (!folded.contains(i)) nodes.push_back(std::move(graph.nodes[i]));
  }
  graph.nodes = std::move(nodes);
  remove_unused_values(graph);
  return graph;
}

}  // namespace octavo
