#include "octavo/data/loader.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "data/support.h"

namespace octavo {
namespace {

using testing::expect_error;
using testing::rgb;
using testing::synthetic;

constexpr AugmentConfig kOff{.crop_padding = 0, .horizontal_flip = false, .cutout = 0};

std::vector<Batch> run_epoch(TrainLoader& loader, std::int64_t epoch, std::int64_t first_batch = 0) {
  loader.start_epoch(epoch, first_batch);
  std::vector<Batch> batches;
  Batch batch;
  while (loader.next(batch)) batches.push_back(batch);
  return batches;
}

void expect_same(const std::vector<Batch>& a, const std::vector<Batch>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].count, b[i].count);
    EXPECT_EQ(a[i].indices, b[i].indices);
    EXPECT_EQ(a[i].labels, b[i].labels);
    EXPECT_TRUE(a[i].images == b[i].images) << "batch " << i;
  }
}

std::vector<std::int64_t> all_indices(const std::vector<Batch>& batches) {
  std::vector<std::int64_t> indices;
  for (const Batch& batch : batches)
    indices.insert(indices.end(), batch.indices.begin(), batch.indices.end());
  return indices;
}

TEST(TrainLoader, AnyNumberOfWorkersGivesTheSameBatches) {
  const Dataset dataset = synthetic(533, 3, 16, 16);
  const Normalization normalization = rgb();
  LoaderConfig config{
      .batch_size = 32, .workers = 0, .augment = {.crop_padding = 4, .horizontal_flip = true, .cutout = 4}};
  TrainLoader reference(dataset, normalization, config);
  for (const int workers : {1, 3}) {
    for (const int prefetch : {1, 2, 7}) {
      config.workers = workers;
      config.prefetch = prefetch;
      TrainLoader loader(dataset, normalization, config);
      for (const std::int64_t epoch : {0, 1, 5})
        expect_same(run_epoch(reference, epoch), run_epoch(loader, epoch));
    }
  }
}

TEST(TrainLoader, EveryEpochHasEveryImageOnceInAnotherOrder) {
  const Dataset dataset = synthetic(100, 1, 4, 4);
  const Normalization normalization{.mean = {0.5F}, .std = {0.5F}};
  TrainLoader loader(dataset, normalization, {.batch_size = 30});
  const std::vector<std::int64_t> first = all_indices(run_epoch(loader, 0));
  const std::vector<std::int64_t> second = all_indices(run_epoch(loader, 1));
  EXPECT_NE(first, second);
  std::vector<std::int64_t> everything(100);
  std::iota(everything.begin(), everything.end(), 0);
  EXPECT_NE(first, everything);
  for (std::vector<std::int64_t> indices : {first, second}) {
    std::sort(indices.begin(), indices.end());
    EXPECT_EQ(indices, everything);
  }
  EXPECT_EQ(all_indices(run_epoch(loader, 0)), first);
}

TEST(TrainLoader, SeedsDiffer) {
  const Dataset dataset = synthetic(64, 1, 4, 4);
  const Normalization normalization{.mean = {0.5F}, .std = {0.5F}};
  TrainLoader a(dataset, normalization, {.batch_size = 64, .seed = 1});
  TrainLoader b(dataset, normalization, {.batch_size = 64, .seed = 2});
  EXPECT_NE(all_indices(run_epoch(a, 0)), all_indices(run_epoch(b, 0)));
}

TEST(TrainLoader, StartInTheMiddleContinuesTheSameEpoch) {
  const Dataset dataset = synthetic(200, 3, 8, 8);
  const Normalization normalization = rgb();
  TrainLoader loader(dataset, normalization, {.batch_size = 16, .workers = 2});
  const std::vector<Batch> whole = run_epoch(loader, 3);
  ASSERT_EQ(whole.size(), 13U);
  const std::vector<Batch> rest = run_epoch(loader, 3, 9);
  expect_same(rest, {whole.begin() + 9, whole.end()});
  EXPECT_TRUE(run_epoch(loader, 3, 13).empty());
}

TEST(TrainLoader, AbandonedEpochLeavesNoTrace) {
  const Dataset dataset = synthetic(200, 3, 8, 8);
  const Normalization normalization = rgb();
  TrainLoader fresh(dataset, normalization, {.batch_size = 16, .workers = 2});
  TrainLoader used(dataset, normalization, {.batch_size = 16, .workers = 2});
  for (std::int64_t i = 0; i < 20; ++i) {
    used.start_epoch(i, 0);
    Batch batch;
    if (i % 2 == 0) used.next(batch);
  }
  expect_same(run_epoch(fresh, 1), run_epoch(used, 1));
}

TEST(TrainLoader, LastBatchIsShortOrDropped) {
  const Dataset dataset = synthetic(10, 1, 2, 2);
  const Normalization normalization{.mean = {0.5F}, .std = {0.5F}};
  TrainLoader kept(dataset, normalization, {.batch_size = 4});
  EXPECT_EQ(kept.batches_per_epoch(), 3);
  const std::vector<Batch> batches = run_epoch(kept, 0);
  ASSERT_EQ(batches.size(), 3U);
  EXPECT_EQ(batches[2].count, 2);
  EXPECT_EQ(batches[2].images.size(), 8U);
  EXPECT_EQ(batches[2].labels.size(), 2U);
  TrainLoader dropped(dataset, normalization, {.batch_size = 4, .drop_last = true});
  EXPECT_EQ(dropped.batches_per_epoch(), 2);
  EXPECT_EQ(run_epoch(dropped, 0).size(), 2U);
}

TEST(TrainLoader, UnaugmentedPixelsEqualNormalizedBatch) {
  const Dataset dataset = synthetic(20, 3, 6, 5);
  const Normalization normalization = rgb();
  TrainLoader loader(dataset, normalization, {.batch_size = 20, .channels_last = false, .augment = kOff});
  const std::vector<Batch> batches = run_epoch(loader, 0);
  ASSERT_EQ(batches.size(), 1U);
  const Tensor expected = normalized_batch(dataset, batches[0].indices, normalization);
  EXPECT_TRUE(std::ranges::equal(expected.data<float>(), batches[0].images));
  for (std::size_t i = 0; i < 20; ++i) EXPECT_EQ(batches[0].labels[i], batches[0].indices[i] % 10);
}

// The program that Octavo supersedes sent its test images through the training augmentation.
TEST(TrainLoader, AugmentsTrainingBatchesButNeverEvaluation) {
  const Dataset dataset = synthetic(50, 3, 8, 8);
  const Normalization normalization = rgb();
  TrainLoader loader(dataset, normalization, {.batch_size = 50, .shuffle = false, .channels_last = false});
  const std::vector<Batch> first = run_epoch(loader, 0);
  const std::vector<Batch> second = run_epoch(loader, 1);
  ASSERT_EQ(first[0].indices, second[0].indices);
  EXPECT_NE(first[0].images, second[0].images);

  // Evaluation before, while and after a training epoch runs: the plain pixels, the same every time.
  const Tensor before = normalized_batch(dataset, first[0].indices, normalization);
  loader.start_epoch(2);
  const Tensor during = normalized_batch(dataset, first[0].indices, normalization);
  const Tensor after = normalized_batch(dataset, first[0].indices, normalization);
  EXPECT_TRUE(before == during);
  EXPECT_TRUE(before == after);
  const std::span<const float> values = before.data<float>();
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::size_t channel = i / 64 % 3;
    const float expected = (static_cast<float>(dataset.pixels[i]) / 255.0F - normalization.mean[channel]) /
                           normalization.std[channel];
    ASSERT_EQ(values[i], expected) << i;
  }
  EXPECT_FALSE(std::ranges::equal(values, first[0].images));
}

TEST(TrainLoader, WorkerErrorReachesNextAndStays) {
  for (const int workers : {0, 2}) {
    Dataset dataset = synthetic(64, 1, 4, 4);
    const Normalization normalization{.mean = {0.5F}, .std = {0.5F}};
    TrainLoader loader(dataset, normalization, {.batch_size = 8, .workers = workers, .prefetch = 1});
    const std::vector<std::uint8_t> pixels = std::exchange(dataset.pixels, {});
    loader.start_epoch(0);
    Batch batch;
    for (int i = 0; i < 2; ++i)
      expect_error(ErrorCode::kInternal, {"data set changed"}, [&] { loader.next(batch); });
    dataset.pixels = pixels;
    EXPECT_EQ(run_epoch(loader, 0).size(), 8U);  // A new epoch starts afresh.
  }
}

TEST(TrainLoader, DestroyedWithBatchesPendingStops) {
  const Dataset dataset = synthetic(400, 1, 8, 8);
  const Normalization normalization{.mean = {0.5F}, .std = {0.5F}};
  for (int i = 0; i < 50; ++i) {
    TrainLoader loader(dataset, normalization, {.batch_size = 4, .workers = 3, .prefetch = 2});
    loader.start_epoch(0);
    Batch batch;
    for (int k = 0; k < i % 5; ++k) EXPECT_TRUE(loader.next(batch));
  }
}

TEST(TrainLoader, BadSettingsAreUsageErrors) {
  const Dataset dataset = synthetic(4, 1, 2, 2);
  const Normalization normalization{.mean = {0.5F}, .std = {0.5F}};
  const auto make = [&](const LoaderConfig& config) {
    return [&dataset, &normalization, config] { TrainLoader loader(dataset, normalization, config); };
  };
  expect_error(ErrorCode::kUsage, {"batch size", "expected 1 or more", "got -3"}, make({.batch_size = -3}));
  expect_error(ErrorCode::kUsage, {"batch size", "got 0"}, make({.batch_size = 0}));
  expect_error(ErrorCode::kUsage, {"workers", "got -1"}, make({.workers = -1}));
  expect_error(ErrorCode::kUsage, {"prefetch", "got 0"}, make({.prefetch = 0}));
  expect_error(ErrorCode::kUsage, {"crop padding", "got -1"}, make({.augment = {.crop_padding = -1}}));
  expect_error(ErrorCode::kUsage, {"cutout", "got -2"}, make({.augment = {.cutout = -2}}));
  expect_error(ErrorCode::kUsage, {"drop_last", "got 4"}, make({.batch_size = 5, .drop_last = true}));
  expect_error(ErrorCode::kUsage, {"empty data set"}, [&] {
    const Dataset empty = synthetic(0, 1, 2, 2);
    TrainLoader loader(empty, normalization, {});
  });
  expect_error(ErrorCode::kUsage, {"normalization"}, [&] {
    const Normalization three = rgb();
    TrainLoader loader(dataset, three, {});
  });
}

TEST(TrainLoader, CallsOutOfOrderAreUsageErrors) {
  const Dataset dataset = synthetic(4, 1, 2, 2);
  const Normalization normalization{.mean = {0.5F}, .std = {0.5F}};
  TrainLoader loader(dataset, normalization, {.batch_size = 2});
  Batch batch;
  expect_error(ErrorCode::kUsage, {"start_epoch"}, [&] { loader.next(batch); });
  expect_error(ErrorCode::kUsage, {"no such batch", "got 3"}, [&] { loader.start_epoch(0, 3); });
  expect_error(ErrorCode::kUsage, {"negative epoch"}, [&] { loader.start_epoch(-1); });
}

}  // namespace
}  // namespace octavo
