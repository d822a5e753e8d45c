#include "octavo/core/file.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <functional>

#include "octavo/core/error.h"
#include "octavo/core/file_lock.h"
#include "octavo/core/temporary_folder.h"

namespace octavo {
namespace {

namespace fs = std::filesystem;

/// A folder that is gone after the test.
class FileTest : public ::testing::Test {
 protected:
  std::size_t files() const {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder_), fs::directory_iterator{}));
  }

  TemporaryFolder temporary_;
  fs::path folder_ = temporary_.path();
};

ErrorCode code_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.code();
  }
  ADD_FAILURE() << "expected an Error";
  return ErrorCode::kInternal;
}

TEST_F(FileTest, WrittenBytesComeBack) {
  write_file(folder_ / "a.txt", "hello");
  EXPECT_EQ(read_text_file(folder_ / "a.txt"), "hello");
  write_file(folder_ / "a.txt", "");
  EXPECT_EQ(read_text_file(folder_ / "a.txt"), "");
  EXPECT_EQ(files(), 1U);
}

TEST_F(FileTest, UncommittedFileLeavesTheOldOne) {
  write_file(folder_ / "a.txt", "old");
  {
    AtomicFile file(folder_ / "a.txt");
    file.write("new, but never finished");
  }
  EXPECT_EQ(read_text_file(folder_ / "a.txt"), "old");
  EXPECT_EQ(files(), 1U);
}

TEST_F(FileTest, MissingFileAndFolderAreIoErrors) {
  EXPECT_EQ(code_of([&] { read_file(folder_ / "none"); }), ErrorCode::kIo);
  EXPECT_EQ(code_of([&] { read_file(folder_); }), ErrorCode::kIo);
  EXPECT_EQ(code_of([&] { write_file(folder_ / "no" / "such", "x"); }), ErrorCode::kIo);
}

TEST_F(FileTest, FileLargerThanAllowedIsRefused) {
  write_file(folder_ / "big", std::string(5000, 'x'));
  EXPECT_EQ(code_of([&] { read_file(folder_ / "big", 4999); }), ErrorCode::kBadInput);
  EXPECT_EQ(read_file(folder_ / "big", 5000).size(), 5000U);
}

TEST_F(FileTest, InputFileReadsAnywhereAndNoFurther) {
  write_file(folder_ / "a.txt", "0123456789");
  const InputFile file(folder_ / "a.txt");
  EXPECT_EQ(file.size(), 10U);
  std::string text(4, ' ');
  file.read(3, std::as_writable_bytes(std::span(text)));
  EXPECT_EQ(text, "3456");
  EXPECT_EQ(code_of([&] { file.read(7, std::as_writable_bytes(std::span(text))); }), ErrorCode::kIo);
  EXPECT_EQ(code_of([&] { const InputFile none(folder_ / "none"); }), ErrorCode::kIo);
  EXPECT_EQ(code_of([&] { const InputFile none(folder_); }), ErrorCode::kIo);
}

TEST_F(FileTest, WritableFolderIsMadeWithItsParentsAndLeftEmpty) {
  make_writable_folder(folder_ / "a" / "b");
  EXPECT_TRUE(fs::is_empty(folder_ / "a" / "b"));
  write_file(folder_ / "plain", "x");
  EXPECT_EQ(code_of([&] { make_writable_folder(folder_ / "plain"); }), ErrorCode::kIo);
  EXPECT_EQ(code_of([&] { make_writable_folder("/proc/octavo"); }), ErrorCode::kIo);
}

/// Runs `body` in a process that is killed once `body` has returned.
void in_killed_process(const std::function<void()>& body) {
  const pid_t child = fork();
  if (child == 0) {
    body();
    raise(SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
}

TEST_F(FileTest, KilledWritersFileGoesWithTheNextWriteAndALivingOnesStays) {
  in_killed_process([&] { (new AtomicFile(folder_ / "other.txt"))->write("half"); });
  ASSERT_EQ(files(), 1U) << "the killed process left nothing to clean";
  {
    AtomicFile living(folder_ / "a.txt");
    EXPECT_EQ(files(), 1U) << "the dead one's file is still there";
    living.write("whole");
    write_file(folder_ / "b.txt", "b");
    EXPECT_TRUE(fs::exists(living.temporary_path()));
    living.commit();
  }
  EXPECT_EQ(read_text_file(folder_ / "a.txt"), "whole");
  EXPECT_EQ(files(), 2U);
}

TEST_F(FileTest, SecondHolderOfALockIsRefusedAndADeadOnesLockIsTakenOver) {
  const fs::path path = folder_ / "lock";
  {
    const FileLock first(path, folder_);
    EXPECT_EQ(code_of([&] { const FileLock second(path, folder_); }), ErrorCode::kUsage);
  }
  EXPECT_EQ(files(), 0U);
  in_killed_process([&] { new FileLock(path, folder_); });
  ASSERT_EQ(files(), 1U);
  { const FileLock next(path, folder_); }
  EXPECT_EQ(files(), 0U);
}

}  // namespace
}  // namespace octavo
