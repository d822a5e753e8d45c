#include "runtime/lowering/integer_groups.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>

#include "octavo/core/error.h"
#include "octavo/graph/elementwise.h"

namespace octavo {
namespace {

/// Integers between which the activation keeps the output: the quantized bounds within the container's range.
void set_output(const QuantParams& y, const ClipAttributes& bounds, std::int32_t& zero_point,
                std::int32_t& lo, std::int32_t& hi) {
  zero_point = y.zero_point();
  lo = y.qmin;
  hi = y.qmax;
  if (std::isfinite(bounds.min)) lo = quantize(bounds.min, y.scale(), y.zero_point(), y.qmin, y.qmax);
  if (std::isfinite(bounds.max)) hi = quantize(bounds.max, y.scale(), y.zero_point(), y.qmin, y.qmax);
}

}  // namespace

IntegerConv lower_integer_conv(const Graph& graph, const FusedGroup& group) {
  const Node& anchor = graph.nodes[static_cast<std::size_t>(group.anchor)];
  const Value& weight = graph.value(anchor.inputs[1]);
  const QuantParams& x = *graph.value(group.input).quant;
  const QuantParams& w = *weight.quant;
  const auto& y = graph.value(group.output).quant;

  IntegerConv result;
  if (anchor.op == Op::kConv) result.window = anchor.as<ConvAttributes>();
  result.weight = quantize(*weight.constant, w);
  if (anchor.op == Op::kMatMul) result.weight = transposed(result.weight);
  if (anchor.op != Op::kConv)
    result.weight = result.weight.reshaped({result.weight.dim(0), result.weight.dim(1), 1, 1});
  result.c_out = result.weight.dim(0);
  result.c_in = result.weight.dim(1) * result.window.group;
  result.x_zero_point = x.zero_point();

  const auto channels = static_cast<std::size_t>(result.c_out);
  Tensor bias({result.c_out}, DType::kInt32);
  if (anchor.inputs.size() > 2) bias = quantize_bias(*graph.value(anchor.inputs[2]).constant, x.scale(), w);
  const std::size_t per_channel = static_cast<std::size_t>(result.weight.size()) / channels;
  const auto ws = result.weight.data<std::int8_t>();
  for (std::size_t c = 0; c < channels; ++c) {
    std::int64_t sum = 0;
    std::int64_t magnitude = 0;
    for (const std::int8_t q : ws.subspan(c * per_channel, per_channel)) {
      sum += q;
      magnitude += std::abs(static_cast<int>(q));
    }
    const std::int64_t total = bias.data<std::int32_t>()[c] - sum * x.zero_point();
    constexpr std::int64_t kLimit = std::numeric_limits<std::int32_t>::max();
    if (magnitude * 255 > kLimit || std::abs(total) > kLimit) {
      throw Error(
          ErrorCode::kUnsupported, graph.name,
          "node '" + anchor.name + "' (" + to_string(anchor.op) + "): channel " + std::to_string(c) +
              " could overflow its int32 accumulator; expected smaller weights or bias (quantize it again)");
    }
    result.bias.push_back(static_cast<std::int32_t>(total));
    const float scale_w = w.per_channel() ? w.scales[c] : w.scale();
    result.multiplier.push_back(requantize_multiplier(x.scale(), scale_w, y ? y->scale() : 1.0F));
  }
  const ClipAttributes bounds = activation_bounds(graph, group);
  result.output_is_float = !y;
  result.float_min = bounds.min;
  result.float_max = bounds.max;
  if (y) set_output(*y, bounds, result.y_zero_point, result.y_min, result.y_max);
  return result;
}

IntegerAverage lower_integer_average(const Graph& graph, const FusedGroup& group) {
  const Node& node = graph.nodes[static_cast<std::size_t>(group.anchor)];
  const QuantParams& x = *graph.value(group.input).quant;
  const auto& y = graph.value(group.output).quant;
  IntegerAverage result;
  if (node.op == Op::kAveragePool) {
    result.window = node.as<PoolAttributes>();
  } else {
    const Shape& shape = graph.value(group.input).shape;
    result.window.kernel = {shape[2], shape[3]};
    result.global = true;
  }
  result.x_scale = x.scale();
  result.y_scale = y ? y->scale() : 1.0F;
  result.x_zero_point = x.zero_point();
  result.output_is_float = !y;
  if (y) set_output(*y, {}, result.y_zero_point, result.y_min, result.y_max);
  return result;
}

IntegerBinary lower_integer_binary(const Graph& graph, const FusedGroup& group) {
  const Node& node = graph.nodes[static_cast<std::size_t>(group.anchor)];
  const QuantParams& a = *graph.value(node.inputs[0]).quant;
  const QuantParams& b = *graph.value(node.inputs[1]).quant;
  const QuantParams& y = *graph.value(group.output).quant;
  IntegerBinary result;
  result.product = node.op == Op::kMul;
  if (result.product) {
    result.a_multiplier = requantize_multiplier(a.scale(), b.scale(), y.scale());
    result.a_zero_point = a.zero_point();
    result.b_zero_point = b.zero_point();
  } else {
    result.a_multiplier = a.scale() / y.scale();
    result.b_multiplier = b.scale() / y.scale();
    if (node.op == Op::kSub) result.b_multiplier = -result.b_multiplier;
    result.offset = quantized_sum_offset(result.a_multiplier, a.zero_point(), result.b_multiplier,
                                         b.zero_point(), y.zero_point());
  }
  set_output(y, activation_bounds(graph, group), result.y_zero_point, result.y_min, result.y_max);
  return result;
}

IntegerAffine lower_integer_affine(const Graph& graph, const FusedGroup& group) {
  const Node& node = graph.nodes[static_cast<std::size_t>(group.anchor)];
  const QuantParams& x = *graph.value(group.input).quant;
  const QuantParams& y = *graph.value(group.output).quant;
  const auto parameter = [&](std::size_t input, std::size_t c) {
    return graph.value(node.inputs[input]).constant->data<float>()[c];
  };
  const float epsilon = node.as<BatchNormAttributes>().epsilon;
  const auto channels = static_cast<std::size_t>(graph.value(node.inputs[1]).shape[0]);
  IntegerAffine result;
  for (std::size_t c = 0; c < channels; ++c) {
    const float factor = 1.0F / std::sqrt(parameter(4, c) + epsilon) * parameter(1, c);
    result.factor.push_back(factor);
    result.offset.push_back(parameter(2, c) - parameter(3, c) * factor);
  }
  result.x_scale = x.scale();
  result.x_zero_point = x.zero_point();
  result.y_scale = y.scale();
  set_output(y, activation_bounds(graph, group), result.y_zero_point, result.y_min, result.y_max);
  return result;
}

std::optional<int> table_axis(const Graph& graph, const Node& node) {
  if (is_unary(node.op)) return QuantParams::kPerTensor;
  if (!is_binary(node.op) && node.op != Op::kPRelu) return std::nullopt;
  const bool first = graph.value(node.inputs[0]).constant.has_value();
  const Value& constant = graph.value(node.inputs[first ? 0 : 1]);
  const Value& x = graph.value(node.inputs[first ? 1 : 0]);
  if (!constant.constant || x.shape != graph.value(node.output).shape) return std::nullopt;
  int axis = QuantParams::kPerTensor;
  const std::size_t skipped = x.shape.size() - constant.shape.size();
  for (std::size_t i = 0; i < constant.shape.size(); ++i) {
    if (constant.shape[i] == 1) continue;
    if (axis != QuantParams::kPerTensor) return std::nullopt;
    axis = static_cast<int>(skipped + i);
  }
  return axis;
}

IntegerTable lower_integer_table(const Graph& graph, const FusedGroup& group) {
  const Node& node = graph.nodes[static_cast<std::size_t>(group.anchor)];
  const QuantParams& x = *graph.value(group.input).quant;
  const QuantParams& y = *graph.value(group.output).quant;
  const ClipAttributes bounds = activation_bounds(graph, group);
  std::vector<Tensor> constants;
  for (const ValueId id : node.inputs) {
    const Value& value = graph.value(id);
    constants.push_back(!value.constant ? Tensor()
                        : value.quant   ? dequantize(quantize(*value.constant, *value.quant), *value.quant)
                                        : *value.constant);
  }
  const auto constant = [&](std::size_t input, std::size_t i) { return constants[input].data<float>()[i]; };
  const auto function = [&](float real, std::size_t i) {
    if (is_unary(node.op)) return apply_unary(node, real);
    if (node.op == Op::kPRelu) return apply_prelu(real, constant(1, i));
    return graph.value(node.inputs[0]).constant ? apply_binary(node.op, constant(0, i), real)
                                                : apply_binary(node.op, real, constant(1, i));
  };
  IntegerTable result{.axis = table_axis(graph, node).value(), .values = {}};
  const std::size_t count =
      result.axis == QuantParams::kPerTensor
          ? 1
          : static_cast<std::size_t>(graph.value(group.output).shape[static_cast<std::size_t>(result.axis)]);
  for (std::size_t i = 0; i < count; ++i) {
    for (std::int32_t q = 0; q < IntegerTable::kEntries; ++q) {
      const float real = function(dequantize(q, x.scale(), x.zero_point()), i);
      const float bounded = std::min(std::max(real, bounds.min), bounds.max);
      result.values.push_back(
          static_cast<std::uint8_t>(quantize(bounded, y.scale(), y.zero_point(), y.qmin, y.qmax)));
    }
  }
  return result;
}

IntegerTable lower_integer_rescale(const QuantParams& from, const QuantParams& to) {
  IntegerTable result;
  for (std::int32_t q = 0; q < IntegerTable::kEntries; ++q) {
    result.values.push_back(static_cast<std::uint8_t>(quantize(
        dequantize(q, from.scale(), from.zero_point()), to.scale(), to.zero_point(), to.qmin, to.qmax)));
  }
  return result;
}

}  // namespace octavo
