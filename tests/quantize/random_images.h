/// Noise for calibration: what quantization tests need of images.
#pragma once

#include <cstdint>
#include <random>

#include "octavo/data/dataset.h"

namespace octavo::testing {

inline const Normalization kNoiseNormalization{.mean = {0.5F, 0.4F, 0.3F}, .std = {0.25F, 0.2F, 0.3F}};

/// `count` square colour images of two classes in turn.
inline Dataset random_images(int count, std::int64_t side) {
  Dataset data;
  data.name = "noise";
  data.split = "train";
  data.hash = "00ff";
  data.class_names = {"a", "b"};
  data.channels = 3;
  data.height = side;
  data.width = side;
  std::mt19937 random(1);
  for (int i = 0; i < count; ++i) data.labels.push_back(i % 2);
  data.pixels.resize(static_cast<std::size_t>(count * data.image_size()));
  for (auto& pixel : data.pixels) pixel = static_cast<std::uint8_t>(random() % 256);
  return data;
}

}  // namespace octavo::testing
