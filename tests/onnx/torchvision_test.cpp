/// Real classifiers, exported by PyTorch (bench/export_torchvision.py writes them), against ONNX Runtime:
///   OCTAVO_TEST_TORCHVISION=FOLDER build/release/tests/onnx/onnx_torchvision_test
/// prints a line per model. Skipped where the variable is not set.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <set>

#include "octavo/core/temporary_folder.h"
#include "octavo/data/dataset.h"
#include "octavo/graph/passes.h"
#include "octavo/onnx/onnx.h"
#include "octavo/quantize/ptq.h"
#include "octavo/runtime/placement.h"
#include "octavo/runtime/runtime.h"
#include "onnx/models.h"
#include "support/ort.h"

namespace octavo {
namespace {

namespace fs = std::filesystem;

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Files of the folder, or why there are none to test with.
std::set<fs::path> model_files(std::string& why_not) {
  const char* folder = std::getenv("OCTAVO_TEST_TORCHVISION");
  why_not = folder ? test::why_no_onnx_runtime()
                   : "set OCTAVO_TEST_TORCHVISION to a folder of bench/export_torchvision.py";
  std::set<fs::path> files;
  if (!why_not.empty()) return files;
  for (const auto& entry : fs::directory_iterator(folder)) files.insert(entry.path());
  return files;
}

/// Largest difference of two programs' logits over the largest logit.
double relative_difference(const std::vector<float>& ours, const std::vector<float>& theirs) {
  float difference = 0;
  float largest = 0;
  for (std::size_t i = 0; i < ours.size(); ++i) {
    // A maximum passes over what is not a number.
    EXPECT_TRUE(std::isfinite(ours[i]) && std::isfinite(theirs[i])) << "logit " << i;
    difference = std::max(difference, std::abs(ours[i] - theirs[i]));
    largest = std::max(largest, std::abs(theirs[i]));
  }
  return static_cast<double>(difference) / static_cast<double>(largest);
}

std::vector<float> run_octavo(const Graph& graph, const Tensor& input) {
  const std::int64_t batch = input.dim(0);
  const CompiledModel model(graph, {.max_batch = batch, .threads = 2, .observe = {}});
  CompiledModel::Context context(model);
  std::vector<float> logits(static_cast<std::size_t>(batch * model.classes()));
  model.run(context, input.data<float>(), batch, logits);
  return logits;
}

TEST(Torchvision, LogitsEqualThoseOfOnnxRuntime) {
  std::string why_not;
  const std::set<fs::path> files = model_files(why_not);
  if (!why_not.empty()) GTEST_SKIP() << why_not;
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
    const std::vector<float> ours = run_octavo(graph, input);
    const std::vector<float> theirs = test::onnx_runtime_logits(file, input);
    ASSERT_EQ(ours.size(), theirs.size());
    const double difference = relative_difference(ours, theirs);
    std::printf("| %s | %.1f | %zu | %.3f | %.1e |\n", file.stem().c_str(), megabytes, graph.nodes.size(),
                import_seconds, difference);
    std::fflush(stdout);
    EXPECT_LE(difference, 1e-3);
    EXPECT_EQ(parse_onnx(serialize_onnx(graph), "again.onnx"), graph);
  }
}

/// Noise: enough for ranges of random weights.
Dataset noise(const Shape& input, int count) {
  Dataset data;
  data.name = "noise";
  data.split = "train";
  data.hash = "0";
  data.class_names = {"a", "b"};
  data.channels = input[1];
  data.height = input[2];
  data.width = input[3];
  std::mt19937 random(5);
  for (int i = 0; i < count; ++i) data.labels.push_back(i % 2);
  data.pixels.resize(static_cast<std::size_t>(count * data.image_size()));
  for (auto& pixel : data.pixels) pixel = static_cast<std::uint8_t>(random() % 256);
  return data;
}

TEST(Torchvision, QuantizedFilesRunInOnnxRuntime) {
  std::string why_not;
  const std::set<fs::path> files = model_files(why_not);
  if (!why_not.empty()) GTEST_SKIP() << why_not;
  const Normalization normalization{.mean = {0.5F, 0.5F, 0.5F}, .std = {0.29F, 0.29F, 0.29F}};
  std::printf(
      "| model | layers in int8 | PTQ s | int8 / float file | largest difference / largest logit |\n"
      "|---|---|---|---|---|\n");
  const TemporaryFolder folder;
  for (const fs::path& file : files) {
    SCOPED_TRACE(file.filename().string());
    const Graph graph = load_onnx(file);
    const Dataset images = noise(graph.value(graph.input).shape, 4);
    const auto start = std::chrono::steady_clock::now();
    const Graph quantized =
        quantize_ptq(graph, images, normalization, {.calibration_samples = 4, .batch_size = 4}).graph;
    const double seconds = seconds_since(start);
    const fs::path written = folder / "int8.onnx";
    save_onnx(quantized, written);
    const std::vector<std::int64_t> indices{0, 1};
    const Tensor input = normalized_batch(images, indices, normalization);
    const std::vector<float> ours = run_octavo(load_onnx(written), input);
    const std::vector<float> theirs = test::onnx_runtime_logits(written, input);
    const double ratio =
        static_cast<double>(fs::file_size(written)) / static_cast<double>(fs::file_size(file));
    ASSERT_EQ(ours.size(), theirs.size());
    const double difference = relative_difference(ours, theirs);
    const auto places = placements(fold_batch_norm(quantized));
    std::printf("| %s | %td of %zu | %.1f | %.3f | %.1e |\n", file.stem().c_str(),
                std::ranges::count_if(places, &Placement::integer), places.size(), seconds, ratio,
                difference);
    std::fflush(stdout);
    EXPECT_LE(difference, 0.05);
  }
}

}  // namespace
}  // namespace octavo
