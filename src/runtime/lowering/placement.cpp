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
  const int axis = node.op == Op::kMatMul ? 1 : 0;
  return w && w->dtype == DType::kInt8 && (!w->per_channel() || w->axis == axis) &&
         std::ranges::all_of(w->zero_points, [](std::int32_t z) { return z == 0; });
}

bool has_weights(Op op) { return op == Op::kConv || op == Op::kGemm || op == Op::kMatMul; }

std::string without_integer_form(const Graph& graph, const FusedGroup& group) {
  const Node& node = anchor_of(graph, group);
  if (node.op == Op::kDiv && flowing_inputs(graph, group).size() > 1)
    return "no integer form of Div by what flows";
  if (node.op == Op::kPad && node.as<PadAttributes>().value != 0) return "pads with a number other than 0";
  if (is_binary(node.op) || node.op == Op::kPRelu) return "its constant varies along several dimensions";
  return "no integer form of " + to_string(node.op);
}

/// Empty if the group runs in integers.
std::string why_float(const Graph& graph, const FusedGroup& group) {
  if (!has_integer_form(graph, group)) return without_integer_form(graph, group);
  const Node& node = anchor_of(graph, group);
  for (const ValueId id : flowing_inputs(graph, group)) {
    if (!uint8_quantized(graph.value(id))) return "input '" + graph.value(id).name + "' is not quantized";
  }
  if (has_weights(node.op) && !weights_quantized(graph, node)) {
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
  switch (node.op) {
    case Op::kConv:
      return group.batch_norm < 0;
    case Op::kGemm:
    case Op::kMatMul:
    case Op::kBatchNormalization:
    case Op::kMaxPool:
    case Op::kAveragePool:
    case Op::kGlobalMaxPool:
    case Op::kGlobalAveragePool:
    case Op::kConcat:
    case Op::kFlatten:
    case Op::kReshape:
    case Op::kTranspose:
    case Op::kSlice:
      return true;
    case Op::kPad:
      return node.as<PadAttributes>().value == 0;
    case Op::kAdd:
    case Op::kSub:
    case Op::kMul:
      return flowing_inputs(graph, group).size() == 2 || table_axis(graph, node).has_value();
    default:
      return table_axis(graph, node).has_value();
  }
}

bool may_return_real(const Graph& graph, const FusedGroup& group) {
  const Op op = anchor_of(graph, group).op;
  return has_weights(op) || op == Op::kAveragePool || op == Op::kGlobalAveragePool;
}

bool moves_integers(const Graph& graph, const FusedGroup& group) {
  switch (anchor_of(graph, group).op) {
    case Op::kMaxPool:
    case Op::kGlobalMaxPool:
    case Op::kFlatten:
    case Op::kReshape:
    case Op::kTranspose:
    case Op::kSlice:
      return true;
    case Op::kPad:
      return has_integer_form(graph, group);
    default:
      return false;
  }
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
