#include "octavo/core/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "octavo/core/error.h"

namespace octavo {
namespace fs = std::filesystem;

namespace {

[[noreturn]] void throw_errno(const fs::path& path, const std::string& action, int error) {
  if (error == EISDIR)
    throw Error(ErrorCode::kIo, path.string(),
                fmt::format("cannot {}; expected a file, got a folder", action));
  throw Error(ErrorCode::kIo, path.string(),
              fmt::format("cannot {}; expected the operating system to allow it, got '{}'", action,
                          std::strerror(error)));
}

/// Between the name of the file to be and six random letters.
constexpr std::string_view kTemporaryMark = ".octavo-tmp.";

/// Closes a descriptor at the end of a scope.
struct Descriptor {
  int value;
  ~Descriptor() {
    if (value >= 0) ::close(value);
  }
};

/// `regular`: nothing else will do, and nothing else is waited for.
std::vector<std::byte> read_whole(const fs::path& path, std::uint64_t max_bytes, bool regular) {
  const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | (regular ? O_NONBLOCK : 0))};
  if (file.value < 0) throw_errno(path, "open", errno);
  struct stat info {};
  if (::fstat(file.value, &info) != 0) throw_errno(path, "read", errno);
  if (S_ISDIR(info.st_mode)) throw_errno(path, "read", EISDIR);
  if (regular && !S_ISREG(info.st_mode))
    throw Error(ErrorCode::kBadInput, path.string(), "is no regular file; expected one");
  if (static_cast<std::uint64_t>(info.st_size) > max_bytes) {
    throw Error(ErrorCode::kBadInput, path.string(),
                fmt::format("too large; expected at most {} bytes, got {}", max_bytes, info.st_size));
  }
  std::vector<std::byte> bytes(static_cast<std::size_t>(info.st_size));
  std::size_t filled = 0;
  while (true) {
    if (filled == bytes.size()) {
      // The file may have grown, or be of unknown size like a pipe: read on until nothing comes.
      if (filled >= max_bytes) break;
      bytes.resize(filled + 4096);
    }
    const ssize_t count = ::read(file.value, bytes.data() + filled, bytes.size() - filled);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw_errno(path, "read", errno);
    if (count == 0) break;
    filled += static_cast<std::size_t>(count);
  }
  bytes.resize(filled);
  return bytes;
}

}  // namespace

std::vector<std::byte> read_file(const fs::path& path, std::uint64_t max_bytes) {
  return read_whole(path, max_bytes, /*regular=*/false);
}

std::vector<std::byte> read_regular_file(const fs::path& path, std::uint64_t max_bytes) {
  return read_whole(path, max_bytes, /*regular=*/true);
}

std::string read_text_file(const fs::path& path) {
  const std::vector<std::byte> bytes = read_file(path);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

InputFile::InputFile(fs::path path) : path_(std::move(path)) {
  // A pipe, which has no places to read at, is not waited for.
  Descriptor file{::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (file.value < 0) throw_errno(path_, "open", errno);
  struct stat info {};
  if (::fstat(file.value, &info) != 0) throw_errno(path_, "read", errno);
  if (S_ISDIR(info.st_mode)) throw_errno(path_, "read", EISDIR);
  size_ = static_cast<std::uint64_t>(info.st_size);
  // Some file systems keep small files beside the inode, in no block at all.
  constexpr std::uint64_t kBlock = 512, kLeast = 4096;
  stored_bytes_ = std::min(size_, static_cast<std::uint64_t>(info.st_blocks) * kBlock + kLeast);
  device_ = info.st_dev;
  inode_ = info.st_ino;
  descriptor_ = std::exchange(file.value, -1);
}

InputFile::~InputFile() { ::close(descriptor_); }

void InputFile::read(std::uint64_t offset, std::span<std::byte> target) const {
  while (!target.empty()) {
    const ssize_t count = ::pread(descriptor_, target.data(), target.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw_errno(path_, "read", errno);
    if (count == 0) {
      throw Error(ErrorCode::kIo, path_.string(),
                  fmt::format("ends at byte {}; expected {} more", offset, target.size()));
    }
    offset += static_cast<std::uint64_t>(count);
    target = target.subspan(static_cast<std::size_t>(count));
  }
}

AtomicFile::AtomicFile(fs::path path) : path_(std::move(path)) {
  const fs::path folder = path_.parent_path();
  remove_dead_temporaries(folder.empty() ? fs::path(".") : folder);
  // Room for the marks around it within the 255 bytes of a name.
  const std::string name = path_.filename().string().substr(0, 200);
  const std::string pattern = (folder / ("." + name + std::string(kTemporaryMark) + "XXXXXX")).string();
  while (descriptor_ < 0) {
    std::string chosen = pattern;
    const int made = ::mkostemp(chosen.data(), O_CLOEXEC);
    if (made < 0) throw_errno(path_, "write", errno);
    // Who looks for dead writers' files may take this one away before the lock says that its writer lives.
    ::flock(made, LOCK_EX | LOCK_NB);
    struct stat info {};
    if (::fstat(made, &info) == 0 && info.st_nlink == 0) {
      ::close(made);
      continue;
    }
    descriptor_ = made;
    temporary_ = chosen;
    unfinished_.note(temporary_);
  }
  // mkostemp makes the file private; give it what an ordinary new file would get.
  const mode_t mask = ::umask(0);
  ::umask(mask);
  ::fchmod(descriptor_, static_cast<mode_t>(0666) & ~mask);
}

AtomicFile::~AtomicFile() {
  if (descriptor_ < 0) return;
  ::unlink(temporary_.c_str());
  ::close(descriptor_);
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(descriptor_, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw_errno(path_, "write", errno);
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
}

void AtomicFile::write(std::string_view text) { write(std::as_bytes(std::span(text.data(), text.size()))); }

void AtomicFile::commit() {
  if (::fsync(descriptor_) != 0) throw_errno(path_, "write", errno);
  // Renamed while it is open, and so locked: closed first, it would look like a dead writer's.
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) throw_errno(path_, "write", errno);
  ::close(std::exchange(descriptor_, -1));
  unfinished_.forget();
}

void write_file(const fs::path& path, std::span<const std::byte> bytes) {
  AtomicFile file(path);
  file.write(bytes);
  file.commit();
}

void write_file(const fs::path& path, std::string_view text) {
  write_file(path, std::as_bytes(std::span(text.data(), text.size())));
}

void remove_dead_temporaries(const fs::path& folder) {
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (!name.starts_with('.') || name.find(kTemporaryMark) == std::string::npos) continue;
    const Descriptor file{::open(it->path().c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)};
    // Where locks do not work nobody can be known to be dead, and the file stays.
    if (file.value >= 0 && ::flock(file.value, LOCK_EX | LOCK_NB) == 0) ::unlink(it->path().c_str());
  }
}

void make_writable_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) throw_errno(folder, "create the folder", error.value());
  if (!fs::is_directory(folder, error)) throw_errno(folder, "use as a folder", ENOTDIR);
  AtomicFile probe(folder / "probe");
}

}  // namespace octavo
