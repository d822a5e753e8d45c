#include "octavo/quantize/histogram.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "octavo/core/error.h"
#include "octavo/core/parallel.h"

namespace octavo {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

std::uint64_t sum(std::span<const std::uint64_t> counts) {
  return std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
}

/// Values of very different magnitude, both signs, zeros among them.
std::vector<float> mixed_values(std::size_t count, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (std::size_t i = 0; i < count; ++i) {
    const float magnitude = std::exp2(static_cast<float>(random() % 20) - 10.0F);
    values[i] = random() % 4 == 0 ? 0.0F : normal(random) * magnitude;
  }
  return values;
}

TEST(Histogram, StartsEmpty) {
  const Histogram histogram(16);
  EXPECT_EQ(histogram.total(), 0U);
  EXPECT_EQ(histogram.width(), 0.0);
  EXPECT_EQ(histogram.min(), 0.0F);
  EXPECT_EQ(histogram.max(), 0.0F);
  EXPECT_TRUE(density_of(histogram).counts.empty());
}

TEST(Histogram, CountsByMagnitudeAndSign) {
  Histogram histogram(16);
  // 15.5 needs bins of width 1. -0.0 is a zero, -0.5 lies in the first negative bin, -3 in the fourth.
  histogram.observe(std::vector<float>{0.0F, -0.0F, 0.25F, 1.0F, 1.999F, 15.5F, -0.5F, -3.0F});
  EXPECT_EQ(histogram.width(), 1.0);
  EXPECT_EQ(histogram.total(), 8U);
  EXPECT_EQ(histogram.zeros(), 2U);
  EXPECT_EQ(histogram.min(), -3.0F);
  EXPECT_EQ(histogram.max(), 15.5F);
  std::vector<std::uint64_t> positive(16);
  positive[0] = 1;
  positive[1] = 2;
  positive[15] = 1;
  std::vector<std::uint64_t> negative(16);
  negative[0] = 1;
  negative[3] = 1;
  EXPECT_TRUE(std::ranges::equal(histogram.positive(), positive));
  EXPECT_TRUE(std::ranges::equal(histogram.negative(), negative));
}

TEST(Histogram, GrowsByMergingPairs) {
  Histogram histogram(16);
  histogram.observe(std::vector<float>{5.5F, 9.5F, 15.5F, -2.5F});
  EXPECT_EQ(histogram.width(), 1.0);
  histogram.observe(std::vector<float>{16.0F});  // the first that does not fit: bins of width 2
  EXPECT_EQ(histogram.width(), 2.0);
  EXPECT_EQ(histogram.positive()[2], 1U);
  EXPECT_EQ(histogram.positive()[4], 1U);
  EXPECT_EQ(histogram.positive()[7], 1U);
  EXPECT_EQ(histogram.positive()[8], 1U);
  EXPECT_EQ(histogram.negative()[1], 1U);
  histogram.observe(std::vector<float>{3e38F});  // by more than a hundred doublings at once
  EXPECT_EQ(histogram.positive()[0], 4U);
  EXPECT_EQ(histogram.negative()[0], 1U);
  EXPECT_EQ(sum(histogram.positive()), 5U);
}

TEST(Histogram, IsTheSameInAnyOrderBatchAndThreadCount) {
  std::vector<float> values = mixed_values(300'000, 1);
  const int threads = num_threads();
  set_num_threads(1);
  Histogram once(64);
  once.observe(values);

  std::ranges::sort(values, {}, [](float x) { return std::fabs(x); });  // grows at nearly every batch
  Histogram ascending(64);
  for (std::size_t i = 0; i < values.size(); i += 777) {
    ascending.observe(std::span(values).subspan(i, std::min<std::size_t>(777, values.size() - i)));
  }
  std::ranges::reverse(values);
  set_num_threads(3);
  Histogram descending(64);
  descending.observe(values);
  set_num_threads(threads);

  EXPECT_EQ(ascending, once);
  EXPECT_EQ(descending, once);
}

TEST(Histogram, MergeEqualsObservingBoth) {
  const std::vector<float> small = mixed_values(1000, 2);
  std::vector<float> large = mixed_values(1000, 3);
  for (float& x : large) x *= 1000;
  Histogram both(32);
  both.observe(small);
  both.observe(large);
  Histogram a(32);
  a.observe(small);
  Histogram b(32);
  b.observe(large);
  Histogram ab = a;
  ab.merge(b);
  b.merge(a);
  EXPECT_EQ(ab, both);
  EXPECT_EQ(b, both);
  both.merge(Histogram(32));
  EXPECT_EQ(ab, both);
}

TEST(Histogram, HoldsTheLargestAndTheSmallestFloats) {
  constexpr float kLargest = std::numeric_limits<float>::max();
  constexpr float kSmallest = std::numeric_limits<float>::denorm_min();
  Histogram histogram(16);
  histogram.observe(std::vector<float>{kSmallest, -kSmallest});
  EXPECT_EQ(histogram.zeros(), 0U);
  EXPECT_EQ(sum(histogram.positive()), 1U);
  EXPECT_EQ(sum(histogram.negative()), 1U);
  histogram.observe(std::vector<float>{kLargest, -kLargest});
  EXPECT_EQ(histogram.positive()[15], 1U);
  EXPECT_EQ(histogram.negative()[15], 1U);
  EXPECT_EQ(histogram.positive()[0], 1U);
}

TEST(Histogram, RejectsNonFiniteValuesAndStaysAsItWas) {
  Histogram histogram(16);
  histogram.observe(std::vector<float>{1.0F, -2.0F});
  const Histogram before = histogram;
  for (const float bad : {kNan, kInfinity, -kInfinity}) {
    for (const std::size_t at : {0UL, 5UL, 16UL, 99UL}) {
      std::vector<float> values(100, 3.0F);
      values[at] = bad;
      try {
        histogram.observe(values);
        FAIL() << "accepted " << bad << " at " << at;
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::kBadInput);
        EXPECT_NE(std::string(error.what()).find("element " + std::to_string(at) + " of 100"),
                  std::string::npos)
            << error.what();
      }
      EXPECT_EQ(histogram, before);
    }
  }
}

TEST(Histogram, RejectsBinsOutOfRange) {
  for (const int bins : {-1, 0, 15, 65537}) {
    try {
      Histogram histogram(bins);
      FAIL() << bins;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kUsage);
    }
  }
}

// GCC says it by a macro, clang by a feature.
#if defined(__SANITIZE_ADDRESS__)
constexpr bool kAddressSanitizer = true;
#elif defined(__has_feature)
constexpr bool kAddressSanitizer = __has_feature(address_sanitizer);
#else
constexpr bool kAddressSanitizer = false;
#endif

TEST(Histogram, MemoryDoesNotGrowWithTheNumberOfValues) {
  if (kAddressSanitizer)
    GTEST_SKIP() << "AddressSanitizer keeps freed memory, so resident memory says nothing";
  std::vector<float> values = mixed_values(1 << 20, 4);
  Histogram histogram(4096);
  histogram.observe(values);
  rusage before{};
  getrusage(RUSAGE_SELF, &before);
  for (int i = 1; i < 200; ++i) {
    values[static_cast<std::size_t>(i)] =
        std::exp2(static_cast<float>(i % 40));  // and the range widens now and then
    histogram.observe(values);
  }
  rusage after{};
  getrusage(RUSAGE_SELF, &after);
  EXPECT_EQ(histogram.total(), 200U << 20);
  EXPECT_EQ(histogram.zeros() + sum(histogram.positive()) + sum(histogram.negative()), histogram.total());
  EXPECT_EQ(histogram.positive().size() + histogram.negative().size(), 8192U);
  EXPECT_LT(after.ru_maxrss - before.ru_maxrss, 4096) << "kilobytes";
}

TEST(Extent, FindsExtremesAtEveryPosition) {
  for (const std::size_t size : {1UL, 2UL, 15UL, 16UL, 17UL, 33UL, 200'000UL}) {
    for (const std::size_t at : {0UL, size / 2, size - 1}) {
      std::vector<float> values(size, 0.5F);
      values[at] = 7.0F;
      EXPECT_EQ(extent_of(values).max, 7.0F);
      values[at] = -7.0F;
      EXPECT_EQ(extent_of(values).min, -7.0F);
      EXPECT_TRUE(extent_of(values).finite);
      values[at] = kNan;
      EXPECT_FALSE(extent_of(values).finite);
    }
  }
}

TEST(Density, HasSignedBinsAndExactEnds) {
  Histogram histogram(16);
  histogram.observe(std::vector<float>{-1.5F, 0.0F, 0.5F, 15.25F});
  const Density density = density_of(histogram);
  EXPECT_EQ(density.first, -2);
  ASSERT_EQ(density.counts.size(), 18U);  // bins -2 .. 15
  EXPECT_EQ(density.counts[0], 1.0);
  EXPECT_EQ(density.counts[1], 0.0);
  EXPECT_EQ(density.counts[2], 1.0);  // 0.5; the zero is left out
  EXPECT_EQ(density.counts[17], 1.0);
  EXPECT_EQ(density.edges.front(), -1.5);
  EXPECT_EQ(density.edges[1], -1.0);
  EXPECT_EQ(density.edges.back(), 15.25);
}

}  // namespace
}  // namespace octavo
