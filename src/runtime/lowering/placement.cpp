#include "octavo/runtime/placement.h"

#include <algorithm>

#include "runtime/lowering/integer_groups.h"

namespace octavo {
namespace {

const Node& anchor_of(const Graph& graph, const FusedGroup& group) {
  return graph.nodes[static_cast<std::size_t>(group.anchor)];
}

bool uint8_quantized(const Value& value) {
  return value.quant && value.quant->dtype == DType::kUInt8 && !value.quant->per_channel();
}

bool weights_quantized(const Graph& graph, const Node& node) {
  const auto& w = graph.value(node.inputs[1]).quant;
  return w && w->dtype == DType::kInt8 &&
         (!w->per_channel() || w->axis == operator_info(node.op).weight_axis) &&
         std::ranges::all_of(w->zero_points, [](std::int32_t z) { return z == 0; });
}

std::string without_integer_form(const Graph& graph, const FusedGroup& group) {
  const Node& node = anchor_of(graph, group);
  if (is_binary(node.op) && flowing_inputs(graph, group).size() > 1)
    return "no integer form of " + to_string(node.op) + " of two values that flow";
  if (node.op == Op::kSoftmax) return "not along the last dimension";
  if (node.op == Op::kPad && node.as<PadAttributes>().value != 0) return "pads with a number other than 0";
  if (is_binary(node.op) || node.op == Op::kPRelu) return "its constant varies along several dimensions";
  return "no integer form of " + to_string(node.op);
}

/// Empty if the group runs in integers.
std::string why_float(const Graph& graph, const FusedGroup& group) {
  if (!has_integer_form(graph, group)) return without_integer_form(graph, group);
  const Node& node = anchor_of(graph, group);
  for (const ValueId id : flowing_inputs(graph, group)) {
    const Value& x = graph.value(id);
    if (!uint8_quantized(x) && (x.quant || !may_take_real(graph, group)))
      return "input '" + graph.value(id).name + "' is not quantized";
  }
  if (has_weight(node.op) && !weights_quantized(graph, node)) {
    return "weight '" + graph.value(node.inputs[1]).name + "' is not quantized as int8 by output channel";
  }
  const Value& y = graph.value(group.output);
  if (!uint8_quantized(y) && (y.quant || !may_return_real(graph, group)))
    return "output '" + y.name + "' is not quantized";
  if (moves_integers(graph, group) && y.quant != graph.value(group.input).quant)
    return "output '" + y.name + "' has other parameters than its input";
  return {};
}

}  // namespace

bool has_integer_form(const Graph& graph, const FusedGroup& group) {
  const Node& node = anchor_of(graph, group);
  switch (operator_info(node.op).integer_form) {
    case IntegerForm::kNone:
      return false;
    case IntegerForm::kConvolution:
      return group.batch_norm < 0;
    case IntegerForm::kMaxPool:
    case IntegerForm::kAveragePool:
    case IntegerForm::kReshape:
    case IntegerForm::kConcat:
    case IntegerForm::kAffine:
      return true;
    case IntegerForm::kMove: {
      const auto* pad = std::get_if<PadAttributes>(&node.attributes);
      return pad == nullptr || pad->value == 0;
    }
    case IntegerForm::kProductOfValues:
    case IntegerForm::kLayerNormalization:
      return true;
    case IntegerForm::kSoftmax:
      return node.as<AxisAttributes>().axis ==
             static_cast<std::int64_t>(graph.value(node.output).shape.size()) - 1;
    case IntegerForm::kBinary:
      return flowing_inputs(graph, group).size() == 2 || table_axis(graph, node).has_value();
    case IntegerForm::kTable:
      return table_axis(graph, node).has_value();
  }
  return false;
}

bool may_return_real(const Graph& graph, const FusedGroup& group) {
  const IntegerForm form = operator_info(anchor_of(graph, group).op).integer_form;
  return form == IntegerForm::kConvolution || form == IntegerForm::kAveragePool ||
         form == IntegerForm::kProductOfValues;
}

bool may_take_real(const Graph& graph, const FusedGroup& group) {
  const IntegerForm form = operator_info(anchor_of(graph, group).op).integer_form;
  return form == IntegerForm::kLayerNormalization || form == IntegerForm::kSoftmax;
}

bool moves_integers(const Graph& graph, const FusedGroup& group) {
  return operator_info(anchor_of(graph, group).op).moves && has_integer_form(graph, group);
}

bool runs_in_integers(const Graph& graph, const FusedGroup& group) { return why_float(graph, group).empty(); }

std::vector<Placement> placements(const Graph& graph) { return placements(graph, fuse(graph)); }

std::vector<Placement> placements(const Graph& graph, const std::vector<FusedGroup>& groups) {
  std::vector<Placement> result;
  for (const FusedGroup& group : groups) {
    Placement placement{.nodes = {}, .integer = false, .reason = why_float(graph, group)};
    for (const int node : {group.anchor, group.batch_norm, group.add, group.activation}) {
      if (node >= 0) placement.nodes.push_back(node);
    }
    placement.integer = placement.reason.empty();
    result.push_back(std::move(placement));
  }
  return result;
}

}  // namespace octavo
