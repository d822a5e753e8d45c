#include "octavo/eval/inspect.h"

#include <bit>

#include "octavo/graph/costs.h"
#include "octavo/graph/passes.h"
#include "octavo/runtime/placement.h"

namespace octavo {
namespace {

LayerFacts layer_facts(const Graph& graph, const Placement& placement) {
  LayerFacts layer;
  layer.integer = placement.integer;
  for (const int index : placement.nodes) {
    const Node& node = graph.nodes[static_cast<std::size_t>(index)];
    layer.operators += (layer.operators.empty() ? "" : " + ") + to_string(node.op);
    if (layer.name.empty()) {
      layer.name = node.name;
      // Why the latency guard left it, rather than that its input is not quantized.
      const auto guard = graph.metadata.find("octavo.latency_guard." + node.name);
      layer.reason = !placement.integer && guard != graph.metadata.end() ? guard->second : placement.reason;
    }
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      const Value& operand = graph.value(node.inputs[i]);
      if (!operand.constant) continue;
      const bool statistic = node.op == Op::kBatchNormalization && i >= 3;
      if (!statistic) layer.parameters += operand.constant->size();
      if (i != 1 || layer.weight_bits != 0) continue;
      layer.weight_bits = operand.quant ? bits_of(*operand.quant) : 32;
      layer.per_channel = operand.quant && operand.quant->per_channel();
    }
  }
  return layer;
}

}  // namespace

int bits_of(const QuantParams& quant) {
  const auto levels = static_cast<std::uint32_t>(quant.qmax - quant.qmin);
  return static_cast<int>(std::bit_width(levels));
}

ModelFacts inspect(const Graph& graph) {
  const Graph folded = fold_batch_norm(graph);
  ModelFacts facts{.input = graph.value(graph.input).shape,
                   .input_quant = graph.value(graph.input).quant,
                   .output = graph.value(graph.output).shape,
                   .parameters = parameter_count(graph),
                   .macs = mac_count(graph),
                   .layers = {}};
  for (const Placement& placement : placements(folded)) {
    LayerFacts layer = layer_facts(folded, placement);
    for (const int index : placement.nodes)
      layer.macs += mac_count(folded, folded.nodes[static_cast<std::size_t>(index)]);
    const Node& last = folded.nodes[static_cast<std::size_t>(placement.nodes.back())];
    const Value& made = folded.value(last.output);
    layer.value = made.name;
    layer.output = made.shape;
    layer.quant = made.quant;
    facts.layers.push_back(std::move(layer));
  }
  return facts;
}

}  // namespace octavo
