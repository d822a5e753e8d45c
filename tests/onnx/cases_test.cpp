// Small files in forms that people report and publish, of ../shared/cases: those that are read have to give
// the logits that ONNX Runtime gives.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numeric>
#include <utility>

#include "octavo/core/error.h"
#include "octavo/core/quant.h"
#include "octavo/core/temporary_folder.h"
#include "octavo/onnx/onnx.h"
#include "octavo/quantize/ptq.h"
#include "octavo/runtime/reference.h"
#include "octavo/runtime/runtime.h"
#include "onnx/models.h"
#include "quantize/random_images.h"
#include "support/ort.h"

namespace octavo {
namespace {

namespace fs = std::filesystem;

fs::path cases() { return fs::path(OCTAVO_SOURCE_DIR) / "../shared/cases"; }

class Case : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (!fs::exists(file())) GTEST_SKIP() << "no " << file();
  }
  static fs::path file() {
    const fs::path given = cases() / GetParam();
    return given.extension() == ".onnx" ? given : given / "model.onnx";
  }
};

float largest_difference(std::span<const float> a, std::span<const float> b) {
  EXPECT_EQ(a.size(), b.size());
  float difference = 0;
  float largest = 0;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    difference = std::max(difference, std::abs(a[i] - b[i]));
    largest = std::max(largest, std::abs(b[i]));
  }
  return difference / std::max(largest, 1.0F);
}

std::vector<float> ours(const Graph& graph, const Tensor& input) {
  Tensor logits = interpret(graph, input);
  if (const auto& quant = graph.value(graph.output).quant) logits = dequantize(logits, *quant);
  const auto values = std::as_const(logits).data<float>();
  return {values.begin(), values.end()};
}

TEST_P(Case, GivesTheLogitsOfOnnxRuntime) {
  const Graph graph = load_onnx(file());
  if (const std::string why = test::why_no_onnx_runtime(); !why.empty()) GTEST_SKIP() << why;
  const Tensor input = test::random_input(graph, 2);
  // A file that takes images as rows of pixels.
  const bool flat = std::string(GetParam()) == "58-flat-784";
  const Tensor theirs_in = flat ? input.reshaped({2, input.size() / 2}) : input;
  const std::vector<float> theirs =
      test::onnx_runtime_logits(file(), theirs_in, {.modules = {}, .batch = 1, .optimize = false});
  EXPECT_LT(largest_difference(ours(graph, input), theirs), 1e-5F);
}

/// Files that we write from them, with ONNX Runtime's own fusions.
class QuantizedCase : public Case {};

TEST_P(QuantizedCase, MeansTheSameInOnnxRuntime) {
  if (const std::string why = test::why_no_onnx_runtime(); !why.empty()) GTEST_SKIP() << why;
  const Graph graph = load_onnx(file());
  const Dataset images = testing::random_images(32, graph.value(graph.input).shape[2]);
  // Large enough to reach the bounds of a Clip.
  const Normalization normalization{.mean = {0.5F, 0.5F, 0.5F}, .std = {0.02F, 0.02F, 0.02F}};
  const Graph quantized = quantize_ptq(graph, images, normalization, {.calibration_samples = 32}).graph;
  const TemporaryFolder folder;
  save_onnx(quantized, folder / "int8.onnx");
  std::vector<std::int64_t> indices(images.labels.size());
  std::iota(indices.begin(), indices.end(), 0);
  const Tensor input = normalized_batch(images, indices, normalization);
  EXPECT_LT(largest_difference(ours(load_onnx(folder / "int8.onnx"), input),
                               test::onnx_runtime_logits(folder / "int8.onnx", input)),
            0.01F);
}

INSTANTIATE_TEST_SUITE_P(Forms, QuantizedCase,
                         ::testing::Values("12-clip-ort-refuses", "13-avgpool-ceil-include-pad"),
                         [](const auto& instance) {
                           std::string name = instance.param;
                           std::ranges::replace(name, '-', '_');
                           return name;
                         });

// Which are not read yet is printed.
TEST(Cases, WhatIsReadAtAllAgrees) {
  if (!fs::exists(cases())) GTEST_SKIP() << "no " << cases();
  if (const std::string why = test::why_no_onnx_runtime(); !why.empty()) GTEST_SKIP() << why;
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(cases())) {
    if (entry.path().extension() == ".onnx" && entry.is_regular_file()) files.push_back(entry.path());
  }
  std::ranges::sort(files);
  for (const fs::path& file : files) {
    SCOPED_TRACE(file);
    try {
      const Graph graph = load_onnx(file);
      const Tensor input = test::random_input(graph, 2);
      const std::vector<float> theirs =
          test::onnx_runtime_logits(file, input, {.modules = {}, .batch = 1, .optimize = false});
      EXPECT_LT(largest_difference(ours(graph, input), theirs), 1e-5F);
    } catch (const Error& error) {  // Or ONNX Runtime wants another layout or type.
      std::printf("%s\n", std::string(error.what()).substr(0, 220).c_str());
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Forms, Case,
    ::testing::Values("01-opset18-reducemean-axes-input", "02-opset20-plain", "05-opset18-split-num-outputs",
                      "07-opset21-qdq", "23-tanh-lenet", "24-layernorm-opset17", "25-sum-residual",
                      "26-min-relu6", "28-resize-inside", "29-bgr-gather", "33-softmax-log", "34-pad-reflect",
                      "35-lrn", "36-instance-norm", "37-vit-attention", "39-squeeze-as-if",
                      "42-local-function", "43-fp16-weights-cast", "45-double-weights-cast", "50-qgemm",
                      "55-fusedconv", "58-flat-784", "61-unsorted-nodes", "forms/clip_min_gt_max.onnx",
                      "forms/conv_transpose.onnx", "forms/einsum_fc.onnx", "forms/maxpool_dilated.onnx",
                      "forms/q_int16_act_ms.onnx", "forms/q_int16_opset21.onnx",
                      "forms/q_int4_weights_opset21.onnx", "forms/q_weight_scale_zero_channel.onnx",
                      "forms/sparse_initializer.onnx", "forms/depth_to_space.onnx", "forms/gelu_ms.onnx",
                      "forms/q_qat_torch_fakequant_consts.onnx", "forms/pad_edge.onnx",
                      "forms/reduce_sum_op13.onnx", "forms/resize_nearest_up.onnx", "forms/upsample_op9.onnx",
                      "forms/selu.onnx"),
    [](const auto& instance) {
      std::string name = instance.param;
      std::ranges::replace_if(
          name, [](char c) { return !std::isalnum(static_cast<unsigned char>(c)); }, '_');
      return name;
    });

}  // namespace
}  // namespace octavo
