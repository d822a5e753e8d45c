/// What the fuzz targets share.
#pragma once

#include <stdlib.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <span>

#include "octavo/core/error.h"
#include "octavo/core/temporary_folder.h"

namespace octavo::fuzz {

/// Stops the fuzzer, which keeps the input as a finding, unless `condition` holds.
inline void require(bool condition, const char* promise) {
  if (condition) return;
  std::fprintf(stderr, "broken: %s\n", promise);
  std::abort();
}

/// True if `load()` came to its end, false if it refused its input with an Error that blames it. Any other
/// exception is a finding, and so is an Error that blames the machine or Octavo.
template <typename Load>
bool accepts(const Load& load) {
  try {
    load();
    return true;
  } catch (const Error& error) {
    const ErrorCode code = error.code();
    if (code != ErrorCode::kBadInput && code != ErrorCode::kUnsupported && code != ErrorCode::kUsage) {
      std::fprintf(stderr, "blames the wrong one: %s\n", error.what());
      std::abort();
    }
    return false;
  }
}

/// A folder in memory for what is read by path; it lives as long as the fuzzer.
inline const TemporaryFolder& folder() {
  static const TemporaryFolder kFolder = [] {
    ::setenv("TMPDIR", "/dev/shm", 0);
    return TemporaryFolder();
  }();
  return kFolder;
}

/// Not AtomicFile, whose flushing and renaming would take most of the time.
inline std::filesystem::path put(const char* name, std::span<const std::uint8_t> bytes) {
  std::filesystem::path path = folder() / name;
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  require(file.good(), "the fuzzer can write its files");
  return path;
}

/// Cuts an input into pieces: each is preceded by its length, two bytes, the low one first.
class Pieces {
 public:
  explicit Pieces(std::span<const std::uint8_t> bytes) : rest_(bytes) {}

  bool empty() const { return rest_.empty(); }

  /// 0 where nothing is left.
  std::uint8_t byte() {
    if (rest_.empty()) return 0;
    const std::uint8_t value = rest_.front();
    rest_ = rest_.subspan(1);
    return value;
  }

  std::span<const std::uint8_t> piece() {
    const std::size_t low = byte();
    const std::size_t high = byte();
    const std::size_t size = std::min(rest_.size(), low + 256 * high);
    const auto taken = rest_.first(size);
    rest_ = rest_.subspan(size);
    return taken;
  }

  std::span<const std::uint8_t> rest() const { return rest_; }

 private:
  std::span<const std::uint8_t> rest_;
};

}  // namespace octavo::fuzz
