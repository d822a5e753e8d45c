// The real program serves, and stops when it is told to.
#include <gtest/gtest.h>
#include <httplib.h>

#include <csignal>
#include <thread>

#include "octavo/core/temporary_folder.h"
#include "octavo/graph/preprocessing.h"
#include "octavo/graph/zoo.h"
#include "octavo/onnx/onnx.h"
#include "process.h"

namespace octavo::test {
namespace {

std::string write_model(const TemporaryFolder& folder, bool normalized = true) {
  Graph graph = make_model("simple-cnn", {.channels = 1, .height = 28, .width = 28, .classes = 10}, 1);
  if (normalized) set_normalization(graph, {.mean = {0.286F}, .std = {0.353F}});
  save_onnx(graph, folder / "model.onnx");
  return (folder / "model.onnx").string();
}

/// The port that a file with the program's output tells; 0: none yet.
int port_in(const std::string& file) {
  const std::string text = file_text(file);
  const std::size_t end = text.find('\n');
  const std::size_t colon = text.rfind(':', end);
  return end == std::string::npos || colon == std::string::npos ? 0 : std::stoi(text.substr(colon + 1));
}

class Serve : public ::testing::TestWithParam<int> {};

TEST_P(Serve, AnswersUntilASignalAndEndsWell) {
  const TemporaryFolder folder;
  const std::string out = (folder / "out").string();
  std::string classes;
  const auto asked_once_it_listens = [&] {
    const int port = port_in(out);
    if (port == 0) return false;
    const auto answer = httplib::Client("127.0.0.1", port).Get("/v2/models/model");
    classes = answer ? answer->body : "no answer";
    return true;
  };
  const Finished finished =
      octavo({"serve", write_model(folder), "--port", "0", "--max-batch", "2"},
             {.interrupt_when = asked_once_it_listens, .signal = GetParam(), .stdout_file = out});
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_NE(classes.find("\"shape\":[-1,1,28,28]"), std::string::npos) << classes;
  EXPECT_TRUE(file_text(out).starts_with("http://127.0.0.1:")) << file_text(out);
  EXPECT_NE(finished.err.find("model: fp32, batches of 1"), std::string::npos) << finished.err;
}

INSTANTIATE_TEST_SUITE_P(Signals, Serve, ::testing::Values(SIGINT, SIGTERM),
                         [](const auto& signal) { return signal.param == SIGINT ? "Int" : "Term"; });

TEST(ServeErrors, AreThoseOfOtherCommands) {
  const TemporaryFolder folder;
  const std::string model = write_model(folder);
  EXPECT_EQ(octavo({"serve"}).exit_code, 2);
  EXPECT_EQ(octavo({"serve", model, "--port", "70000"}).exit_code, 2);
  EXPECT_EQ(octavo({"serve", model, "--max-batch", "0"}).exit_code, 2);
  EXPECT_EQ(octavo({"serve", model, "--host", "192.0.2.1"}).exit_code, 5);
  EXPECT_EQ(octavo({"serve", (folder / "missing.onnx").string()}).exit_code, 5);
  const Finished twice = octavo({"serve", model, model});
  EXPECT_EQ(twice.exit_code, 2);
  EXPECT_NE(twice.err.find("would be served as 'model'"), std::string::npos) << twice.err;
  const Finished mean = octavo({"serve", model, "--mean", "0.5,0.5", "--std", "0.2"});
  EXPECT_EQ(mean.exit_code, 2);
  EXPECT_NE(mean.err.find("one per channel"), std::string::npos) << mean.err;
}

}  // namespace
}  // namespace octavo::test
