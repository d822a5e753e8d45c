#include "image.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "image_codecs.h"
#include "octavo/core/error.h"

namespace octavo {
namespace {

constexpr std::array<std::uint8_t, 8> kPng{0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
constexpr std::array<std::uint8_t, 3> kJpeg{0xff, 0xd8, 0xff};

template <std::size_t N>
bool begins_with(std::span<const std::byte> bytes, const std::array<std::uint8_t, N>& start) {
  if (bytes.size() < N) return false;
  for (std::size_t i = 0; i < N; ++i) {
    if (std::to_integer<std::uint8_t>(bytes[i]) != start[i]) return false;
  }
  return true;
}

void to_channels(Image& image, std::int64_t channels) {
  if (image.channels == channels) return;
  const auto pixels = static_cast<std::size_t>(image.height * image.width);
  std::vector<std::uint8_t> result(pixels * static_cast<std::size_t>(channels));
  for (std::size_t i = 0; i < pixels; ++i) {
    if (channels == 3) {
      std::fill_n(&result[3 * i], 3, image.pixels[i]);
    } else {
      // ITU-R 601 in 16 bits; the three weights add up to 65536.
      const std::uint32_t grey =
          19595U * image.pixels[3 * i] + 38470U * image.pixels[3 * i + 1] + 7471U * image.pixels[3 * i + 2];
      result[i] = static_cast<std::uint8_t>((grey + 0x8000U) >> 16U);
    }
  }
  image.pixels = std::move(result);
  image.channels = channels;
}

constexpr int kWeightBits = 22;

/// Which inputs make an output along one dimension, and with which weights.
struct Taps {
  std::int64_t first = 0;
  std::vector<std::int32_t> weights;
};

std::vector<Taps> triangle_taps(std::int64_t from, std::int64_t to) {
  const double scale = static_cast<double>(from) / static_cast<double>(to);
  const double support = std::max(scale, 1.0);
  std::vector<Taps> taps(static_cast<std::size_t>(to));
  for (std::int64_t i = 0; i < to; ++i) {
    const double centre = (static_cast<double>(i) + 0.5) * scale;
    const auto first = std::max<std::int64_t>(0, static_cast<std::int64_t>(centre - support + 0.5));
    const auto end = std::min<std::int64_t>(from, static_cast<std::int64_t>(centre + support + 0.5));
    std::vector<double> weights;
    double sum = 0;
    for (std::int64_t x = first; x < end; ++x) {
      const double distance = (static_cast<double>(x) - centre + 0.5) / support;
      weights.push_back(std::max(0.0, 1.0 - std::abs(distance)));
      sum += weights.back();
    }
    Taps& tap = taps[static_cast<std::size_t>(i)];
    tap.first = first;
    for (const double weight : weights)
      tap.weights.push_back(static_cast<std::int32_t>(weight / sum * (1 << kWeightBits) + 0.5));
  }
  return taps;
}

/// Resamples the middle one of three dimensions [outer, from, inner].
std::vector<std::uint8_t> resample(std::span<const std::uint8_t> in, std::int64_t outer, std::int64_t from,
                                   std::int64_t to, std::int64_t inner) {
  const std::vector<Taps> taps = triangle_taps(from, to);
  std::vector<std::uint8_t> out(static_cast<std::size_t>(outer * to * inner));
  std::vector<std::int32_t> sums(static_cast<std::size_t>(inner));
  auto* next = out.data();
  for (std::int64_t o = 0; o < outer; ++o) {
    for (const Taps& tap : taps) {
      std::ranges::fill(sums, 1 << (kWeightBits - 1));
      const std::uint8_t* x = &in[static_cast<std::size_t>((o * from + tap.first) * inner)];
      for (const std::int32_t weight : tap.weights) {
        for (std::int32_t& sum : sums) sum += weight * *x++;
      }
      for (const std::int32_t sum : sums)
        *next++ = static_cast<std::uint8_t>(std::clamp(sum >> kWeightBits, 0, 255));
    }
  }
  return out;
}

}  // namespace

bool looks_like_image(std::span<const std::byte> bytes) {
  return begins_with(bytes, kPng) || begins_with(bytes, kJpeg);
}

Image decode_image(std::span<const std::byte> bytes, std::int64_t channels, const std::string& where,
                   std::uint64_t max_pixels) {
  check_internal(channels == 1 || channels == 3, "decode_image: 1 or 3 channels");
  if (bytes.empty()) throw Error(ErrorCode::kBadInput, where, "is empty; expected a JPEG or PNG image");
  if (!looks_like_image(bytes)) {
    throw Error(ErrorCode::kBadInput, where,
                "is neither a JPEG nor a PNG file by its contents; expected one of them");
  }
  Image image =
      begins_with(bytes, kPng) ? decode_png(bytes, where, max_pixels) : decode_jpeg(bytes, where, max_pixels);
  to_channels(image, channels);
  return image;
}

void check_image_size(std::uint64_t width, std::uint64_t height, const std::string& where,
                      std::uint64_t max_pixels) {
  if (width == 0 || height == 0 || width > max_pixels || height > max_pixels / width) {
    throw Error(ErrorCode::kBadInput, where,
                fmt::format("declares {} x {} pixels; expected 1 to {} in all", width, height,
                            max_pixels == kMostPixels ? std::string("2^27") : std::to_string(max_pixels)));
  }
}

Image resize_image(const Image& image, std::int64_t height, std::int64_t width) {
  Image result = image;
  if (width != result.width) {
    result.pixels = resample(result.pixels, result.height, result.width, width, result.channels);
    result.width = width;
  }
  if (height != result.height) {
    result.pixels = resample(result.pixels, 1, result.height, height, result.width * result.channels);
    result.height = height;
  }
  return result;
}

ImageSize size_before_crop(const Image& image, std::int64_t shorter, ImageSize window) {
  const bool upright = image.width <= image.height;
  const std::int64_t side = upright ? image.width : image.height;
  const std::int64_t other = upright ? image.height : image.width;
  const auto with_shorter = [&](std::int64_t size) {
    const std::int64_t longer = size * other / side;
    return upright ? ImageSize{longer, size} : ImageSize{size, longer};
  };
  if (shorter > 0) return with_shorter(shorter);
  ImageSize size = with_shorter(upright ? window.width : window.height);
  if (size.height >= window.height && size.width >= window.width) return size;
  // The window is longer than the image: its longer side decides.
  if (upright) return {window.height, std::max(window.width, window.height * image.width / image.height)};
  return {std::max(window.height, window.width * image.height / image.width), window.width};
}

ImageSize checked_size_before_crop(const Image& image, std::int64_t shorter, ImageSize window,
                                   const std::string& where, std::uint64_t max_pixels) {
  const ImageSize size = size_before_crop(image, shorter, window);
  if (size.height < window.height || size.width < window.width) {
    throw Error(
        ErrorCode::kUsage, where,
        fmt::format(
            "{} x {} pixels once resized; expected at least the model's {} x {} (give a larger --resize)",
            size.height, size.width, window.height, window.width));
  }
  check_image_size(static_cast<std::uint64_t>(size.width), static_cast<std::uint64_t>(size.height), where,
                   max_pixels);
  return size;
}

void centre_crop(const Image& image, ImageSize window, std::span<std::uint8_t> planes) {
  // Half to even, as Python's round() in torchvision's CenterCrop.
  const auto offset = [](std::int64_t size, std::int64_t part) {
    return static_cast<std::int64_t>(std::nearbyint(static_cast<double>(size - part) / 2.0));
  };
  const std::int64_t top = offset(image.height, window.height);
  const std::int64_t left = offset(image.width, window.width);
  check_internal(top >= 0 && left >= 0, "centre_crop: the image is smaller than the window");
  auto* next = planes.data();
  for (std::int64_t c = 0; c < image.channels; ++c) {
    for (std::int64_t y = 0; y < window.height; ++y) {
      const std::uint8_t* row =
          &image.pixels[static_cast<std::size_t>(((top + y) * image.width + left) * image.channels + c)];
      for (std::int64_t x = 0; x < window.width; ++x, row += image.channels) *next++ = *row;
    }
  }
}

}  // namespace octavo
