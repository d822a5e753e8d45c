#include "octavo/core/statistics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "octavo/core/error.h"

namespace octavo {
namespace {

TEST(Summary, TenSamplesGiveHandComputedValues) {
  // Sum 66, mean 6.6; squared deviations sum to 200.4; sorted: 1 2 3 4 5 6 8 9 12 16.
  const Summary summary = summarize(std::vector<double>{9, 1, 16, 4, 12, 2, 5, 8, 6, 3});
  EXPECT_DOUBLE_EQ(summary.mean, 6.6);
  EXPECT_NEAR(summary.std, std::sqrt(200.4 / 9), 1e-12);
  EXPECT_DOUBLE_EQ(summary.median, 5.5);
  EXPECT_DOUBLE_EQ(summary.p90, 12);  // Rank ceil(9) = 9.
}

TEST(Summary, OddCountTakesMiddleSample) {
  const Summary summary = summarize(std::vector<double>{5, 1, 3});
  EXPECT_DOUBLE_EQ(summary.median, 3);
  EXPECT_DOUBLE_EQ(summary.std, 2);
  EXPECT_DOUBLE_EQ(summary.p90, 5);  // Rank ceil(2.7) = 3.
}

TEST(Summary, OneSampleHasNoSpread) {
  const Summary summary = summarize(std::vector<double>{7});
  EXPECT_DOUBLE_EQ(summary.mean, 7);
  EXPECT_DOUBLE_EQ(summary.std, 0);
  EXPECT_DOUBLE_EQ(summary.median, 7);
  EXPECT_DOUBLE_EQ(summary.p90, 7);
}

TEST(Summary, HundredSamplesHaveNinetiethAsP90) {
  std::vector<double> samples;
  for (int i = 100; i >= 1; --i) samples.push_back(i);
  EXPECT_DOUBLE_EQ(summarize(samples).p90, 90);
  EXPECT_DOUBLE_EQ(summarize(samples).median, 50.5);
}

TEST(Summary, NoSamplesOrNotFiniteIsRefused) {
  EXPECT_THROW(summarize({}), Error);
  EXPECT_THROW(summarize(std::vector<double>{1, std::numeric_limits<double>::quiet_NaN()}), Error);
  EXPECT_THROW(summarize(std::vector<double>{1, std::numeric_limits<double>::infinity()}), Error);
}

}  // namespace
}  // namespace octavo
