/// Small models and data for the tests of training.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>

#include "octavo/core/error.h"
#include "octavo/data/dataset.h"
#include "octavo/data/sources.h"
#include "octavo/graph/builder.h"
#include "octavo/graph/graph.h"

namespace octavo::testing {

/// Every kind of group: conv+bn+relu+pool, conv+bn+add+relu, a strided 1x1 convolution without batch norm,
/// Gemm.
inline Graph small_model(std::int64_t side, std::int64_t classes, std::uint64_t seed = 3) {
  GraphBuilder b("small", 3, side, side, seed);
  const ConvAttributes three{.kernel = {3, 3}, .pads = {1, 1, 1, 1}};
  ValueId x = b.relu("relu1", b.batch_norm("bn1", b.conv("conv1", b.input(), 8, three, true)));
  x = b.max_pool("pool1", x, {.kernel = {2, 2}, .strides = {2, 2}});
  const ValueId branch = b.batch_norm("bn2", b.conv("conv2", x, 8, three, false));
  x = b.relu("relu2", b.add("add2", branch, x));
  x = b.relu("relu3", b.conv("conv3", x, 16, {.kernel = {1, 1}, .strides = {2, 2}}, true));
  return b.finish(b.gemm("fc", b.flatten("flatten", b.global_average_pool("gap", x)), classes));
}

/// Images whose class shows in their colours, from a fixed generator.
inline Dataset coloured_images(std::int64_t count, std::int64_t side, std::int64_t classes,
                               const std::string& split = "train") {
  Dataset data;
  data.name = "colours";
  data.split = split;
  data.hash = "colours-" + split;
  data.channels = 3;
  data.height = side;
  data.width = side;
  std::uint32_t state = split == "train" ? 1 : 2;
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t label = i % classes;
    data.labels.push_back(static_cast<std::int32_t>(label));
    for (std::int64_t c = 0; c < 3; ++c) {
      const auto level = static_cast<std::uint32_t>((label * (37 + 60 * c) + 40 * c) % 190);
      for (std::int64_t p = 0; p < side * side; ++p) {
        state = state * 1664525U + 1013904223U;
        data.pixels.push_back(static_cast<std::uint8_t>(level + (state >> 24) / 4));
      }
    }
  }
  for (std::int64_t c = 0; c < classes; ++c) data.class_names.push_back("c" + std::to_string(c));
  return data;
}

inline Normalization half_normalization() { return {{0.5F, 0.5F, 0.5F}, {0.25F, 0.25F, 0.25F}}; }

/// Real CIFAR-10 where the machine has it.
inline std::optional<DatasetPair> cifar10() {
  std::filesystem::path folder;
  if (const char* named = std::getenv("OCTAVO_TEST_CIFAR10")) {
    folder = named;
  } else {
    folder = cache_folder() / "cifar-10-batches-bin";
  }
  if (!std::filesystem::exists(folder / "test_batch.bin")) return std::nullopt;
  return read_cifar10(folder);
}

inline constexpr const char* kNoCifar = "CIFAR-10 is not here; name its folder in OCTAVO_TEST_CIFAR10.";

/// The error that `body` throws; fails the test if it throws none.
template <typename Body>
std::optional<Error> error_of(const Body& body) {
  try {
    body();
  } catch (const Error& error) {
    return error;
  }
  return std::nullopt;
}

}  // namespace octavo::testing
