/// PNG files, by libpng.
#include <png.h>

#include <array>
#include <cstring>
#include <memory>

#include "image_codecs.h"
#include "octavo/core/error.h"

namespace octavo {
namespace {

/// What libpng's callbacks share with the reader. libpng ends in longjmp() where it fails: between setjmp()
/// and there, nothing with a destructor may come to life.
struct Source {
  std::span<const std::byte> bytes;
  std::array<char, 160> problem{};
};

void keep_problem(png_structp png, png_const_charp text) {
  auto* source = static_cast<Source*>(png_get_error_ptr(png));
  std::strncpy(source->problem.data(), text, source->problem.size() - 1);
  png_longjmp(png, 1);
}

void ignore_warning(png_structp, png_const_charp) {}

void take_bytes(png_structp png, png_bytep to, std::size_t count) {
  auto* source = static_cast<Source*>(png_get_io_ptr(png));
  if (count > source->bytes.size()) png_error(png, "the file ends too early");
  std::memcpy(to, source->bytes.data(), count);
  source->bytes = source->bytes.subspan(count);
}

/// An open file and libpng's state for it.
struct Reader {
  Source source;
  png_structp png = nullptr;
  png_infop info = nullptr;
  std::size_t row_bytes = 0;  ///< As the file has them.

  explicit Reader(std::span<const std::byte> bytes) : source{.bytes = bytes} {
    png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &source, keep_problem, ignore_warning);
    info = png == nullptr ? nullptr : png_create_info_struct(png);
    check_internal(info != nullptr, "libpng does not start");
    png_set_read_fn(png, &source, take_bytes);
  }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
  ~Reader() { png_destroy_read_struct(&png, &info, nullptr); }
};

/// Reads what comes before the pixels and asks for 8 bits of grey or RGB. False on an error.
bool read_header(Reader& reader) {
  if (setjmp(png_jmpbuf(reader.png)) != 0) return false;
  png_read_info(reader.png, reader.info);
  reader.row_bytes = png_get_rowbytes(reader.png, reader.info);
  png_set_expand(reader.png);  // palettes, and grey of fewer than 8 bits
  png_set_scale_16(reader.png);
  png_set_strip_alpha(reader.png);
  png_set_interlace_handling(reader.png);
  png_read_update_info(reader.png, reader.info);
  return true;
}

bool read_pixels(Reader& reader, png_bytepp rows) {
  if (setjmp(png_jmpbuf(reader.png)) != 0) return false;
  png_read_image(reader.png, rows);
  png_read_end(reader.png, nullptr);
  return true;
}

}  // namespace

Image decode_png(std::span<const std::byte> bytes, const std::string& where, std::uint64_t max_pixels) {
  const auto reader = std::make_unique<Reader>(bytes);
  const auto fail = [&] {
    throw Error(ErrorCode::kBadInput, where,
                std::string("damaged PNG: ") + reader->source.problem.data() +
                    "; expected a whole image (repair or remove the file)");
  };
  png_set_user_limits(reader->png, 1U << 27U, 1U << 27U);
  if (!read_header(*reader)) fail();
  Image image{.channels = png_get_channels(reader->png, reader->info),
              .height = png_get_image_height(reader->png, reader->info),
              .width = png_get_image_width(reader->png, reader->info),
              .pixels = {}};
  check_image_size(static_cast<std::uint64_t>(image.width), static_cast<std::uint64_t>(image.height), where,
                   max_pixels);
  // A header alone must not make us allocate: deflate packs at most 1,032 bytes into one.
  constexpr std::uint64_t kMostExpansion = 1032;
  if (reader->row_bytes > kMostExpansion * bytes.size() / static_cast<std::uint64_t>(image.height) + 1) {
    throw Error(ErrorCode::kBadInput, where,
                "declares more pixels than a file of its size can hold; expected a whole image");
  }
  check_internal(image.channels == 1 || image.channels == 3, "decode_png: 1 or 3 channels");
  const auto row_bytes = static_cast<std::size_t>(image.width * image.channels);
  image.pixels.resize(row_bytes * static_cast<std::size_t>(image.height));
  std::vector<png_bytep> rows;
  for (std::int64_t y = 0; y < image.height; ++y)
    rows.push_back(image.pixels.data() + static_cast<std::size_t>(y) * row_bytes);
  if (!read_pixels(*reader, rows.data())) fail();
  return image;
}

}  // namespace octavo
