#include "qat_model.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "octavo/core/error.h"
#include "octavo/quantize/ptq.h"
#include "octavo/runtime/placement.h"
#include "operators.h"
#include "trainer.h"

namespace octavo::train_detail {
namespace {

// Weight of one batch in the moving average of an activation's range.
constexpr float kRangeRate = 0.01F;

/// choose_weight_params() on a tensor: max |w| / qmax a channel.
at::Tensor weight_scales(const at::Tensor& weight, std::int32_t qmax) {
  const at::NoGradGuard no_gradients;
  std::vector<std::int64_t> inner(static_cast<std::size_t>(weight.dim() - 1));
  for (std::size_t i = 0; i < inner.size(); ++i) inner[i] = static_cast<std::int64_t>(i) + 1;
  at::Tensor largest = weight.detach().abs().amax(inner);
  at::Tensor scales = at::clamp_min(largest / static_cast<float>(qmax), kMinScale);
  return at::where(largest > 0, scales, at::ones_like(scales));
}

/// Where learned scales start: for eight and seven bits at weight_scales(), for fewer at LSQ's 2 mean |w| /
/// sqrt(qmax), which cuts off the largest weights.
at::Tensor first_weight_scales(const at::Tensor& weight, std::int32_t qmax) {
  at::Tensor scales = weight_scales(weight, qmax);
  if (qmax >= largest_weight(kMostBits - 1)) return scales;
  const at::Tensor mean = weight.detach().abs().flatten(1).mean(1);
  const at::Tensor lsq = at::clamp_min(mean * (2 / std::sqrt(static_cast<float>(qmax))), kMinScale);
  return at::where(mean > 0, at::minimum(scales, lsq), scales);
}

QuantParams params_of(const at::Tensor& range, const at::Tensor& scale, const QuantGrid& grid) {
  const auto* stored = range.data_ptr<float>();
  if (scale.defined()) {
    return activation_params(std::max(scale.detach().item<float>(), kMinScale), grid.zero_point, grid.qmin,
                             grid.qmax);
  }
  return activation_params(stored[2], static_cast<std::int32_t>(stored[3]), grid.qmin, grid.qmax);
}

Range range_of(const at::Tensor& y) {
  const auto [least, greatest] = at::aminmax(y.detach());
  return {least.item<float>(), greatest.item<float>()};
}

Range joined(const std::optional<Range>& a, Range b) {
  if (!a) return b;
  // Comparisons that let what is not a number through.
  return {b.min >= a->min ? a->min : b.min, b.max <= a->max ? a->max : b.max};
}

}  // namespace

QatModel::QatModel(const Graph& graph, const std::map<std::string, QuantParams>& activations,
                   const QatConfig& config, Kernels kernels)
    : FloatModel(graph, kernels),
      config_(config),
      target_(find_target(config.target)),
      owners_(graph.values.size(), kNoValue) {
  Graph folded = fold_batch_norm(graph);
  const std::vector<ValueId> folded_owners = parameter_owners(folded, target_);
  const auto before_folding = [&](ValueId id) { return graph.find_value(folded.value(id).name); };
  for (std::size_t i = 0; i < folded_owners.size(); ++i) {
    if (folded_owners[i] == kNoValue) continue;
    owners_[static_cast<std::size_t>(before_folding(static_cast<ValueId>(i)))] =
        before_folding(folded_owners[i]);
  }
  annotate(folded, activations, config.weight_qmax, config.bits, target_);
  moved_.assign(graph.values.size(), false);
  for (const FusedGroup& group : quantizable_groups(graph)) {
    const Op op = graph.nodes[static_cast<std::size_t>(group.anchor)].op;
    const std::vector<ValueId> inputs = flowing_inputs(graph, group);
    moved_[static_cast<std::size_t>(group.output)] =
        (op == Op::kConcat || moves_integers(graph, group)) &&
        std::ranges::all_of(inputs, [&](ValueId id) { return owner(id) == owner(group.output); });
  }
  for (const Node& node : folded.nodes) {
    if (!has_weight(node.op)) continue;
    if (const auto& quant = folded.value(node.inputs[1]).quant) largest_weights_[node.name] = quant->qmax;
  }
  for (const ValueId folded_id : quantized_activations(folded, target_)) {
    const Value& value = folded.value(folded_id);
    const QuantParams& p = *value.quant;
    const auto real = [&](std::int32_t q) { return dequantize(q, p.scale(), p.zero_point()); };
    Activation activation{
        .name = value.name, .range = at::empty({4}), .scale = {}, .grid = {p.zero_point(), p.qmin, p.qmax}};
    const float stored[]{real(p.qmin), real(p.qmax), p.scale(), static_cast<float>(p.zero_point())};
    std::memcpy(activation.range.data_ptr<float>(), stored, sizeof stored);
    if (config.learnable_scales) {
      activation.scale = at::full({1}, p.scale()).requires_grad_();
      parameters_.push_back({value.name + ".scale", activation.scale});
    } else {
      statistics_.push_back({value.name + ".range", activation.range});
    }
    activations_.emplace(graph.find_value(value.name), std::move(activation));
  }
  for (const Node& node : graph.nodes) {
    const auto found = activations_.find(node.output);
    if (found != activations_.end()) found->second.fixed = fixed_params(target_, node.op).has_value();
  }
  if (!config.learnable_scales) return;
  for (const Node& node : graph.nodes) {
    if (!largest_weights_.contains(node.name) || weight_scales_.contains(node.inputs[1])) continue;
    const at::Tensor& weight = tensor(node.inputs[1]);
    at::Tensor scale =
        first_weight_scales(node.op == Op::kMatMul ? weight.t() : weight, largest_weights_.at(node.name));
    scale.requires_grad_();
    parameters_.push_back({graph.value(node.inputs[1]).name + ".scale", scale});
    weight_scales_.emplace(node.inputs[1], std::move(scale));
  }
}

void QatModel::set_progress(double done) {
  fold_norms_ = done >= config_.freeze_batch_norm;
  freeze_observers_ = done >= config_.freeze_observers;
}

at::Tensor QatModel::quantize_value(ValueId id, const at::Tensor& y) {
  at::Tensor result = on_grid(id, y);
  if (recorded_ != nullptr) (*recorded_)[id] = result;
  const auto given = given_.find(id);
  return given == given_.end() ? result : given->second;
}

at::Tensor QatModel::on_grid(ValueId id, const at::Tensor& y) {
  const ValueId whose = owner(id);
  if (whose == kNoValue) return y;
  Activation& activation = activations_.at(whose);
  const bool observes = training_ && !freeze_observers_ && !activation.scale.defined() && !activation.fixed;
  if (whose == id && observes && !activation.parts) update_range(activation, range_of(y));
  if (whose != id && moved_[static_cast<std::size_t>(id)]) return y;  // on the grid already
  const at::Tensor result = fake_quantized(activation, y);
  if (!observes) return result;
  if (whose != id) {
    // A part of what the owner joins later: it is seen here, where nothing is clipped yet.
    activation.parts = joined(activation.parts, range_of(y));
  } else if (activation.parts) {
    update_range(activation, joined(activation.parts, range_of(y)));  // from the next step on, for all parts
    activation.parts.reset();
  }
  return result;
}

at::Tensor QatModel::fake_quantized(const Activation& activation, const at::Tensor& y) {
  if (activation.scale.defined()) {
    const double count = static_cast<double>(y.numel() / y.size(0)) * activation.grid.qmax;
    return fake_quantize(y, activation.scale.clamp_min(kMinScale), activation.grid, 1.0 / std::sqrt(count));
  }
  const auto* stored = activation.range.data_ptr<float>();
  QuantGrid grid = activation.grid;
  grid.zero_point = static_cast<std::int32_t>(stored[3]);
  return fake_quantize(y, at::full({1}, stored[2]), grid);
}

void QatModel::update_range(Activation& activation, Range seen) const {
  if (!std::isfinite(seen.min) || !std::isfinite(seen.max))
    return;  // the loss will not be finite either, and says so better
  auto* stored = activation.range.data_ptr<float>();
  stored[0] += kRangeRate * (seen.min - stored[0]);
  stored[1] += kRangeRate * (seen.max - stored[1]);
  const QuantParams p = choose_params(target_, {std::min(stored[0], 0.0F), std::max(stored[1], 0.0F)},
                                      activation.grid.qmax + 1);
  stored[2] = p.scale();
  stored[3] = static_cast<float>(p.zero_point());
}

at::Tensor QatModel::quantize_weight(const Node& node, const at::Tensor& weight, const at::Tensor& factor) {
  weight_scale_ = at::Tensor();
  if (!largest_weights_.contains(node.name)) return weight;
  const std::int32_t qmax = largest_weights_.at(node.name);
  const QuantGrid grid{0, -qmax, qmax};
  double scale_gradient = 1;
  if (config_.learnable_scales) {
    weight_scale_ = weight_scales_.at(node.inputs[1]).clamp_min(kMinScale);
    if (factor.defined()) weight_scale_ = (weight_scale_ * factor.detach().abs()).clamp_min(kMinScale);
    scale_gradient = 1.0 / std::sqrt(static_cast<double>(weight.numel() / weight.size(0)) * qmax);
  } else {
    weight_scale_ = weight_scales(weight, qmax);
  }
  return fake_quantize(weight, weight_scale_, grid, scale_gradient);
}

/// The runtime's biases are integers at scale_x * scale_w: coarse enough to turn a rounding further on.
at::Tensor QatModel::quantize_bias(const Node& node, const at::Tensor& bias) {
  if (!bias.defined() || !weight_scale_.defined()) return bias;
  const at::Tensor scale =
      weight_scale_.detach().to(at::kDouble) * value_scale(node.inputs[0]).to(at::kDouble);
  const at::Tensor rounded = (at::round(bias.detach().to(at::kDouble) / scale) * scale).to(at::kFloat);
  return bias + (rounded - bias.detach());  // straight through
}

at::Tensor QatModel::value_scale(ValueId id) const {
  const Activation& activation = activations_.at(owner(id));
  if (activation.scale.defined()) return activation.scale.detach().clamp_min(kMinScale);
  return activation.range.slice(0, 2, 3);
}

Graph QatModel::snapshot() const {
  const Graph trained = FloatModel::snapshot();
  Graph folded = fold_batch_norm(trained);
  std::map<std::string, QuantParams> params;
  for (const auto& [id, a] : activations_) params[a.name] = params_of(a.range, a.scale, a.grid);
  annotate(folded, params, config_.weight_qmax, config_.bits, target_);
  folded.metadata["octavo.quantization"] = "qat";
  folded.metadata["octavo.bits"] = to_string(config_.bits);
  folded.metadata["octavo.target"] = config_.target;
  folded.metadata["octavo.weight_qmax"] = std::to_string(config_.weight_qmax);
  if (config_.learnable_scales) use_learned_weight_scales(trained, folded);
  return folded;
}

/// annotate() chose scales from the largest weights; learned ones take their place.
void QatModel::use_learned_weight_scales(const Graph& trained, Graph& folded) const {
  for (const FusedGroup& group : quantizable_groups(trained)) {
    const Node& node = trained.nodes[static_cast<std::size_t>(group.anchor)];
    const auto learned = weight_scales_.find(node.inputs.size() > 1 ? node.inputs[1] : kNoValue);
    if (learned == weight_scales_.end()) continue;
    at::Tensor scale = learned->second.detach().clamp_min(kMinScale);
    if (group.batch_norm >= 0)
      scale = (scale * norm_factor(group).detach().to(at::kFloat).abs()).clamp_min(kMinScale);
    const auto* values = scale.data_ptr<float>();
    for (const Node& result : folded.nodes) {
      if (result.name != node.name) continue;
      Value& weight = folded.value(result.inputs[1]);
      for (std::size_t c = 0; c < weight.quant->scales.size(); ++c) {
        // A dead channel's bias must still fit int32, as annotate() sees to.
        float least = kMinScale;
        if (result.inputs.size() > 2) {
          const float bias = folded.value(result.inputs[2]).constant->data<float>()[c];
          least =
              std::max(least, std::fabs(bias) / (folded.value(result.inputs[0]).quant->scale() * 0x1p30F));
        }
        weight.quant->scales[c] = std::max(values[c], least);
      }
    }
  }
}

}  // namespace octavo::train_detail
