#include "octavo/data/resize.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "image.h"
#include "internal.h"
#include "octavo/core/error.h"
#include "octavo/core/parallel.h"

namespace octavo {
namespace {

/// Planes [channels, height, width] as an image.
Image interleaved(std::span<const std::uint8_t> planes, const Dataset& dataset) {
  Image image{.channels = dataset.channels, .height = dataset.height, .width = dataset.width, .pixels = {}};
  image.pixels.resize(planes.size());
  const auto plane = static_cast<std::size_t>(dataset.height * dataset.width);
  const auto channels = static_cast<std::size_t>(dataset.channels);
  for (std::size_t c = 0; c < channels; ++c) {
    for (std::size_t i = 0; i < plane; ++i) image.pixels[i * channels + c] = planes[c * plane + i];
  }
  return image;
}

}  // namespace

void check_memory(const std::string& where, std::int64_t images, std::int64_t image_bytes) {
  const double needed = static_cast<double>(images) * static_cast<double>(image_bytes);
  const double memory =
      static_cast<double>(::sysconf(_SC_PHYS_PAGES)) * static_cast<double>(::sysconf(_SC_PAGE_SIZE));
  if (needed <= 0.75 * memory) return;
  constexpr double kGiB = 1 << 30;
  throw Error(
      ErrorCode::kUsage, where,
      fmt::format("{} images need {:.1f} GiB of memory; expected at most three quarters of this machine's "
                  "{:.1f} GiB (use fewer with --train-limit and --test-limit)",
                  images, needed / kGiB, memory / kGiB));
}

Dataset resized(const Dataset& dataset, const ResizeConfig& config) {
  const std::string where = dataset.name + " " + dataset.split;
  if (config.height < 1 || config.width < 1 || config.shorter < 0) {
    throw Error(ErrorCode::kUsage, where,
                fmt::format("expected a positive image size, got {} x {}", config.height, config.width));
  }
  Dataset result = without_images(dataset);
  result.height = config.height;
  result.width = config.width;
  result.labels = dataset.labels;
  check_memory(where, dataset.size(), result.image_size());
  const ImageSize window{config.height, config.width};
  const ImageSize size = checked_size_before_crop(
      {.channels = dataset.channels, .height = dataset.height, .width = dataset.width, .pixels = {}},
      config.shorter, window, where);
  const auto image_bytes = static_cast<std::size_t>(result.image_size());
  result.pixels.resize(static_cast<std::size_t>(dataset.size()) * image_bytes);
  parallel_for(dataset.size(), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const Image image = interleaved(dataset.image(i), dataset);
      centre_crop(resize_image(image, size.height, size.width), window,
                  std::span(result.pixels).subspan(static_cast<std::size_t>(i) * image_bytes, image_bytes));
    }
  });
  result.hash = content_hash(result);
  return result;
}

}  // namespace octavo
