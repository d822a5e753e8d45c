/// JPEG files, by libjpeg-turbo.
#include <csetjmp>
#include <cstddef>
#include <cstdio>
// clang-format off
// The library's headers need FILE and size_t, and its codes depend on the version that the first one tells.
#include <jpeglib.h>
#include <jerror.h>
// clang-format on

#include <algorithm>
#include <array>
#include <memory>
#include <string_view>

#include "image_codecs.h"
#include "octavo/core/error.h"

namespace octavo {
namespace {

/// libjpeg's state for one file. It ends in longjmp() where it fails: between setjmp() and there, nothing
/// with a destructor may come to life.
struct Reader {
  jpeg_decompress_struct jpeg{};
  jpeg_error_mgr errors{};
  jpeg_progress_mgr progress{};
  std::jmp_buf failed{};
  std::array<char, JMSG_LENGTH_MAX> problem{};
  int most_scans = 0;  ///< Of the picture, before the file is refused.

  Reader();
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
  ~Reader() { jpeg_destroy_decompress(&jpeg); }
};

/// A header alone must not make us allocate: each block of 8 x 8 of the finest component takes a bit at
/// least.
constexpr std::uint64_t kMostPixelsPerByte = 1024;

/// A progressive file may have as many scans as it likes, and each goes over the whole picture, though it may
/// take a few bytes alone. Encoders make about ten. So many times the pixels are gone over that the densest
/// of pictures has 16 scans, others more.
int most_scans(std::uint64_t pixels, std::uint64_t bytes) {
  constexpr std::uint64_t kAtDensest = 16;
  constexpr std::uint64_t kMost = 500;
  return static_cast<int>(std::clamp(
      kAtDensest * kMostPixelsPerByte * bytes / std::max<std::uint64_t>(pixels, 1), kAtDensest, kMost));
}

void on_progress(j_common_ptr jpeg) {
  auto* reader = static_cast<Reader*>(jpeg->client_data);
  if (reader->jpeg.input_scan_number <= reader->most_scans) return;
  constexpr std::string_view kProblem = "more scans than a file of its size may have";
  kProblem.copy(reader->problem.data(), kProblem.size());
  std::longjmp(reader->failed, 1);
}

void stop(j_common_ptr jpeg) {
  auto* reader = static_cast<Reader*>(jpeg->client_data);
  jpeg->err->format_message(jpeg, reader->problem.data());
  std::longjmp(reader->failed, 1);
}

/// Warnings: where data are missing libjpeg goes on with grey, and the image would be wrong without a word.
void on_message(j_common_ptr jpeg, int level) {
  const int code = jpeg->err->msg_code;
  if (level < 0 && (code == JWRN_JPEG_EOF || code == JWRN_HIT_MARKER)) stop(jpeg);
}

Reader::Reader() {
  jpeg.err = jpeg_std_error(&errors);
  errors.error_exit = stop;
  errors.emit_message = on_message;
  jpeg.client_data = this;
  jpeg_create_decompress(&jpeg);
  progress.progress_monitor = on_progress;
  jpeg.progress = &progress;
}

bool read_header(Reader& reader, std::span<const std::byte> bytes) {
  if (setjmp(reader.failed) != 0) return false;
  jpeg_mem_src(&reader.jpeg, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
  jpeg_read_header(&reader.jpeg, TRUE);
  switch (reader.jpeg.jpeg_color_space) {
    case JCS_GRAYSCALE:
      reader.jpeg.out_color_space = JCS_GRAYSCALE;
      break;
    case JCS_CMYK:
    case JCS_YCCK:
      reader.jpeg.out_color_space = JCS_CMYK;
      break;
    default:
      reader.jpeg.out_color_space = JCS_RGB;
  }
  return true;
}

bool read_pixels(Reader& reader, std::uint8_t* pixels, std::size_t row_bytes) {
  if (setjmp(reader.failed) != 0) return false;
  jpeg_start_decompress(&reader.jpeg);
  while (reader.jpeg.output_scanline < reader.jpeg.output_height) {
    JSAMPROW row = pixels + reader.jpeg.output_scanline * row_bytes;
    jpeg_read_scanlines(&reader.jpeg, &row, 1);
  }
  jpeg_finish_decompress(&reader.jpeg);
  return true;
}

/// Ink to light. Adobe's programs, who make such files, store 255 less the ink.
void cmyk_to_rgb(Image& image, bool inverted) {
  std::vector<std::uint8_t> rgb(image.pixels.size() / 4 * 3);
  for (std::size_t i = 0; i < rgb.size() / 3; ++i) {
    const auto light = [&](std::size_t k) -> std::uint32_t {
      const std::uint8_t stored = image.pixels[4 * i + k];
      return inverted ? stored : 255U - stored;
    };
    for (std::size_t k = 0; k < 3; ++k)
      rgb[3 * i + k] = static_cast<std::uint8_t>((light(k) * light(3) + 127) / 255);
  }
  image.pixels = std::move(rgb);
  image.channels = 3;
}

}  // namespace

Image decode_jpeg(std::span<const std::byte> bytes, const std::string& where, std::uint64_t max_pixels) {
  const auto reader = std::make_unique<Reader>();
  const auto fail = [&] {
    throw Error(ErrorCode::kBadInput, where,
                std::string("damaged JPEG: ") + reader->problem.data() +
                    "; expected a whole image (repair or remove the file)");
  };
  if (!read_header(*reader, bytes)) fail();
  check_image_size(reader->jpeg.image_width, reader->jpeg.image_height, where, max_pixels);
  const std::uint64_t pixel_count = std::uint64_t{reader->jpeg.image_width} * reader->jpeg.image_height;
  if (pixel_count > kMostPixelsPerByte * bytes.size()) {
    throw Error(ErrorCode::kBadInput, where,
                "declares more pixels than a file of its size can hold; expected a whole image");
  }
  reader->most_scans = most_scans(pixel_count, bytes.size());
  const J_COLOR_SPACE space = reader->jpeg.out_color_space;
  Image image{.channels = space == JCS_GRAYSCALE ? 1
                          : space == JCS_CMYK    ? 4
                                                 : 3,
              .height = reader->jpeg.image_height,
              .width = reader->jpeg.image_width,
              .pixels = {}};
  const auto row_bytes = static_cast<std::size_t>(image.width * image.channels);
  image.pixels.resize(row_bytes * static_cast<std::size_t>(image.height));
  if (!read_pixels(*reader, image.pixels.data(), row_bytes)) fail();
  if (image.channels == 4) cmyk_to_rgb(image, reader->jpeg.saw_Adobe_marker != 0);
  return image;
}

}  // namespace octavo
