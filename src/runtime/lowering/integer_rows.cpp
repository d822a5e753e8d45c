#include "runtime/lowering/integer_rows.h"

#include <fmt/format.h>

#include <limits>

#include "octavo/core/error.h"

namespace octavo {
namespace {

const Node& anchor_of(const Graph& graph, const FusedGroup& group) {
  return graph.nodes[static_cast<std::size_t>(group.anchor)];
}

IntegerRows rows_of(const Graph& graph, const FusedGroup& group) {
  const Value& x = graph.value(group.input);
  const QuantParams& y = *graph.value(group.output).quant;
  IntegerRows rows{.length = x.shape.back(), .input_is_float = !x.quant};
  if (x.quant) {
    rows.x_scale = x.quant->scale();
    rows.x_zero_point = x.quant->zero_point();
  }
  rows.y_scale = y.scale();
  rows.y_zero_point = y.zero_point();
  rows.y_min = y.qmin;
  rows.y_max = y.qmax;
  return rows;
}

}  // namespace

IntegerProduct lower_integer_product(const Graph& graph, const FusedGroup& group) {
  const Node& node = anchor_of(graph, group);
  const QuantParams& a = *graph.value(node.inputs[0]).quant;
  const QuantParams& b = *graph.value(node.inputs[1]).quant;
  const auto& y = graph.value(group.output).quant;
  const Shape& shape = graph.value(node.inputs[0]).shape;
  IntegerProduct result{.m = shape[shape.size() - 2],
                        .k = shape.back(),
                        .p = graph.value(group.output).shape.back(),
                        .a_zero_point = a.zero_point(),
                        .b_zero_point = b.zero_point()};
  if (result.k > std::numeric_limits<std::int32_t>::max() / (255 * 255)) {
    throw Error(
        ErrorCode::kUnsupported, graph.name,
        fmt::format("node '{}' (MatMul): {} products could overflow their int32 sum", node.name, result.k));
  }
  const float scales = a.scale() * b.scale() * node.as<ScalarAttributes>().alpha;
  result.multiplier = scales / (y ? y->scale() : 1.0F);
  result.output_is_float = !y;
  if (y) {
    result.y_zero_point = y->zero_point();
    result.y_min = y->qmin;
    result.y_max = y->qmax;
  }
  return result;
}

IntegerLayerNorm lower_integer_layer_norm(const Graph& graph, const FusedGroup& group) {
  const Node& node = anchor_of(graph, group);
  const auto row = [&](std::size_t input) {
    const auto values = graph.value(node.inputs[input]).constant->data<float>();
    std::vector<float> result(values.begin(), values.end());
    constexpr auto kWhole = static_cast<std::size_t>(kPartialSums);
    result.resize((result.size() + kWhole - 1) / kWhole * kWhole, 0.0F);
    return result;
  };
  return {.rows = rows_of(graph, group),
          .epsilon = node.as<LayerNormAttributes>().epsilon,
          .scale = row(1),
          .bias = row(2)};
}

IntegerRows lower_integer_softmax(const Graph& graph, const FusedGroup& group) {
  return rows_of(graph, group);
}

}  // namespace octavo
