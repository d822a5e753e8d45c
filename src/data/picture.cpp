#include "octavo/data/picture.h"

#include "image.h"

namespace octavo {

std::vector<std::uint8_t> decode_picture(std::span<const std::byte> bytes, const PictureConfig& config,
                                         const std::string& where) {
  const Image image = decode_image(bytes, config.channels, where, config.max_pixels);
  const ImageSize window{config.height, config.width};
  const ImageSize size = checked_size_before_crop(image, config.shorter, window, where, config.max_pixels);
  std::vector<std::uint8_t> planes(static_cast<std::size_t>(config.channels * window.height * window.width));
  centre_crop(resize_image(image, size.height, size.width), window, planes);
  return planes;
}

}  // namespace octavo
