#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <map>
#include <unordered_set>
#include <utility>

#include "octavo/core/error.h"
#include "octavo/onnx/onnx.h"

namespace octavo {
namespace {

constexpr std::string_view kRangePrefix = "octavo.range.";

/// Indices of the nodes that the output depends on, in order.
std::vector<std::size_t> live_nodes(const Graph& graph) {
  std::vector<bool> needed(graph.values.size(), false);
  needed[static_cast<std::size_t>(graph.output)] = true;
  std::vector<std::size_t> live;
  for (std::size_t i = graph.nodes.size(); i-- > 0;) {
    const Node& node = graph.nodes[i];
    if (!needed[static_cast<std::size_t>(node.output)]) continue;
    for (const ValueId id : node.inputs) needed[static_cast<std::size_t>(id)] = true;
    live.push_back(i);
  }
  return {live.rbegin(), live.rend()};
}

/// Copies values over in the order in which a reader of the file meets them.
class Renumberer {
 public:
  Renumberer(const Graph& source, Graph& target)
      : source_(source), target_(target), renumbered_(source.values.size(), kNoValue) {
    for (const Value& value : source.values) names_.insert(value.name);
  }

  ValueId operator()(ValueId id) {
    ValueId& known = renumbered_[static_cast<std::size_t>(id)];
    if (known == kNoValue) {
      const Value& value = source_.value(id);
      known = append(value);
      Value& copy = target_.values.back();
      if (copy.constant && copy.quant) copy.constant = quantize(*copy.constant, *copy.quant);
    }
    return known;
  }

  /// A float bias as int32 at scale_x * scale_w. One that several layers share becomes one value for each
  /// scale.
  ValueId bias(ValueId id, ValueId x, ValueId weight) {
    const auto [known, is_new] = biases_.try_emplace({id, x, weight}, kNoValue);
    if (!is_new) return known->second;
    const float scale_x = source_.value(x).quant->scale();
    const QuantParams& w = *source_.value(weight).quant;
    Value value = source_.value(id);
    QuantParams params{.scales = {},
                       .zero_points = std::vector<std::int32_t>(w.scales.size(), 0),
                       .axis = w.per_channel() ? 0 : QuantParams::kPerTensor,
                       .dtype = DType::kInt32,
                       .qmin = std::numeric_limits<std::int32_t>::min(),
                       .qmax = std::numeric_limits<std::int32_t>::max()};
    for (const float scale_w : w.scales) {
      // A product outside float32's range would not be a scale.
      using Limits = std::numeric_limits<float>;
      params.scales.push_back(std::clamp(scale_x * scale_w, Limits::denorm_min(), Limits::max()));
    }
    value.constant = quantize_bias(*value.constant, scale_x, w);
    value.quant = std::move(params);
    return known->second = append(std::move(value));
  }

 private:
  ValueId append(Value value) {
    if (!taken_.insert(value.name).second) {
      while (names_.contains(value.name)) value.name += "_";
      names_.insert(value.name);
    }
    target_.values.push_back(std::move(value));
    return static_cast<ValueId>(target_.values.size() - 1);
  }

  const Graph& source_;
  Graph& target_;
  std::vector<ValueId> renumbered_;
  std::map<std::array<ValueId, 3>, ValueId> biases_;
  std::unordered_set<std::string>
      names_;  ///< Of all values, so that none made here clashes with one still to come.
  std::unordered_set<std::string> taken_;  ///< In the target already.
};

bool float_bias_of_quantized_layer(const Graph& graph, const Node& node) {
  if ((node.op != Op::kConv && node.op != Op::kGemm) || node.inputs.size() < 3) return false;
  return graph.value(node.inputs[0]).quant && graph.value(node.inputs[1]).quant &&
         graph.value(node.inputs[2]).constant->dtype() == DType::kFloat32;
}

void check(const Graph& graph) {
  validate(graph);
  const auto fail = [&](const Value& value, const std::string& problem) {
    throw Error(ErrorCode::kBadInput, graph.name, fmt::format("value '{}': {}", value.name, problem));
  };
  if (graph.output == graph.input) fail(graph.value(graph.input), "is both input and output");
  for (const Value& value : graph.values) {
    if (value.name.empty()) fail(value, "has no name");
    if (!value.quant || value.constant) continue;
    if (value.quant->per_channel() || value.quant->dtype != DType::kUInt8) {
      fail(value, "activations are quantized per tensor to uint8");
    }
  }
  for (const Node& node : graph.nodes) {
    if (node.name.empty()) throw Error(ErrorCode::kBadInput, graph.name, "a node has no name");
  }
}

}  // namespace

Graph stored_form(const Graph& graph) {
  check(graph);
  Graph stored;
  stored.name = graph.name.empty() ? "model" : graph.name;
  for (const auto& entry : graph.metadata) {
    if (!entry.first.starts_with(kRangePrefix)) stored.metadata.insert(entry);
  }
  Renumberer renumber(graph, stored);
  stored.input = renumber(graph.input);
  stored.value(stored.input).shape.front() = kDynamic;
  for (const std::size_t i : live_nodes(graph)) {
    const Node& node = graph.nodes[i];
    Node copy = node;
    for (std::size_t k = 0; k < node.inputs.size(); ++k) {
      const bool bias = k == 2 && float_bias_of_quantized_layer(graph, node);
      copy.inputs[k] =
          bias ? renumber.bias(node.inputs[2], node.inputs[0], node.inputs[1]) : renumber(node.inputs[k]);
    }
    copy.output = renumber(node.output);
    // The operator has no such attribute.
    if (copy.op == Op::kMaxPool) std::get<PoolAttributes>(copy.attributes).count_include_pad = false;
    stored.nodes.push_back(std::move(copy));
  }
  stored.output = renumber(graph.output);
  infer_shapes(stored);
  return stored;
}

}  // namespace octavo
