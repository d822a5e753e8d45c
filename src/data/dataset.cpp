#include "octavo/data/dataset.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <unordered_set>

#include "digest.h"
#include "internal.h"
#include "octavo/core/error.h"

namespace octavo {
namespace {

void check_index(const Dataset& dataset, std::int64_t index) {
  if (index < 0 || index >= dataset.size()) {
    throw Error(
        ErrorCode::kUsage, dataset.name + " " + dataset.split,
        fmt::format("no such image; expected an index from 0 to {}, got {}", dataset.size() - 1, index));
  }
}

std::string_view as_text(std::span<const std::uint8_t> pixels) {
  return {reinterpret_cast<const char*>(pixels.data()), pixels.size()};
}

}  // namespace

std::string content_hash(const Dataset& dataset) {
  Digest digest(DigestKind::kSha256);
  std::vector<std::byte> labels;
  labels.reserve(dataset.labels.size() * 4);
  for (const std::int32_t label : dataset.labels) {
    const auto bits = static_cast<std::uint32_t>(label);
    for (unsigned shift = 0; shift < 32; shift += 8)
      labels.push_back(static_cast<std::byte>(bits >> shift & 0xffU));
  }
  digest.update(labels);
  digest.update(std::as_bytes(std::span(dataset.pixels)));
  return digest.hex();
}

Tensor normalized_batch(const Dataset& dataset, std::span<const std::int64_t> indices,
                        const Normalization& normalization) {
  if (static_cast<std::int64_t>(normalization.mean.size()) != dataset.channels ||
      normalization.std.size() != normalization.mean.size()) {
    throw Error(ErrorCode::kUsage, dataset.name,
                fmt::format("normalization does not fit; expected {} means and deviations, got {} and {}",
                            dataset.channels, normalization.mean.size(), normalization.std.size()));
  }
  Tensor batch({static_cast<std::int64_t>(indices.size()), dataset.channels, dataset.height, dataset.width},
               DType::kFloat32);
  std::vector<std::uint8_t> pixels;
  pixels.reserve(static_cast<std::size_t>(batch.size()));
  for (const std::int64_t index : indices) {
    check_index(dataset, index);
    const std::span<const std::uint8_t> image = dataset.image(index);
    pixels.insert(pixels.end(), image.begin(), image.end());
  }
  if (!indices.empty()) normalize(pixels, normalization, dataset.height * dataset.width, batch.data<float>());
  return batch;
}

Dataset without_images(const Dataset& dataset) {
  Dataset result;
  result.name = dataset.name;
  result.split = dataset.split;
  result.source = dataset.source;
  result.official = dataset.official;
  result.class_names = dataset.class_names;
  result.channels = dataset.channels;
  result.height = dataset.height;
  result.width = dataset.width;
  return result;
}

Dataset head(const Dataset& dataset, std::int64_t count) {
  if (count < 0) {
    throw Error(ErrorCode::kUsage, dataset.name,
                fmt::format("negative number of images; expected 0 or more, got {}", count));
  }
  if (count == 0 || count >= dataset.size()) return dataset;
  Dataset part = without_images(dataset);
  part.pixels.assign(dataset.pixels.begin(), dataset.pixels.begin() + count * dataset.image_size());
  part.labels.assign(dataset.labels.begin(), dataset.labels.begin() + count);
  part.hash = content_hash(part);
  return part;
}

Dataset subset(const Dataset& dataset, std::span<const std::int64_t> indices) {
  Dataset part = without_images(dataset);
  for (const std::int64_t index : indices) {
    check_index(dataset, index);
    const std::span<const std::uint8_t> image = dataset.image(index);
    part.pixels.insert(part.pixels.end(), image.begin(), image.end());
    part.labels.push_back(dataset.labels[static_cast<std::size_t>(index)]);
  }
  part.hash = content_hash(part);
  return part;
}

std::int64_t count_shared_images(const Dataset& a, std::span<const std::int64_t> indices, const Dataset& b) {
  if (a.channels != b.channels || a.height != b.height || a.width != b.width) return 0;
  std::unordered_set<std::string_view> images;
  images.reserve(static_cast<std::size_t>(b.size()));
  for (std::int64_t i = 0; i < b.size(); ++i) images.insert(as_text(b.image(i)));
  std::int64_t shared = 0;
  for (const std::int64_t index : indices) {
    check_index(a, index);
    shared += static_cast<std::int64_t>(images.count(as_text(a.image(index))));
  }
  return shared;
}

}  // namespace octavo
