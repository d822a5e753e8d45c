/// The two formats of images.
#pragma once

#include "image.h"

namespace octavo {

/// To 1 or 3 channels, as the file has it.
Image decode_png(std::span<const std::byte> bytes, const std::string& where, std::uint64_t max_pixels);
Image decode_jpeg(std::span<const std::byte> bytes, const std::string& where, std::uint64_t max_pixels);

}  // namespace octavo
