/// Whole splits at another size: what a model of larger images takes of small ones.
#pragma once

#include <cstdint>

#include "octavo/data/dataset.h"

namespace octavo {

struct ResizeConfig {
  std::int64_t height = 0;  ///< Of the window cut from the middle: the model's input.
  std::int64_t width = 0;
  std::int64_t shorter = 0;  ///< Shorter side before that; 0: as small as covers the window.
};

/// The images of `dataset` as an image folder's are made: bilinear with antialiasing, bit for bit Pillow's
/// and torchvision's, then the middle. Its hash is that of the new pixels; it is official if `dataset` is.
/// Computes on num_threads() threads. Throws kUsage: sizes that make no sense, more than memory holds.
Dataset resized(const Dataset& dataset, const ResizeConfig& config);

}  // namespace octavo
