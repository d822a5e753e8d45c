#include "octavo/train/simulate.h"

#include "octavo/core/error.h"
#include "operators.h"
#include "qat_model.h"

namespace octavo {
namespace {

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

}  // namespace

std::map<std::string, Tensor> simulate(const Graph& quantized, const Tensor& input) {
  if (!quantized.quantized())
    throw Error(ErrorCode::kUnsupported, quantized.name,
                "a float model; expected a quantized one to simulate");
  std::map<std::string, QuantParams> activations;
  QatConfig config;
  for (const Value& value : quantized.values) {
    if (!value.quant) continue;
    if (!value.constant) activations.emplace(value.name, *value.quant);
    if (value.constant && value.quant->dtype == DType::kInt8) config.weight_qmax = value.quant->qmax;
  }
  // Not for autocast's sake: with other precisions the executor leaves pooling apart from what comes before
  // it, and every value can be looked at.
  config.train.precision = "bf16";
  const Graph real = without_quantization(quantized);
  train_detail::QatModel model(real, activations, config);
  std::map<ValueId, at::Tensor> seen;
  model.record_values(&seen);
  const at::NoGradGuard no_gradients;
  const at::Tensor logits = model.run(train_detail::to_aten(input), false);
  std::map<std::string, Tensor> values;
  seen[real.output] = logits;
  for (const auto& [id, tensor] : seen) {
    Tensor value(Shape(tensor.sizes().begin(), tensor.sizes().end()), DType::kFloat32);
    train_detail::from_aten(tensor, value);
    values.emplace(real.value(id).name, std::move(value));
  }
  return values;
}

}  // namespace octavo
