/// A PNG or JPEG file, to grey or to colours, then to a small window as image folders are read.
#include "image.h"
#include "target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace octavo;
  const std::int64_t channels = size % 2 == 0 ? 1 : 3;
  Image image;
  if (!fuzz::accepts([&] { image = decode_image(std::as_bytes(std::span(data, size)), channels, "fuzz"); }))
    return 0;
  fuzz::require(image.channels == channels && image.height > 0 && image.width > 0, "the image has a size");
  fuzz::require(static_cast<std::int64_t>(image.pixels.size()) == image.height * image.width * channels,
                "an accepted image has all its pixels");
  // Elongated ones would grow by much, and reading an image folder refuses them.
  if (image.height > 8 * image.width || image.width > 8 * image.height) return 0;
  constexpr ImageSize kWindow{.height = 5, .width = 7};
  const ImageSize before = size_before_crop(image, 0, kWindow);
  std::vector<std::uint8_t> planes(static_cast<std::size_t>(channels * kWindow.height * kWindow.width));
  centre_crop(resize_image(image, before.height, before.width), kWindow, planes);
  return 0;
}
