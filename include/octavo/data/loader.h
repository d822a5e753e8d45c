/// Shuffled, augmented training batches made by worker threads, the same for a seed whatever their number.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "octavo/data/dataset.h"

namespace octavo {

/// Random changes to training images. Evaluation and calibration have no parameter of this type: they cannot
/// augment.
struct AugmentConfig {
  int crop_padding =
      4;  ///< Zero-pad (after normalization: the mean colour) by this much, crop at random; 0: off.
  bool horizontal_flip = true;  ///< Mirror half of the images.
  int cutout = 0;               ///< Side of a square set to the mean colour; 0: off.
};

struct LoaderConfig {
  std::int64_t batch_size = 128;
  bool shuffle = true;
  bool drop_last = false;
  int workers = 2;            ///< Threads that prepare batches ahead; 0: prepared when asked for.
  int prefetch = 4;           ///< Batches held ready at most.
  bool channels_last = true;  ///< Layout of Batch::images in memory: NHWC, else NCHW.
  std::uint64_t seed = 42;
  AugmentConfig augment = {};
};

struct Batch {
  std::vector<float> images;          ///< count * C * H * W normalized floats, NHWC or NCHW as configured.
  std::vector<std::int64_t> labels;   ///< count
  std::vector<std::int64_t> indices;  ///< Which images of the data set.
  std::int64_t count = 0;
};

/// One pass over a data set at a time. The order and every random change depend on (seed, epoch, position)
/// alone.
class TrainLoader {
 public:
  /// Throws kUsage on a non-positive batch size, negative workers or an empty data set. Keeps references:
  /// `dataset` and `normalization` must outlive the loader.
  TrainLoader(const Dataset& dataset, const Normalization& normalization, const LoaderConfig& config);
  ~TrainLoader();

  std::int64_t batches_per_epoch() const;
  /// Starts epoch `epoch` at batch `first_batch` (to resume in the middle), stopping whatever ran before.
  void start_epoch(std::int64_t epoch, std::int64_t first_batch = 0);
  /// The next batch, or false at the end of the epoch. `batch`'s buffers are reused.
  bool next(Batch& batch);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace octavo
