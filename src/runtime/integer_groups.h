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
  std::int32_t x_zero_point = 0;
  float multiplier = 0;  ///< scale_x / scale_y, or scale_x where the output is float.
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
  std::vector<float> multiplier;  ///< scale / sqrt(variance + epsilon) * scale_x / scale_y
  std::vector<float> offset;      ///< In units of the output.
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

/// Mean of `count` values from their sum, in units of the output: two float32 operations after the
/// conversions.
inline float average(std::int32_t sum, std::int32_t count, float multiplier) {
  return static_cast<float>(sum) * (multiplier / static_cast<float>(count));
}

}  // namespace octavo
