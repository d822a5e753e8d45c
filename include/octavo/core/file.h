/// Whole files, read and written so that a reader never sees half of one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "octavo/core/unfinished_files.h"

namespace octavo {

/// Throws kIo if the file cannot be read, kBadInput if it is larger than `max_bytes`.
std::vector<std::byte> read_file(const std::filesystem::path& path,
                                 std::uint64_t max_bytes = std::uint64_t{1} << 34);
/// The same of a regular file: anything else, such as a pipe that nobody may ever write, throws kBadInput.
std::vector<std::byte> read_regular_file(const std::filesystem::path& path,
                                         std::uint64_t max_bytes = std::uint64_t{1} << 34);
std::string read_text_file(const std::filesystem::path& path);

/// A file open for reading at any place. Many threads may read at once.
class InputFile {
 public:
  /// Throws kIo if it cannot be opened or is a folder.
  explicit InputFile(std::filesystem::path path);
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;
  ~InputFile();

  /// When it was opened.
  std::uint64_t size() const noexcept { return size_; }
  /// How much of that the disk holds: less than size() where the file has holes, which read as zeros.
  std::uint64_t stored_bytes() const noexcept { return stored_bytes_; }
  /// What tells this file from all others, under whatever name.
  std::uint64_t device() const noexcept { return device_; }
  std::uint64_t inode() const noexcept { return inode_; }
  /// Fills `target` from `offset` on. Throws kIo if the file ends before.
  void read(std::uint64_t offset, std::span<std::byte> target) const;

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;
  std::uint64_t size_ = 0, stored_bytes_ = 0, device_ = 0, inode_ = 0;
};

/// A file under a temporary name beside `path` (.NAME.octavo-tmp.XXXXXX) that appears as `path`, complete and
/// flushed to disk, on commit(). Without commit() the temporary file is removed and `path` keeps what it
/// held. Those that killed processes left in the folder go when the next AtomicFile is made there: the living
/// lock theirs. Every failure throws kIo.
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path path);
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile();

  void write(std::span<const std::byte> bytes);
  void write(std::string_view text);
  /// Where the bytes go until commit(): for libraries that want to write a file themselves.
  const std::filesystem::path& temporary_path() const noexcept { return temporary_; }
  void commit();

 private:
  std::filesystem::path path_;
  std::filesystem::path temporary_;
  UnfinishedFile unfinished_;
  int descriptor_ = -1;
};

/// AtomicFile in one call.
void write_file(const std::filesystem::path& path, std::span<const std::byte> bytes);
void write_file(const std::filesystem::path& path, std::string_view text);

/// Removes the temporary files of AtomicFiles in `folder` whose processes are no more.
void remove_dead_temporaries(const std::filesystem::path& folder);

/// Creates `folder` and its parents and proves that a file can be written there. Throws kIo, naming the
/// folder.
void make_writable_folder(const std::filesystem::path& folder);

}  // namespace octavo
