// How batches are shared out: what a user can count on, whatever the machine.
#include "runtime/program/split.h"

#include <gtest/gtest.h>

namespace octavo {
namespace {

// A light model: 40 million products an image, 2 MB of weights, a quarter of a megabyte of activations.
constexpr Footprint kLight{.image_bytes = 250'000, .image_products = 40'000'000, .constant_bytes = 2'000'000};
// A heavy one, whose weights no cache holds.
constexpr Footprint kHeavy{
    .image_bytes = 250'000, .image_products = 300'000'000, .constant_bytes = 80'000'000};

TEST(Split, OneImageIsSharedByAllThreads) {
  EXPECT_EQ(split_batch(kLight, 1, 2), (Split{1, false}));
  EXPECT_EQ(split_batch(kHeavy, 1, 64), (Split{1, false}));
}

TEST(Split, LightModelsRunApartInMorePiecesThanThreads) {
  EXPECT_EQ(split_batch(kLight, 128, 2), (Split{4, true}));
  EXPECT_EQ(split_batch(kLight, 8, 2), (Split{4, true}));
  EXPECT_EQ(split_batch(kLight, 128, 32), (Split{4, true}));
}

TEST(Split, ModelsWhoseWeightsTakeLongerThanTheirImagesDoNot) {
  EXPECT_EQ(split_batch(kHeavy, 8, 2), (Split{8, false}));
  EXPECT_EQ(split_batch(kHeavy, 128, 2), (Split{128, false}));
  EXPECT_EQ(split_batch(kLight, 2, 2), (Split{2, false}));
}

TEST(Split, PiecesAreEqualAndKeepAllThreadsBusy) {
  for (const std::int64_t batch : {1, 2, 5, 6, 7, 9, 32, 96, 100, 127, 128, 1000}) {
    for (const int threads : {1, 2, 3, 8, 61}) {
      for (const Footprint& model : {kLight, kHeavy}) {
        const Split split = split_batch(model, batch, threads);
        ASSERT_GE(split.piece, 1) << batch << " on " << threads;
        EXPECT_EQ(batch % split.piece, 0) << batch << " on " << threads;
        if (split.apart) {
          EXPECT_GE(batch / split.piece, threads) << batch << " on " << threads;
        }
      }
    }
  }
  EXPECT_EQ(split_batch(kLight, 127, 2), (Split{127, false}));
}

TEST(Split, OneThreadKeepsActivationsInTheCache) {
  EXPECT_EQ(split_batch(kLight, 128, 1), (Split{16, false}));
  EXPECT_EQ(split_batch(kLight, 16, 1), (Split{16, false}));
  EXPECT_EQ(split_batch(kHeavy, 128, 1), (Split{128, false}));
}

TEST(Split, ModelsWithStepsOfALibraryDoNotRunApart) {
  Footprint mixed = kLight;
  mixed.uses_openmp = true;
  EXPECT_FALSE(split_batch(mixed, 128, 2).apart);
  EXPECT_EQ(split_batch(mixed, 8, 2), (Split{8, false}));
}

TEST(Split, NoFootprintNoSplit) { EXPECT_EQ(split_batch({}, 128, 2), (Split{128, false})); }

}  // namespace
}  // namespace octavo
