#include "image.h"

#include <algorithm>

#include "data/image_files.h"
#include "octavo/core/hash.h"

namespace octavo {
namespace {

using testing::expect_error;
using testing::grey_png;
using testing::jpeg_bytes;
using testing::png_bytes;

using Pixels = std::vector<std::uint8_t>;

Image decode(const std::string& bytes, std::int64_t channels = 3) {
  return decode_image(std::as_bytes(std::span(bytes)), channels, "folder/picture");
}

TEST(DecodeImage, PngOfEveryKindBecomesRgb) {
  const Pixels rgb{10, 20, 30, 40, 50, 60};
  EXPECT_EQ(decode(png_bytes(PNG_FORMAT_RGB, 1, 2, rgb)).pixels, rgb);
  EXPECT_EQ(decode(png_bytes(PNG_FORMAT_GRAY, 1, 2, Pixels{7, 200})).pixels,
            (Pixels{7, 7, 7, 200, 200, 200}));
  // Alpha is dropped, as Pillow's convert("RGB") does.
  EXPECT_EQ(decode(png_bytes(PNG_FORMAT_RGBA, 1, 2, Pixels{10, 20, 30, 128, 40, 50, 60, 255})).pixels, rgb);
  EXPECT_EQ(decode(png_bytes(PNG_FORMAT_GA, 1, 1, Pixels{9, 128})).pixels, (Pixels{9, 9, 9}));
  EXPECT_EQ(
      decode(png_bytes(PNG_FORMAT_RGB_COLORMAP, 1, 3, Pixels{1, 0, 1}, {1, 2, 3, 250, 251, 252})).pixels,
      (Pixels{250, 251, 252, 1, 2, 3, 250, 251, 252}));
  EXPECT_EQ(decode(png_bytes(PNG_FORMAT_LINEAR_Y, 1, 2, std::vector<std::uint16_t>{0x8080, 0xffff})).pixels,
            (Pixels{128, 128, 128, 255, 255, 255}));
  const Image image = decode(grey_png(5, 3, 4));
  EXPECT_EQ(image.channels, 3);
  EXPECT_EQ(image.height, 3);
  EXPECT_EQ(image.width, 4);
}

TEST(DecodeImage, OneChannelIsGreyAsPillowMakesIt) {
  // Image.convert("L") of a 2 x 2 picture.
  const Pixels rgb{0, 50, 100, 7, 57, 107, 13, 63, 113, 23, 73, 123};
  EXPECT_EQ(decode(png_bytes(PNG_FORMAT_RGB, 2, 2, rgb), 1).pixels, (Pixels{0x29, 0x30, 0x36, 0x40}));
  EXPECT_EQ(decode(grey_png(77, 1, 1), 1).pixels, (Pixels{77}));
}

void expect_all_near(const Image& image, const Pixels& pixel) {
  for (std::size_t i = 0; i < image.pixels.size(); ++i)
    EXPECT_NEAR(image.pixels[i], pixel[i % pixel.size()], 2) << "at " << i;
}

TEST(DecodeImage, JpegGreyRgbAndCmyk) {
  expect_all_near(decode(jpeg_bytes(JCS_GRAYSCALE, 9, 17, {100})), {100, 100, 100});
  expect_all_near(decode(jpeg_bytes(JCS_RGB, 9, 17, {200, 30, 90})), {200, 30, 90});
  // Inks 200, 30, 90 and black 40, which Pillow reads as (46, 190, 139).
  const Image cmyk = decode(jpeg_bytes(JCS_CMYK, 8, 8, {255 - 200, 255 - 30, 255 - 90, 255 - 40}));
  EXPECT_EQ(cmyk.channels, 3);
  expect_all_near(cmyk, {46, 190, 139});
}

TEST(DecodeImage, WhatIsNoWholeImageIsRefusedByName) {
  const auto refused = [](const std::string& bytes, const std::string& part) {
    expect_error(ErrorCode::kBadInput, {"folder/picture", part}, [&] { decode(bytes); });
  };
  refused("", "empty");
  refused("GIF89a and more", "neither a JPEG nor a PNG");
  const std::string png = png_bytes(PNG_FORMAT_RGB, 20, 20, Pixels(1200, 3));
  refused(png.substr(0, 20), "damaged PNG");
  refused(png.substr(0, png.size() - 20), "damaged PNG");
  std::string flipped = png;
  flipped[flipped.size() - 22] ^= 0x10;  // in the pixels: their checksum no longer fits
  refused(flipped, "damaged PNG");
  const std::string jpeg = jpeg_bytes(JCS_RGB, 64, 64, {1, 2, 3});
  refused(jpeg.substr(0, 30), "damaged JPEG");
  refused(jpeg.substr(0, jpeg.size() - 40), "damaged JPEG");
}

TEST(DecodeImage, HugeDeclaredSizeIsRefusedBeforeMemoryIsTaken) {
  std::string png = grey_png(1, 1, 1);
  const auto put_number = [&](std::size_t at, std::uint32_t value) {
    for (unsigned k = 0; k < 4; ++k) png[at + k] = static_cast<char>(value >> (24U - 8U * k));
  };
  put_number(16, 1U << 26U);  // IHDR's width and height
  put_number(20, 1U << 26U);
  put_number(29, static_cast<std::uint32_t>(crc32(0, reinterpret_cast<const Bytef*>(&png[12]), 17)));
  expect_error(ErrorCode::kBadInput, {"folder/picture", "67108864 x 67108864"}, [&] { decode(png); });
}

Image patterned(std::int64_t height, std::int64_t width) {
  Image image{.channels = 3, .height = height, .width = width, .pixels = {}};
  for (std::int64_t y = 0; y < height; ++y) {
    for (std::int64_t x = 0; x < width; ++x) {
      for (std::int64_t c = 0; c < 3; ++c)
        image.pixels.push_back(static_cast<std::uint8_t>((x * x * 7 + y * 13 + c * 50 + x * y * 3) % 256));
    }
  }
  return image;
}

std::uint64_t fnv(const Pixels& pixels) {
  return fnv1a({reinterpret_cast<const char*>(pixels.data()), pixels.size()});
}

// Expected: Image.resize(size, Image.BILINEAR) of Pillow 9.4.
TEST(ResizeImage, EqualsPillowBitForBit) {
  EXPECT_EQ(resize_image(patterned(7, 5), 4, 3).pixels,
            (Pixels{10, 60,  110, 41,  91,  141, 104, 154, 197, 33, 83,  133, 71,  121, 171, 140, 190, 123,
                    59, 109, 159, 105, 155, 194, 184, 129, 116, 81, 131, 181, 135, 185, 181, 144, 124, 70}));
  EXPECT_EQ(fnv(resize_image(patterned(5, 7), 9, 11).pixels), 0xd5e2923455b8e74eULL);
  EXPECT_EQ(fnv(resize_image(patterned(64, 48), 16, 12).pixels), 0xb8ec69cbb127f959ULL);
  EXPECT_EQ(fnv(resize_image(patterned(37, 53), 20, 53).pixels), 0x58d1bd62f04dbe5fULL);
  EXPECT_EQ(fnv(resize_image(patterned(30, 41), 30, 17).pixels), 0x50bd145cdabd5d32ULL);
  EXPECT_EQ(fnv(resize_image(patterned(100, 200), 3, 5).pixels), 0x454fade2b99a7371ULL);
}

/// Two bytes at `at`, the larger first, become `value`.
void set_word(std::string& bytes, std::size_t at, unsigned value) {
  bytes[at] = static_cast<char>(value >> 8);
  bytes[at + 1] = static_cast<char>(value & 0xffU);
}

TEST(DecodeImage, HeadersAloneTakeNoMemory) {
  const auto refuse = [](const std::string& bytes) {
    expect_error(ErrorCode::kBadInput, {"declares more pixels than a file of its size can hold"},
                 [&] { decode_image(std::as_bytes(std::span(bytes)), 3, "image"); });
  };
  // SOF0 is followed by length (2 bytes), precision, height and width.
  std::string jpeg = testing::jpeg_bytes(JCS_RGB, 8, 8, {1, 2, 3});
  const std::size_t frame = jpeg.find("\xff\xc0");
  ASSERT_NE(frame, std::string::npos);
  set_word(jpeg, frame + 5, 8192);
  set_word(jpeg, frame + 7, 8192);
  refuse(jpeg);
  // IHDR's width and height, four bytes each from 16 on, then a CRC over type and contents.
  std::string png = testing::grey_png(1, 8, 8);
  set_word(png, 18, 8192);
  set_word(png, 22, 8192);
  const auto crc = crc32(0, reinterpret_cast<const Bytef*>(png.data()) + 12, 17);
  set_word(png, 29, static_cast<unsigned>(crc >> 16));
  set_word(png, 31, static_cast<unsigned>(crc & 0xffffU));
  refuse(png);
}

TEST(DecodeImage, FlatPicturesOfAnySizeAreRead) {
  // As dense as the formats allow.
  for (const std::string& bytes :
       {testing::grey_png(7, 4096, 4096), testing::jpeg_bytes(JCS_GRAYSCALE, 4096, 4096, {7}),
        testing::jpeg_bytes(JCS_RGB, 4096, 4096, {7, 7, 7}),
        testing::jpeg_bytes(JCS_GRAYSCALE, 4096, 4096, {7}, true),
        testing::jpeg_bytes(JCS_RGB, 4096, 4096, {7, 7, 7}, true)}) {
    EXPECT_EQ(decode_image(std::as_bytes(std::span(bytes)), 1, "image").pixels[4096 * 4096 - 1], 7);
  }
}

/// `bytes` of a progressive JPEG with its last scan so many times more.
std::string with_more_scans(const std::string& bytes, int times) {
  const std::size_t scan = bytes.rfind("\xff\xda");
  std::string result = bytes.substr(0, bytes.size() - 2);  // without the mark of the end
  for (int i = 0; i < times; ++i) result += bytes.substr(scan, bytes.size() - 2 - scan);
  return result + bytes.substr(bytes.size() - 2);
}

// A scan of a flat picture takes a few dozen bytes, and the decoder a walk over all of its blocks.
TEST(DecodeImage, ScansOfAJpegAreBoundedByItsBytes) {
  const std::string flat = testing::jpeg_bytes(JCS_GRAYSCALE, 2048, 2048, {7}, true);
  EXPECT_EQ(decode(with_more_scans(flat, 4), 1).pixels[0], 7);
  expect_error(ErrorCode::kBadInput, {"folder/picture", "more scans than a file of its size may have"},
               [&] { decode(with_more_scans(flat, 150)); });
  // Small ones cost nothing, up to a number that no encoder reaches.
  const std::string small = testing::jpeg_bytes(JCS_GRAYSCALE, 16, 16, {7}, true);
  EXPECT_EQ(decode(with_more_scans(small, 150), 1).pixels[0], 7);
  expect_error(ErrorCode::kBadInput, {"more scans"}, [&] { decode(with_more_scans(small, 600)); });
}

TEST(SizeBeforeCrop, KeepsProportionAndCoversTheWindow) {
  const auto size = [](std::int64_t height, std::int64_t width, std::int64_t shorter, ImageSize window) {
    const ImageSize s =
        size_before_crop({.channels = 3, .height = height, .width = width, .pixels = {}}, shorter, window);
    return std::pair(s.height, s.width);
  };
  EXPECT_EQ(size(300, 400, 256, {224, 224}), std::pair(256L, 341L));  // torchvision: int(256 * 400 / 300)
  EXPECT_EQ(size(400, 300, 256, {224, 224}), std::pair(341L, 256L));
  EXPECT_EQ(size(50, 80, 0, {32, 32}), std::pair(32L, 51L));
  EXPECT_EQ(size(32, 32, 0, {32, 32}), std::pair(32L, 32L));
  EXPECT_EQ(size(80, 40, 0, {100, 50}), std::pair(100L, 50L));
  EXPECT_EQ(size(60, 50, 0, {100, 50}), std::pair(100L, 83L));  // a window longer than the picture
  EXPECT_EQ(size(50, 60, 0, {50, 100}), std::pair(83L, 100L));
}

TEST(CentreCrop, TakesTheMiddleAsPlanes) {
  Image image{.channels = 3, .height = 3, .width = 5, .pixels = {}};
  for (std::uint8_t i = 0; i < 15; ++i)
    image.pixels.insert(image.pixels.end(), {i, static_cast<std::uint8_t>(100 + i), 9});
  Pixels planes(6);
  centre_crop(image, {1, 2}, planes);  // left = round(1.5) = 2, half to even
  EXPECT_EQ(planes, (Pixels{7, 8, 107, 108, 9, 9}));
}

}  // namespace
}  // namespace octavo
