// Strides and walks, worked out by hand.
#include "runtime/lowering/walk.h"

#include <gtest/gtest.h>

#include <numeric>

namespace octavo {
namespace {

TEST(Walk, ReshapedSplitsAndMergesWithoutMoving) {
  // NHWC memory of [2, 6, 4, 5].
  const Shape shape{2, 6, 4, 5};
  const Strides last = channels_last(shape);
  EXPECT_EQ(last, (Strides{120, 1, 30, 6}));
  // Channels split into groups stay a view; rows and columns merge.
  EXPECT_EQ(reshaped(shape, last, {2, 2, 3, 4, 5}), (Strides{120, 3, 1, 30, 6}));
  EXPECT_EQ(reshaped(shape, last, {2, 6, 20}), (Strides{120, 1, 6}));
  // Channels and rows are not neighbours.
  EXPECT_EQ(reshaped(shape, last, {2, 24, 5}), std::nullopt);
  EXPECT_EQ(reshaped(shape, row_major(shape), {2, 24, 5}), (Strides{120, 5, 1}));
  EXPECT_EQ(reshaped(shape, row_major(shape), {2, 8, 15}), (Strides{120, 15, 1}));
}

TEST(Walk, ReshapedIgnoresDimensionsOfOne) {
  const Shape shape{3, 7, 1, 1};
  EXPECT_TRUE(same_order(shape, row_major(shape), channels_last(shape)));
  const auto flat = reshaped(shape, channels_last(shape), {3, 7});
  ASSERT_TRUE(flat);
  EXPECT_TRUE(same_order({3, 7}, *flat, row_major({3, 7})));
}

TEST(Walk, DenseLikeKeepsTheNesting) {
  EXPECT_EQ(dense_like({2, 3, 4, 5}, channels_last({2, 6, 4, 5})), channels_last({2, 3, 4, 5}));
}

TEST(Walk, SimplifiedMergesWhatLiesTogether) {
  const Shape shape{2, 3, 4, 5};
  const Walk copy = simplified({shape, {row_major(shape), row_major(shape)}, {}});
  EXPECT_EQ(copy.dims, Shape{120});
  const Walk reorder = simplified({shape, {channels_last(shape), row_major(shape)}, {}});
  EXPECT_EQ(reorder.dims.size(), 3U);  // Rows and columns merge.
}

TEST(Walk, LinesVisitEveryElementOnce) {
  const Shape shape{3, 2, 5000, 3};
  const Strides from = channels_last(shape);
  const Walk walk = simplified({shape, {row_major(shape), from}, {}});
  std::vector<std::int64_t> source(static_cast<std::size_t>(element_count(shape)), -1);
  for_each_line(walk, 2, [&](const std::int64_t* at, std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i) {
      std::int64_t& slot = source[static_cast<std::size_t>(at[0] + i * walk.strides[0].back())];
      EXPECT_EQ(slot, -1);
      slot = at[1] + i * walk.strides[1].back();
    }
  });
  std::size_t i = 0;
  for (std::int64_t n = 0; n < shape[0]; ++n) {
    for (std::int64_t c = 0; c < shape[1]; ++c) {
      for (std::int64_t p = 0; p < shape[2] * shape[3]; ++p)
        ASSERT_EQ(source[i++], n * from[0] + c + p * shape[1]);
    }
  }
}

}  // namespace
}  // namespace octavo
