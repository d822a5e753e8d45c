#include "augment.h"

#include <algorithm>
#include <numeric>

namespace octavo {
namespace {

std::uint64_t seed_of(std::uint64_t seed, std::uint64_t epoch, std::uint64_t position) {
  std::uint64_t state = 0;
  for (const std::uint64_t part : {seed, epoch, position})
    state = SplitMix64::mix(state ^ (part + SplitMix64::kStep));
  return state;
}

/// One row of one channel, `step` floats apart in the output; `source` may be null: all padding.
void write_row(const std::uint8_t* source, const std::array<float, 256>& table, std::int64_t width,
               std::int64_t left, bool flip, float* output, std::int64_t step) {
  // Columns of the crop that lie inside the image.
  const std::int64_t begin = source == nullptr ? width : std::clamp<std::int64_t>(-left, 0, width);
  const std::int64_t end = source == nullptr ? width : std::clamp<std::int64_t>(width - left, begin, width);
  float* target = output;
  if (flip) {
    target += (width - 1) * step;
    step = -step;
  }
  std::int64_t x = 0;
  for (; x < begin; ++x) target[x * step] = 0.0F;
  for (; x < end; ++x) target[x * step] = table[source[x + left]];
  for (; x < width; ++x) target[x * step] = 0.0F;
}

}  // namespace

RandomStream::RandomStream(std::uint64_t seed, std::uint64_t epoch, std::uint64_t position)
    : numbers_(seed_of(seed, epoch, position)) {}

std::uint32_t RandomStream::below(std::uint32_t bound) {
  return static_cast<std::uint32_t>((next() >> 32U) * bound >> 32U);
}

Augmentation draw_augmentation(const AugmentConfig& config, std::int64_t height, std::int64_t width,
                               RandomStream& random) {
  Augmentation result;
  const auto shifts = static_cast<std::uint32_t>(2 * config.crop_padding + 1);
  result.top = static_cast<std::int64_t>(random.below(shifts)) - config.crop_padding;
  result.left = static_cast<std::int64_t>(random.below(shifts)) - config.crop_padding;
  result.flip = (random.next() >> 63U) != 0 && config.horizontal_flip;
  // The centre is anywhere in the image, so the square may reach over its border (DeVries & Taylor 2017).
  const std::int64_t centre_y = random.below(static_cast<std::uint32_t>(height));
  const std::int64_t centre_x = random.below(static_cast<std::uint32_t>(width));
  result.cut = config.cutout > 0;
  const std::int64_t half = config.cutout / 2;
  result.cut_top = std::max<std::int64_t>(centre_y - half, 0);
  result.cut_left = std::max<std::int64_t>(centre_x - half, 0);
  result.cut_bottom = std::min(centre_y - half + config.cutout, height);
  result.cut_right = std::min(centre_x - half + config.cutout, width);
  return result;
}

NormalizationTable normalization_table(const Normalization& normalization) {
  const std::size_t channels = normalization.mean.size();
  std::vector<std::uint8_t> values(channels * 256);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<std::uint8_t>(i % 256);
  std::vector<float> reals(values.size());
  normalize(values, normalization, 256, reals);
  NormalizationTable table(channels);
  for (std::size_t c = 0; c < channels; ++c) std::copy_n(reals.data() + c * 256, 256, table[c].begin());
  return table;
}

void augment_image(std::span<const std::uint8_t> pixels, const ImageShape& shape,
                   const NormalizationTable& table, const Augmentation& augmentation, bool channels_last,
                   std::span<float> output) {
  const auto& [channels, height, width] = shape;
  const std::int64_t plane = height * width;
  // Distance in the output from one column, row and channel to the next.
  const std::int64_t column = channels_last ? channels : 1;
  const std::int64_t row = width * column;
  const std::int64_t channel = channels_last ? 1 : plane;
  for (std::int64_t y = 0; y < height; ++y) {
    const std::int64_t source_y = y + augmentation.top;
    const bool inside = source_y >= 0 && source_y < height;
    for (std::int64_t c = 0; c < channels; ++c) {
      const std::uint8_t* source = inside ? pixels.data() + c * plane + source_y * width : nullptr;
      write_row(source, table[static_cast<std::size_t>(c)], width, augmentation.left, augmentation.flip,
                output.data() + y * row + c * channel, column);
    }
  }
  if (!augmentation.cut) return;
  for (std::int64_t y = augmentation.cut_top; y < augmentation.cut_bottom; ++y) {
    for (std::int64_t x = augmentation.cut_left; x < augmentation.cut_right; ++x) {
      for (std::int64_t c = 0; c < channels; ++c) {
        output[static_cast<std::size_t>(y * row + x * column + c * channel)] = 0.0F;
      }
    }
  }
}

}  // namespace octavo
