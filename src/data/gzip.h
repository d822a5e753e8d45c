/// Reading files that may be gzip-compressed.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>

namespace octavo {

/// The decompressed bytes of a .gz file, in order; of any other file, its bytes as they are.
class GzipReader {
 public:
  /// Throws kIo if the file cannot be opened or is a folder.
  explicit GzipReader(std::filesystem::path path);

  /// Fills as much of `buffer` as there is; fewer bytes only at the end. Throws kBadInput if the compressed
  /// data are truncated or damaged (a wrong CRC-32 included, once the end is reached), kIo if reading fails.
  std::size_t read(std::span<std::byte> buffer);

  const std::filesystem::path& path() const noexcept { return path_; }

 private:
  struct Close {
    void operator()(void* file) const noexcept;
  };
  std::filesystem::path path_;
  std::unique_ptr<void, Close> file_;
};

}  // namespace octavo
