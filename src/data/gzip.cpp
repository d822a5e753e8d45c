#include "gzip.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "octavo/core/error.h"

namespace octavo {
namespace {

constexpr unsigned kLargestRead = 1U << 24;

gzFile as_gz(void* file) { return static_cast<gzFile>(file); }

}  // namespace

void GzipReader::Close::operator()(void* file) const noexcept { gzclose_r(as_gz(file)); }

GzipReader::GzipReader(std::filesystem::path path) : path_(std::move(path)) {
  const auto fail = [&](int error) {
    throw Error(ErrorCode::kIo, path_.string(), fmt::format("cannot open: {}", std::strerror(error)));
  };
  // Not waiting for the writer of a pipe.
  const int descriptor = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) fail(errno);
  struct stat info {};
  if (::fstat(descriptor, &info) != 0 || !S_ISREG(info.st_mode)) {
    ::close(descriptor);
    throw Error(ErrorCode::kIo, path_.string(),
                fmt::format("cannot read: it is {}; expected a file",
                            S_ISDIR(info.st_mode) ? "a folder" : "no regular file"));
  }
  stored_bytes_ = static_cast<std::uint64_t>(info.st_size);
  file_.reset(gzdopen(descriptor, "rb"));
  if (!file_) {
    ::close(descriptor);
    fail(ENOMEM);
  }
  gzbuffer(as_gz(file_.get()), 1U << 17);
}

std::size_t GzipReader::read(std::span<std::byte> buffer) {
  std::size_t filled = 0;
  while (filled < buffer.size()) {
    const auto wanted =
        static_cast<unsigned>(std::min<std::size_t>(buffer.size() - filled, std::size_t{kLargestRead}));
    const int count = gzread(as_gz(file_.get()), buffer.data() + filled, wanted);
    // A stream that stops in the middle is reported beside a short count, not by a negative one.
    int code = Z_OK;
    const char* text = gzerror(as_gz(file_.get()), &code);
    if (code == Z_ERRNO) {
      throw Error(ErrorCode::kIo, path_.string(), fmt::format("cannot read: {}", std::strerror(errno)));
    }
    if (code == Z_BUF_ERROR) {
      throw Error(ErrorCode::kBadInput, path_.string(),
                  "compressed data end too early; expected a complete gzip file (copy or download it again)");
    }
    if (count < 0 || (code != Z_OK && code != Z_STREAM_END)) {
      throw Error(
          ErrorCode::kBadInput, path_.string(),
          fmt::format("compressed data are damaged ({}); expected a gzip file (copy or download it again)",
                      text != nullptr ? text : "unknown error"));
    }
    if (count == 0) break;
    filled += static_cast<std::size_t>(count);
  }
  return filled;
}

}  // namespace octavo
