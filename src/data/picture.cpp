#include "octavo/data/picture.h"

#include <fmt/format.h>

#include "image.h"
#include "octavo/core/error.h"

namespace octavo {

std::vector<std::uint8_t> decode_picture(std::span<const std::byte> bytes, const PictureConfig& config,
                                         const std::string& where) {
  const Image image = decode_image(bytes, config.channels, where, config.max_pixels);
  const ImageSize window{config.height, config.width};
  const ImageSize size = size_before_crop(image, config.shorter, window);
  if (size.height < window.height || size.width < window.width) {
    throw Error(
        ErrorCode::kUsage, where,
        fmt::format("is {} x {} pixels once resized; expected at least the model's {} x {} (give a larger "
                    "--resize)",
                    size.height, size.width, window.height, window.width));
  }
  check_image_size(static_cast<std::uint64_t>(size.width), static_cast<std::uint64_t>(size.height), where,
                   config.max_pixels);
  std::vector<std::uint8_t> planes(static_cast<std::size_t>(config.channels * window.height * window.width));
  centre_crop(resize_image(image, size.height, size.width), window, planes);
  return planes;
}

}  // namespace octavo
