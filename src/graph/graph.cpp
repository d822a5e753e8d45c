#include "octavo/graph/graph.h"

#include "octavo/graph/costs.h"

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
    case Op::kLeakyRelu:
      return "LeakyRelu";
    case Op::kPRelu:
      return "PRelu";
    case Op::kSigmoid:
      return "Sigmoid";
    case Op::kHardSigmoid:
      return "HardSigmoid";
    case Op::kHardSwish:
      return "HardSwish";
    case Op::kSilu:
      return "Silu";
    case Op::kGelu:
      return "Gelu";
    case Op::kErf:
      return "Erf";
    case Op::kSqrt:
      return "Sqrt";
    case Op::kPow:
      return "Pow";
    case Op::kSub:
      return "Sub";
    case Op::kMul:
      return "Mul";
    case Op::kDiv:
      return "Div";
    case Op::kConcat:
      return "Concat";
    case Op::kSlice:
      return "Slice";
    case Op::kPad:
      return "Pad";
    case Op::kReshape:
      return "Reshape";
    case Op::kTranspose:
      return "Transpose";
    case Op::kGlobalMaxPool:
      return "GlobalMaxPool";
    case Op::kReduceMean:
      return "ReduceMean";
    case Op::kMatMul:
      return "MatMul";
    case Op::kSoftmax:
      return "Softmax";
    case Op::kLogSoftmax:
      return "LogSoftmax";
  }
  return "?";
}

bool is_unary(Op op) {
  switch (op) {
    case Op::kRelu:
    case Op::kClip:
    case Op::kLeakyRelu:
    case Op::kSigmoid:
    case Op::kHardSigmoid:
    case Op::kHardSwish:
    case Op::kSilu:
    case Op::kGelu:
    case Op::kErf:
    case Op::kSqrt:
    case Op::kPow:
      return true;
    default:
      return false;
  }
}

bool is_binary(Op op) { return op == Op::kAdd || op == Op::kSub || op == Op::kMul || op == Op::kDiv; }

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
  if (node.op != Op::kConv && node.op != Op::kGemm && node.op != Op::kMatMul) return 0;
  // Each output of one image reads its channel's row of the weight.
  const Shape& weight = graph.value(node.inputs[1]).shape;
  const Shape& output = graph.value(node.output).shape;
  const std::int64_t channels = node.op == Op::kMatMul ? weight[1] : weight[0];
  return element_count(weight) / channels * element_count(Shape(output.begin() + 1, output.end()));
}

std::int64_t mac_count(const Graph& graph) {
  std::int64_t macs = 0;
  for (const Node& node : graph.nodes) macs += mac_count(graph, node);
  return macs;
}

}  // namespace octavo
