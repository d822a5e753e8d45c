// What transformers add, as plain numbers (see integer_groups.h): matrix products of two values, and
// LayerNormalization and Softmax, which run in float32, in an order of operations that is part of the
// contract (docs/arithmetic.md).
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <vector>

#include "octavo/core/quant.h"
#include "octavo/graph/passes.h"

namespace octavo {

/// Sums of rows are taken in so many parts: element i goes to part i % kPartialSums.
inline constexpr std::int64_t kPartialSums = 16;

/// MatMulOfValues: float(sum of (a - zero_point_a) * (b - zero_point_b)) * multiplier, then requantize().
struct IntegerProduct {
  std::int64_t m = 0, k = 0, p = 0;  ///< [m, k] by [k, p]
  std::int32_t a_zero_point = 0, b_zero_point = 0;
  float multiplier = 0;  ///< scale_a * scale_b * alpha / scale_y, from left to right.
  bool output_is_float = false;
  std::int32_t y_zero_point = 0;
  std::int32_t y_min = 0, y_max = 255;
};

/// What LayerNormalization and Softmax read and make: rows of `length` numbers.
struct IntegerRows {
  std::int64_t length = 0;
  bool input_is_float = false;
  float x_scale = 1;
  std::int32_t x_zero_point = 0;
  float y_scale = 1;
  std::int32_t y_zero_point = 0;
  std::int32_t y_min = 0, y_max = 255;
};

struct IntegerLayerNorm {
  IntegerRows rows;
  float epsilon = 0;
  std::vector<float> scale, bias;  ///< And zeros, to whole kPartialSums.
};

/// Throws kUnsupported if the accumulator could leave int32.
IntegerProduct lower_integer_product(const Graph& graph, const FusedGroup& group);
IntegerLayerNorm lower_integer_layer_norm(const Graph& graph, const FusedGroup& group);
IntegerRows lower_integer_softmax(const Graph& graph, const FusedGroup& group);

/// The parts in pairs that lie half of them apart, until one is left.
inline float sum_of_parts(std::array<float, kPartialSums> parts) {
  for (std::size_t half = kPartialSums / 2; half > 0; half /= 2) {
    for (std::size_t j = 0; j < half; ++j) parts[j] += parts[j + half];
  }
  return parts[0];
}

/// exp(x) of x <= 0, within 2 units of the last place, by the same operations everywhere: 2^n times a
/// polynomial of what is left, |r| <= ln(2) / 2 (Cody and Waite's reduction; the first terms of the series).
/// Below -87 as at -87.
namespace exponential {
inline constexpr float kLowest = -87.0F;
inline constexpr float kLog2E = 1.44269504088896340736F;
inline constexpr float kLn2High = 0.693359375F;  ///< Few bits, so that n times it is exact.
inline constexpr float kLn2Low = -2.12194440e-4F;
inline constexpr float kSeries[]{1.0F / 720, 1.0F / 120, 1.0F / 24, 1.0F / 6, 0.5F, 1.0F};
}  // namespace exponential

}  // namespace octavo
