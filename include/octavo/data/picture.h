/// One JPEG or PNG file as a model's input.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace octavo {

/// What a model takes.
struct PictureConfig {
  std::int64_t channels = 3;  ///< 3: RGB, 1: grey.
  std::int64_t height = 0;
  std::int64_t width = 0;
  std::int64_t shorter = 0;  ///< Pixels that the shorter side is resized to before the middle is cut out; 0:
                             ///< as small as covers the cut.
  std::uint64_t max_pixels = std::uint64_t{1} << 27;  ///< Of the file, and once resized.
};

/// Decodes a file's bytes, resizes, bilinear with antialiasing as Pillow and torchvision do, and cuts the
/// middle out: planes [channels, height, width], as an image folder's are made. No memory is taken before the
/// size is known. `where` names the bytes in errors. Throws kBadInput: neither JPEG nor PNG, truncated,
/// damaged, too many pixels; kUsage: smaller than the cut once resized.
std::vector<std::uint8_t> decode_picture(std::span<const std::byte> bytes, const PictureConfig& config,
                                         const std::string& where);

}  // namespace octavo
