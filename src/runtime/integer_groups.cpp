#include "runtime/integer_groups.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>

#include "octavo/core/error.h"

namespace octavo {
namespace {

bool uint8_quantized(const Value& value) {
  return value.quant && value.quant->dtype == DType::kUInt8 && !value.quant->per_channel();
}

/// Integers between which the activation keeps the output: the quantized bounds within the container's range.
void set_output(const QuantParams& y, const ClipAttributes& bounds, std::int32_t& zero_point,
                std::int32_t& lo, std::int32_t& hi) {
  zero_point = y.zero_point();
  lo = y.qmin;
  hi = y.qmax;
  if (std::isfinite(bounds.min)) lo = quantize(bounds.min, y.scale(), y.zero_point(), y.qmin, y.qmax);
  if (std::isfinite(bounds.max)) hi = quantize(bounds.max, y.scale(), y.zero_point(), y.qmin, y.qmax);
}

float ratio(float numerator, float denominator) {
  return static_cast<float>(static_cast<double>(numerator) / static_cast<double>(denominator));
}

}  // namespace

bool runs_in_integers(const Graph& graph, const FusedGroup& group) {
  const Node& anchor = graph.nodes[static_cast<std::size_t>(group.anchor)];
  const Value& x = graph.value(group.input);
  const Value& y = graph.value(group.output);
  if (!uint8_quantized(x) || group.batch_norm >= 0) return false;
  if (group.residual != kNoValue && !uint8_quantized(graph.value(group.residual))) return false;
  switch (anchor.op) {
    case Op::kConv:
    case Op::kGemm: {
      const auto& w = graph.value(anchor.inputs[1]).quant;
      const bool weights = w && w->dtype == DType::kInt8 && (!w->per_channel() || w->axis == 0) &&
                           std::ranges::all_of(w->zero_points, [](std::int32_t z) { return z == 0; });
      return weights && (!y.quant || uint8_quantized(y));
    }
    case Op::kMaxPool:
    case Op::kFlatten:
      return y.quant == x.quant;
    case Op::kAveragePool:
    case Op::kGlobalAveragePool:
    case Op::kAdd:
      return uint8_quantized(y);
    default:
      return false;
  }
}

IntegerConv lower_integer_conv(const Graph& graph, const FusedGroup& group) {
  const Node& anchor = graph.nodes[static_cast<std::size_t>(group.anchor)];
  const Value& weight = graph.value(anchor.inputs[1]);
  const QuantParams& x = *graph.value(group.input).quant;
  const QuantParams& w = *weight.quant;
  const auto& y = graph.value(group.output).quant;

  IntegerConv result;
  if (anchor.op == Op::kConv) result.window = anchor.as<ConvAttributes>();
  result.weight = quantize(*weight.constant, w);
  if (anchor.op == Op::kGemm)
    result.weight = result.weight.reshaped({weight.shape[0], weight.shape[1], 1, 1});
  result.c_out = weight.shape[0];
  result.c_in = weight.shape[1] * result.window.group;
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
  if (group.residual != kNoValue) {
    const QuantParams& r = *graph.value(group.residual).quant;
    result.has_residual = true;
    result.residual_zero_point = r.zero_point();
    result.residual_multiplier = ratio(r.scale(), y ? y->scale() : 1.0F);
  }
  const ClipAttributes bounds = activation_bounds(graph, group);
  result.output_is_float = !y;
  result.float_min = bounds.min;
  result.float_max = bounds.max;
  if (y) set_output(*y, bounds, result.y_zero_point, result.y_min, result.y_max);
  return result;
}

IntegerAverage lower_integer_average(const Graph& graph, const Node& node) {
  const QuantParams& x = *graph.value(node.inputs[0]).quant;
  const QuantParams& y = *graph.value(node.output).quant;
  IntegerAverage result;
  if (node.op == Op::kAveragePool) {
    result.window = node.as<PoolAttributes>();
  } else {
    const Shape& shape = graph.value(node.inputs[0]).shape;
    result.window.kernel = {shape[2], shape[3]};
  }
  result.x_zero_point = x.zero_point();
  result.multiplier = ratio(x.scale(), y.scale());
  set_output(y, {}, result.y_zero_point, result.y_min, result.y_max);
  return result;
}

IntegerAdd lower_integer_add(const Graph& graph, const FusedGroup& group) {
  const Node& node = graph.nodes[static_cast<std::size_t>(group.anchor)];
  const QuantParams& a = *graph.value(node.inputs[0]).quant;
  const QuantParams& b = *graph.value(node.inputs[1]).quant;
  const QuantParams& y = *graph.value(group.output).quant;
  IntegerAdd result;
  result.a_zero_point = a.zero_point();
  result.b_zero_point = b.zero_point();
  result.a_multiplier = ratio(a.scale(), y.scale());
  result.b_multiplier = ratio(b.scale(), y.scale());
  set_output(y, activation_bounds(graph, group), result.y_zero_point, result.y_min, result.y_max);
  return result;
}

}  // namespace octavo
