#include "octavo/data/dataset.h"

#include <algorithm>

#include "data/support.h"

namespace octavo {
namespace {

using testing::expect_error;
using testing::rgb;
using testing::synthetic;

TEST(ContentHash, IsSha256OverLabelsThenPixels) {
  Dataset dataset;
  dataset.labels = {1, 258};
  dataset.pixels = {'a', 'b', 'c', 0xff};
  // printf '\x01\0\0\0\x02\x01\0\0abc\xff' | sha256sum
  EXPECT_EQ(content_hash(dataset), "40f331f688dd8d5dfddce3b1fcf6482125994dd60b4d6c454365dcfc4fc42bbc");
}

TEST(ContentHash, AnyChangeChangesIt) {
  const Dataset dataset = synthetic(3, 1, 2, 2);
  Dataset other = dataset;
  other.pixels[5] ^= 1;
  EXPECT_NE(content_hash(dataset), content_hash(other));
  other = dataset;
  std::swap(other.labels[0], other.labels[1]);
  EXPECT_NE(content_hash(dataset), content_hash(other));
}

TEST(NormalizedBatch, TakesImagesInTheOrderAsked) {
  Dataset dataset = synthetic(3, 1, 1, 2);
  dataset.pixels = {0, 255, 51, 102, 204, 153};
  const std::vector<std::int64_t> indices = {2, 0, 2};
  const Tensor batch = normalized_batch(dataset, indices, {.mean = {0.0F}, .std = {1.0F}});
  EXPECT_EQ(batch.shape(), (Shape{3, 1, 1, 2}));
  const std::vector<float> expected = {0.8F, 0.6F, 0.0F, 1.0F, 0.8F, 0.6F};
  for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_FLOAT_EQ(batch.data<float>()[i], expected[i]);
}

TEST(NormalizedBatch, NoIndicesGiveAnEmptyBatch) {
  const Tensor batch = normalized_batch(synthetic(3, 3, 4, 4), {}, rgb());
  EXPECT_EQ(batch.shape(), (Shape{0, 3, 4, 4}));
}

TEST(NormalizedBatch, BadIndexOrNormalizationIsAUsageError) {
  const Dataset dataset = synthetic(3, 3, 4, 4);
  for (const std::int64_t index : {std::int64_t{-1}, std::int64_t{3}}) {
    const std::vector<std::int64_t> indices = {0, index};
    expect_error(ErrorCode::kUsage, {"expected an index from 0 to 2", "got " + std::to_string(index)},
                 [&] { normalized_batch(dataset, indices, rgb()); });
  }
  const std::vector<std::int64_t> first = {0};
  expect_error(ErrorCode::kUsage, {"expected 3 means"},
               [&] { normalized_batch(dataset, first, {.mean = {0.5F}, .std = {0.5F}}); });
}

TEST(Head, KeepsTheFirstImagesUnderTheirOwnHash) {
  Dataset dataset = synthetic(10, 1, 2, 2);
  dataset.hash = content_hash(dataset);
  dataset.official = false;
  const Dataset part = head(dataset, 4);
  EXPECT_EQ(part.size(), 4);
  EXPECT_EQ(part.pixels.size(), 16U);
  EXPECT_TRUE(std::ranges::equal(part.image(3), dataset.image(3)));
  EXPECT_FALSE(part.official);
  EXPECT_NE(part.hash, dataset.hash);
  EXPECT_EQ(part.hash, content_hash(part));
  EXPECT_EQ(part.hash, head(dataset, 4).hash);
}

TEST(Head, ZeroOrMoreThanThereAreKeepsAll) {
  Dataset dataset = synthetic(10, 1, 2, 2);
  dataset.hash = content_hash(dataset);
  EXPECT_EQ(head(dataset, 0).hash, dataset.hash);
  EXPECT_EQ(head(dataset, 11).size(), 10);
  expect_error(ErrorCode::kUsage, {"got -1"}, [&] { head(dataset, -1); });
}

TEST(CountSharedImages, FindsExactCopiesOnly) {
  const Dataset train = synthetic(20, 1, 4, 4);
  Dataset test = synthetic(2, 1, 4, 4);
  std::ranges::copy(train.image(7), test.pixels.begin());
  std::ranges::copy(train.image(9), test.pixels.begin() + 16);
  test.pixels[20] ^= 1;  // One bit away from image 9.
  const std::vector<std::int64_t> indices = {1, 7, 9, 7};
  EXPECT_EQ(count_shared_images(train, indices, test), 2);
  EXPECT_EQ(count_shared_images(train, {}, test), 0);
}

TEST(CountSharedImages, OtherShapesShareNothing) {
  const Dataset a = synthetic(2, 1, 4, 4);
  const Dataset b = synthetic(2, 1, 2, 8);
  const std::vector<std::int64_t> indices = {0, 1};
  EXPECT_EQ(a.pixels, b.pixels);
  EXPECT_EQ(count_shared_images(a, indices, b), 0);
}

}  // namespace
}  // namespace octavo
