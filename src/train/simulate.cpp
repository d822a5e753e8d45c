#include "octavo/train/simulate.h"

#include <cmath>
#include <optional>

#include "failures.h"
#include "fake_quantize.h"
#include "octavo/core/error.h"
#include "octavo/quantize/ptq.h"
#include "operators.h"
#include "qat_model.h"

namespace octavo {
namespace {

using namespace train_detail;

using Params = std::map<std::string, QuantParams>;  // of activations, by name

/// The model that quantization started from, as far as its integers tell: dequantized constants and no
/// annotations.
Graph without_quantization(Graph graph) {
  for (Value& value : graph.values) {
    if (value.constant && value.quant)
      value.constant = dequantize(quantize(*value.constant, *value.quant), *value.quant);
    value.quant.reset();
  }
  return graph;
}

/// Whether QAT would quantize the same values, and share parameters among the same.
bool annotated_as_in_training(const Graph& real, const Params& activations, const QatConfig& config) {
  const std::vector<ValueId> owners = parameter_owners(real, find_target(config.target));
  for (std::size_t i = 0; i < owners.size(); ++i) {
    const auto own = activations.find(real.values[i].name);
    if ((own == activations.end()) != (owners[i] == kNoValue)) return false;
    if (owners[i] == kNoValue) continue;
    const auto shared = activations.find(real.value(owners[i]).name);
    if (shared == activations.end() || own->second != shared->second) return false;
  }
  return true;
}

/// Whether training would find the file's scales again from the weights' largest elements: not where PTQ
/// chose the integers, or training the scales. `quantized` has the parameters, `real` the numbers.
bool weights_as_in_training(const Graph& real, const Graph& quantized) {
  for (const Node& node : quantized.nodes) {
    if (!has_weight(node.op) || !quantized.value(node.inputs[1]).quant) continue;
    const QuantParams& stored = *quantized.value(node.inputs[1]).quant;
    if (!stored.per_channel()) return false;
    const QuantParams found =
        choose_weight_params(*real.value(node.inputs[1]).constant, stored.qmax, stored.axis);
    for (std::size_t c = 0; c < stored.scales.size(); ++c) {
      // A step of a scale's rounding apart; an all-zero channel may have any.
      const float apart = std::abs(found.scales[c] - stored.scales[c]);
      if (found.scales[c] != 1.0F && apart > 1e-5F * stored.scales[c]) return false;
    }
  }
  return true;
}

/// Fake quantization of the values that another tool's file quantizes; its constants are on their grids.
class AnnotatedModel final : public FloatModel {
 public:
  AnnotatedModel(const Graph& real, const Params& activations, std::map<ValueId, at::Tensor> given)
      : FloatModel(real, Kernels::kAten), given_(std::move(given)) {
    for (const auto& [name, params] : activations) activations_.emplace(real.find_value(name), params);
  }
  std::map<ValueId, at::Tensor> seen;

 private:
  at::Tensor quantize_value(ValueId id, const at::Tensor& y) override {
    const auto found = activations_.find(id);
    if (found == activations_.end()) {
      seen[id] = y;
    } else {
      const QuantParams& p = found->second;
      seen[id] = fake_quantize(y.contiguous(), at::full({1}, p.scale()), {p.zero_point(), p.qmin, p.qmax});
    }
    const auto given = given_.find(id);
    return given == given_.end() ? seen[id] : given->second;
  }
  std::map<ValueId, QuantParams> activations_;
  std::map<ValueId, at::Tensor> given_;
};

}  // namespace

std::map<std::string, Tensor> simulate(const Graph& quantized, const Tensor& input,
                                       const std::map<std::string, Tensor>& given) try {
  if (!quantized.quantized())
    throw Error(ErrorCode::kUnsupported, quantized.name,
                "a float model; expected a quantized one to simulate");
  Params activations;
  QatConfig config;
  config.target = target_of(quantized).name;
  std::optional<std::int32_t> width;
  bool one_width = true;  // All weights have the same.
  for (const Value& value : quantized.values) {
    if (!value.quant) continue;
    if (!value.constant) activations.emplace(value.name, *value.quant);
    if (!value.constant || value.quant->dtype != DType::kInt8) continue;
    one_width = one_width && (!width || *width == value.quant->qmax);
    width = config.weight_qmax = value.quant->qmax;
  }
  const Graph real = without_quantization(quantized);
  const at::NoGradGuard no_gradients;
  std::map<ValueId, at::Tensor> replaced;
  for (const auto& [name, tensor] : given) {
    if (const ValueId id = real.find_value(name); id != kNoValue) replaced[id] = to_aten(tensor);
  }
  std::map<ValueId, at::Tensor> seen;
  if (one_width && annotated_as_in_training(real, activations, config) &&
      weights_as_in_training(real, quantized)) {
    QatModel model(real, activations, config, Kernels::kAten);
    model.record_values(&seen, std::move(replaced));
    seen[real.output] = model.run(to_aten(input), Mode::kEvaluation);
  } else {
    AnnotatedModel model(real, activations, std::move(replaced));
    model.run(to_aten(input), Mode::kEvaluation);
    seen = std::move(model.seen);
  }
  std::map<std::string, Tensor> values;
  for (const auto& [id, tensor] : seen) {
    Tensor value(Shape(tensor.sizes().begin(), tensor.sizes().end()), DType::kFloat32);
    from_aten(tensor, value);
    values.emplace(real.value(id).name, std::move(value));
  }
  return values;
} catch (...) {
  train_detail::rethrow("simulate");
}

}  // namespace octavo
