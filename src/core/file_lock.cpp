#include "octavo/core/file_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "octavo/core/error.h"

namespace octavo {
namespace {

std::string owner(int descriptor) {
  std::array<char, 256> text{};
  const ssize_t count = ::pread(descriptor, text.data(), text.size(), 0);
  if (count <= 0) return "another process";
  std::string line(text.data(), static_cast<std::size_t>(count));
  return line.substr(0, line.find('\n'));
}

}  // namespace

FileLock::FileLock(std::filesystem::path path, const std::filesystem::path& what) : path_(std::move(path)) {
  while (true) {
    const int file = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (file < 0) {
      throw Error(ErrorCode::kIo, path_.string(),
                  fmt::format("cannot be made; expected room for a lock, got '{}'", std::strerror(errno)));
    }
    if (::flock(file, LOCK_EX | LOCK_NB) != 0) {
      const int error = errno;
      const std::string who = owner(file);
      ::close(file);
      if (error == EINTR) continue;
      if (error != EWOULDBLOCK) {
        throw Error(ErrorCode::kIo, path_.string(),
                    fmt::format("cannot be locked; expected a file system with locks, got '{}'",
                                std::strerror(error)));
      }
      throw Error(ErrorCode::kUsage, what.string(),
                  fmt::format("is in use; expected to be alone there, got {} (wait for its end, or choose "
                              "another --out)",
                              who));
    }
    // The holder before may have removed the file between our two calls: then we hold a file without a name.
    struct stat held {};
    struct stat named {};
    if (::fstat(file, &held) == 0 && ::stat(path_.c_str(), &named) == 0 && held.st_ino == named.st_ino &&
        held.st_dev == named.st_dev) {
      descriptor_ = file;
      break;
    }
    ::close(file);
  }
  std::array<char, 128> host{};
  ::gethostname(host.data(), host.size() - 1);
  const std::string who = fmt::format("process {} on {}\n", ::getpid(), host.data());
  // Only for the message that others get: a full disk is no reason to stop here.
  [[maybe_unused]] const int emptied = ::ftruncate(descriptor_, 0);
  [[maybe_unused]] const ssize_t written = ::pwrite(descriptor_, who.data(), who.size(), 0);
}

FileLock::~FileLock() {
  ::unlink(path_.c_str());
  ::close(descriptor_);
}

}  // namespace octavo
