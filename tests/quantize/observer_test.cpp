#include "octavo/quantize/observer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "octavo/core/error.h"
#include "octavo/quantize/histogram.h"

namespace octavo {
namespace {

Range range_of(const ObserverConfig& config, const std::vector<float>& values, int levels = 256) {
  const auto observer = make_observer(config);
  observer->observe(values);
  return observer->range(levels);
}

std::vector<float> normal_values(std::size_t count, std::uint32_t seed, bool relu) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (float& x : values) x = relu ? std::max(0.0F, normal(random)) : normal(random);
  return values;
}

double squared_error(const std::vector<float>& values, Range range, int levels) {
  const QuantParams p = choose_activation_params(range, levels);
  double sum = 0;
  for (const float x : values) {
    const std::int32_t q = quantize(x, p.scale(), p.zero_point(), p.qmin, p.qmax);
    const double error = static_cast<double>(x) - dequantize(q, p.scale(), p.zero_point());
    sum += error * error;
  }
  return sum;
}

/// The divergence by its definition, bin by bin; infinite where P is not 0 and Q is.
double divergence(const Density& density, Range range, int levels) {
  const QuantParams params = choose_activation_params(range, levels);
  const auto size = static_cast<std::int64_t>(density.counts.size());
  const auto bin_at = [&](double x) {
    const double bin = std::nearbyint(x / density.width) - static_cast<double>(density.first);
    return static_cast<std::int64_t>(std::clamp(bin, 0.0, static_cast<double>(size)));
  };
  const std::int64_t begin = range.min <= density.edges.front() ? 0 : bin_at(range.min);
  const std::int64_t end = range.max >= density.edges.back() ? size : bin_at(range.max);
  std::vector<double> p(density.counts.begin() + begin, density.counts.begin() + end);
  std::vector<double> q = p;
  for (std::int64_t i = 0; i < begin; ++i) p.front() += density.counts[i];
  for (std::int64_t i = end; i < size; ++i) p.back() += density.counts[i];
  std::vector<int> level(q.size());
  for (std::size_t i = 0; i < q.size(); ++i) {
    while (level[i] < params.qmax && bin_at((level[i] - params.zero_point() + 0.5) * params.scale()) <=
                                         begin + static_cast<std::int64_t>(i)) {
      ++level[i];
    }
  }
  std::vector<double> spread = q;
  for (std::size_t i = 0; i < q.size(); ++i) {
    double mass = 0;
    double occupied = 0;
    for (std::size_t k = 0; k < q.size(); ++k) {
      if (level[k] != level[i]) continue;
      mass += q[k];
      occupied += q[k] > 0 ? 1 : 0;
    }
    spread[i] = q[i] > 0 ? mass / occupied : 0;
  }
  double p_sum = 0;
  double q_sum = 0;
  for (std::size_t i = 0; i < p.size(); ++i) {
    p_sum += p[i];
    q_sum += spread[i];
  }
  double result = 0;
  for (std::size_t i = 0; i < p.size(); ++i) {
    if (p[i] > 0) result += p[i] / p_sum * std::log(p[i] / p_sum / (spread[i] / q_sum));
  }
  return result;
}

class EveryObserver : public testing::TestWithParam<std::string> {
 protected:
  ObserverConfig config() const { return {.kind = GetParam()}; }
};

INSTANTIATE_TEST_SUITE_P(Kinds, EveryObserver, testing::ValuesIn(observer_names()), [](const auto& kind) {
  std::string name = kind.param;
  std::erase(name, '-');
  return name;
});

TEST_P(EveryObserver, EmptyAndAllZeroGiveAnEmptyRange) {
  for (const auto& values :
       {std::vector<float>{}, std::vector<float>(1000, 0.0F), std::vector<float>(3, -0.0F)}) {
    const Range range = range_of(config(), values);
    EXPECT_EQ(range.min, 0.0F);
    EXPECT_EQ(range.max, 0.0F);
    EXPECT_EQ(choose_activation_params(range).scale(), 1.0F);
  }
}

TEST_P(EveryObserver, ConstantAndSingleValuesAreKept) {
  for (const float value : {3.7F, -3.7F, 1e-30F, -1e30F, 1.0F}) {
    for (const std::size_t count : {1UL, 1000UL}) {
      const Range range = range_of(config(), std::vector<float>(count, value));
      EXPECT_EQ(range.min, std::min(value, 0.0F));
      EXPECT_EQ(range.max, std::max(value, 0.0F));
    }
  }
}

TEST_P(EveryObserver, NegativeValuesGiveANegativeRange) {
  std::vector<float> values = normal_values(10'000, 1, true);
  const Range positive = range_of(config(), values);
  for (float& x : values) x = -x;
  const Range negative = range_of(config(), values);
  EXPECT_GT(positive.max, 2.0F);
  EXPECT_EQ(negative.max, 0.0F);
  EXPECT_NEAR(negative.min, -positive.max, 0.01F * positive.max);
}

TEST_P(EveryObserver, TinyValuesAreSafe) {
  constexpr float kDenormal = std::numeric_limits<float>::denorm_min();
  const Range range = range_of(config(), {kDenormal, -kDenormal, 3 * kDenormal, 0.0F});
  EXPECT_LE(range.max, 3 * kDenormal);
  EXPECT_GE(range.min, -kDenormal);
  EXPECT_NO_THROW(validate(choose_activation_params(range), "tiny"));
}

TEST_P(EveryObserver, HugeValuesAreSafe) {
  constexpr float kLargest = std::numeric_limits<float>::max();
  const Range range = range_of(config(), {kLargest, -kLargest, 1.0F});
  EXPECT_TRUE(std::isfinite(range.min) && std::isfinite(range.max));
  EXPECT_NO_THROW(validate(choose_activation_params(range), "huge"));
}

TEST_P(EveryObserver, RangeNeverLeavesTheValues) {
  for (const int levels : {2, 16, 256}) {
    for (const bool relu : {false, true}) {
      const std::vector<float> values = normal_values(5000, 2, relu);
      const Range range = range_of(config(), values, levels);
      EXPECT_LE(range.max, *std::ranges::max_element(values));
      EXPECT_GE(range.min, std::min(0.0F, *std::ranges::min_element(values)));
      EXPECT_LT(range.min, range.max);
    }
  }
}

TEST_P(EveryObserver, NonFiniteValuesAreRejectedAndForgotten) {
  const auto observer = make_observer(config());
  const std::vector<float> values = normal_values(1000, 3, false);
  observer->observe(values);
  const Range before = observer->range(256);
  for (const float bad : {std::nanf(""), std::numeric_limits<float>::infinity()}) {
    try {
      observer->observe(std::vector<float>{100.0F, bad});
      FAIL() << "accepted " << bad;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kBadInput);
    }
  }
  EXPECT_EQ(observer->range(256).min, before.min);
  EXPECT_EQ(observer->range(256).max, before.max);
}

TEST_P(EveryObserver, LevelsOutOfRangeAreRejected) {
  const auto observer = make_observer(config());
  EXPECT_THROW((void)observer->range(1), Error);
  EXPECT_THROW((void)observer->range(257), Error);
}

TEST_P(EveryObserver, OrderAndBatchesDoNotMatter) {
  if (GetParam() == "moving-average") return;  // by definition they do
  std::vector<float> values = normal_values(50'000, 4, false);
  values[17] = 40.0F;
  const Range expected = range_of(config(), values);
  std::ranges::sort(values);
  const auto observer = make_observer(config());
  for (std::size_t i = 0; i < values.size(); i += 1000) observer->observe(std::span(values).subspan(i, 1000));
  EXPECT_EQ(observer->range(256).min, expected.min);
  EXPECT_EQ(observer->range(256).max, expected.max);
}

TEST_P(EveryObserver, ZerosDoNotMoveTheRange) {
  if (GetParam() == "moving-average") return;  // a batch of nothing but zeros pulls the average
  std::vector<float> values = normal_values(20'000, 5, true);
  std::erase(values, 0.0F);
  const Range dense = range_of(config(), values);
  values.resize(values.size() * 20, 0.0F);
  const Range sparse = range_of(config(), values);
  EXPECT_NEAR(sparse.max, dense.max,
              2e-3F * dense.max);  // the bin next to zero begins at 0, not at the least value
  EXPECT_EQ(sparse.min, dense.min);
}

TEST(Observer, UnknownKindNamesTheKnownOnes) {
  try {
    make_observer({.kind = "median"});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUsage);
    EXPECT_STREQ(
        error.what(),
        "observer: unknown kind; expected one of min-max, moving-average, percentile, mse, entropy, got "
        "'median'");
  }
}

TEST(Observer, SettingsOutOfRangeAreRejected) {
  for (const ObserverConfig& config :
       {ObserverConfig{.kind = "percentile", .percentile = 50.0F},
        ObserverConfig{.kind = "percentile", .percentile = 100.1F},
        ObserverConfig{.kind = "percentile", .percentile = std::nanf("")},
        ObserverConfig{.kind = "moving-average", .momentum = 1.0F},
        ObserverConfig{.kind = "moving-average", .momentum = -0.1F}, ObserverConfig{.kind = "mse", .bins = 8},
        ObserverConfig{.kind = "entropy", .bins = 1 << 17}}) {
    try {
      make_observer(config);
      FAIL() << config.kind;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kUsage);
    }
  }
}

TEST(MinMax, RangeOnlyGrowsAndHoldsZero) {
  const auto observer = make_observer({.kind = "min-max"});
  observer->observe(std::vector<float>{2.0F, 5.0F});
  EXPECT_EQ(observer->range(256).min, 0.0F);
  EXPECT_EQ(observer->range(256).max, 5.0F);
  observer->observe(std::vector<float>{-3.0F, 1.0F});
  EXPECT_EQ(observer->range(256).min, -3.0F);
  EXPECT_EQ(observer->range(256).max, 5.0F);
}

TEST(MovingAverage, BlendsBatches) {
  const auto observer = make_observer({.kind = "moving-average", .momentum = 0.75F});
  observer->observe(std::vector<float>{-4.0F, 8.0F});
  observer->observe(std::vector<float>{-8.0F, 16.0F});
  EXPECT_EQ(observer->range(256).min, -5.0F);  // 0.75 * -4 + 0.25 * -8
  EXPECT_EQ(observer->range(256).max, 10.0F);
  observer->observe({});
  EXPECT_EQ(observer->range(256).max, 10.0F);
}

TEST(Percentile, KeepsThatPartOfTheNonZeroValues) {
  std::vector<float> values(10'000);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i + 1);
  // 10000 values in bins of width 4: exact to one bin.
  EXPECT_NEAR(range_of({.kind = "percentile", .percentile = 99.0F}, values).max, 9900.0F, 4.0F);
  EXPECT_EQ(range_of({.kind = "percentile", .percentile = 99.0F}, values).min, 0.0F);
  EXPECT_EQ(range_of({.kind = "percentile", .percentile = 100.0F}, values).max, 10'000.0F);
  for (float& x : values) x = -x;
  EXPECT_NEAR(range_of({.kind = "percentile", .percentile = 99.0F}, values).min, -9900.0F, 4.0F);
}

TEST(Percentile, TakesHalfFromEachEndOfATwoSidedTensor) {
  std::vector<float> values;
  for (int i = 1; i <= 1000; ++i) {
    values.push_back(static_cast<float>(i));
    values.push_back(static_cast<float>(-i));
  }
  const Range range = range_of({.kind = "percentile", .percentile = 90.0F}, values);
  EXPECT_NEAR(range.max, 900.0F, 1.0F);
  EXPECT_NEAR(range.min, -900.0F, 1.0F);
}

TEST(Mse, LeavesOutARareOutlier) {
  std::vector<float> values = normal_values(1'000'000, 6, true);
  values[5] = 60.0F;
  const Range range = range_of({.kind = "mse"}, values);
  // A range up to c costs (c / 255)^2 / 12 on each of the values above zero, 0.64 c^2 in all, and (60 - c)^2
  // on the outlier: least at c = 60 / 1.64.
  EXPECT_NEAR(range.max, 60.0F / 1.64F, 0.4F);
  EXPECT_LT(squared_error(values, range, 256), squared_error(values, {.min = 0, .max = 60.0F}, 256));
}

TEST(Mse, ClipsOneEndAloneWhereTheOutliersAre) {
  std::vector<float> values = normal_values(1'000'000, 7, false);
  values[5] = -100.0F;
  const Range range = range_of({.kind = "mse"}, values);
  EXPECT_GT(range.min, -50.0F);
  EXPECT_GT(range.max, 3.5F);
}

TEST(Mse, IsAsGoodAsTheBestOfAFineGrid) {
  for (const bool relu : {true, false}) {
    for (const int levels : {4, 16, 256}) {
      std::vector<float> values = normal_values(20'000, 8, relu);
      for (float& x : values) x = x * x * x;  // heavy tails
      const Range range = range_of({.kind = "mse"}, values, levels);
      const float lowest = std::min(0.0F, *std::ranges::min_element(values));
      const float highest = *std::ranges::max_element(values);
      double best = std::numeric_limits<double>::infinity();
      for (int i = 1; i <= 40; ++i) {
        for (int k = relu ? 40 : 1; k <= 40; ++k) {
          const Range candidate{.min = lowest * static_cast<float>(k) / 40,
                                .max = highest * static_cast<float>(i) / 40};
          best = std::min(best, squared_error(values, candidate, levels));
        }
      }
      EXPECT_LT(squared_error(values, range, levels), 1.01 * best) << levels << " levels, relu " << relu;
    }
  }
}

TEST(Mse, MatchesTheKnownOptimumForAGaussianTensor) {
  // Least mean squared error of a uniform quantizer for a standard normal: J. Max 1960, table II: for 16
  // levels the step is 0.3352, so 15 steps span 5.03; an affine grid with an exact zero is one level short of
  // symmetric, 7 and 8.
  const Range range = range_of({.kind = "mse"}, normal_values(2'000'000, 9, false), 16);
  EXPECT_NEAR((range.max - range.min) / 15, 0.3352F, 0.012F);
}

TEST(Entropy, KeepsAUniformTensorWhole) {
  std::mt19937 random(10);
  std::uniform_real_distribution<float> uniform(-1.0F, 3.0F);
  std::vector<float> values(400'000);
  for (float& x : values) x = uniform(random);
  const Range range = range_of({.kind = "entropy"}, values);
  EXPECT_LT(range.min, -0.97F);
  EXPECT_GT(range.max, 2.97F);
}

TEST(Entropy, LeavesOutARareOutlier) {
  for (const bool relu : {true, false}) {
    std::vector<float> values = normal_values(500'000, 11, relu);
    values[3] = 50.0F;
    const Range range = range_of({.kind = "entropy"}, values);
    EXPECT_LT(range.max, 15.0F);
    EXPECT_GT(range.max, 2.5F);
  }
}

TEST(Entropy, IsAsGoodAsTheBestOfAGrid) {
  for (const char* kind : {"positive", "negative", "two-sided"}) {
    const bool two_sided = kind == std::string("two-sided");
    std::vector<float> values = normal_values(20'000, 12, !two_sided);
    for (float& x : values) x = x * std::fabs(x) * (kind == std::string("negative") ? -1.0F : 1.0F);
    Histogram histogram(128);
    histogram.observe(values);
    const Density density = density_of(histogram);
    const Range range = range_of({.kind = "entropy", .bins = 128}, values, 16);
    double best = std::numeric_limits<double>::infinity();
    for (int i = 4; i <= 24; ++i) {
      for (int k = 4; k <= 24; ++k) {
        const Range candidate{.min = histogram.min() * static_cast<float>(k) / 24,
                              .max = histogram.max() * static_cast<float>(i) / 24};
        best = std::min(best, divergence(density, candidate, 16));
      }
    }
    EXPECT_LT(divergence(density, range, 16), 1.05 * best) << kind;
  }
}

TEST(Entropy, FewValuesKeepTheirWholeRange) {
  const Range range = range_of({.kind = "entropy"}, {-1.0F, 0.5F, 2.0F, 7.0F});
  EXPECT_EQ(range.min, -1.0F);
  EXPECT_EQ(range.max, 7.0F);
}

}  // namespace
}  // namespace octavo
