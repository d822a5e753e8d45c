// Kernels of transformers against the reference, bit for bit: matrix products of two values,
// LayerNormalization and Softmax.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "runtime/annotated_graph.h"
#include "runtime/int8/kernels.h"
#include "runtime/reference/parts.h"

namespace octavo {
namespace {

using testing::random_tensor;

std::vector<const Int8Kernels*> tables() { return {&int8_kernels_generic(), &int8_kernels()}; }

Tensor random_bytes(const Shape& shape, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  Tensor tensor(shape, DType::kUInt8);
  for (std::uint8_t& byte : tensor.data<std::uint8_t>()) byte = static_cast<std::uint8_t>(random() >> 13U);
  return tensor;
}

/// The tensor's bytes, and those that a kernel may read past their end.
std::vector<std::byte> with_slack(const Tensor& x) {
  std::vector<std::byte> result(x.raw(), x.raw() + x.size_bytes());
  result.resize(result.size() + kReadSlack);
  return result;
}

IntegerRows parameters(std::int64_t length, bool real) {
  return {.length = length,
          .input_is_float = real,
          .x_scale = real ? 1.0F : 0.037F,
          .x_zero_point = real ? 0 : 117,
          .y_scale = 0.021F,
          .y_zero_point = 131,
          .y_min = 3,
          .y_max = 250};
}

constexpr std::int64_t kRows = 37;
constexpr std::int64_t kLengths[] = {1, 5, 15, 16, 17, 32, 48, 192, 197, 768};

Tensor rows_of(std::int64_t length, bool real) {
  return real ? random_tensor({kRows, length}, 5, -4.0F, 6.0F) : random_bytes({kRows, length}, 6);
}

TEST(Rows, LayerNormEqualsTheReferenceBitForBit) {
  for (const std::int64_t length : kLengths) {
    for (const bool real : {true, false}) {
      const Tensor scale = random_tensor({length}, 1, -1.0F, 2.0F);
      const Tensor bias = random_tensor({length}, 2);
      IntegerLayerNorm norm{.rows = parameters(length, real), .epsilon = 1e-5F, .scale = {}, .bias = {}};
      norm.scale.assign(scale.data<float>().begin(), scale.data<float>().end());
      norm.bias.assign(bias.data<float>().begin(), bias.data<float>().end());
      norm.scale.resize(static_cast<std::size_t>((length + 15) / 16 * 16));
      norm.bias.resize(norm.scale.size());
      const Tensor x = rows_of(length, real);
      const Tensor expected = reference::integer_layer_norm(norm, x, x.shape());
      for (const Int8Kernels* kernels : tables()) {
        for (const int threads : {1, 2}) {
          Tensor y(x.shape(), DType::kUInt8);
          kernels->layer_norm(norm, kRows, with_slack(x).data(), y.data<std::uint8_t>().data(), threads);
          EXPECT_EQ(y, expected) << isa_name(kernels->isa) << ", rows of " << length
                                 << (real ? " floats" : " bytes");
        }
      }
    }
  }
}

TEST(Rows, SoftmaxEqualsTheReferenceBitForBit) {
  for (const std::int64_t length : kLengths) {
    for (const bool real : {true, false}) {
      IntegerRows rows = parameters(length, real);
      rows.y_scale = 1.0F / 255;
      rows.y_zero_point = 0;
      const Tensor x = rows_of(length, real);
      const Tensor expected = reference::integer_softmax(rows, x, x.shape());
      for (const Int8Kernels* kernels : tables()) {
        Tensor y(x.shape(), DType::kUInt8);
        kernels->softmax(rows, kRows, with_slack(x).data(), y.data<std::uint8_t>().data(), 1);
        EXPECT_EQ(y, expected) << isa_name(kernels->isa) << ", rows of " << length
                               << (real ? " floats" : " bytes");
      }
    }
  }
}

TEST(Rows, ReferenceSoftmaxIsTheRealOneRounded) {
  const std::int64_t length = 41;
  IntegerRows rows = parameters(length, true);
  rows.y_scale = 1.0F / 255;
  rows.y_zero_point = 0;
  rows.y_min = 0;
  rows.y_max = 255;
  Tensor x = random_tensor({kRows, length}, 9, -50.0F, 3.0F);
  x.data<float>()[3] = -1e30F;  // A token that is masked.
  const Tensor y = reference::integer_softmax(rows, x, x.shape());
  for (std::int64_t r = 0; r < kRows; ++r) {
    double sum = 0;
    const auto at = [&](std::int64_t i) {
      return std::exp(static_cast<double>(x.data<float>()[static_cast<std::size_t>(r * length + i)]));
    };
    for (std::int64_t i = 0; i < length; ++i) sum += at(i);
    for (std::int64_t i = 0; i < length; ++i)
      EXPECT_NEAR(y.data<std::uint8_t>()[static_cast<std::size_t>(r * length + i)], 255 * at(i) / sum,
                  0.5001);
  }
}

struct ProductCase {
  std::int64_t m, k, p;
  bool a_turned, b_turned, real;
};

/// The matrix as an operand whose rows and columns have changed places, as after a Transpose.
Tensor turned(const Tensor& x, std::int64_t matrices, std::int64_t rows, std::int64_t columns) {
  Tensor y({matrices, columns, rows}, DType::kUInt8);
  for (std::int64_t i = 0; i < x.size(); ++i) {
    const std::int64_t matrix = i / (rows * columns);
    const std::int64_t row = i / columns % rows;
    y.data<std::uint8_t>()[static_cast<std::size_t>((matrix * columns + i % columns) * rows + row)] =
        x.data<std::uint8_t>()[static_cast<std::size_t>(i)];
  }
  return y;
}

TEST(Rows, ProductOfValuesEqualsTheReferenceBitForBit) {
  constexpr std::int64_t kMatrices = 3;
  std::vector<ProductCase> cases;
  for (const auto& [m, k, p] : {std::array<std::int64_t, 3>{1, 1, 1},
                                {5, 7, 3},
                                {64, 64, 64},
                                {197, 64, 197},
                                {197, 197, 64},
                                {49, 32, 49},
                                {130, 33, 17},
                                {6, 130, 16}}) {
    for (int bits = 0; bits < 8; ++bits)
      cases.push_back({m, k, p, (bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0});
  }
  for (const ProductCase& c : cases) {
    const IntegerProduct sums{.m = c.m,
                              .k = c.k,
                              .p = c.p,
                              .a_zero_point = 3,
                              .b_zero_point = 141,
                              .multiplier = 0.9F / 128 / std::sqrt(static_cast<float>(c.k)),
                              .output_is_float = c.real,
                              .y_zero_point = 100,
                              .y_min = 1,
                              .y_max = 254};
    const Tensor a = random_bytes({kMatrices, c.m, c.k}, 1);
    const Tensor b = random_bytes({kMatrices, c.k, c.p}, 2);
    const Shape shape{kMatrices, c.m, c.p};
    const Tensor expected = reference::integer_product(sums, a, b, shape);
    const Tensor a_in = c.a_turned ? turned(a, kMatrices, c.m, c.k) : a;
    const Tensor b_in = c.b_turned ? turned(b, kMatrices, c.k, c.p) : b;
    Int8Product product = prepare_int8_product(sums);
    product.outer = 1;
    product.dims[0] = kMatrices;
    product.a_outer[0] = c.m * c.k;
    product.b_outer[0] = c.k * c.p;
    product.a_strides =
        c.a_turned ? std::array<std::int64_t, 2>{1, c.m} : std::array<std::int64_t, 2>{c.k, 1};
    product.b_strides =
        c.b_turned ? std::array<std::int64_t, 2>{1, c.k} : std::array<std::int64_t, 2>{c.p, 1};
    for (const Int8Kernels* kernels : tables()) {
      for (const int threads : {1, 2}) {
        Tensor y(shape, expected.dtype());
        kernels->product(product, kMatrices, a_in.data<std::uint8_t>().data(),
                         b_in.data<std::uint8_t>().data(), y.raw(), threads);
        EXPECT_EQ(y, expected) << isa_name(kernels->isa) << ": " << c.m << " x " << c.k << " by " << c.k
                               << " x " << c.p << (c.a_turned ? ", a turned" : "")
                               << (c.b_turned ? ", b turned" : "") << (c.real ? ", to float" : "");
      }
    }
  }
}

}  // namespace
}  // namespace octavo
