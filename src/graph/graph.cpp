#include "octavo/graph/graph.h"

#include "octavo/graph/costs.h"

#include <algorithm>

namespace octavo {

ValueId Graph::find_value(const std::string& value_name) const {
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (values[i].name == value_name) return static_cast<ValueId>(i);
  }
  return kNoValue;
}

int Graph::producer(ValueId id) const {
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (nodes[i].output == id) return static_cast<int>(i);
  }
  return -1;
}

std::vector<int> Graph::consumers(ValueId id) const {
  std::vector<int> result;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (std::ranges::find(nodes[i].inputs, id) != nodes[i].inputs.end())
      result.push_back(static_cast<int>(i));
  }
  return result;
}

bool Graph::quantized() const {
  return std::ranges::any_of(values, [](const Value& v) { return v.quant.has_value(); });
}

bool is_parameter(const Graph& graph, const Node& node, std::size_t input) {
  const Value& value = graph.value(node.inputs.at(input));
  if (!value.constant) return false;
  if (node.op == Op::kBatchNormalization) return input < 3;
  return !is_binary(node.op) || value.constant->size() > 1;
}

std::int64_t parameter_count(const Graph& graph) {
  std::vector<bool> learned(graph.values.size(), false);
  for (const Node& node : graph.nodes) {
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      if (is_parameter(graph, node, i)) learned[static_cast<std::size_t>(node.inputs[i])] = true;
    }
  }
  std::int64_t count = 0;
  for (std::size_t i = 0; i < graph.values.size(); ++i) {
    if (learned[i]) count += graph.values[i].constant->size();
  }
  return count;
}

std::int64_t mac_count(const Graph& graph, const Node& node) {
  if (node.op == Op::kMatMulOfValues) {
    const Shape& y = graph.value(node.output).shape;
    return element_count(Shape(y.begin() + 1, y.end())) * graph.value(node.inputs[0]).shape.back();
  }
  if (!has_weight(node.op)) return 0;
  // Each output of one image reads its channel's row of the weight.
  const Shape& weight = graph.value(node.inputs[1]).shape;
  const Shape& output = graph.value(node.output).shape;
  const std::int64_t channels = weight[static_cast<std::size_t>(operator_info(node.op).weight_axis)];
  return element_count(weight) / channels * element_count(Shape(output.begin() + 1, output.end()));
}

std::int64_t mac_count(const Graph& graph) {
  std::int64_t macs = 0;
  for (const Node& node : graph.nodes) macs += mac_count(graph, node);
  return macs;
}

}  // namespace octavo
