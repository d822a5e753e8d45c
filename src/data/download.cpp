#include <curl/curl.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <exception>
#include <memory>
#include <string_view>
#include <utility>

#include "digest.h"
#include "octavo/core/error.h"
#include "octavo/core/version.h"
#include "octavo/data/sources.h"

namespace octavo {
namespace fs = std::filesystem;

namespace {

constexpr long kHttpPartial = 206;
constexpr long kHttpRangeNotSatisfiable = 416;

[[noreturn]] void throw_disk(const fs::path& path, const char* action, int error) {
  throw Error(ErrorCode::kIo, path.string(), fmt::format("cannot {}: {}", action, std::strerror(error)));
}

/// The .part file, open and locked: two downloads must not write into one file.
class PartFile {
 public:
  explicit PartFile(fs::path path) : path_(std::move(path)) {
    // Between open and lock the download that held the file may have ended, and renamed it: what is locked
    // then is the finished file, which must not be written to any more. So look again under the lock.
    while (!open_and_lock()) ::close(std::exchange(descriptor_, -1));
    size_ = static_cast<std::uint64_t>(::lseek(descriptor_, 0, SEEK_END));
  }
  PartFile(const PartFile&) = delete;
  PartFile& operator=(const PartFile&) = delete;
  ~PartFile() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }

  const fs::path& path() const { return path_; }
  std::uint64_t size() const { return size_; }

  void clear() {
    if (::ftruncate(descriptor_, 0) != 0 || ::lseek(descriptor_, 0, SEEK_SET) != 0)
      throw_disk(path_, "write", errno);
    size_ = 0;
  }
  void append(const char* data, std::size_t count) {
    while (count > 0) {
      const ssize_t written = ::write(descriptor_, data, count);
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) throw_disk(path_, "write", errno);
      data += written;
      count -= static_cast<std::size_t>(written);
      size_ += static_cast<std::uint64_t>(written);
    }
  }
  /// Under the lock, so that it is our own file.
  void remove() { ::unlink(path_.c_str()); }
  void publish(const fs::path& target) {
    if (::fsync(descriptor_) != 0) throw_disk(path_, "write", errno);
    if (::rename(path_.c_str(), target.c_str()) != 0) throw_disk(target, "write", errno);
  }

 private:
  /// False if what was locked is not the file of that name any more.
  bool open_and_lock() {
    descriptor_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (descriptor_ < 0) throw_disk(path_, "write", errno);
    if (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
      const int error = errno;
      ::close(std::exchange(descriptor_, -1));
      if (error == EWOULDBLOCK) {
        throw Error(ErrorCode::kIo, path_.string(),
                    "another download of this file is running (wait for it to end)");
      }
      throw_disk(path_, "lock", error);
    }
    struct stat locked {
    }, named{};
    return ::fstat(descriptor_, &locked) == 0 && ::stat(path_.c_str(), &named) == 0 &&
           locked.st_dev == named.st_dev && locked.st_ino == named.st_ino;
  }

  fs::path path_;
  int descriptor_ = -1;
  std::uint64_t size_ = 0;
};

struct FreeCurl {
  void operator()(CURL* curl) const noexcept { curl_easy_cleanup(curl); }
};

/// One request and what its callbacks need. libcurl is C: no exception may cross it, so they wait in
/// `failure`.
struct Transfer {
  const DownloadConfig& config;
  PartFile& part;
  std::unique_ptr<CURL, FreeCurl> curl{curl_easy_init()};
  std::uint64_t offset = 0;  ///< Bytes that were there before.
  bool started = false;      ///< The first bytes of the body have come.
  std::string content_range;
  std::exception_ptr failure;

  Transfer(const DownloadConfig& settings, PartFile& file)
      : config(settings), part(file), offset(file.size()) {
    check_internal(curl != nullptr, "libcurl is out of memory");
  }

  long status() const {
    long code = 0;
    curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &code);
    return code;
  }

  /// Before the first byte is written: does the server send the rest, as asked, or everything from the start?
  void begin_body() {
    started = true;
    if (offset == 0) return;
    const std::string expected = fmt::format("bytes {}-", offset);
    if (status() == kHttpPartial) {
      if (content_range.compare(0, expected.size(), expected) != 0) {
        throw Error(
            ErrorCode::kIo, config.url,
            fmt::format("the server sent another part of the file; expected '{}...', got '{}' (remove {} to "
                        "start over)",
                        expected, content_range, part.path().string()));
      }
      return;
    }
    part.clear();
    offset = 0;
  }

  void report() {
    if (!config.on_progress) return;
    curl_off_t length = -1;
    curl_easy_getinfo(curl.get(), CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    config.on_progress(
        {.received = part.size(), .total = length > 0 ? offset + static_cast<std::uint64_t>(length) : 0});
  }
};

std::size_t on_body(char* data, std::size_t size, std::size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  try {
    if (!transfer.started) transfer.begin_body();
    transfer.part.append(data, size * count);
    transfer.report();
    return size * count;
  } catch (...) {
    transfer.failure = std::current_exception();
    return 0;
  }
}

std::size_t on_header(char* data, std::size_t size, std::size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  try {
    std::string_view line(data, size * count);
    while (!line.empty() && (line.back() == '\r' || line.back() == '\n')) line.remove_suffix(1);
    constexpr std::string_view kName = "content-range:";
    if (line.size() > kName.size() && ::strncasecmp(line.data(), kName.data(), kName.size()) == 0) {
      line.remove_prefix(kName.size());
      while (!line.empty() && line.front() == ' ') line.remove_prefix(1);
      transfer.content_range = line;
    } else if (line.starts_with("HTTP/")) {
      transfer.content_range.clear();  // The next answer of a redirected request.
    }
    return size * count;
  } catch (...) {
    transfer.failure = std::current_exception();
    return 0;
  }
}

int on_tick(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return static_cast<const Transfer*>(user)->config.stop.stop_requested() ? 1 : 0;
}

void set_options(Transfer& transfer, std::array<char, CURL_ERROR_SIZE>& message, const std::string& range) {
  CURL* curl = transfer.curl.get();
  curl_easy_setopt(curl, CURLOPT_URL, transfer.config.url.c_str());
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
  curl_easy_setopt(curl, CURLOPT_MAXREDIRS, 5L);
  curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, 15L);
  // A server that says nothing for half a minute is gone.
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, 30L);
  curl_easy_setopt(curl, CURLOPT_USERAGENT, ("octavo/" + version()).c_str());
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, message.data());
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &transfer);
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, &transfer);
  curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_tick);
  curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &transfer);
  curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
  if (!range.empty()) curl_easy_setopt(curl, CURLOPT_RANGE, range.c_str());
}

/// "bytes */1234": the size of the file, in the answer to a range that begins at or after its end.
bool is_complete(const Transfer& transfer) {
  constexpr std::string_view kPrefix = "bytes */";
  const std::string_view text = transfer.content_range;
  if (!text.starts_with(kPrefix)) return false;
  std::uint64_t size = 0;
  const auto [end, error] = std::from_chars(text.data() + kPrefix.size(), text.data() + text.size(), size);
  return error == std::errc() && end == text.data() + text.size() && size == transfer.offset;
}

/// Brings the .part file to its full length. False: the server refuses to continue it, so it must start over.
bool fetch(const DownloadConfig& config, PartFile& part) {
  Transfer transfer(config, part);
  std::array<char, CURL_ERROR_SIZE> message{};
  const std::string range = transfer.offset > 0 ? fmt::format("{}-", transfer.offset) : "";
  set_options(transfer, message, range);
  const CURLcode code = curl_easy_perform(transfer.curl.get());
  if (transfer.failure) std::rethrow_exception(transfer.failure);
  if (code == CURLE_OK) {
    if (!transfer.started)
      transfer.begin_body();  // An empty body: what was there before is not its beginning.
    return true;
  }
  if (code == CURLE_ABORTED_BY_CALLBACK) {
    throw Error(ErrorCode::kInterrupted, config.url,
                fmt::format("download stopped after {} bytes (run again to resume it)", part.size()));
  }
  if (code == CURLE_HTTP_RETURNED_ERROR) {
    const long status = transfer.status();
    if (status == kHttpRangeNotSatisfiable && transfer.offset > 0) return is_complete(transfer);
    throw Error(ErrorCode::kIo, config.url,
                fmt::format("download failed; expected status 200, got {} (check the address)", status));
  }
  const char* detail = message[0] != '\0' ? message.data() : curl_easy_strerror(code);
  throw Error(ErrorCode::kIo, config.url,
              part.size() > 0 ? fmt::format("download failed after {} bytes: {} (run again to resume it)",
                                            part.size(), detail)
                              : fmt::format("download failed: {}", detail));
}

}  // namespace

void download(const DownloadConfig& config) {
  static const CURLcode initialized = curl_global_init(CURL_GLOBAL_DEFAULT);
  check_internal(initialized == CURLE_OK, "libcurl does not start");
  if (config.target.has_parent_path()) {
    std::error_code error;
    fs::create_directories(config.target.parent_path(), error);
    if (error) throw_disk(config.target.parent_path(), "create the folder", error.value());
  }
  fs::path part_path = config.target;
  part_path += ".part";
  PartFile part(part_path);
  std::error_code ignored;
  if (part.size() == 0 && !config.md5.empty() && fs::is_regular_file(config.target, ignored) &&
      file_md5(config.target) == config.md5) {
    part.remove();  // Another download has just ended.
    return;
  }
  if (config.md5.empty()) part.clear();
  while (true) {
    const bool resumed = part.size() > 0;
    const bool fetched = fetch(config, part);
    const std::string md5 = fetched && !config.md5.empty() ? file_md5(part.path()) : "";
    if (fetched && md5 == config.md5) break;
    if (resumed) {  // The old beginning may belong to another file.
      part.clear();
      continue;
    }
    check_internal(fetched, "a download from the start was refused as a range");
    part.remove();
    throw Error(ErrorCode::kBadInput, config.url,
                fmt::format("wrong checksum; expected MD5 {}, got {} (the address may lead to another file)",
                            config.md5, md5));
  }
  part.publish(config.target);
}

}  // namespace octavo
