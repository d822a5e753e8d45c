/// Exported files in ONNX Runtime, against our own runtime.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>

#include "octavo/core/file.h"
#include "octavo/core/temporary_folder.h"
#include "octavo/data/sources.h"
#include "octavo/graph/builder.h"
#include "octavo/onnx/onnx.h"
#include "octavo/runtime/runtime.h"
#include "onnx/models.h"
#include "onnx/protos.h"
#include "support/ort.h"

namespace octavo {
namespace {

namespace fs = std::filesystem;

class OnnxRuntime : public testing::Test {
 protected:
  void SetUp() override {
    if (const std::string reason = test::why_no_onnx_runtime(); !reason.empty()) GTEST_SKIP() << reason;
  }

  std::vector<float> theirs(const Graph& graph, const Tensor& input, bool optimize = true) {
    save_onnx(graph, path_);
    return test::onnx_runtime_logits(path_, input, {.modules = {}, .batch = 100, .optimize = optimize});
  }

  /// By way of the file, as `octavo eval` does it.
  static std::vector<float> ours(const Graph& graph, const Tensor& input) {
    const CompiledModel model(parse_onnx(serialize_onnx(graph), "file.onnx"),
                              {.max_batch = 100, .threads = 2, .observe = {}});
    CompiledModel::Context context(model);
    const auto images = input.dim(0);
    const auto elements = static_cast<std::size_t>(input.size() / images);
    const auto classes = static_cast<std::size_t>(model.classes());
    std::vector<float> logits(static_cast<std::size_t>(images) * classes);
    for (std::int64_t start = 0; start < images; start += 100) {
      const std::int64_t count = std::min<std::int64_t>(100, images - start);
      const auto first = static_cast<std::size_t>(start);
      const auto rows = static_cast<std::size_t>(count);
      model.run(context, input.data<float>().subspan(first * elements, rows * elements), count,
                std::span(logits).subspan(first * classes, rows * classes));
    }
    return logits;
  }

  TemporaryFolder folder_;
  fs::path path_ = folder_ / "model.onnx";
};

float largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  EXPECT_EQ(a.size(), b.size());
  float largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::abs(a[i] - b[i]));
  return largest;
}

/// Part of the rows of ten whose largest value is at the same place.
double agreement(const std::vector<float>& a, const std::vector<float>& b) {
  const auto x = test::top1(a, 10);
  const auto y = test::top1(b, 10);
  EXPECT_EQ(x.size(), y.size());
  std::size_t same = 0;
  for (std::size_t i = 0; i < x.size(); ++i) same += x[i] == y[i] ? 1 : 0;
  return static_cast<double>(same) / static_cast<double>(x.size());
}

/// The first `count` CIFAR-10 test images, normalized; empty if the data are not here.
Tensor cifar10(std::int64_t count) {
  const char* set = std::getenv("OCTAVO_TEST_CIFAR10");
  const fs::path folder = set ? fs::path(set) : cache_folder() / "cifar-10-batches-bin";
  if (!fs::exists(folder)) return {};
  const DatasetPair data = read_cifar10(folder);
  std::vector<std::int64_t> indices(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < indices.size(); ++i) indices[i] = static_cast<std::int64_t>(i);
  return normalized_batch(data.test, indices, data.normalization);
}

TEST_F(OnnxRuntime, FloatLogitsAgree) {
  for (const Graph& graph : {test::every_operator(), test::every_other_operator(),
                             test::zoo_model("simple-cnn"), test::zoo_model("resnet20")}) {
    const Tensor input = test::random_input(graph, 20);
    EXPECT_LT(largest_difference(theirs(graph, input), ours(graph, input)), 1e-3F) << graph.name;
  }
}

TEST_F(OnnxRuntime, QuantizedLogitsAgreeForEveryOperator) {
  const Graph graph = test::quantized(test::every_operator());
  const Tensor input = test::random_input(graph, 50);
  const std::vector<float> expected = ours(graph, input);
  // An integer may fall the other way where float32 rounds differently: a few steps of the last activation.
  const float step = graph.value(graph.nodes.back().inputs[0]).quant->scale();
  for (const bool optimize : {false, true})
    EXPECT_LT(largest_difference(theirs(graph, input, optimize), expected), 3 * step) << optimize;
}

TEST_F(OnnxRuntime, FilesOfLaterOpsetsGiveTheSame) {
  const Graph graph = test::quantized(test::every_operator());
  const Tensor input = test::random_input(graph, 20);
  const std::vector<float> expected = ours(graph, input);
  for (int opset = ExportOptions::kLeastOpset; opset <= ExportOptions::kNewestOpset; ++opset) {
    save_onnx(graph, path_, {.opset = opset});
    EXPECT_EQ(load_onnx(path_), stored_form(graph)) << opset;
    EXPECT_LT(largest_difference(expected, test::onnx_runtime_logits(path_, input)), 0.05F) << opset;
  }
}

// Each integer is 128 lower, and biases are not rounded to int32.
TEST_F(OnnxRuntime, Int8ActivationsAndFloatBiasesGiveTheSame) {
  const Graph graph = test::quantized(test::every_operator());
  const Tensor input = test::random_input(graph, 20);
  const ExportOptions options{.int8_activations = true, .float_biases = true};
  save_onnx(graph, path_, options);
  EXPECT_EQ(load_onnx(path_), stored_form(graph));
  EXPECT_LT(largest_difference(ours(graph, input), test::onnx_runtime_logits(path_, input)), 0.05F);
}

TEST_F(OnnxRuntime, PartsOfOneOperatorAreComputedInFloatBetweenTheIntegers) {
  // SiLU, HardSwish and GELU have no operator in opset 13: x through all of them, integers at both ends.
  GraphBuilder b("parts", 3, 8, 8, 5);
  ValueId x = b.silu("silu", b.conv("conv", b.input(), 8, {.kernel = {3, 3}}, true));
  x = b.hard_swish("hard_swish", x);
  x = b.gelu("gelu", x);
  x = b.flatten("flatten", b.global_average_pool("pool", x));
  const Graph graph = test::quantized(b.finish(b.gemm("fc", x, 10)));
  const Tensor input = test::random_input(graph, 50);
  const std::vector<float> expected = ours(graph, input);
  const float step = graph.value(graph.nodes.back().inputs[0]).quant->scale();
  for (const bool optimize : {false, true})
    EXPECT_LT(largest_difference(theirs(graph, input, optimize), expected), 3 * step) << optimize;
}

TEST_F(OnnxRuntime, FilesWithOperatorsOnIntegersGiveTheSame) {
  for (const auto& [type, shift] : {std::pair<std::string, int>{"uint8", 0}, {"int8", -128}}) {
    const std::vector<std::byte> bytes =
        test::to_bytes(test::model_from_text(test::operators_on_integers(type, shift)));
    write_file(path_, bytes);
    const Graph graph = parse_onnx(bytes, "integers.onnx");
    const Tensor input = test::random_input(graph, 50);
    const std::vector<float> expected = test::onnx_runtime_logits(path_, input);
    const float step = graph.value(graph.output).quant.value().scale();
    // One step apart where a requantization rounds the other way.
    EXPECT_LT(largest_difference(expected, ours(graph, input)), 1.5F * step) << type;
  }
}

TEST_F(OnnxRuntime, NarrowActivationRangesSaturateTheSame) {
  Graph graph = test::quantized(test::every_operator());
  for (Value& value : graph.values) {
    // Seven bits at the scale of eight: half of the values saturate.
    if (value.quant && !value.constant) value.quant->qmax = std::max(127, value.quant->zero_point());
  }
  const Tensor input = test::random_input(graph, 50);
  const float step = graph.value(graph.nodes.back().inputs[0]).quant->scale();
  for (const bool optimize : {false, true})
    EXPECT_LT(largest_difference(theirs(graph, input, optimize), ours(graph, input)), 3 * step) << optimize;
}

/// Shifts the last layer's biases so that an untrained network spreads real images over its classes.
void center_logits(Graph& graph, const std::vector<float>& logits) {
  const auto bias = graph.value(graph.nodes.back().inputs[2]).constant->data<float>();
  const std::size_t rows = logits.size() / bias.size();
  for (std::size_t i = 0; i < logits.size(); ++i)
    bias[i % bias.size()] -= logits[i] / static_cast<float>(rows);
}

/// `base` with centred logits, quantized with two of the images.
Graph quantized_on(const Tensor& images, Graph base, const std::vector<float>& float_logits) {
  center_logits(base, float_logits);
  Tensor calibration({2, 3, 32, 32}, DType::kFloat32);
  std::ranges::copy(images.data<float>().first(static_cast<std::size_t>(calibration.size())),
                    calibration.data<float>().begin());
  return test::quantized(base, calibration);
}

constexpr const char* kNoImages = "CIFAR-10 is not here; set OCTAVO_TEST_CIFAR10 to cifar-10-batches-bin";

TEST_F(OnnxRuntime, QuantizedTopOneAgreesOnRealImages) {
  const Tensor input = cifar10(1000);
  if (input.size() == 0) GTEST_SKIP() << kNoImages;
  const Graph base = test::zoo_model("simple-cnn");
  const Graph graph = quantized_on(input, base, ours(base, input));
  const std::vector<float> expected = ours(graph, input);
  EXPECT_GE(agreement(theirs(graph, input), expected), 0.999);
  // Were all images of one class, agreement would mean nothing.
  const auto classes = test::top1(expected, 10);
  EXPECT_LT(std::ranges::count(classes, classes[0]), 800);
}

TEST_F(OnnxRuntime, ResidualNetworksGiveTheSameIntegers) {
  // Twenty and fifty untrained layers carry one rounding far: the logits agree because no rounding differs.
  // (ONNX Runtime's own two modes, integer and float kernels on one file, do differ.)
  const Tensor input = cifar10(300);
  if (input.size() == 0) GTEST_SKIP() << kNoImages;
  for (const char* const name : {"resnet20", "mobilenet-v2"}) {
    const Graph base = test::zoo_model(name);
    const Graph graph = quantized_on(input, base, ours(base, input));
    const std::vector<float> mine = ours(graph, input);
    float largest = 0;
    for (const float logit : mine) largest = std::max(largest, std::abs(logit));
    EXPECT_LE(largest_difference(mine, theirs(graph, input)), 1e-6F * largest) << name;
  }
}

TEST_F(OnnxRuntime, SumsOfAllPairsOfIntegersAreTheSame) {
  // The input's integers are 0..255 along both axes of an image and, rescaled, of its transpose.
  GraphBuilder b("sums", 1, 256, 256, 1);
  const ValueId across = b.transpose("across", b.input(), {0, 1, 3, 2});
  const ValueId rescaled = b.leaky_relu("rescaled", across, 1.0F);
  Graph graph = b.finish(b.add("add", b.input(), rescaled));
  Tensor input({1, 1, 256, 256}, DType::kFloat32);
  const auto values = input.data<float>();
  const auto expect_same = [&](const QuantParams& x, const QuantParams& other, const QuantParams& y) {
    graph.value(graph.input).quant = x;
    graph.value(across).quant = x;
    graph.value(rescaled).quant = other;
    graph.value(graph.output).quant = y;
    for (std::size_t i = 0; i < values.size(); ++i)
      values[i] = dequantize(static_cast<std::int32_t>(i % 256), x.scale(), x.zero_point());
    EXPECT_EQ(largest_difference(theirs(graph, input), ours(graph, input)), 0) << x.scale();
  };
  expect_same(activation_params(0.0173F, 0), activation_params(0.0191F, 3), activation_params(0.0239F, 0));
  expect_same(activation_params(0.3F, 101), activation_params(0.31F, 100), activation_params(0.41F, 93));
  expect_same(activation_params(2e-3F, 255), activation_params(2.5e-3F, 200), activation_params(1e-3F, 211));
}

}  // namespace
}  // namespace octavo
