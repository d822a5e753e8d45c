/// Pictures inside a page.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace octavo::report {

std::string base64(std::span<const std::uint8_t> bytes);

/// "data:image/png;base64,..." of interleaved pixels, row by row: 1 channel (grey), 3 (RGB) or 4 (RGBA).
/// Throws kUsage if the pixels are not width * height * channels.
std::string png_data_uri(std::span<const std::uint8_t> pixels, std::int64_t width, std::int64_t height,
                         std::int64_t channels);

}  // namespace octavo::report
