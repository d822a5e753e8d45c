#include "octavo/data/resize.h"

#include <algorithm>

#include "data/support.h"
#include "image.h"

namespace octavo {
namespace {

using testing::expect_error;

Dataset two_images(std::int64_t channels, std::int64_t height, std::int64_t width) {
  Dataset data;
  data.name = "patterns";
  data.split = "test";
  data.channels = channels;
  data.height = height;
  data.width = width;
  data.labels = {3, 1};
  data.class_names = {"a", "b", "c", "d"};
  for (std::int64_t i = 0; i < 2 * data.image_size(); ++i)
    data.pixels.push_back(static_cast<std::uint8_t>(i * i % 251));
  data.hash = content_hash(data);
  return data;
}

TEST(Resized, EqualsTheImagesResizedOneByOne) {
  const Dataset data = two_images(3, 8, 8);
  const Dataset large = resized(data, {.height = 20, .width = 20});
  EXPECT_EQ(large.labels, data.labels);
  EXPECT_EQ(large.class_names, data.class_names);
  EXPECT_EQ(large.hash, content_hash(large));
  ASSERT_EQ(large.pixels.size(), 2U * 3 * 20 * 20);
  // Each plane by itself, as an image of one channel.
  for (std::int64_t i = 0; i < 2; ++i) {
    for (std::size_t c = 0; c < 3; ++c) {
      const auto plane = data.image(i).subspan(c * 64, 64);
      const Image image{.channels = 1, .height = 8, .width = 8, .pixels = {plane.begin(), plane.end()}};
      const auto got = large.image(i).subspan(c * 400, 400);
      EXPECT_EQ(std::vector<std::uint8_t>(got.begin(), got.end()), resize_image(image, 20, 20).pixels);
    }
  }
}

TEST(Resized, CutsTheMiddleOutOfWhatIsLarger) {
  const Dataset data = two_images(1, 6, 6);
  const Dataset middle = resized(data, {.height = 2, .width = 4, .shorter = 6});
  const auto image = data.image(1);
  EXPECT_EQ(std::vector<std::uint8_t>(middle.image(1).begin(), middle.image(1).end()),
            (std::vector<std::uint8_t>{image[13], image[14], image[15], image[16], image[19], image[20],
                                       image[21], image[22]}));
  EXPECT_EQ(resized(data, {.height = 6, .width = 6}).pixels, data.pixels);
}

TEST(Subset, TakesTheImagesAskedForInThatOrder) {
  const Dataset data = two_images(1, 6, 6);
  const Dataset part = subset(data, std::vector<std::int64_t>{1, 0, 1});
  EXPECT_EQ(part.labels, (std::vector<std::int32_t>{1, 3, 1}));
  EXPECT_TRUE(std::ranges::equal(part.image(0), data.image(1)));
  EXPECT_TRUE(std::ranges::equal(part.image(1), data.image(0)));
  EXPECT_EQ(part.hash, content_hash(part));
  expect_error(ErrorCode::kUsage, {"index from 0 to 1, got 2"},
               [&] { subset(data, std::vector<std::int64_t>{2}); });
}

TEST(Resized, SizesThatMakeNoSenseAreRefused) {
  const Dataset data = two_images(1, 6, 6);
  expect_error(ErrorCode::kUsage, {"patterns test", "got 0 x 6"},
               [&] { resized(data, {.height = 0, .width = 6}); });
  expect_error(ErrorCode::kUsage, {"larger --resize"},
               [&] { resized(data, {.height = 10, .width = 10, .shorter = 8}); });
  expect_error(ErrorCode::kUsage, {"GiB of memory", "--test-limit"},
               [&] { resized(data, {.height = 1 << 20, .width = 1 << 20}); });
}

}  // namespace
}  // namespace octavo
