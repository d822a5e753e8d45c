#include "octavo/kernels/norm.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "norm_impl.h"
#include "octavo/core/error.h"
#include "octavo/core/parallel.h"

namespace octavo {
namespace {

using Floats = std::vector<float>;
using Doubles = std::vector<double>;

constexpr double kEpsilon = std::numeric_limits<float>::epsilon();

struct Problem {
  explicit Problem(const BatchNormShape& s, float offset = 0.5F)
      : shape(s), pixels(s.n * s.h * s.w), out(pixels) {
    if (s.pool) out = s.n * (s.h / 2) * (s.w / 2);
    std::mt19937 generator(7);
    std::normal_distribution<float> normal;
    const auto draw = [&](std::int64_t count, float mean) {
      Floats values(static_cast<std::size_t>(count));
      for (float& value : values) value = normal(generator) + mean;
      return values;
    };
    x = draw(pixels * s.c, offset);
    gamma = draw(s.c, 0);  // both signs: a negative one turns the maximum into the minimum
    beta = draw(s.c, 0);
    dy = draw(out * s.c, 0);
  }
  BatchNormShape shape;
  std::int64_t pixels, out;
  Floats x, gamma, beta, dy;
};

struct Results {
  explicit Results(const Problem& p)
      : mean(p.gamma.size(), NAN),
        variance(p.gamma.size(), NAN),
        y(p.dy.size(), NAN),
        x_max(p.dy.size(), NAN),
        dx(p.x.size(), NAN),
        dgamma(p.gamma.size(), NAN),
        dbeta(p.gamma.size(), NAN),
        argmax(p.dy.size(), 99) {}
  Floats mean, variance, y, x_max, dx, dgamma, dbeta;
  std::vector<std::uint8_t> argmax;

  BatchNormSaved saved(bool pool) {
    return {mean.data(), variance.data(), pool ? x_max.data() : nullptr, pool ? argmax.data() : nullptr};
  }
};

template <typename Forward, typename Backward>
Results compute(const Problem& p, const Forward& forward, const Backward& backward) {
  Results r(p);
  const BatchNormSaved saved = r.saved(p.shape.pool);
  forward(p.shape, p.x.data(), p.gamma.data(), p.beta.data(), r.y.data(), saved);
  backward(p.shape, p.x.data(), p.gamma.data(), p.beta.data(), saved, p.dy.data(), r.dx.data(),
           r.dgamma.data(), r.dbeta.data());
  return r;
}

Results compute(const Problem& p) { return compute(p, batch_norm_forward, batch_norm_backward); }

/// The definition in double, a channel at a time. `winner` is the index of the pixel each output came from,
/// or -1.
struct Expected {
  explicit Expected(const Problem& p)
      : mean(p.gamma.size()),
        variance(p.gamma.size()),
        y(p.dy.size()),
        dx(p.x.size()),
        dgamma(p.gamma.size()),
        dbeta(p.gamma.size()),
        margin(p.dy.size(), 1e9) {
    const auto& s = p.shape;
    const auto count = static_cast<double>(p.pixels);
    for (std::int64_t c = 0; c < s.c; ++c) {
      const auto at = static_cast<std::size_t>(c);
      const auto x = [&](std::int64_t i) {
        return static_cast<double>(p.x[static_cast<std::size_t>(i * s.c + c)]);
      };
      for (std::int64_t i = 0; i < p.pixels; ++i) mean[at] += x(i) / count;
      for (std::int64_t i = 0; i < p.pixels; ++i)
        variance[at] += (x(i) - mean[at]) * (x(i) - mean[at]) / count;
      const double inverse_std = 1 / std::sqrt(variance[at] + s.epsilon);
      const auto x_hat = [&](std::int64_t i) { return (x(i) - mean[at]) * inverse_std; };
      const auto value = [&](std::int64_t i) { return x_hat(i) * p.gamma[at] + p.beta[at]; };
      Doubles g(static_cast<std::size_t>(p.pixels));
      std::int64_t o = 0;
      const auto emit = [&](std::int64_t winner, double second) {
        const auto out = static_cast<std::size_t>(o++ * s.c + c);
        const double most = value(winner);
        margin[out] = most - second;
        if (s.relu) margin[out] = std::min(margin[out], std::abs(most));
        y[out] = s.relu ? std::max(0.0, most) : most;
        if (!s.relu || most > 0) g[static_cast<std::size_t>(winner)] = p.dy[out];
      };
      if (!s.pool) {
        for (std::int64_t i = 0; i < p.pixels; ++i) emit(i, -1e9);
      } else {
        for (std::int64_t n = 0; n < s.n; ++n)
          for (std::int64_t row = 0; row + 1 < s.h; row += 2)
            for (std::int64_t column = 0; column + 1 < s.w; column += 2) {
              const std::int64_t first = (n * s.h + row) * s.w + column;
              std::vector<std::int64_t> window = {first, first + 1, first + s.w, first + s.w + 1};
              std::stable_sort(window.begin(), window.end(),
                               [&](std::int64_t a, std::int64_t b) { return value(a) > value(b); });
              emit(window[0], value(window[1]));
            }
      }
      double sum = 0;
      double product = 0;
      for (std::int64_t i = 0; i < p.pixels; ++i) {
        sum += g[static_cast<std::size_t>(i)];
        product += g[static_cast<std::size_t>(i)] * x_hat(i);
      }
      dbeta[at] = sum;
      dgamma[at] = product;
      for (std::int64_t i = 0; i < p.pixels; ++i)
        dx[static_cast<std::size_t>(i * s.c + c)] =
            p.gamma[at] * inverse_std *
            (g[static_cast<std::size_t>(i)] - sum / count - x_hat(i) * product / count);
    }
  }
  Doubles mean, variance, y, dx, dgamma, dbeta;
  Doubles margin;  ///< How far each output was from another winner, or from ReLU's edge.
};

void expect_near(const Floats& actual, const Doubles& expected, double relative, const std::string& what) {
  ASSERT_EQ(actual.size(), expected.size());
  double scale = 1;
  for (const double value : expected) scale = std::max(scale, std::abs(value));
  for (std::size_t i = 0; i < actual.size(); ++i) {
    ASSERT_TRUE(std::isfinite(actual[i])) << what << ' ' << i;
    ASSERT_NEAR(actual[i], expected[i], relative * scale) << what << ' ' << i;
  }
}

std::string describe(const BatchNormShape& s) {
  return std::to_string(s.n) + " x " + std::to_string(s.h) + " x " + std::to_string(s.w) + " x " +
         std::to_string(s.c) + (s.relu ? " relu" : "") + (s.pool ? " pool" : "");
}

void expect_definition(const Problem& p, const Results& r) {
  const Expected expected(p);
  const std::string name = describe(p.shape);
  // With a nearly constant channel the normalized values are as uncertain as x itself times inverse_std.
  double inverse_std = 1;
  for (const double variance : expected.variance)
    inverse_std = std::max(inverse_std, 1 / std::sqrt(variance + p.shape.epsilon));
  for (std::size_t i = 0; i < p.dy.size(); ++i)
    ASSERT_GT(expected.margin[i], 1e-6) << name << ": choose another seed; output " << i << " is a tie";
  // Sums of at most 1,024 floats, then doubles: the error of a sum is some 32 roundings of its size.
  expect_near(r.mean, expected.mean, 32 * kEpsilon, name + ": mean");
  expect_near(r.variance, expected.variance, 64 * kEpsilon, name + ": variance");
  const double slack = 64 * kEpsilon * inverse_std;
  expect_near(r.y, expected.y, slack, name + ": y");
  expect_near(r.dx, expected.dx, 2 * slack, name + ": dx");
  expect_near(r.dgamma, expected.dgamma, slack, name + ": dgamma");
  expect_near(r.dbeta, expected.dbeta, slack, name + ": dbeta");
}

std::vector<BatchNormShape> grid() {
  std::vector<BatchNormShape> shapes;
  for (const std::int64_t c : {1, 3, 8, 24, 37, 64})
    for (const auto& [h, w] : {std::pair<std::int64_t, std::int64_t>{2, 2}, {5, 7}, {8, 6}})
      for (const std::int64_t n : {2, 5})
        for (const bool relu : {false, true})
          for (const bool pool : {false, true})
            shapes.push_back({.n = n, .h = h, .w = w, .c = c, .relu = relu, .pool = pool});
  return shapes;
}

TEST(BatchNorm, GridOfShapesEqualsTheDefinition) {
  for (const BatchNormShape& shape : grid()) {
    const Problem p(shape);
    expect_definition(p, compute(p));
  }
}

TEST(BatchNorm, PlainLoopsEqualTheDefinition) {
  for (const BatchNormShape& shape : grid()) {
    const Problem p(shape);
    expect_definition(p, compute(p, kernels::plain::batch_norm_forward, kernels::plain::batch_norm_backward));
  }
}

TEST(BatchNorm, FarFromZeroTheVarianceIsStillRight) {
  // The sum of squares would lose every digit of the variance here: (1e4)^2 against 1.
  const Problem p({.n = 16, .h = 32, .w = 32, .c = 8}, 1e4F);
  const Results r = compute(p);
  const Expected expected(p);
  for (std::size_t c = 0; c < 8; ++c) {
    EXPECT_NEAR(r.mean[c], expected.mean[c], 1e4 * 4 * kEpsilon);
    // The means of chunks are floats: off by at most half of 1e4 * epsilon, and the variance by the square of
    // that.
    EXPECT_NEAR(r.variance[c], expected.variance[c], 1e-5);
  }
}

TEST(BatchNorm, OnePixelGivesBetaAndNoGradientToX) {
  Problem p({.n = 1, .h = 1, .w = 1, .c = 11});
  const Results r = compute(p);
  for (std::size_t c = 0; c < 11; ++c) {
    EXPECT_EQ(r.variance[c], 0.0F);
    EXPECT_EQ(r.y[c], p.beta[c]);
    EXPECT_EQ(r.dgamma[c], 0.0F);
    EXPECT_EQ(r.dbeta[c], p.dy[c]);
    EXPECT_NEAR(r.dx[c], 0.0F, 1e-4);  // 1 / sqrt(1e-5) enlarges the rounding of dy - mean(dy)
  }
}

TEST(BatchNorm, TiesGoToTheFirstAndReluClosesAtZero) {
  // Gamma 0: every normalized value equals beta.
  for (const float beta : {2.0F, 0.0F, -2.0F}) {
    Problem p({.n = 1, .h = 2, .w = 4, .c = 9, .relu = true, .pool = true});
    std::fill(p.gamma.begin(), p.gamma.end(), 0.0F);
    std::fill(p.beta.begin(), p.beta.end(), beta);
    const Results r = compute(p);
    for (std::size_t i = 0; i < p.dy.size(); ++i) {
      EXPECT_EQ(r.y[i], std::max(0.0F, beta));
      EXPECT_EQ(r.argmax[i], beta > 0 ? 0 : 4);
    }
    for (std::size_t c = 0; c < 9; ++c) EXPECT_EQ(r.dbeta[c], beta > 0 ? p.dy[c] + p.dy[9 + c] : 0.0F);
  }
}

TEST(BatchNorm, PooledPixelsAndTheirPlacesAgree) {
  const Problem p({.n = 2, .h = 5, .w = 5, .c = 10, .pool = true});
  const Results r = compute(p);
  for (std::int64_t i = 0; i < p.out; ++i)
    for (std::int64_t c = 0; c < 10; ++c) {
      const auto out = static_cast<std::size_t>(i * 10 + c);
      ASSERT_LT(r.argmax[out], 4);
      const std::int64_t row = i % 4 / 2 * 2 + r.argmax[out] / 2;
      const std::int64_t column = i % 2 * 2 + r.argmax[out] % 2;
      EXPECT_EQ(r.x_max[out], p.x[static_cast<std::size_t>(((i / 4 * 5 + row) * 5 + column) * 10 + c)]);
    }
}

TEST(ReluPool, EqualsTheDefinition) {
  for (BatchNormShape shape : grid()) {
    shape.relu = shape.pool = true;
    const Problem p(shape);
    const PoolShape sizes{shape.n, shape.h, shape.w, shape.c};
    Floats y(p.dy.size(), 0.0F);
    Floats dx(p.x.size(), 0.0F);
    const std::int64_t height = shape.h / 2;
    const std::int64_t width = shape.w / 2;
    for (std::size_t i = 0; i < y.size(); ++i) {
      const auto at = static_cast<std::int64_t>(i);
      const std::int64_t pixel = at / shape.c;
      std::size_t best = p.x.size();
      for (std::int64_t k = 0; k < 4; ++k) {
        const std::int64_t row = pixel / width / height * shape.h + pixel / width % height * 2 + k / 2;
        const std::int64_t column = pixel % width * 2 + k % 2;
        const auto candidate = static_cast<std::size_t>((row * shape.w + column) * shape.c + at % shape.c);
        if (best == p.x.size() || p.x[candidate] > p.x[best]) best = candidate;
      }
      y[i] = std::max(0.0F, p.x[best]);
      if (y[i] > 0) dx[best] = p.dy[i];
    }
    const auto expect_equal = [&](auto forward, auto backward, auto s) {
      Floats own_y(y.size(), NAN);
      Floats own_dx(dx.size(), NAN);
      std::vector<std::uint8_t> argmax(y.size(), 99);
      forward(s, p.x.data(), own_y.data(), argmax.data());
      backward(s, argmax.data(), p.dy.data(), own_dx.data());
      EXPECT_EQ(own_y, y) << describe(shape);
      EXPECT_EQ(own_dx, dx) << describe(shape);
    };
    expect_equal(relu_pool_forward, relu_pool_backward, sizes);
    expect_equal(kernels::plain::relu_pool_forward, kernels::plain::relu_pool_backward, shape);
  }
}

TEST(BatchNorm, GradientsMatchFiniteDifferences) {
  for (const bool pool : {false, true}) {
    const Problem p({.n = 2, .h = 3, .w = 2, .c = 2, .relu = true, .pool = pool});
    const Results r = compute(p);
    const auto loss = [](const Problem& q) {
      const Expected expected(q);
      double sum = 0;
      for (std::size_t i = 0; i < q.dy.size(); ++i) sum += expected.y[i] * q.dy[i];
      return sum;
    };
    constexpr float kStep = 1e-3F;
    const auto check = [&](Floats Problem::*input, const Floats& gradient, const char* what) {
      for (std::size_t i = 0; i < gradient.size(); ++i) {
        Problem up = p;
        Problem down = p;
        (up.*input)[i] += kStep;
        (down.*input)[i] -= kStep;
        const double width = static_cast<double>((up.*input)[i]) - (down.*input)[i];
        EXPECT_NEAR(gradient[i], (loss(up) - loss(down)) / width, 1e-4)
            << what << ' ' << i << " pool " << pool;
      }
    };
    check(&Problem::x, r.dx, "x");
    check(&Problem::gamma, r.dgamma, "gamma");
    check(&Problem::beta, r.dbeta, "beta");
  }
}

TEST(BatchNorm, NumberOfThreadsDoesNotChangeABit) {
  const int before = num_threads();
  for (const bool pool : {false, true}) {
    const Problem p({.n = 9, .h = 15, .w = 14, .c = 40, .relu = true, .pool = pool});
    set_num_threads(1);
    const Results one = compute(p);
    set_num_threads(3);
    const Results three = compute(p);
    set_num_threads(before);
    EXPECT_EQ(one.y, three.y);
    EXPECT_EQ(one.dx, three.dx);
    EXPECT_EQ(one.dgamma, three.dgamma);
    EXPECT_EQ(one.dbeta, three.dbeta);
  }
}

TEST(BatchNorm, GradientMayOverwriteItsInput) {
  const Problem p({.n = 3, .h = 4, .w = 5, .c = 21, .relu = true});
  Results r = compute(p);
  Floats gradient = p.dy;
  batch_norm_backward(p.shape, p.x.data(), p.gamma.data(), p.beta.data(), r.saved(false), gradient.data(),
                      gradient.data(), r.dgamma.data(), r.dbeta.data());
  EXPECT_EQ(gradient, r.dx);
}

TEST(BatchNorm, NanInABatchIsNotHidden) {
  Problem p({.n = 1, .h = 4, .w = 4, .c = 8, .relu = true, .pool = true});
  p.x[5 * 8 + 3] = NAN;
  const Results r = compute(p);
  EXPECT_TRUE(std::isnan(r.y[3]));
  EXPECT_FALSE(std::isnan(r.y[2]));
}

TEST(BatchNorm, BadSizesAreRefused) {
  float value = 0;
  const BatchNormSaved saved;
  for (const BatchNormShape& shape : {BatchNormShape{.n = 0, .h = 2, .w = 2, .c = 8},
                                      {.n = 1, .h = 2, .w = 2, .c = 0},
                                      {.n = 1, .h = 1, .w = 2, .c = 8, .pool = true},
                                      {.n = 1, .h = -2, .w = 2, .c = 8}}) {
    EXPECT_THROW(batch_norm_forward(shape, &value, &value, &value, &value, saved), Error);
    EXPECT_THROW(batch_norm_backward(shape, &value, &value, &value, saved, &value, &value, &value, &value),
                 Error);
  }
}

}  // namespace
}  // namespace octavo
