#include "octavo/kernels/conv3x3.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "conv3x3_impl.h"
#include "octavo/core/error.h"
#include "octavo/core/parallel.h"

namespace octavo {
namespace {

using Floats = std::vector<float>;
using Doubles = std::vector<double>;

Floats random_floats(std::int64_t count, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal;
  Floats values(static_cast<std::size_t>(count));
  for (float& value : values) value = normal(generator);
  return values;
}

struct Problem {
  explicit Problem(const Conv3x3Shape& s, WeightLayout order = WeightLayout::kOihw)
      : shape(s),
        layout(order),
        pixels(s.n * s.h * s.w),
        x(random_floats(pixels * s.c_in, 1)),
        weight(random_floats(9 * s.c_in * s.c_out, 2)),
        bias(random_floats(s.c_out, 3)),
        dy(random_floats(pixels * s.c_out, 4)) {}
  Conv3x3Shape shape;
  WeightLayout layout;
  std::int64_t pixels;
  Floats x, weight, bias, dy;

  std::size_t weight_index(std::int64_t o, std::int64_t i, std::int64_t tap) const {
    return static_cast<std::size_t>(layout == WeightLayout::kOihw ? (o * shape.c_in + i) * 9 + tap
                                                                  : (o * 9 + tap) * shape.c_in + i);
  }
};

struct Results {
  explicit Results(const Problem& p)
      : y(p.dy.size(), NAN), dx(p.x.size(), NAN), dweight(p.weight.size(), NAN), dbias(p.bias.size(), NAN) {}
  Floats y, dx, dweight, dbias;
};

Results compute(const Problem& p) {
  Results r(p);
  conv3x3_forward(p.shape, p.x.data(), p.weight.data(), p.bias.data(), r.y.data(), p.layout);
  conv3x3_backward_data(p.shape, p.dy.data(), p.weight.data(), r.dx.data(), p.layout);
  conv3x3_backward_weights(p.shape, p.x.data(), p.dy.data(), r.dweight.data(), r.dbias.data(), p.layout);
  return r;
}

/// The definition, in double: y, dx, dweight and dbias all at once.
struct Expected {
  explicit Expected(const Problem& p)
      : y(p.dy.size()), dx(p.x.size()), dweight(p.weight.size()), dbias(p.bias.size()) {
    const auto& s = p.shape;
    for (std::int64_t n = 0; n < s.n; ++n)
      for (std::int64_t oy = 0; oy < s.h; ++oy)
        for (std::int64_t ox = 0; ox < s.w; ++ox)
          for (std::int64_t o = 0; o < s.c_out; ++o) {
            const auto out = static_cast<std::size_t>(((n * s.h + oy) * s.w + ox) * s.c_out + o);
            y[out] += p.bias[static_cast<std::size_t>(o)];
            dbias[static_cast<std::size_t>(o)] += p.dy[out];
            for (std::int64_t tap = 0; tap < 9; ++tap) {
              const std::int64_t iy = oy + tap / 3 - 1;
              const std::int64_t ix = ox + tap % 3 - 1;
              if (iy < 0 || iy >= s.h || ix < 0 || ix >= s.w) continue;
              for (std::int64_t i = 0; i < s.c_in; ++i) {
                const auto in = static_cast<std::size_t>(((n * s.h + iy) * s.w + ix) * s.c_in + i);
                const std::size_t w = p.weight_index(o, i, tap);
                y[out] += static_cast<double>(p.x[in]) * p.weight[w];
                dx[in] += static_cast<double>(p.dy[out]) * p.weight[w];
                dweight[w] += static_cast<double>(p.dy[out]) * p.x[in];
              }
            }
          }
  }
  Doubles y, dx, dweight, dbias;
};

/// Norms of one-dimensional transforms as F(4x4, 3x3) uses them, at the points 0, +-5/8, +-3/2 and infinity.
double winograd_growth() {
  constexpr double a = 0.625;
  constexpr double b = 1.5;
  constexpr double a2 = a * a;
  constexpr double b2 = b * b;
  const double inputs[6][6] = {{a2 * b2, 0, -a2 - b2, 0, 1, 0}, {0, -a * b2, -b2, a, 1, 0},
                               {0, a * b2, -b2, -a, 1, 0},      {0, -a2 * b, -a2, b, 1, 0},
                               {0, a2 * b, -a2, -b, 1, 0},      {0, a2 * b2, 0, -a2 - b2, 0, 1}};
  const double at_a = 1 / (2 * a2 * (a2 - b2));
  const double at_b = 1 / (2 * b2 * (b2 - a2));
  const double weights[6][3] = {{1 / (a2 * b2), 0, 0},        {at_a, at_a * a, at_a * a2},
                                {at_a, -at_a * a, at_a * a2}, {at_b, at_b * b, at_b * b2},
                                {at_b, -at_b * b, at_b * b2}, {0, 0, 1}};
  const double outputs[6][4] = {{1, 0, 0, 0},       {1, a, a2, a2 * a},   {1, -a, a2, -a2 * a},
                                {1, b, b2, b2 * b}, {1, -b, b2, -b2 * b}, {0, 0, 0, 1}};
  // Standard normal inputs make product p of standard deviation |inputs[p]| * |weights[p]|; its rounding
  // error reaches output k times outputs[p][k]. The errors of different products are independent.
  const auto norm = [](const auto& row) {
    double sum = 0;
    for (const double value : row) sum += value * value;
    return std::sqrt(sum);
  };
  double worst = 0;
  for (int k = 0; k < 4; ++k) {
    double sum = 0;
    for (int p = 0; p < 6; ++p) sum += std::pow(norm(inputs[p]) * norm(weights[p]) * outputs[p][k], 2);
    worst = std::max(worst, std::sqrt(sum));
  }
  return worst * worst / 3;  // two dimensions, beside a direct sum of 9 terms of deviation 1
}

/// A sum of `terms` products of standard normal values has standard deviation sqrt(terms). Each of its
/// roundings, about as many as it has terms but most of them of small partial sums, is random: together some
/// epsilon * sqrt(terms) times a slowly growing factor. Winograd's transforms multiply that by
/// winograd_growth(). The worst of up to a million outputs lies five deviations out, and the transforms round
/// about ten times themselves, hence the factor.
double tolerance(std::int64_t terms) {
  const double size = std::sqrt(static_cast<double>(terms));
  return 16 * winograd_growth() * std::numeric_limits<float>::epsilon() * size *
         (1 + std::log2(static_cast<double>(terms)) / 8);
}

void expect_near(const Floats& actual, const Doubles& expected, double bound, const std::string& what) {
  ASSERT_EQ(actual.size(), expected.size());
  double worst = 0;
  for (std::size_t i = 0; i < actual.size(); ++i) {
    // A NaN left behind, or made, must not slip through a comparison.
    ASSERT_TRUE(std::isfinite(actual[i])) << what << " element " << i;
    worst = std::max(worst, std::abs(static_cast<double>(actual[i]) - expected[i]));
  }
  EXPECT_LE(worst, bound) << what;
}

std::string describe(const Problem& p) {
  const auto& s = p.shape;
  return std::to_string(s.n) + " x " + std::to_string(s.h) + " x " + std::to_string(s.w) + ", " +
         std::to_string(s.c_in) + " to " + std::to_string(s.c_out) +
         (p.layout == WeightLayout::kOihw ? " OIHW" : " OHWI");
}

void expect_definition(const Problem& p, const Results& r, const std::string& name) {
  const auto& s = p.shape;
  const Expected expected(p);
  expect_near(r.y, expected.y, tolerance(9 * s.c_in), name + ": y");
  expect_near(r.dx, expected.dx, tolerance(9 * s.c_out), name + ": dx");
  expect_near(r.dweight, expected.dweight, tolerance(p.pixels), name + ": dweight");
  expect_near(r.dbias, expected.dbias, tolerance(p.pixels), name + ": dbias");
}

TEST(Conv3x3, GridOfShapesEqualsTheDefinition) {
  const std::vector<std::pair<std::int64_t, std::int64_t>> maps = {{1, 1}, {1, 7}, {2, 2}, {4, 4},
                                                                   {5, 3}, {8, 8}, {9, 6}};
  const std::vector<std::pair<std::int64_t, std::int64_t>> channels = {
      {1, 1}, {1, 16}, {3, 64}, {7, 20}, {8, 8}, {9, 17}, {13, 5}, {24, 40}, {64, 48}};
  for (const auto& [h, w] : maps)
    for (const auto& [c_in, c_out] : channels)
      for (const std::int64_t n : {1, 3}) {
        const Problem p({n, h, w, c_in, c_out});
        expect_definition(p, compute(p), describe(p));
      }
}

TEST(Conv3x3, ChannelsLastWeightsEqualTheDefinition) {
  for (const Conv3x3Shape& shape : {Conv3x3Shape{2, 6, 5, 3, 24}, {2, 6, 5, 16, 24}, {1, 4, 4, 11, 9}}) {
    const Problem p(shape, WeightLayout::kOhwi);
    expect_definition(p, compute(p), describe(p));
  }
}

TEST(Conv3x3, LayersOfARealNetworkEqualTheDefinition) {
  for (const Conv3x3Shape& shape :
       {Conv3x3Shape{2, 32, 32, 3, 64}, {2, 16, 16, 64, 128}, {4, 4, 4, 256, 512}}) {
    const Problem p(shape);
    expect_definition(p, compute(p), describe(p));
  }
}

TEST(Conv3x3, SeveralChunksOfTilesEqualTheDefinition) {
  // More than 500 tiles: the gradient of the weights adds up over chunks, the last of them short.
  for (const Conv3x3Shape& shape : {Conv3x3Shape{10, 32, 32, 16, 16}, {13, 29, 31, 3, 8}}) {
    const Problem p(shape);
    expect_definition(p, compute(p), describe(p));
  }
}

TEST(Conv3x3, PlainLoopsEqualTheDefinition) {
  for (const Conv3x3Shape& shape : {Conv3x3Shape{2, 5, 4, 3, 10}, {3, 1, 1, 8, 16}, {1, 8, 7, 24, 17}})
    for (const WeightLayout layout : {WeightLayout::kOihw, WeightLayout::kOhwi}) {
      const Problem p(shape, layout);
      const auto strides = kernels::weight_strides(shape, layout);
      Results r(p);
      kernels::plain::forward(shape, p.x.data(), p.weight.data(), strides, p.bias.data(), r.y.data());
      kernels::plain::backward_data(shape, p.dy.data(), p.weight.data(), strides, r.dx.data());
      kernels::plain::backward_weights(shape, p.x.data(), p.dy.data(), r.dweight.data(), strides,
                                       r.dbias.data());
      expect_definition(p, r, describe(p));
    }
}

TEST(Conv3x3, KnownKernelGivesHandComputedValues) {
  // One channel in eight, weight 1 at the centre and 10 to its right: y = x + 10 * (right neighbour).
  const Conv3x3Shape shape{1, 2, 3, 8, 1};
  Floats x(48, 0.0F);
  const Floats first = {1, 2, 3, 4, 5, 6};
  for (std::size_t i = 0; i < 6; ++i) x[i * 8] = first[i];
  Floats weight(72, 0.0F);
  weight[4] = 1;
  weight[5] = 10;
  Floats y(6, NAN);
  conv3x3_forward(shape, x.data(), weight.data(), nullptr, y.data());
  const Floats expected = {21, 32, 3, 54, 65, 6};
  for (std::size_t i = 0; i < 6; ++i) EXPECT_NEAR(y[i], expected[i], 1e-4) << i;
}

TEST(Conv3x3, NoBiasMeansZeroBiasAndNoBiasGradient) {
  for (const std::int64_t c_in : {3, 16}) {
    Problem p({2, 5, 5, c_in, 24});
    std::fill(p.bias.begin(), p.bias.end(), 0.0F);
    const Results with = compute(p);
    Results without(p);
    conv3x3_forward(p.shape, p.x.data(), p.weight.data(), nullptr, without.y.data());
    conv3x3_backward_weights(p.shape, p.x.data(), p.dy.data(), without.dweight.data(), nullptr);
    EXPECT_EQ(with.y, without.y);
    EXPECT_EQ(with.dweight, without.dweight);
  }
}

TEST(Conv3x3, NumberOfThreadsDoesNotChangeABit) {
  const int before = num_threads();
  for (const Conv3x3Shape& shape :
       {Conv3x3Shape{7, 9, 10, 3, 24}, {7, 9, 10, 24, 40}, {16, 32, 32, 16, 16}}) {
    const Problem p(shape);
    set_num_threads(1);
    const Results one = compute(p);
    set_num_threads(3);
    const Results three = compute(p);
    set_num_threads(before);
    EXPECT_EQ(one.y, three.y);
    EXPECT_EQ(one.dx, three.dx);
    EXPECT_EQ(one.dweight, three.dweight);
    EXPECT_EQ(one.dbias, three.dbias);
  }
}

TEST(Conv3x3, GradientsMatchFiniteDifferences) {
  // The loss sum(y * dy) is linear in x and in the weights, so a central difference is exact but for
  // rounding.
  for (const std::int64_t c_in : {2, 8}) {
    const Problem p({1, 3, 4, c_in, 4});
    const Results r = compute(p);
    const auto loss = [&](const Problem& q) {
      Floats y(q.dy.size());
      conv3x3_forward(q.shape, q.x.data(), q.weight.data(), q.bias.data(), y.data());
      double sum = 0;
      for (std::size_t i = 0; i < y.size(); ++i) sum += static_cast<double>(y[i]) * q.dy[i];
      return sum;
    };
    constexpr float kStep = 0.5F;
    const auto check = [&](Floats Problem::*input, const Floats& gradient, const char* what) {
      for (std::size_t i = 0; i < gradient.size(); ++i) {
        Problem up = p;
        Problem down = p;
        (up.*input)[i] += kStep;
        (down.*input)[i] -= kStep;
        EXPECT_NEAR(gradient[i], (loss(up) - loss(down)) / (2 * kStep), 2e-3) << what << ' ' << i;
      }
    };
    check(&Problem::x, r.dx, "x");
    check(&Problem::weight, r.dweight, "weight");
    check(&Problem::bias, r.dbias, "bias");
  }
}

TEST(Conv3x3, UnalignedPointersGiveTheSameBits) {
  for (const std::int64_t c_in : {3, 16}) {
    const Problem p({2, 6, 6, c_in, 16});
    const Results aligned = compute(p);
    Floats x(1, 0.0F);
    x.insert(x.end(), p.x.begin(), p.x.end());
    Floats y(p.dy.size() + 1);
    conv3x3_forward(p.shape, x.data() + 1, p.weight.data(), p.bias.data(), y.data() + 1);
    EXPECT_EQ(aligned.y, Floats(y.begin() + 1, y.end()));
  }
}

TEST(Conv3x3, WritesNothingBeyondItsOutputs) {
  const Problem p({1, 5, 3, 9, 13});
  constexpr float kMark = 12345.0F;
  Floats y(p.dy.size() + 16, kMark);
  Floats dx(p.x.size() + 16, kMark);
  Floats dweight(p.weight.size() + 16, kMark);
  conv3x3_forward(p.shape, p.x.data(), p.weight.data(), nullptr, y.data());
  conv3x3_backward_data(p.shape, p.dy.data(), p.weight.data(), dx.data());
  conv3x3_backward_weights(p.shape, p.x.data(), p.dy.data(), dweight.data(), nullptr);
  for (const auto& [buffer, size] :
       {std::pair{&y, p.dy.size()}, {&dx, p.x.size()}, {&dweight, p.weight.size()}})
    for (std::size_t i = size; i < buffer->size(); ++i) EXPECT_EQ((*buffer)[i], kMark);
}

TEST(Conv3x3, WorksAfterItsWorkspaceIsReleased) {
  const Problem p({2, 6, 6, 16, 16});
  const Results before = compute(p);
  release_kernel_workspace();
  EXPECT_EQ(before.y, compute(p).y);
}

/// Weights transformed before, residual and bounds in the same pass: the bits of one after the other.
TEST(Conv3x3, InferenceEqualsForwardAndItsEpilogue) {
  if (!conv3x3_inference_applies(16, 16)) GTEST_SKIP() << "this CPU has no such kernel";
  for (const Conv3x3Shape& s : {Conv3x3Shape{1, 4, 4, 16, 16}, Conv3x3Shape{2, 7, 5, 11, 27},
                                Conv3x3Shape{3, 16, 16, 64, 40}, Conv3x3Shape{40, 5, 3, 24, 8}}) {
    const Problem p(s);
    const Conv3x3Weights weights(s.c_in, s.c_out, p.weight.data());
    Floats expected(p.dy.size()), y(p.dy.size(), NAN);
    conv3x3_forward(s, p.x.data(), p.weight.data(), p.bias.data(), expected.data());
    const float inf = std::numeric_limits<float>::infinity();
    conv3x3_inference(s, p.x.data(), weights, {.bias = p.bias.data(), .low = -inf, .high = inf}, y.data());
    EXPECT_EQ(y, expected);
    for (std::size_t i = 0; i < y.size(); ++i) expected[i] = std::clamp(expected[i] + p.dy[i], 0.0F, 2.0F);
    y = p.dy;  // The residual's own memory.
    conv3x3_inference(s, p.x.data(), weights,
                      {.bias = p.bias.data(), .residual = y.data(), .low = 0, .high = 2}, y.data());
    EXPECT_EQ(y, expected);
  }
}

TEST(Conv3x3, InferenceRefusesWhatItHasNoKernelFor) {
  const Floats weight(9 * 3 * 16);
  EXPECT_THROW(Conv3x3Weights(3, 16, weight.data()), Error);
}

TEST(Conv3x3, SizesBelowOneAreRefused) {
  float value = 0;
  for (const Conv3x3Shape& shape :
       {Conv3x3Shape{0, 4, 4, 8, 8}, {1, 0, 4, 8, 8}, {1, 4, -1, 8, 8}, {1, 4, 4, 0, 8}, {1, 4, 4, 8, 0}}) {
    EXPECT_THROW(conv3x3_forward(shape, &value, &value, nullptr, &value), Error);
    EXPECT_THROW(conv3x3_backward_data(shape, &value, &value, &value), Error);
    EXPECT_THROW(conv3x3_backward_weights(shape, &value, &value, &value, nullptr), Error);
  }
}

}  // namespace
}  // namespace octavo
