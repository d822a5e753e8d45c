#include "octavo/core/finite.h"

#include <gtest/gtest.h>

#include <limits>
#include <utility>
#include <vector>

namespace octavo {
namespace {

TEST(AllFinite, OneNumberThatIsNoneIsSeenAnywhere) {
  using Limits = std::numeric_limits<float>;
  std::vector<float> values(10000, Limits::max());
  values[1] = Limits::lowest();
  values[2] = Limits::denorm_min();
  EXPECT_TRUE(all_finite(values));
  EXPECT_TRUE(all_finite({}));
  for (const std::size_t at : {0, 1, 4095, 4096, 9999}) {
    for (const float bad : {Limits::infinity(), -Limits::infinity(), Limits::quiet_NaN()}) {
      const float good = std::exchange(values[at], bad);
      EXPECT_FALSE(all_finite(values)) << at;
      values[at] = good;
    }
  }
}

}  // namespace
}  // namespace octavo
