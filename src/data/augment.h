/// Random crop, mirror and cutout of one training image, written out normalized.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "octavo/core/random.h"
#include "octavo/data/loader.h"

namespace octavo {

/// A stream of random numbers named by its key, so that any draw can be made without the ones before it.
class RandomStream {
 public:
  RandomStream(std::uint64_t seed, std::uint64_t epoch, std::uint64_t position);
  std::uint64_t next() { return numbers_(); }
  /// Uniform in [0, bound), bound >= 1 and below 2^32.
  std::uint32_t below(std::uint32_t bound);

 private:
  SplitMix64 numbers_;
};

/// What happens to one image. The crop begins at (`top`, `left`) of the image, negative inside the padding.
struct Augmentation {
  std::int64_t top = 0;
  std::int64_t left = 0;
  bool flip = false;
  bool cut =
      false;  ///< Cutout of rows [cut_top, cut_bottom) and columns [cut_left, cut_right) of the result.
  std::int64_t cut_top = 0;
  std::int64_t cut_bottom = 0;
  std::int64_t cut_left = 0;
  std::int64_t cut_right = 0;
};

/// Draws in a fixed order, whichever parts of `config` are on.
Augmentation draw_augmentation(const AugmentConfig& config, std::int64_t height, std::int64_t width,
                               RandomStream& random);

/// normalize() of every value that a pixel can have: one table per channel.
using NormalizationTable = std::vector<std::array<float, 256>>;
NormalizationTable normalization_table(const Normalization& normalization);

struct ImageShape {
  std::int64_t channels;
  std::int64_t height;
  std::int64_t width;
};

/// `pixels` [C, H, W] to `output`, [H, W, C] or [C, H, W]; both have C * H * W elements. What lies outside
/// the image or inside the cutout is 0, the mean colour.
void augment_image(std::span<const std::uint8_t> pixels, const ImageShape& shape,
                   const NormalizationTable& table, const Augmentation& augmentation, bool channels_last,
                   std::span<float> output);

}  // namespace octavo
