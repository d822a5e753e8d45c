#include "../../src/data/augment.h"

#include <set>

#include "data/support.h"

namespace octavo {
namespace {

using testing::rgb;
using testing::synthetic;

/// A table that shows pixel values themselves, so that expectations can be written down by hand.
NormalizationTable plain_table(std::size_t channels) {
  NormalizationTable table(channels);
  for (auto& one : table) {
    for (std::size_t v = 0; v < 256; ++v) one[v] = static_cast<float>(v);
  }
  return table;
}

const std::vector<std::uint8_t> kPixels = {1, 2, 3, 4, 5, 6, 7, 8, 9};

std::vector<float> augmented(const Augmentation& augmentation) {
  std::vector<float> output(9, -1.0F);
  augment_image(kPixels, {.channels = 1, .height = 3, .width = 3}, plain_table(1), augmentation, true,
                output);
  return output;
}

TEST(AugmentImage, NothingDrawnCopies) {
  EXPECT_EQ(augmented({}), (std::vector<float>{1, 2, 3, 4, 5, 6, 7, 8, 9}));
}

TEST(AugmentImage, CropShiftsAndFillsWithZero) {
  EXPECT_EQ(augmented({.top = -1, .left = -1}), (std::vector<float>{0, 0, 0, 0, 1, 2, 0, 4, 5}));
  EXPECT_EQ(augmented({.top = 1, .left = 2}), (std::vector<float>{6, 0, 0, 9, 0, 0, 0, 0, 0}));
}

TEST(AugmentImage, CropBesideTheImageIsAllZero) {
  EXPECT_EQ(augmented({.top = 0, .left = 5}), std::vector<float>(9, 0.0F));
  EXPECT_EQ(augmented({.top = -7, .left = -7}), std::vector<float>(9, 0.0F));
}

TEST(AugmentImage, FlipMirrorsColumnsOfTheCrop) {
  EXPECT_EQ(augmented({.flip = true}), (std::vector<float>{3, 2, 1, 6, 5, 4, 9, 8, 7}));
  EXPECT_EQ(augmented({.left = -1, .flip = true}), (std::vector<float>{2, 1, 0, 5, 4, 0, 8, 7, 0}));
}

TEST(AugmentImage, CutoutZeroesItsSquareOnly) {
  EXPECT_EQ(augmented({.cut = true, .cut_top = 1, .cut_bottom = 3, .cut_left = 0, .cut_right = 2}),
            (std::vector<float>{1, 2, 3, 0, 0, 6, 0, 0, 9}));
}

TEST(AugmentImage, LayoutsHoldTheSameImage) {
  const Dataset dataset = synthetic(1, 3, 5, 4);
  const ImageShape shape{.channels = 3, .height = 5, .width = 4};
  const Augmentation augmentation{.top = 1,
                                  .left = -2,
                                  .flip = true,
                                  .cut = true,
                                  .cut_top = 0,
                                  .cut_bottom = 2,
                                  .cut_left = 1,
                                  .cut_right = 3};
  const NormalizationTable table = normalization_table(rgb());
  std::vector<float> nhwc(60), nchw(60);
  augment_image(dataset.image(0), shape, table, augmentation, true, nhwc);
  augment_image(dataset.image(0), shape, table, augmentation, false, nchw);
  for (std::size_t p = 0; p < 20; ++p) {
    for (std::size_t c = 0; c < 3; ++c) EXPECT_EQ(nhwc[p * 3 + c], nchw[c * 20 + p]);
  }
}

TEST(DrawAugmentation, CoversEveryShiftAndStaysInRange) {
  const AugmentConfig config{.crop_padding = 2, .horizontal_flip = true, .cutout = 3};
  std::set<std::int64_t> tops, lefts;
  int flips = 0;
  for (std::uint64_t position = 0; position < 1000; ++position) {
    RandomStream random(1, 0, position);
    const Augmentation drawn = draw_augmentation(config, 8, 9, random);
    tops.insert(drawn.top);
    lefts.insert(drawn.left);
    flips += drawn.flip ? 1 : 0;
    EXPECT_TRUE(drawn.cut);
    EXPECT_GE(drawn.cut_top, 0);
    EXPECT_LE(drawn.cut_bottom, 8);
    EXPECT_GE(drawn.cut_left, 0);
    EXPECT_LE(drawn.cut_right, 9);
    EXPECT_LE(drawn.cut_bottom - drawn.cut_top, 3);
    EXPECT_GE(drawn.cut_bottom - drawn.cut_top, 2);  // At the border the square loses what lies outside.
  }
  EXPECT_EQ(tops, (std::set<std::int64_t>{-2, -1, 0, 1, 2}));
  EXPECT_EQ(lefts, tops);
  EXPECT_NEAR(flips, 500, 80);  // Five standard deviations of a fair coin.
}

TEST(DrawAugmentation, EverythingOffDrawsNothing) {
  const AugmentConfig off{.crop_padding = 0, .horizontal_flip = false, .cutout = 0};
  for (std::uint64_t position = 0; position < 100; ++position) {
    RandomStream random(1, 0, position);
    const Augmentation drawn = draw_augmentation(off, 8, 8, random);
    EXPECT_EQ(drawn.top, 0);
    EXPECT_EQ(drawn.left, 0);
    EXPECT_FALSE(drawn.flip);
    EXPECT_FALSE(drawn.cut);
  }
}

TEST(RandomStream, KeysGiveDifferentStreams) {
  std::set<std::uint64_t> first;
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    for (std::uint64_t epoch = 0; epoch < 10; ++epoch) {
      for (std::uint64_t position = 0; position < 10; ++position)
        first.insert(RandomStream(seed, epoch, position).next());
    }
  }
  EXPECT_EQ(first.size(), 1000U);
}

TEST(RandomStream, BelowIsUniform) {
  RandomStream random(7, 7, 7);
  std::vector<int> counts(6, 0);
  for (int i = 0; i < 60'000; ++i) ++counts.at(random.below(6));
  for (const int count : counts) EXPECT_NEAR(count, 10'000, 460);  // Five standard deviations.
}

TEST(NormalizationTable, EqualsNormalizeBitForBit) {
  const NormalizationTable table = normalization_table(rgb());
  const Dataset dataset = synthetic(1, 3, 32, 32);
  std::vector<float> expected(3072), actual(3072);
  normalize(dataset.pixels, rgb(), 1024, expected);
  augment_image(dataset.image(0), {.channels = 3, .height = 32, .width = 32}, table, {}, false, actual);
  EXPECT_EQ(actual, expected);
}

}  // namespace
}  // namespace octavo
