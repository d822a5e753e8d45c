/// One picture: decoding, resizing, cropping.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace octavo {

/// Pixels [height, width, channels], row-major.
struct Image {
  std::int64_t channels = 0;
  std::int64_t height = 0;
  std::int64_t width = 0;
  std::vector<std::uint8_t> pixels;
};

/// True if the bytes begin as a JPEG or a PNG file does.
bool looks_like_image(std::span<const std::byte> bytes);

/// Pixels of a picture at most, where nobody asks for fewer.
inline constexpr std::uint64_t kMostPixels = std::uint64_t{1} << 27;

/// Throws kBadInput unless 1 <= width * height <= max_pixels: before memory is taken for it.
void check_image_size(std::uint64_t width, std::uint64_t height, const std::string& where,
                      std::uint64_t max_pixels = kMostPixels);

/// Decodes a JPEG or PNG file, told apart by what it holds and not by its name, to 3 channels (RGB) or 1
/// (grey: 0.299 R + 0.587 G + 0.114 B). Palettes are looked up, 16 bits become 8, CMYK becomes RGB; alpha,
/// gamma, colour profiles and orientation tags are ignored, as Pillow's convert("RGB") does. Throws
/// kBadInput, beginning with `where`: empty, of another kind, truncated, damaged, or of more than
/// `max_pixels`.
Image decode_image(std::span<const std::byte> bytes, std::int64_t channels, const std::string& where,
                   std::uint64_t max_pixels = kMostPixels);

/// Bilinear with antialiasing: a pixel is the weighted mean of all that its triangle, twice as wide as
/// itself, covers in `image`. Weights of 22 bits, columns before rows, rounded to uint8 after each: Pillow's
/// BILINEAR and torchvision's Resize on its images, bit for bit.
Image resize_image(const Image& image, std::int64_t height, std::int64_t width);

/// The size to resize to before a window of `height` x `width` is cut out: the shorter side becomes `shorter`
/// and the longer one keeps proportion, rounded down; 0: as small as covers the window.
struct ImageSize {
  std::int64_t height = 0;
  std::int64_t width = 0;
};
ImageSize size_before_crop(const Image& image, std::int64_t shorter, ImageSize window);

/// The same of an image whose size is known, checked: throws kUsage where the window is larger than that,
/// kBadInput as check_image_size() does.
ImageSize checked_size_before_crop(const Image& image, std::int64_t shorter, ImageSize window,
                                   const std::string& where, std::uint64_t max_pixels = kMostPixels);

/// The middle of `image` as planes [channels, height, width]. The image is at least as large.
void centre_crop(const Image& image, ImageSize window, std::span<std::uint8_t> planes);

}  // namespace octavo
