#include <cmath>
#include <limits>

#include "octavo/core/error.h"
#include "octavo/graph/passes.h"
#include "octavo/quantize/ptq.h"
#include "plan.h"

namespace octavo {
namespace {

/// A quarter of int32's range is left for the input's zero point times the sum of the weights, which the
/// runtime takes off the bias.
constexpr double kLargestBias = 1 << 30;

/// Widens the scale of every channel whose bias would exceed kLargestBias in int32.
void fit_bias(const Tensor& bias, float scale_x, QuantParams& weights) {
  const auto values = bias.data<float>();
  for (std::size_t c = 0; c < values.size(); ++c) {
    const double needed =
        std::fabs(static_cast<double>(values[c])) / (static_cast<double>(scale_x) * kLargestBias);
    float& scale = weights.scales.at(c);
    if (static_cast<double>(scale) < needed) {
      scale = std::nextafter(static_cast<float>(needed), std::numeric_limits<float>::infinity());
    }
  }
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

void annotate_weight_anew(Graph& folded, const Node& node, std::int32_t qmax) {
  const ValueId weight = node.inputs.at(1);
  folded.value(weight).quant.reset();
  for (const Node& reader : folded.nodes) {
    if (reader.inputs.size() > 1 && reader.inputs[1] == weight) annotate_weight(folded, reader, qmax);
  }
}

std::vector<ValueId> quantized_activations(const Graph& folded) {
  const std::vector<ValueId> owners = parameter_owners(folded);
  const auto owns = [&](ValueId id) { return owners[static_cast<std::size_t>(id)] == id; };
  std::vector<ValueId> result;
  if (owns(folded.input)) result.push_back(folded.input);
  for (const FusedGroup& group : quantizable_groups(folded)) {
    if (owns(group.output)) result.push_back(group.output);
  }
  return result;
}

void annotate(Graph& folded, const std::map<std::string, QuantParams>& activations,
              std::int32_t weight_qmax) {
  for (Value& value : folded.values) value.quant.reset();
  const std::vector<ValueId> owners = parameter_owners(folded);
  for (std::size_t i = 0; i < owners.size(); ++i) {
    if (owners[i] == kNoValue) continue;
    const std::string& name = folded.value(owners[i]).name;
    const auto found = activations.find(name);
    check_internal(found != activations.end(), "annotate: value '" + name + "' lacks parameters");
    validate(found->second, "value '" + name + "'");
    folded.values[i].quant = found->second;
  }
  for (const Node& node : folded.nodes) annotate_weight(folded, node, weight_qmax);
}

}  // namespace octavo
