#include "batch_view.h"

#include <gtest/gtest.h>

namespace octavo::onnx_format {
namespace {

constexpr BatchView kMiddle{.position = 1};
constexpr BatchView kHeads{.position = 1, .outer = 1, .inner = 3};   ///< [5, N * 3, 7]
constexpr BatchView kTokens{.position = 0, .outer = 5, .inner = 1};  ///< [5 * N, 7]
constexpr BatchView kBoth{.position = 1, .outer = 2, .inner = 3};    ///< [5, 2 * N * 3, 7]

TEST(BatchView, ShapesOfFileAndValueTellEachOther) {
  const auto both = [](const BatchView& view, const Shape& file, const Shape& value) {
    EXPECT_EQ(value_shape(file, view), value);
    EXPECT_EQ(file_shape(value, view), file);
    EXPECT_EQ(file_rank(value.size(), view), file.size());
  };
  both({}, {1, 5, 7}, {kDynamic, 5, 7});
  both(kMiddle, {5, 1, 7}, {kDynamic, 5, 7});
  both(kHeads, {5, 3, 7}, {kDynamic, 5, 3, 7});
  both(kTokens, {5, 7}, {kDynamic, 5, 7});
  both(kBoth, {5, 6, 7}, {kDynamic, 5, 2, 3, 7});
  both(kOneImage, {5, 7}, {kDynamic, 5, 7});
  both(kOneImage, {}, {kDynamic});
}

TEST(BatchView, AxesOfTheFileAreAxesOfTheValue) {
  EXPECT_EQ(value_axis(0, {}), std::nullopt);
  EXPECT_EQ(value_axis(2, {}), 2U);
  EXPECT_EQ(value_axis(0, kMiddle), 1U);
  EXPECT_EQ(value_axis(1, kMiddle), std::nullopt);
  EXPECT_EQ(value_axis(2, kMiddle), 2U);
  EXPECT_EQ(value_axis(2, kHeads), 3U);
  EXPECT_EQ(value_axis(1, kTokens), 2U);
  EXPECT_EQ(value_axis(2, kBoth), 4U);
  EXPECT_EQ(value_axis(0, kOneImage), 1U);
}

TEST(BatchView, WhatIsMergedMovesWithTheBatch) {
  const TransposedView front = transposed_view(4, kHeads, {1, 0, 2});
  EXPECT_EQ(front.view, (BatchView{.position = 0, .outer = 1, .inner = 3}));
  EXPECT_EQ(front.permutation, (std::vector<std::int64_t>{0, 2, 1, 3}));
  const TransposedView last = transposed_view(5, kBoth, {2, 0, 1});
  EXPECT_EQ(last.view, (BatchView{.position = 2, .outer = 2, .inner = 3}));
  EXPECT_EQ(last.permutation, (std::vector<std::int64_t>{0, 4, 1, 2, 3}));
  const TransposedView plain = transposed_view(3, {}, {1, 0, 2});
  EXPECT_EQ(plain.view, kMiddle);
  EXPECT_EQ(plain.permutation, (std::vector<std::int64_t>{0, 1, 2}));
}

TEST(BatchView, AReshapeKeepsThePlaceOfTheBatchAmongTheElements) {
  EXPECT_EQ(reshaped_view({1, 15, 7}, {}, {3, 5, 7}, 0), (BatchView{.position = 0, .inner = 3}));
  EXPECT_EQ(reshaped_view({5, 1, 21}, kMiddle, {5, 3, 7}, 1), kHeads);
  EXPECT_EQ(reshaped_view({5, 3, 7}, kHeads, {5, 21}, 0), (BatchView{.position = 0, .outer = 5}));
  EXPECT_EQ(reshaped_view({5, 7}, kTokens, {5, 1, 7}, 1), kMiddle);
  EXPECT_EQ(reshaped_view({5, 6, 7}, kBoth, {5, 2, 1, 21}, 2), (BatchView{.position = 2}));
  EXPECT_EQ(reshaped_view({5, 1, 7}, kMiddle, {1, 5, 7}, 0), std::nullopt);
  EXPECT_EQ(reshaped_view({5, 1, 7}, kMiddle, {7, 5}, 1), std::nullopt);
  EXPECT_EQ(reshaped_view({5, 3, 7}, kHeads, {3, 5, 7}, 1), std::nullopt);
  EXPECT_EQ(reshaped_view({1, 6}, {}, {3, 2}, 1), std::nullopt);
}

}  // namespace
}  // namespace octavo::onnx_format
