// What a quantized fused group computes, as plain numbers: read from the graph once, used by the reference
// interpreter and by every kernel, so that they cannot disagree about a scale.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "octavo/core/quant.h"
#include "octavo/core/tensor.h"
#include "octavo/graph/graph.h"
#include "octavo/graph/passes.h"

namespace octavo {

/// Conv, or Gemm or MatMul (a 1x1 convolution of a 1x1 image), with bias, activation and requantization.
struct IntegerConv {
  std::int64_t c_in = 0, c_out = 0;
  ConvAttributes window;
  Tensor weight;                   ///< int8 [c_out, c_in / group, kH, kW]
  std::vector<std::int32_t> bias;  ///< int32 bias less zero_point_x * sum of the channel's weights.
  std::vector<float> multiplier;   ///< Per output channel: to units of the output, or to real numbers.
  std::int32_t x_zero_point = 0;   ///< What padding holds.
  bool output_is_float = false;
  std::int32_t y_zero_point = 0;
  std::int32_t y_min = 0, y_max = 255;  ///< Range of the output's integers, activation included.
  float float_min = 0, float_max = 0;   ///< Activation bounds where the output is float.
};

struct IntegerAverage {
  PoolAttributes window;
  bool global = false;  ///< One window is the whole image.
  float x_scale = 1;
  float y_scale = 1;  ///< 1 where the output is float.
  std::int32_t x_zero_point = 0;
  bool output_is_float = false;
  std::int32_t y_zero_point = 0;
  std::int32_t y_min = 0, y_max = 255;
};

/// Add, Sub or Mul of two values, with an activation behind an Add.
struct IntegerBinary {
  bool product = false;    ///< Mul; else a sum.
  float a_multiplier = 0;  ///< scale / scale_y; of a product scale_a * scale_b / scale_y.
  float b_multiplier = 0;  ///< Of a sum: scale / scale_y, negative for Sub.
  float offset = 0;        ///< Of a sum: see quantized_sum().
  std::int32_t a_zero_point = 0, b_zero_point = 0;  ///< Of a product.
  std::int32_t y_zero_point = 0;
  std::int32_t y_min = 0, y_max = 255;
};

/// A BatchNormalization that could not be folded, with an activation behind it: by channel.
struct IntegerAffine {
  std::vector<float> factor;  ///< 1 / sqrt(variance + epsilon) * scale
  std::vector<float> offset;  ///< bias - mean * factor
  float x_scale = 1, y_scale = 1;
  std::int32_t x_zero_point = 0;
  std::int32_t y_zero_point = 0;
  std::int32_t y_min = 0, y_max = 255;
};

/// A function of one integer: the output's integer for each of 256 inputs, and that for each index along an
/// axis where constants differ.
struct IntegerTable {
  static constexpr std::int64_t kEntries = 256;
  int axis = QuantParams::kPerTensor;
  std::vector<std::uint8_t> values;
};

/// True if the group's operands carry the quantization that its integer form needs; otherwise it runs in
/// float32 on dequantized operands.
bool runs_in_integers(const Graph& graph, const FusedGroup& group);

/// Throws kUnsupported if the accumulator could leave int32.
IntegerConv lower_integer_conv(const Graph& graph, const FusedGroup& group);
IntegerAverage lower_integer_average(const Graph& graph, const FusedGroup& group);
IntegerBinary lower_integer_binary(const Graph& graph, const FusedGroup& group);
IntegerAffine lower_integer_affine(const Graph& graph, const FusedGroup& group);
/// Of an anchor for which table_axis() says so: quantize(f(dequantize(q))).
IntegerTable lower_integer_table(const Graph& graph, const FusedGroup& group);
/// From one value's integers to those of the same real numbers under other parameters.
IntegerTable lower_integer_rescale(const QuantParams& from, const QuantParams& to);

/// The axis along which the constants of `node`, as a function of each number of its input, differ
/// (kPerTensor: nowhere), or nothing if it is no such function.
std::optional<int> table_axis(const Graph& graph, const Node& node);

/// Mean of the `count` values of an image from their sum less zero points, in units of the output.
inline float global_average(std::int32_t sum, std::int32_t count, float x_scale, float y_scale) {
  return static_cast<float>(sum) * (x_scale / (y_scale * static_cast<float>(count)));
}

/// Mean of a window from the float32 sum of its dequantized values, in units of the output with its zero
/// point in it: round and saturate the result.
inline float window_average(float sum, std::int32_t count, float y_scale, std::int32_t y_zero_point) {
  return sum / static_cast<float>(count) / y_scale + static_cast<float>(y_zero_point);
}

/// A batch norm of one integer, in units of the output: five float32 operations after the conversion.
inline float batch_norm(std::int32_t q, std::int32_t zero_point, float x_scale, float factor, float offset,
                        float y_scale) {
  return (dequantize(q, x_scale, zero_point) * factor + offset) / y_scale;
}

}  // namespace octavo
