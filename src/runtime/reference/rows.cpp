// The reference of what transformers add: docs/arithmetic.md, word for word.
#include <algorithm>
#include <bit>
#include <cmath>
#include <iterator>

#include "runtime/lowering/integer_rows.h"
#include "runtime/reference/parts.h"

namespace octavo::reference {
namespace {

using Parts = std::array<float, kPartialSums>;

/// exp(x) as the contract has it.
float exponential_of(float x) {
  using namespace exponential;
  x = std::max(x, kLowest);
  const float n = std::nearbyint(x * kLog2E);
  const float r = std::fma(n, -kLn2Low, std::fma(n, -kLn2High, x));
  float series = kSeries[0];
  for (std::size_t i = 1; i < std::size(kSeries); ++i) series = std::fma(series, r, kSeries[i]);
  series = std::fma(series, r, 1.0F);
  return series * std::bit_cast<float>((static_cast<std::int32_t>(n) + 127) << 23);
}

/// Calls body(row of real numbers, where its output begins) for each row.
template <typename Body>
void for_each_row(const IntegerRows& rows, const Tensor& x, const Body& body) {
  const auto length = static_cast<std::size_t>(rows.length);
  std::vector<float> row(length);
  for (std::size_t first = 0; first < static_cast<std::size_t>(x.size()); first += length) {
    for (std::size_t i = 0; i < length; ++i) {
      row[i] = rows.input_is_float
                   ? x.data<float>()[first + i]
                   : dequantize(x.data<std::uint8_t>()[first + i], rows.x_scale, rows.x_zero_point);
    }
    body(row, first);
  }
}

template <typename Term>
float sum(const std::vector<float>& row, const Term& add) {
  Parts parts{};
  for (std::size_t i = 0; i < row.size(); ++i) parts[i % parts.size()] = add(parts[i % parts.size()], row[i]);
  return sum_of_parts(parts);
}

std::uint8_t rounded(float t, const IntegerRows& rows) {
  return static_cast<std::uint8_t>(requantize(t, rows.y_zero_point, rows.y_min, rows.y_max));
}

}  // namespace

Tensor integer_layer_norm(const IntegerLayerNorm& p, const Tensor& x, const Shape& shape) {
  Tensor y(shape, DType::kUInt8);
  const float share = 1.0F / static_cast<float>(p.rows.length);
  for_each_row(p.rows, x, [&](const std::vector<float>& row, std::size_t first) {
    const float mean = sum(row, [](float part, float v) { return part + v; }) * share;
    const float squares = sum(row, [&](float part, float v) { return std::fma(v - mean, v - mean, part); });
    const float factor = 1.0F / std::sqrt(squares * share + p.epsilon);
    for (std::size_t i = 0; i < row.size(); ++i) {
      const float t = std::fma((row[i] - mean) * factor, p.scale[i], p.bias[i]) / p.rows.y_scale;
      y.data<std::uint8_t>()[first + i] = rounded(t, p.rows);
    }
  });
  return y;
}

Tensor integer_softmax(const IntegerRows& p, const Tensor& x, const Shape& shape) {
  Tensor y(shape, DType::kUInt8);
  for_each_row(p, x, [&](std::vector<float> row, std::size_t first) {
    const float largest = *std::ranges::max_element(row);
    for (float& v : row) v = exponential_of(v - largest);
    const float factor = 1.0F / sum(row, [](float part, float v) { return part + v; }) / p.y_scale;
    for (std::size_t i = 0; i < row.size(); ++i)
      y.data<std::uint8_t>()[first + i] = rounded(row[i] * factor, p);
  });
  return y;
}

Tensor integer_product(const IntegerProduct& p, const Tensor& a, const Tensor& b, const Shape& shape) {
  Tensor y(shape, p.output_is_float ? DType::kFloat32 : DType::kUInt8);
  const auto as = a.data<std::uint8_t>();
  const auto bs = b.data<std::uint8_t>();
  const auto k = static_cast<std::size_t>(p.k);
  const auto columns = static_cast<std::size_t>(p.p);
  for (std::size_t i = 0; i < static_cast<std::size_t>(y.size()); ++i) {
    const std::size_t row = i / columns;
    const std::size_t matrix = row / static_cast<std::size_t>(p.m);
    std::int32_t total = 0;
    for (std::size_t j = 0; j < k; ++j)
      total += (as[row * k + j] - p.a_zero_point) *
               (bs[(matrix * k + j) * columns + i % columns] - p.b_zero_point);
    const float t = static_cast<float>(total) * p.multiplier;
    if (p.output_is_float) {
      y.data<float>()[i] = t;
    } else {
      y.data<std::uint8_t>()[i] = static_cast<std::uint8_t>(requantize(t, p.y_zero_point, p.y_min, p.y_max));
    }
  }
  return y;
}

}  // namespace octavo::reference
