#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <unordered_set>
#include <utility>

#include "canonical.h"
#include "octavo/core/error.h"
#include "octavo/onnx/onnx.h"
#include "tensor_proto.h"

namespace octavo {
namespace {

/// Scales of an int32 bias: scale_x * scale_w.
QuantParams bias_params(float scale_x, const QuantParams& weight) {
  QuantParams params{.scales = {},
                     .zero_points = std::vector<std::int32_t>(weight.scales.size(), 0),
                     .axis = weight.per_channel() ? 0 : QuantParams::kPerTensor,
                     .dtype = DType::kInt32,
                     .qmin = std::numeric_limits<std::int32_t>::min(),
                     .qmax = std::numeric_limits<std::int32_t>::max()};
  for (const float scale_w : weight.scales) {
    // A product outside float32's range would not be a scale.
    using Limits = std::numeric_limits<float>;
    params.scales.push_back(std::clamp(scale_x * scale_w, Limits::denorm_min(), Limits::max()));
  }
  return params;
}

/// Whether the integers of a bias mean what the runtime takes them to mean.
bool fits(const Value& bias, float scale_x, const QuantParams& weight) {
  const QuantParams expected = bias_params(scale_x, weight);
  const QuantParams& actual = *bias.quant;
  if (actual.qmin != expected.qmin || actual.qmax != expected.qmax) return false;
  for (std::size_t c = 0; c < static_cast<std::size_t>(bias.shape.at(0)); ++c) {
    const float scale = expected.scales[expected.per_channel() ? c : 0];
    const std::size_t k = actual.per_channel() ? c : 0;
    // Other writers round the product their own way.
    if (actual.zero_points[k] != 0 || !(std::abs(actual.scales[k] - scale) <= 1e-6F * scale)) return false;
  }
  return true;
}

/// Moves values over in the order in which a reader of the file meets them.
class Renumberer {
 public:
  Renumberer(Graph& source, Graph& target, onnx_format::WorkBudget* budget, bool float_biases)
      : source_(source),
        target_(target),
        budget_(budget),
        float_biases_(float_biases),
        renumbered_(source.values.size(), kNoValue) {
    for (const Value& value : source.values) names_.take(value.name);
    is_bias_.assign(source.values.size(), false);
    for (const Node& node : source.nodes) {
      if (has_bias(node)) is_bias_[static_cast<std::size_t>(node.inputs[2])] = true;
    }
  }

  static bool has_bias(const Node& node) { return has_weight(node.op) && node.inputs.size() > 2; }

  ValueId operator()(ValueId id) {
    ValueId& known = renumbered_[static_cast<std::size_t>(id)];
    if (known == kNoValue) {
      // What may be read as a bias too is read again, in another form.
      Value value = is_bias_[static_cast<std::size_t>(id)] ? source_.value(id) : taken(id);
      if (value.constant && value.quant) store_integers(value);
      known = append(std::move(value));
    }
    return known;
  }

  /// A bias as int32 at scale_x * scale_w where the layer's input and weight are quantized (and biases are
  /// not to stay as they are), else in float32.
  /// One that several layers share becomes one value for each form.
  ValueId bias(ValueId id, ValueId x, ValueId weight) {
    const std::optional<QuantParams>& w = source_.value(weight).quant;
    const bool integers = source_.value(x).quant && w && !float_biases_;
    if (!integers && !source_.value(id).quant) return (*this)(id);
    const auto [known, is_new] =
        biases_.try_emplace({id, integers ? x : kNoValue, integers ? weight : kNoValue}, kNoValue);
    if (!is_new) return known->second;

    // With scales and zero points of its own.
    if (budget_) {
      const std::size_t scales = integers ? w->scales.size() * (sizeof(float) + sizeof(std::int32_t)) : 0;
      budget_->charge(source_.value(id).constant->size_bytes() + scales);
    }
    Value value = source_.value(id);
    const bool stored = value.constant->dtype() == DType::kInt32;
    if (!integers || !stored || !fits(value, source_.value(x).quant->scale(), *w)) {
      if (stored) value.constant = dequantize(*value.constant, *value.quant);
      value.quant.reset();
    }
    if (integers && !value.quant) {
      const float scale_x = source_.value(x).quant->scale();
      value.quant = bias_params(scale_x, *w);
      value.constant = quantize_bias(*value.constant, scale_x, *w);
    }
    return known->second = append(std::move(value));
  }

 private:
  /// Leaves name, shape and parameters behind.
  Value taken(ValueId id) {
    Value& value = source_.value(id);
    std::optional<Tensor> constant = std::exchange(value.constant, std::nullopt);
    Value result = value;
    result.constant = std::move(constant);
    return result;
  }

  void store_integers(Value& value) const {
    value.constant = quantize(*value.constant, *value.quant);
    for (const std::int8_t q : std::as_const(*value.constant).data<std::int8_t>()) {
      if (q < value.quant->qmin || q > value.quant->qmax) {
        throw Error(ErrorCode::kBadInput, source_.name,
                    fmt::format("value '{}': holds {}; expected {} to {}", value.name, q, value.quant->qmin,
                                value.quant->qmax));
      }
    }
  }

  ValueId append(Value value) {
    if (!taken_.insert(value.name).second) value.name = names_.take(value.name);
    target_.values.push_back(std::move(value));
    return static_cast<ValueId>(target_.values.size() - 1);
  }

  Graph& source_;
  Graph& target_;
  onnx_format::WorkBudget* budget_;
  bool float_biases_;
  std::vector<bool> is_bias_;
  std::vector<ValueId> renumbered_;
  std::map<std::array<ValueId, 3>, ValueId> biases_;
  onnx_format::UniqueNames names_;  ///< Of all values, so that none made here clashes with one still to come.
  std::unordered_set<std::string> taken_;  ///< In the target already.
};

/// What parse_onnx could not give back, though graph/validate lets it pass.
void check(const Graph& graph) {
  validate(graph);
  const auto fail = [&](const std::string& subject, const std::string& problem) {
    throw Error(ErrorCode::kBadInput, graph.name, subject + ": " + problem);
  };
  if (graph.output == graph.input) fail("the output", "is the input; expected at least one node");
  enum class Role { kUnused, kWeight, kMatMulWeight, kBias, kOther };
  std::vector<Role> roles(graph.values.size(), Role::kUnused);
  for (const Node& node : graph.nodes) {
    if (node.name.empty()) fail("a " + to_string(node.op) + " node", "has no name");
    if (node.op == Op::kClip) {
      const auto& bounds = node.as<ClipAttributes>();
      constexpr float kInfinity = std::numeric_limits<float>::infinity();
      if (bounds.min == kInfinity || bounds.max == -kInfinity)
        fail("node '" + node.name + "'", "lets nothing pass");
    }
    for (std::size_t k = 0; k < node.inputs.size(); ++k) {
      Role& role = roles[static_cast<std::size_t>(node.inputs[k])];
      const Role here = !has_weight(node.op)     ? Role::kOther
                        : k == 2                 ? Role::kBias
                        : node.op == Op::kMatMul ? Role::kMatMulWeight
                                                 : Role::kWeight;
      // A weight of two kinds is in the way of both.
      const bool both = std::min(role, here) == Role::kWeight && std::max(role, here) == Role::kMatMulWeight;
      role = both ? Role::kOther : std::max(role, here);
    }
  }
  for (std::size_t i = 0; i < graph.values.size(); ++i) {
    const Value& value = graph.values[i];
    const std::string subject = "value '" + value.name + "'";
    if (value.name.empty()) fail(fmt::format("value {}", i), "has no name");
    if (!value.quant) continue;
    const QuantParams& quant = *value.quant;
    if (!value.constant) {
      if (quant.per_channel() || quant.dtype != DType::kUInt8)
        fail(subject, "activations are per-tensor uint8");
    } else if (roles[i] == Role::kWeight || roles[i] == Role::kMatMulWeight) {
      const int channel = roles[i] == Role::kWeight ? 0 : 1;
      const bool symmetric = std::ranges::all_of(quant.zero_points, [](std::int32_t z) { return z == 0; });
      if (quant.dtype != DType::kInt8 || (quant.per_channel() && quant.axis != channel) || !symmetric)
        fail(subject, "weights are symmetric int8, per tensor or along the output channel");
    } else if (roles[i] == Role::kOther || (roles[i] == Role::kBias && quant.dtype != DType::kInt32)) {
      fail(subject, "of the constants, only weights and biases are quantized, biases to int32");
    }
  }
}

}  // namespace

Graph stored_form(const Graph& graph) { return onnx_format::to_stored_form(graph); }

Graph onnx_format::to_stored_form(Graph graph, WorkBudget* budget, bool float_biases) {
  check(graph);
  Graph source = canonical(std::move(graph), budget);
  Graph stored;
  stored.name = source.name.empty() ? "model" : source.name;
  for (const auto& entry : source.metadata) {
    if (!entry.first.starts_with(kRangePrefix)) stored.metadata.insert(entry);
  }
  Renumberer renumber(source, stored, budget, float_biases);
  stored.input = renumber(source.input);
  for (Node& node : source.nodes) {
    const std::vector<ValueId> ids = node.inputs;
    for (std::size_t k = 0; k < ids.size(); ++k) {
      const bool bias = k == 2 && Renumberer::has_bias(node);
      node.inputs[k] = bias ? renumber.bias(ids[2], ids[0], ids[1]) : renumber(ids[k]);
    }
    node.output = renumber(node.output);
    // The operator has no such attribute.
    if (node.op == Op::kMaxPool) std::get<PoolAttributes>(node.attributes).count_include_pad = false;
    // Without pads there are none to count; with ceil_mode ONNX Runtime's integer kernel counts others.
    if (node.op == Op::kAveragePool && node.as<PoolAttributes>().pads == std::array<std::int64_t, 4>{})
      std::get<PoolAttributes>(node.attributes).count_include_pad = false;
    stored.nodes.push_back(std::move(node));
  }
  stored.output = renumber(source.output);
  infer_shapes(stored);
  return stored;
}

}  // namespace octavo
