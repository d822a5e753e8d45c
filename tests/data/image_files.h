/// Real PNG and JPEG files for tests, written by the libraries themselves.
#pragma once

#include <png.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>
// After <cstdio>: the header needs FILE.
#include <jpeglib.h>

#include "data/support.h"

namespace octavo::testing {

/// `pixels` in libpng's `format` (PNG_FORMAT_GRAY, PNG_FORMAT_RGBA, PNG_FORMAT_LINEAR_Y for 16 bits, ...).
template <typename T>
std::string png_bytes(std::uint32_t format, std::uint32_t height, std::uint32_t width,
                      const std::vector<T>& pixels, const std::vector<std::uint8_t>& palette = {}) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = width;
  image.height = height;
  image.format = format;
  image.colormap_entries = static_cast<png_uint_32>(palette.size() / 3);
  const void* colours = palette.empty() ? nullptr : palette.data();
  png_alloc_size_t size = 0;
  if (png_image_write_to_memory(&image, nullptr, &size, 0, pixels.data(), 0, colours) == 0)
    throw std::runtime_error(image.message);
  std::string bytes(size, '\0');
  if (png_image_write_to_memory(&image, bytes.data(), &size, 0, pixels.data(), 0, colours) == 0)
    throw std::runtime_error(image.message);
  bytes.resize(size);
  return bytes;
}

/// One pixel everywhere; JCS_GRAYSCALE, JCS_RGB or, as Adobe's programs write it, JCS_CMYK with inverted
/// inks.
inline std::string jpeg_bytes(J_COLOR_SPACE space, unsigned height, unsigned width,
                              const std::vector<std::uint8_t>& pixel, bool progressive = false) {
  jpeg_compress_struct jpeg{};
  jpeg_error_mgr errors{};
  jpeg.err = jpeg_std_error(&errors);
  jpeg_create_compress(&jpeg);
  unsigned char* memory = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&jpeg, &memory, &size);
  jpeg.image_width = width;
  jpeg.image_height = height;
  jpeg.input_components = static_cast<int>(pixel.size());
  jpeg.in_color_space = space;
  jpeg_set_defaults(&jpeg);
  jpeg_set_quality(&jpeg, 95, TRUE);
  if (progressive) jpeg_simple_progression(&jpeg);
  jpeg_start_compress(&jpeg, TRUE);
  std::vector<std::uint8_t> row;
  for (unsigned x = 0; x < width; ++x) row.insert(row.end(), pixel.begin(), pixel.end());
  for (unsigned y = 0; y < height; ++y) {
    JSAMPROW start = row.data();
    jpeg_write_scanlines(&jpeg, &start, 1);
  }
  jpeg_finish_compress(&jpeg);
  std::string bytes(reinterpret_cast<const char*>(memory), size);
  jpeg_destroy_compress(&jpeg);
  std::free(memory);
  return bytes;
}

/// A grey PNG of one value.
inline std::string grey_png(std::uint8_t value, std::uint32_t height, std::uint32_t width) {
  return png_bytes(PNG_FORMAT_GRAY, height, width,
                   std::vector<std::uint8_t>(std::size_t{height} * width, value));
}

/// Writes a file and the folders above it.
inline void put_image(const std::filesystem::path& path, const std::string& bytes) {
  std::filesystem::create_directories(path.parent_path());
  put(path, bytes);
}

}  // namespace octavo::testing
