/// Real classifiers, exported by PyTorch (bench/export_torchvision.py writes them), against ONNX Runtime:
///   OCTAVO_TEST_TORCHVISION=FOLDER build/release/tests/onnx/onnx_torchvision_test
/// prints a line a model. Skipped where the variable is not set.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <set>

#include "octavo/onnx/onnx.h"
#include "octavo/runtime/runtime.h"
#include "onnx/models.h"
#include "support/ort.h"

namespace octavo {
namespace {

namespace fs = std::filesystem;

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

TEST(Torchvision, LogitsEqualThoseOfOnnxRuntime) {
  const char* folder = std::getenv("OCTAVO_TEST_TORCHVISION");
  if (!folder) GTEST_SKIP() << "set OCTAVO_TEST_TORCHVISION to a folder of bench/export_torchvision.py";
  if (const std::string reason = test::why_no_onnx_runtime(); !reason.empty()) GTEST_SKIP() << reason;
  std::set<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder)) files.insert(entry.path());
  std::printf(
      "| model | MB | nodes | import s | largest difference / largest logit |\n|---|---|---|---|---|\n");
  for (const fs::path& file : files) {
    SCOPED_TRACE(file.filename().string());
    const double megabytes = static_cast<double>(fs::file_size(file)) / 1e6;
    double import_seconds = 1e9;
    Graph graph;
    for (int i = 0; i < 3; ++i) {
      const auto start = std::chrono::steady_clock::now();
      graph = load_onnx(file);
      import_seconds = std::min(import_seconds, seconds_since(start));
    }
    const Tensor input = test::random_input(graph, 2);
    const CompiledModel model(graph, {.max_batch = 2, .threads = 2, .observe = {}});
    CompiledModel::Context context(model);
    std::vector<float> ours(static_cast<std::size_t>(2 * model.classes()));
    model.run(context, input.data<float>(), 2, ours);
    const std::vector<float> theirs = test::run_onnx_runtime(file, input.data<float>(), input.shape());
    ASSERT_EQ(ours.size(), theirs.size());
    float difference = 0;
    float largest = 0;
    for (std::size_t i = 0; i < ours.size(); ++i) {
      difference = std::max(difference, std::abs(ours[i] - theirs[i]));
      largest = std::max(largest, std::abs(theirs[i]));
    }
    std::printf("| %s | %.1f | %zu | %.3f | %.1e |\n", file.stem().c_str(), megabytes, graph.nodes.size(),
                import_seconds, static_cast<double>(difference / largest));
    std::fflush(stdout);
    EXPECT_LE(difference, 1e-3F * largest);
    EXPECT_EQ(parse_onnx(serialize_onnx(graph), "again.onnx"), graph);
  }
}

}  // namespace
}  // namespace octavo
