#include <sys/file.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <thread>
#include <utility>

#include "data/http_server.h"
#include "data/support.h"
#include "octavo/core/temporary_folder.h"
#include "octavo/data/sources.h"

namespace {

/// Run once before the next lock is taken, in place of a scheduler that lets another process go first.
std::function<void()> before_lock;

}  // namespace

/// The system's, called from everywhere in this program.
extern "C" int flock(int descriptor, int operation) noexcept {
  if (before_lock) std::exchange(before_lock, nullptr)();
  return static_cast<int>(::syscall(SYS_flock, descriptor, operation));
}

namespace octavo {
namespace {

namespace fs = std::filesystem;
using testing::expect_error;
using testing::get;
using testing::HttpServer;
using testing::put;
using testing::Resource;
using testing::ScopedVariable;

/// 300,000 bytes and their MD5: for i in range(300000): (i * i) % 251.
std::string content() {
  std::string bytes;
  for (std::uint64_t i = 0; i < 300'000; ++i) bytes += static_cast<char>(i * i % 251);
  return bytes;
}
constexpr const char* kContentMd5 = "574c4a1f42aa2ef0c4440084e5f44b46";

class Download : public ::testing::Test {
 protected:
  Download() { server.set("/file", {.body = content()}); }

  DownloadConfig config(const std::string& path = "/file") const {
    return {.url = server.url(path), .target = target, .md5 = kContentMd5};
  }
  void expect_fails(ErrorCode code, const std::vector<std::string>& parts, const DownloadConfig& settings) {
    expect_error(code, parts, [&] { download(settings); });
    EXPECT_FALSE(fs::exists(target));
  }

  ScopedVariable no_proxy{"no_proxy", "127.0.0.1"};
  HttpServer server;
  TemporaryFolder folder;
  fs::path target = folder / "sub/data.bin";
  fs::path part = folder / "sub/data.bin.part";
};

TEST_F(Download, WholeFileArrivesWithProgress) {
  DownloadConfig settings = config();
  std::vector<DownloadProgress> seen;
  settings.on_progress = [&](const DownloadProgress& progress) { seen.push_back(progress); };
  download(settings);
  EXPECT_EQ(get(target), content());
  EXPECT_FALSE(fs::exists(part));
  ASSERT_FALSE(seen.empty());
  EXPECT_EQ(seen.back().received, 300'000U);
  EXPECT_EQ(seen.front().total, 300'000U);
  EXPECT_TRUE(std::ranges::is_sorted(seen, {}, &DownloadProgress::received));
}

TEST_F(Download, CutConnectionIsResumed) {
  server.set("/file", {.body = content(), .stop_after = 100'000});
  expect_fails(ErrorCode::kIo, {server.url("/file"), "failed after 100000 bytes", "run again to resume"},
               config());
  EXPECT_EQ(fs::file_size(part), 100'000U);
  server.set("/file", {.body = content()});
  DownloadConfig settings = config();
  std::uint64_t first = 0, total = 0;
  settings.on_progress = [&](const DownloadProgress& progress) {
    if (first == 0) first = progress.received;
    total = progress.total;
  };
  download(settings);
  EXPECT_EQ(get(target), content());
  EXPECT_GT(first, 100'000U);
  EXPECT_EQ(total, 300'000U);
  EXPECT_EQ(server.ranges(), (std::vector<std::string>{"", "bytes=100000-"}));
}

TEST_F(Download, ServerWithoutRangesStartsOver) {
  fs::create_directories(part.parent_path());
  put(part, content().substr(0, 5000));
  server.set("/file", {.body = content(), .ranges = false});
  download(config());
  EXPECT_EQ(get(target), content());
  EXPECT_EQ(server.ranges(), (std::vector<std::string>{"bytes=5000-"}));
}

TEST_F(Download, PartOfAnotherFileStartsOver) {
  fs::create_directories(part.parent_path());
  put(part, std::string(5000, 'x'));
  download(config());
  EXPECT_EQ(get(target), content());
  EXPECT_EQ(server.ranges(), (std::vector<std::string>{"bytes=5000-", ""}));
}

TEST_F(Download, CompletePartNeedsNoMoreBytes) {
  fs::create_directories(part.parent_path());
  put(part, content());
  download(config());
  EXPECT_EQ(get(target), content());
  EXPECT_EQ(server.ranges(), (std::vector<std::string>{"bytes=300000-"}));
}

TEST_F(Download, PartLongerThanTheFileStartsOver) {
  fs::create_directories(part.parent_path());
  put(part, content() + "more");
  download(config());
  EXPECT_EQ(get(target), content());
  EXPECT_EQ(server.ranges(), (std::vector<std::string>{"bytes=300004-", ""}));
}

TEST_F(Download, AnswerWithAnotherRangeIsRefused) {
  fs::create_directories(part.parent_path());
  put(part, content().substr(0, 5000));
  server.set("/file", {.body = content(), .range_error = 7});
  expect_fails(ErrorCode::kIo, {"another part of the file", "expected 'bytes 5000-...'", "got 'bytes 5007-"},
               config());
  EXPECT_EQ(fs::file_size(part), 5000U);
}

TEST_F(Download, WithoutChecksumAPartIsNotTrusted) {
  fs::create_directories(part.parent_path());
  put(part, std::string(5000, 'x'));
  DownloadConfig settings = config();
  settings.md5.clear();
  download(settings);
  EXPECT_EQ(get(target), content());
  EXPECT_EQ(server.ranges(), (std::vector<std::string>{""}));
}

TEST_F(Download, WrongContentIsRefusedAndRemoved) {
  server.set("/file", {.body = "<html>Please log in to the network.</html>"});
  expect_fails(ErrorCode::kBadInput, {server.url("/file"), "wrong checksum", kContentMd5, "got "}, config());
  EXPECT_FALSE(fs::exists(part));
}

TEST_F(Download, ErrorStatusIsNamed) {
  expect_fails(ErrorCode::kIo, {server.url("/other"), "expected status 200, got 404"}, config("/other"));
  server.set("/file", {.body = "sorry", .status = 503});
  expect_fails(ErrorCode::kIo, {"got 503"}, config());
}

TEST_F(Download, RedirectIsFollowed) {
  server.set("/moved", {.body = "", .status = 302, .location = server.url("/file")});
  download(config("/moved"));
  EXPECT_EQ(get(target), content());
  server.set("/loop", {.body = "", .status = 302, .location = server.url("/loop")});
  fs::remove(target);
  expect_fails(ErrorCode::kIo, {"/loop", "redirect"}, config("/loop"));
  server.set("/local", {.body = "", .status = 302, .location = "file:///etc/passwd"});
  expect_fails(ErrorCode::kIo, {"/local"}, config("/local"));
}

TEST_F(Download, UnknownLengthHasUnknownTotal) {
  server.set("/file", {.body = content(), .announce_length = false});
  DownloadConfig settings = config();
  std::uint64_t largest = 0;
  settings.on_progress = [&](const DownloadProgress& progress) {
    largest = std::max(largest, progress.total);
  };
  download(settings);
  EXPECT_EQ(get(target), content());
  EXPECT_EQ(largest, 0U);
}

TEST_F(Download, NobodyListeningIsAnIoError) {
  expect_fails(ErrorCode::kIo, {"http://127.0.0.1:1/x", "download failed"},
               {.url = "http://127.0.0.1:1/x", .target = target, .md5 = kContentMd5});
  expect_fails(ErrorCode::kIo, {"gopher://127.0.0.1/x"},
               {.url = "gopher://127.0.0.1/x", .target = target, .md5 = kContentMd5});
}

TEST_F(Download, StopKeepsWhatCame) {
  server.set("/file", {.body = content(), .stop_after = 50'000, .stall = true});
  std::stop_source stop;
  DownloadConfig settings = config();
  settings.stop = stop.get_token();
  settings.on_progress = [&](const DownloadProgress& progress) {
    if (progress.received == 50'000) stop.request_stop();
  };
  expect_fails(ErrorCode::kInterrupted, {"stopped after 50000 bytes", "resume"}, settings);
  EXPECT_EQ(fs::file_size(part), 50'000U);
}

TEST_F(Download, ExceptionOfTheCallerPasses) {
  DownloadConfig settings = config();
  settings.on_progress = [](const DownloadProgress&) { throw std::runtime_error("enough"); };
  EXPECT_THROW(download(settings), std::runtime_error);
  EXPECT_FALSE(fs::exists(target));
}

TEST_F(Download, FullDiskIsAnIoError) {
  fs::create_directories(part.parent_path());
  fs::create_symlink("/dev/full", part);
  expect_fails(ErrorCode::kIo, {part.string(), "cannot write", "No space left on device"}, config());
}

TEST_F(Download, UnusableFolderIsAnIoError) {
  put(folder / "sub", "a file where the folder should be");
  expect_error(ErrorCode::kIo, {(folder / "sub").string()}, [&] { download(config()); });
}

TEST_F(Download, ManyAtOnceLeaveOneWholeFile) {
  // Each either downloads, finds the file there, or is told that another is at it; none writes into a file
  // that another has finished.
  for (int round = 0; round < 20; ++round) {
    fs::remove(target);
    std::atomic<int> done = 0;
    {
      std::vector<std::jthread> threads;
      for (int i = 0; i < 8; ++i) {
        threads.emplace_back([&] {
          for (int k = 0; k < 5; ++k) {
            try {
              download(config());
              EXPECT_EQ(get(target), content());
              ++done;
            } catch (const Error& error) {
              EXPECT_NE(std::string(error.what()).find("another download"), std::string::npos)
                  << error.what();
            }
          }
        });
      }
    }
    EXPECT_GE(done, 1);
    EXPECT_EQ(get(target), content());
    EXPECT_FALSE(fs::exists(part));
  }
}

TEST_F(Download, FileThatAnotherFinishesBeforeTheLockIsNotWrittenTo) {
  fs::create_directories(part.parent_path());
  put(part, content());
  before_lock = [&] { fs::rename(part, target); };
  download(config());
  EXPECT_EQ(before_lock, nullptr);
  EXPECT_EQ(get(target), content());
  EXPECT_FALSE(fs::exists(part));
}

TEST_F(Download, FileThatAnotherHasJustFinishedIsKept) {
  download(config());
  server.set("/file", {.body = "gone", .status = 500});
  download(config());
  EXPECT_EQ(get(target), content());
  EXPECT_FALSE(fs::exists(part));
}

TEST_F(Download, SecondDownloadOfTheSameFileIsRefused) {
  server.set("/file", {.body = content(), .stop_after = 50'000, .stall = true});
  std::stop_source stop;
  std::atomic<bool> running = false;
  DownloadConfig settings = config();
  settings.stop = stop.get_token();
  settings.on_progress = [&](const DownloadProgress&) { running = true; };
  std::jthread first([&] { EXPECT_THROW(download(settings), Error); });
  while (!running) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  expect_error(ErrorCode::kIo, {part.string(), "another download of this file is running"},
               [&] { download(config()); });
  stop.request_stop();
}

}  // namespace
}  // namespace octavo
