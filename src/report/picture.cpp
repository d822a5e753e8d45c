#include "picture.h"

#include <fmt/format.h>
#include <png.h>

#include <algorithm>

#include "octavo/core/error.h"

namespace octavo::report {

std::string base64(std::span<const std::uint8_t> bytes) {
  constexpr const char* kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t present = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 3; ++k) group = group << 8U | (k < present ? bytes[i + k] : 0U);
    for (std::size_t k = 0; k < 4; ++k) text += k <= present ? kDigits[group >> (18U - 6U * k) & 63U] : '=';
  }
  return text;
}

std::string png_data_uri(std::span<const std::uint8_t> pixels, std::int64_t width, std::int64_t height,
                         std::int64_t channels) {
  if ((channels != 1 && channels != 3 && channels != 4) || width < 1 || height < 1 || width > 1 << 16 ||
      height > 1 << 16 || std::ssize(pixels) != width * height * channels) {
    throw Error(ErrorCode::kUsage, "png",
                fmt::format("pixels do not fit; expected {} x {} x {} (1, 3 or 4 channels), got {}", height,
                            width, channels, pixels.size()));
  }
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = static_cast<png_uint_32>(width);
  image.height = static_cast<png_uint_32>(height);
  image.format = channels == 1 ? PNG_FORMAT_GRAY : channels == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_RGBA;
  std::vector<std::uint8_t> encoded(PNG_IMAGE_PNG_SIZE_MAX(image));
  png_alloc_size_t size = encoded.size();
  if (png_image_write_to_memory(&image, encoded.data(), &size, 0, pixels.data(), 0, nullptr) == 0) {
    throw Error(ErrorCode::kInternal, "png", fmt::format("cannot encode: {}", image.message));
  }
  encoded.resize(size);
  return "data:image/png;base64," + base64(encoded);
}

}  // namespace octavo::report
