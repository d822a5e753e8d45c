#include "picture.h"

#include <gtest/gtest.h>
#include <png.h>

#include <string_view>

#include "octavo/core/error.h"

namespace octavo::report {
namespace {

std::vector<std::uint8_t> bytes_of(std::string_view text) { return {text.begin(), text.end()}; }

std::vector<std::uint8_t> from_base64(std::string_view text) {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::vector<std::uint8_t> bytes;
  std::uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    if (c == '=') break;
    bits = bits << 6U | static_cast<std::uint32_t>(kDigits.find(c));
    count += 6;
    if (count >= 8) {
      count -= 8;
      bytes.push_back(static_cast<std::uint8_t>(bits >> static_cast<unsigned>(count)));
    }
  }
  return bytes;
}

TEST(Base64, EqualsVectorsOfRfc4648) {
  EXPECT_EQ(base64(bytes_of("")), "");
  EXPECT_EQ(base64(bytes_of("f")), "Zg==");
  EXPECT_EQ(base64(bytes_of("fo")), "Zm8=");
  EXPECT_EQ(base64(bytes_of("foo")), "Zm9v");
  EXPECT_EQ(base64(bytes_of("foob")), "Zm9vYg==");
  EXPECT_EQ(base64(bytes_of("fooba")), "Zm9vYmE=");
  EXPECT_EQ(base64(bytes_of("foobar")), "Zm9vYmFy");
  EXPECT_EQ(base64(std::vector<std::uint8_t>{0xFB, 0xFF, 0xFE}), "+//+");
}

TEST(Picture, DecodesToTheSamePixels) {
  for (const std::int64_t channels : {1, 3, 4}) {
    std::vector<std::uint8_t> pixels(static_cast<std::size_t>(5 * 7 * channels));
    for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<std::uint8_t>(i * 37);
    if (channels == 4) {
      for (std::size_t i = 3; i < pixels.size(); i += 4) pixels[i] = 255;
    }
    const std::string uri = png_data_uri(pixels, 5, 7, channels);
    constexpr std::string_view kPrefix = "data:image/png;base64,";
    ASSERT_TRUE(uri.starts_with(kPrefix));
    const std::vector<std::uint8_t> file = from_base64(std::string_view(uri).substr(kPrefix.size()));

    png_image image{};
    image.version = PNG_IMAGE_VERSION;
    ASSERT_NE(png_image_begin_read_from_memory(&image, file.data(), file.size()), 0) << image.message;
    EXPECT_EQ(image.width, 5U);
    EXPECT_EQ(image.height, 7U);
    image.format = channels == 1 ? PNG_FORMAT_GRAY : channels == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_RGBA;
    std::vector<std::uint8_t> decoded(PNG_IMAGE_SIZE(image));
    ASSERT_NE(png_image_finish_read(&image, nullptr, decoded.data(), 0, nullptr), 0) << image.message;
    EXPECT_EQ(decoded, pixels);
  }
}

TEST(Picture, PixelsThatDoNotFitAreRefused) {
  const std::vector<std::uint8_t> pixels(12);
  EXPECT_THROW(png_data_uri(pixels, 2, 2, 2), Error);
  EXPECT_THROW(png_data_uri(pixels, 2, 3, 3), Error);
  EXPECT_THROW(png_data_uri(pixels, 0, 3, 3), Error);
  EXPECT_THROW(png_data_uri({}, 0, 0, 3), Error);
}

}  // namespace
}  // namespace octavo::report
