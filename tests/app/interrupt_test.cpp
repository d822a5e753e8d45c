// SIGINT and SIGTERM to the real program while it is deep in something that looks at no token.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <thread>

#include "octavo/core/temporary_folder.h"
#include "octavo/graph/preprocessing.h"
#include "octavo/graph/zoo.h"
#include "octavo/onnx/onnx.h"
#include "process.h"

namespace octavo::test {
namespace {

namespace fs = std::filesystem;

/// True a while after the first call, when the program has got to its work.
std::function<bool()> after(std::chrono::milliseconds wait) {
  return [wait, start = std::optional<std::chrono::steady_clock::time_point>()]() mutable {
    const auto now = std::chrono::steady_clock::now();
    if (!start) start = now;
    return now - *start > wait;
  };
}

/// A signalled program may take half a second, and this machine its time; one that does not answer hangs.
constexpr auto kHangs = std::chrono::seconds(20);

class Interrupted : public ::testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    ASSERT_EQ(mkfifo(endless_.c_str(), 0600), 0);
    // A writer that never writes: the program opens the file and waits for its first byte.
    writer_ = open(endless_.c_str(), O_RDWR);
    ASSERT_GE(writer_, 0);
    fs::create_directory(temporary_);
  }
  void TearDown() override { close(writer_); }

  /// Exit code 130, one line that says why, nothing left behind, and no hanging.
  void expect_ends(const std::vector<std::string>& arguments, std::chrono::milliseconds wait) {
    const auto start = std::chrono::steady_clock::now();
    const Finished finished = octavo(
        arguments, {.interrupt_when = after(wait), .signal = GetParam(), .temporary_files = temporary_});
    EXPECT_LT(std::chrono::steady_clock::now() - start, wait + kHangs);
    EXPECT_EQ(finished.exit_code, 130) << finished.err;
    EXPECT_NE(finished.err.find("interrupted"), std::string::npos) << finished.err;
    EXPECT_TRUE(fs::is_empty(temporary_));
  }

  std::string model(const std::string& name) {
    Graph graph = make_model(name, {.channels = 1, .height = 28, .width = 28, .classes = 10}, 1);
    set_normalization(graph, {.mean = {0.286F}, .std = {0.353F}});
    graph.metadata["octavo.dataset"] = "fashion-mnist";
    const auto path = folder_ / (name + ".onnx");
    save_onnx(graph, path);
    return path.string();
  }

  TemporaryFolder folder_;
  const fs::path endless_ = folder_ / "endless.onnx";
  const fs::path temporary_ = folder_ / "tmp";
  int writer_ = -1;
};

TEST_P(Interrupted, ReadingAFileThatNeverEnds) {
  for (const char* command : {"inspect", "eval", "bench", "ptq"})
    expect_ends({command, endless_.string()}, std::chrono::milliseconds(300));
}

TEST_P(Interrupted, OneLongMeasurement) {
  expect_ends({"bench", model("resnet18"), "--batches", "128", "--runs", "100000"},
              std::chrono::milliseconds(1500));
}

TEST_P(Interrupted, CheckingAModelAndItsTemporaryFolder) {
  expect_ends({"verify", model("resnet18"), "--images", "2000"}, std::chrono::milliseconds(3000));
}

TEST_P(Interrupted, WritingAFileLeavesNone) {
  const std::string input = model("resnet18");
  const fs::path output = folder_ / "out" / "int8.onnx";
  fs::create_directory(output.parent_path());
  expect_ends({"ptq", input, "--calibration-samples", "30000", "--out", output.string()},
              std::chrono::milliseconds(1500));
  EXPECT_TRUE(fs::is_empty(output.parent_path()));
}

INSTANTIATE_TEST_SUITE_P(Signals, Interrupted, ::testing::Values(SIGINT, SIGTERM),
                         [](const auto& signal) { return signal.param == SIGINT ? "Int" : "Term"; });

}  // namespace
}  // namespace octavo::test
