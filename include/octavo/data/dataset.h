/// Labelled images in memory, as they are on disk: uint8 pixels, no augmentation, no normalization.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "octavo/core/tensor.h"
#include "octavo/graph/preprocessing.h"

namespace octavo {

/// One split. Pixels are [count, channels, height, width], row-major.
struct Dataset {
  std::string name;    ///< "cifar10", "cifar100", "fashion-mnist", "mnist", "image-folder"
  std::string split;   ///< "train" or "test"
  std::string source;  ///< Folder or archive it was read from.
  bool official =
      true;          ///< False if the bytes are not those of the official files (SHA-256 of their contents).
  std::string hash;  ///< Lower-case hex SHA-256 over labels and pixels, in order.
  std::vector<std::string> class_names;
  std::int64_t channels = 0;
  std::int64_t height = 0;
  std::int64_t width = 0;
  std::vector<std::uint8_t> pixels;
  std::vector<std::int32_t> labels;

  std::int64_t size() const { return static_cast<std::int64_t>(labels.size()); }
  std::int64_t image_size() const { return channels * height * width; }
  std::span<const std::uint8_t> image(std::int64_t index) const {
    return std::span(pixels).subspan(static_cast<std::size_t>(index * image_size()),
                                     static_cast<std::size_t>(image_size()));
  }
};

/// The two splits of a data set and the normalization customary for it.
struct DatasetPair {
  Dataset train;
  Dataset test;
  Normalization normalization;
};

/// What Dataset::hash holds: SHA-256 over the labels, each as a little-endian int32, then the pixels.
std::string content_hash(const Dataset& dataset);

/// Images `indices` of `dataset`, normalized: float32 [indices.size(), C, H, W]. Never augmented. Throws
/// kUsage on an index out of range or a normalization of another number of channels.
Tensor normalized_batch(const Dataset& dataset, std::span<const std::int64_t> indices,
                        const Normalization& normalization);

/// The first `count` images (0 or more than there are: all) of a split as a new one with its own hash; same
/// images every time. Throws kUsage if `count` is negative.
Dataset head(const Dataset& dataset, std::int64_t count);

/// Images `indices` of a split, in that order, as a new one with its own hash. Throws kUsage on an index out
/// of range.
Dataset subset(const Dataset& dataset, std::span<const std::int64_t> indices);

/// How many of `indices` of `a` have exactly the pixels of some image of `b`: leakage between splits. Every
/// index counts, repeated ones too.
std::int64_t count_shared_images(const Dataset& a, std::span<const std::int64_t> indices, const Dataset& b);

}  // namespace octavo
