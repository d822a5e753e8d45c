#include <algorithm>
#include <cmath>
#include <limits>

#include "layer_matrix.h"
#include "octavo/core/error.h"
#include "octavo/core/parallel.h"
#include "octavo/graph/passes.h"
#include "octavo/quantize/ptq.h"
#include "plan.h"
#include "weight_clipping.h"

namespace octavo {
namespace {

/// A quarter of int32's range is left for the input's zero point times the sum of the weights, which the
/// runtime takes off the bias.
constexpr double kLargestBias = 1 << 30;

/// The least scale of a channel's weights for which its bias does not exceed kLargestBias in int32.
float least_scale(float bias, float scale_x) {
  const double needed = std::fabs(static_cast<double>(bias)) / (static_cast<double>(scale_x) * kLargestBias);
  return std::nextafter(static_cast<float>(needed), std::numeric_limits<float>::infinity());
}

/// Widens the scale of every channel whose bias would not fit.
void fit_bias(const Tensor& bias, float scale_x, QuantParams& weights) {
  const auto values = bias.data<float>();
  for (std::size_t c = 0; c < values.size(); ++c)
    weights.scales.at(c) = std::max(weights.scales.at(c), least_scale(values[c], scale_x));
}

void annotate_weight(Graph& graph, const Node& node, std::int32_t qmax) {
  if (!has_weight(node.op)) return;
  const auto& input = graph.value(node.inputs.at(0)).quant;
  if (!input) return;
  Value& weight = graph.value(node.inputs.at(1));
  check_internal(weight.constant.has_value(),
                 "annotate: the weight of node '" + node.name + "' is not a constant");
  // Set already where two nodes share a weight: then both biases have to fit.
  if (!weight.quant)
    weight.quant = choose_weight_params(*weight.constant, qmax, node.op == Op::kMatMul ? 1 : 0);
  if (node.inputs.size() < 3) return;
  const Value& bias = graph.value(node.inputs[2]);
  check_internal(bias.constant.has_value(),
                 "annotate: the bias of node '" + node.name + "' is not a constant");
  fit_bias(*bias.constant, input->scale(), *weight.quant);
}

}  // namespace

std::vector<std::int32_t> largest_weights(const Graph& graph, const BitWidths& bits,
                                          std::int32_t weight_qmax) {
  std::vector<std::int32_t> largest;
  for (const BitWidth& width : widths_of_nodes(graph, bits))
    largest.push_back(std::min(weight_qmax, largest_weight(width.weights)));
  return largest;
}

void clip_weights(Graph& annotated) {
  for (const Node& node : annotated.nodes) {
    if (!has_weight(node.op)) continue;
    Value& weight = annotated.value(node.inputs[1]);
    if (!weight.quant || !weight.quant->per_channel() || !is_narrow(weight.quant->qmax)) continue;
    const LayerMatrix layer = layer_matrix(annotated, node);
    const std::vector<float> rows = rows_of(layer, *weight.constant);
    parallel_for(layer.channels, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t m = begin; m < end; ++m) {
        const auto row = std::span(rows).subspan(static_cast<std::size_t>(m * layer.taps),
                                                 static_cast<std::size_t>(layer.taps));
        float& scale = weight.quant->scales[static_cast<std::size_t>(m)];
        scale = std::max(clipped_scale(row, weight.quant->qmax, scale), kMinScale);
      }
    });
  }
  // Of a weight that two nodes share, both biases have to fit.
  for (const Node& node : annotated.nodes) {
    if (!has_weight(node.op) || node.inputs.size() < 3 || !annotated.value(node.inputs[1]).quant) continue;
    fit_bias(*annotated.value(node.inputs[2]).constant, annotated.value(node.inputs[0]).quant->scale(),
             *annotated.value(node.inputs[1]).quant);
  }
}

void move_bias(Graph& annotated, const Node& node, std::int64_t channel, double shift) {
  const auto c = static_cast<std::size_t>(channel);
  float& bias = annotated.value(node.inputs[2]).constant->data<float>()[c];
  const auto moved = static_cast<float>(static_cast<double>(bias) + shift);
  const std::vector<float>& scales = annotated.value(node.inputs[1]).quant->scales;
  const float scale = scales.size() == 1 ? scales[0] : scales[c];
  // The same scale serves where another layer shares the weight: it stays as it is.
  if (std::isfinite(moved) && scale >= least_scale(moved, annotated.value(node.inputs[0]).quant->scale()))
    bias = moved;
}

void annotate_weight_anew(Graph& folded, const Node& node, std::int32_t qmax) {
  const ValueId weight = node.inputs.at(1);
  folded.value(weight).quant.reset();
  for (const Node& reader : folded.nodes) {
    if (reader.inputs.size() > 1 && reader.inputs[1] == weight) annotate_weight(folded, reader, qmax);
  }
}

std::vector<ValueId> quantized_activations(const Graph& folded, const Target& target) {
  const std::vector<ValueId> owners = parameter_owners(folded, target);
  const auto owns = [&](ValueId id) { return owners[static_cast<std::size_t>(id)] == id; };
  std::vector<ValueId> result;
  if (owns(folded.input)) result.push_back(folded.input);
  for (const FusedGroup& group : quantizable_groups(folded)) {
    if (owns(group.output)) result.push_back(group.output);
  }
  return result;
}

void annotate(Graph& folded, const std::map<std::string, QuantParams>& activations, std::int32_t weight_qmax,
              const BitWidths& bits, const Target& target) {
  for (Value& value : folded.values) value.quant.reset();
  const std::vector<ValueId> owners = parameter_owners(folded, target);
  for (std::size_t i = 0; i < owners.size(); ++i) {
    if (owners[i] == kNoValue) continue;
    const std::string& name = folded.value(owners[i]).name;
    const auto found = activations.find(name);
    check_internal(found != activations.end(), "annotate: value '" + name + "' lacks parameters");
    validate(found->second, "value '" + name + "'");
    folded.values[i].quant = found->second;
  }
  const std::vector<std::int32_t> largest = largest_weights(folded, bits, weight_qmax);
  for (std::size_t n = 0; n < folded.nodes.size(); ++n) annotate_weight(folded, folded.nodes[n], largest[n]);
}

}  // namespace octavo
