#include "octavo/graph/graph.h"

#include <algorithm>

namespace octavo {

std::string to_string(Op op) {
  switch (op) {
    case Op::kConv:
      return "Conv";
    case Op::kBatchNormalization:
      return "BatchNormalization";
    case Op::kRelu:
      return "Relu";
    case Op::kClip:
      return "Clip";
    case Op::kAdd:
      return "Add";
    case Op::kMaxPool:
      return "MaxPool";
    case Op::kAveragePool:
      return "AveragePool";
    case Op::kGlobalAveragePool:
      return "GlobalAveragePool";
    case Op::kFlatten:
      return "Flatten";
    case Op::kGemm:
      return "Gemm";
  }
  return "?";
}

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

std::int64_t parameter_count(const Graph& graph) {
  // Running mean and variance are the fourth and fifth input of a batch norm: statistics, not parameters.
  std::vector<bool> learnable(graph.values.size(), false);
  for (const Node& node : graph.nodes) {
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      if (node.op == Op::kBatchNormalization && i >= 3) continue;
      learnable[static_cast<std::size_t>(node.inputs[i])] = true;
    }
  }
  std::int64_t count = 0;
  for (std::size_t i = 0; i < graph.values.size(); ++i) {
    if (learnable[i] && graph.values[i].constant) count += graph.values[i].constant->size();
  }
  return count;
}

std::int64_t mac_count(const Graph& graph) {
  std::int64_t macs = 0;
  for (const Node& node : graph.nodes) {
    if (node.op != Op::kConv && node.op != Op::kGemm) continue;
    const Shape& weight = graph.value(node.inputs[1]).shape;
    const Shape& output = graph.value(node.output).shape;
    std::int64_t positions = 1;
    for (std::size_t i = 2; i < output.size(); ++i) positions *= output[i];
    macs += element_count(weight) * positions;
  }
  return macs;
}

}  // namespace octavo
