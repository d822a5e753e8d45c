/// Small models on disk, and what they answer when they are run directly.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "octavo/core/temporary_folder.h"

namespace octavo::testing {

inline constexpr std::int64_t kSide = 16;
inline constexpr std::int64_t kClasses = 10;
inline constexpr std::int64_t kImageValues = 3 * kSide * kSide;

/// float.onnx, int8.onnx and int4.onnx of one network, [N, 3, 16, 16] to 10 classes "zero" to "nine"; made
/// once a process.
class ModelFiles {
 public:
  static const ModelFiles& get();
  std::filesystem::path operator/(const std::string& name) const { return folder_ / name; }

 private:
  ModelFiles();
  TemporaryFolder folder_;
};

/// Uniform numbers from -2 to 2.
std::vector<float> random_floats(std::size_t count, unsigned seed);
std::vector<std::uint8_t> random_pixels(std::size_t count, unsigned seed);
/// As ModelFiles' models want pixels [N, C, H, W].
std::vector<float> normalized(std::span<const std::uint8_t> planes);

/// The scores of images [N, C, H, W], each run alone.
std::vector<float> scores_alone(const std::filesystem::path& file, std::span<const float> images);

}  // namespace octavo::testing
