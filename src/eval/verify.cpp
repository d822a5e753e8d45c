#include "octavo/eval/verify.h"

#include <algorithm>
#include <cmath>

#include "octavo/core/error.h"
#include "octavo/eval/evaluate.h"
#include "octavo/graph/passes.h"
#include "octavo/runtime/reference.h"
#include "octavo/runtime/runtime.h"

namespace octavo {
namespace {

LayerDifference difference(const QuantParams& quant, const Tensor& reference, const Tensor& other) {
  const auto a = reference.data<float>();
  const auto b = other.data<float>();
  check_internal(a.size() == b.size() && !a.empty(), "verify: two programs disagree on a value's size");
  LayerDifference result;
  double sum = 0;
  std::size_t differing = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double lsb = std::fabs(static_cast<double>(a[i]) - static_cast<double>(b[i])) / quant.scale();
    // NaN counts as the largest difference there is.
    result.max_lsb = std::isnan(lsb) ? INFINITY : std::max(result.max_lsb, lsb);
    sum += lsb;
    if (!(lsb < 0.5)) ++differing;
  }
  result.mean_lsb = sum / static_cast<double>(a.size());
  result.differing = static_cast<double>(differing) / static_cast<double>(a.size());
  return result;
}

/// Quantized values at the ends of groups, with the layers that make them.
std::vector<LayerDifference> quantized_layers(const Graph& graph) {
  std::vector<LayerDifference> result;
  const auto add = [&](ValueId id, const std::string& layer) {
    if (!graph.value(id).quant) return;
    result.emplace_back();
    result.back().value = graph.value(id).name;
    result.back().layer = layer;
  };
  add(graph.input, "");
  for (const FusedGroup& group : fuse(graph))
    add(group.output, graph.nodes[static_cast<std::size_t>(group.anchor)].name);
  return result;
}

void compare_logits(const Tensor& reference, const Tensor& other, float threshold, ProgramCheck& check) {
  const auto a = reference.data<float>();
  const auto b = other.data<float>();
  check_internal(a.size() == b.size() && !a.empty(), "verify: two programs disagree on the logits' size");
  float largest = 0;
  double difference = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    largest = std::max(largest, std::fabs(a[i]));
    difference = std::max(difference, std::fabs(static_cast<double>(a[i]) - static_cast<double>(b[i])));
  }
  check.max_logit_difference = largest > 0 ? difference / static_cast<double>(largest) : difference;
  const auto images = static_cast<std::size_t>(reference.dim(0));
  const std::size_t classes = a.size() / images;
  std::size_t same = 0;
  for (std::size_t n = 0; n < images; ++n) {
    const auto top1 = [&](std::span<const float> logits) {
      const auto row = logits.subspan(n * classes, classes);
      if (classes == 1) return std::ptrdiff_t{row[0] > threshold ? 1 : 0};
      return std::ranges::max_element(row) - row.begin();
    };
    if (top1(a) == top1(b)) ++same;
  }
  check.same_top1 = static_cast<double>(same) / static_cast<double>(images);
}

}  // namespace

double ProgramCheck::max_lsb() const {
  double most = 0;
  for (const LayerDifference& layer : layers) most = std::max(most, layer.max_lsb);
  return most;
}

ProgramValues reference_values(const Graph& graph, const Tensor& input) {
  const Graph folded = fold_batch_norm(graph);
  ProgramValues values;
  for (auto& [id, tensor] : interpret_all(folded, input)) {
    const Value& value = folded.value(id);
    values[value.name] =
        tensor.dtype() == DType::kFloat32 ? std::move(tensor) : dequantize(tensor, *value.quant);
  }
  return values;
}

ProgramValues runtime_values(const Graph& graph, const Tensor& input) {
  const Graph folded = fold_batch_norm(graph);
  const std::int64_t batch = input.dim(0);
  CompileOptions options{.max_batch = batch, .threads = 0, .observe = {folded.input}};
  for (const FusedGroup& group : fuse(folded)) options.observe.push_back(group.output);
  const CompiledModel observed(folded, options);
  CompiledModel::Context context(observed);
  ProgramValues values;
  const auto keep = [&](ValueId id, std::span<const float> elements) {
    Shape shape = folded.value(id).shape;
    shape[0] = batch;
    values[folded.value(id).name] =
        Tensor::from<float>(std::move(shape), std::vector<float>(elements.begin(), elements.end()));
  };
  Tensor logits({batch, observed.classes()}, DType::kFloat32);
  observed.run_observed(context, input.data<float>(), batch, logits.data<float>(), keep);
  // Observed values have to be made, which keeps some kernels apart: the logits are those of what ships.
  const CompiledModel shipped(graph, {.max_batch = batch, .threads = 0, .observe = {}});
  CompiledModel::Context shipped_context(shipped);
  shipped.run(shipped_context, input.data<float>(), batch, logits.data<float>());
  values[folded.value(folded.output).name] = std::move(logits);
  return values;
}

ProgramCheck compare_programs(const std::string& program, const Graph& graph, const ProgramValues& reference,
                              const ProgramValues& other) {
  const Graph folded = fold_batch_norm(graph);
  ProgramCheck check{.program = program, .layers = {}};
  for (const LayerDifference& layer : quantized_layers(folded)) {
    const auto a = reference.find(layer.value);
    const auto b = other.find(layer.value);
    if (a == reference.end() || b == other.end()) continue;
    const QuantParams& quant = *folded.value(folded.find_value(layer.value)).quant;
    check.layers.push_back(difference(quant, a->second, b->second));
    check.layers.back().value = layer.value;
    check.layers.back().layer = layer.layer;
  }
  const std::string& logits = folded.value(folded.output).name;
  check_internal(reference.contains(logits) && other.contains(logits), "verify: no logits");
  compare_logits(reference.at(logits), other.at(logits), decision_threshold(graph), check);
  return check;
}

}  // namespace octavo
