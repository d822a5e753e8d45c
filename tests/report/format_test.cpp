#include "format.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "svg.h"

namespace octavo::report {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

TEST(Format, NumbersReadAsDocumented) {
  EXPECT_EQ(percent(0.87254), "87.25 %");
  EXPECT_EQ(points(-0.00021), "−0.02 points");
  EXPECT_EQ(points(0.0006), "+0.06 points");
  EXPECT_EQ(points(-0.00001), "±0.00 points");
  EXPECT_EQ(change(255, 1000), "−74.5 %");
  EXPECT_EQ(change(1500, 1000), "+50.0 %");
  EXPECT_EQ(change(1000, 1000), "±0.0 %");
  EXPECT_EQ(bytes(0), "0 B");
  EXPECT_EQ(bytes(999), "999 B");
  EXPECT_EQ(bytes(45100), "45.1 kB");
  EXPECT_EQ(bytes(999499), "999.5 kB");
  EXPECT_EQ(bytes(999500), "1.00 MB");
  EXPECT_EQ(bytes(6243190), "6.24 MB");
  EXPECT_EQ(bytes(3000000000), "3.00 GB");
  EXPECT_EQ(milliseconds(0.1841), "0.184 ms");
  EXPECT_EQ(milliseconds(6.341), "6.34 ms");
  EXPECT_EQ(milliseconds(105.91), "105.9 ms");
  EXPECT_EQ(milliseconds(1234.5), "1234 ms");
  EXPECT_EQ(mean_and_std(105.91, 6.24), "105.9 ± 6.2 ms");
  EXPECT_EQ(mean_and_std(0.18, 0.0123), "0.180 ± 0.012 ms");
  EXPECT_EQ(speed_up(100, 8), "12.5×");
  EXPECT_EQ(speed_up(1, 2), "0.50×");
  EXPECT_EQ(rate(20188.6), "20,189");
  EXPECT_EQ(rate(5.432), "5.43");
  EXPECT_EQ(duration(2.41), "2.4 s");
  EXPECT_EQ(duration(754), "12 min 34 s");
  EXPECT_EQ(duration(7384), "2 h 3 min");
  EXPECT_EQ(plain(0.15), "0.15");
  EXPECT_EQ(plain(-2), "−2");
}

TEST(Format, GroupsOfThreeAndExtremes) {
  EXPECT_EQ(grouped(0), "0");
  EXPECT_EQ(grouped(999), "999");
  EXPECT_EQ(grouped(1558026), "1,558,026");
  EXPECT_EQ(grouped(-1000), "−1,000");
  EXPECT_EQ(grouped(std::numeric_limits<std::int64_t>::min()), "−9,223,372,036,854,775,808");
}

TEST(Format, WhatIsNotFiniteIsADash) {
  for (const double x : {kNan, kInf, -kInf}) {
    for (const std::string& text : {percent(x), points(x), change(x, 1), milliseconds(x), mean_and_std(x, 1),
                                    speed_up(x, 1), rate(x), duration(x), plain(x)}) {
      EXPECT_EQ(text, kMissing);
    }
    EXPECT_EQ(mean_and_std(2, x), "2.00 ms");
    EXPECT_EQ(number(x), "0");
  }
  EXPECT_EQ(change(1, 0), kMissing);
  EXPECT_EQ(speed_up(1, 0), kMissing);
}

TEST(Format, WidthAndShorteningCountLettersNotBytes) {
  EXPECT_EQ(text_width("±0.1×"), 5U);
  EXPECT_EQ(shorten("Größe", 5), "Größe");
  EXPECT_EQ(shorten("Größenordnung", 5), "Größ…");
  EXPECT_EQ(shorten("abc", 0), "");
  EXPECT_EQ(shorten("abc", 1), "…");
}

TEST(Svg, TicksCoverTheRangeInRoundSteps) {
  EXPECT_EQ(nice_ticks(0, 1, 4), (std::vector<double>{0, 0.25, 0.5, 0.75, 1}));
  EXPECT_EQ(nice_ticks(0, 105.9, 4), (std::vector<double>{0, 50, 100, 150}));
  EXPECT_EQ(nice_ticks(0, 0, 4).front(), 0);
}

TEST(Svg, TicksCoverAnyRange) {
  const double values[] = {0, 1, -1, 0.3, 1e-300, 1e300, 5e-324, 1.7e308, -1.7e308, 0.1 + 0.2, 87.25};
  for (const double low : values) {
    for (const double high : values) {
      const std::vector<double> ticks = nice_ticks(low, high);
      ASSERT_GE(ticks.size(), 2U) << low << " " << high;
      ASSERT_LE(ticks.size(), 20U) << low << " " << high;
      for (const double tick : ticks) EXPECT_TRUE(std::isfinite(tick)) << low << " " << high;
      EXPECT_LT(ticks.front(), ticks.back()) << low << " " << high;
    }
  }
  EXPECT_EQ(nice_ticks(kNan, 1), (std::vector<double>{0, 1}));
  EXPECT_EQ(nice_ticks(0, kInf), (std::vector<double>{0, 1}));
}

TEST(Svg, MarkupInTextIsEscaped) {
  EXPECT_EQ(escape("<a href=\"x\">&'\x01\n"), "&lt;a href=&quot;x&quot;&gt;&amp;&#39; ");
}

}  // namespace
}  // namespace octavo::report
