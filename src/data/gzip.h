/// Reading files that may be gzip-compressed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>

namespace octavo {

/// The decompressed bytes of a .gz file, in order; of any other file, its bytes as they are.
class GzipReader {
 public:
  /// Throws kIo if the file cannot be opened or is not a regular one.
  explicit GzipReader(std::filesystem::path path);

  /// Fills as much of `buffer` as there is; fewer bytes only at the end. Throws kBadInput if the compressed
  /// data are truncated or damaged (a wrong CRC-32 included, once the end is reached), kIo if reading fails.
  std::size_t read(std::span<std::byte> buffer);

  /// Of the file as it lies on the disk.
  std::uint64_t stored_bytes() const noexcept { return stored_bytes_; }
  const std::filesystem::path& path() const noexcept { return path_; }

 private:
  struct Close {
    void operator()(void* file) const noexcept;
  };
  std::filesystem::path path_;
  std::uint64_t stored_bytes_ = 0;
  std::unique_ptr<void, Close> file_;
};

}  // namespace octavo
