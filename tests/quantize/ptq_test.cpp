// Post-training quantization as a whole: real graphs, the real runtime, real images where they are here.
#include "octavo/quantize/ptq.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <map>
#include <random>
#include <string>

#include "octavo/core/error.h"
#include "octavo/data/sources.h"
#include "octavo/graph/builder.h"
#include "octavo/graph/passes.h"
#include "octavo/graph/zoo.h"
#include "octavo/runtime/placement.h"
#include "octavo/runtime/reference.h"
#include "octavo/runtime/runtime.h"
#include "quantize/random_images.h"

namespace octavo {
namespace {

const Normalization& kNormalization = testing::kNoiseNormalization;

Dataset random_images(int count) { return testing::random_images(count, 16); }

Graph small_model() {
  GraphBuilder b("small", 3, 16, 16, 7);
  const ConvAttributes window{.kernel = {3, 3}, .pads = {1, 1, 1, 1}};
  ValueId x = b.relu("relu1", b.batch_norm("bn1", b.conv("conv1", b.input(), 8, window, true)));
  x = b.max_pool("pool1", x, {.kernel = {2, 2}, .strides = {2, 2}});
  const ValueId y = b.batch_norm("bn2", b.conv("conv2", x, 8, window, false));
  x = b.relu("relu2", b.add("add", y, x));
  return b.finish(b.gemm("fc", b.flatten("flatten", b.global_average_pool("gap", x)), 4));
}

template <typename Call>
Error error_of(const Call& call) {
  try {
    call();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "nothing was thrown";
  return {ErrorCode::kInternal, "nothing"};
}

/// Logits of images `indices`, by the compiled model.
std::vector<float> logits_of(const Graph& graph, const Dataset& data, std::span<const std::int64_t> indices,
                             const Normalization& normalization) {
  const auto count = static_cast<std::int64_t>(indices.size());
  const CompiledModel model(graph, {.max_batch = count, .threads = 0, .observe = {}});
  CompiledModel::Context context(model);
  std::vector<float> logits(static_cast<std::size_t>(count * model.classes()));
  model.run(context, normalized_batch(data, indices, normalization).data<float>(), count, logits);
  return logits;
}

double relative_error(const std::vector<float>& values, const std::vector<float>& reference) {
  double error = 0;
  double power = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    error += std::pow(static_cast<double>(values[i]) - static_cast<double>(reference[i]), 2);
    power += std::pow(static_cast<double>(reference[i]), 2);
  }
  return std::sqrt(error / power);
}

TEST(Ptq, ObservesExactlyTheChosenImagesAsTheyAre) {
  const Dataset data = random_images(60);
  const PtqResult result =
      quantize_ptq(small_model(), data, kNormalization,
                   {.observer = {.kind = "min-max"}, .calibration_samples = 11, .batch_size = 4});
  EXPECT_EQ(result.indices, calibration_indices(data, 11, 42));
  // The slow interpreter on those images, normalized and nothing else, sees the same extremes.
  const Graph folded = fold_batch_norm(small_model());
  const auto values = interpret_all(folded, normalized_batch(data, result.indices, kNormalization));
  const auto ids = quantized_activations(folded);
  ASSERT_EQ(result.ranges.size(), ids.size());
  for (const ValueId id : ids) {
    const auto real = values.at(id).data<float>();
    const Range& range = result.ranges.at(folded.value(id).name);
    const float min = std::min(0.0F, *std::ranges::min_element(real));
    const float max = std::max(0.0F, *std::ranges::max_element(real));
    EXPECT_NEAR(range.min, min, 1e-5F * std::fabs(min) + 1e-6F) << folded.value(id).name;
    EXPECT_NEAR(range.max, max, 1e-5F * max + 1e-6F) << folded.value(id).name;
  }
}

/// Squeeze and excitation, a layer norm that stays float in the middle, a matrix product over pixels and a
/// Softmax at the end.
Graph mixed_model() {
  GraphBuilder b("mixed", 3, 16, 16, 9);
  const ConvAttributes half{.kernel = {3, 3}, .strides = {2, 2}, .pads = {1, 1, 1, 1}};
  ValueId x = b.hard_swish("swish", b.conv("stem", b.input(), 16, half, true));
  const ValueId gate = b.hard_sigmoid("gate", b.conv("se", b.global_average_pool("pool", x), 16, {}, true));
  x = b.transpose("last", b.mul("excite", x, gate), {0, 2, 3, 1});
  const ValueId centred = b.sub("centre", x, b.reduce_mean("mean", x, {3}));
  const ValueId variance = b.reduce_mean("variance", b.pow("square", centred, 2.0F), {3});
  x = b.div("norm", centred, b.sqrt("deviation", variance));
  x = b.gelu("gelu", b.matmul("mix", x, 24));
  x = b.global_average_pool("gap", b.transpose("first", x, {0, 3, 1, 2}));
  return b.finish(b.log_softmax("softmax", b.gemm("fc", b.flatten("flatten", x), 4), 1));
}

TEST(Ptq, QuantizesAroundOperatorsThatStayFloat) {
  const Graph graph = mixed_model();
  const Dataset data = random_images(40);
  const PtqResult result = quantize_ptq(graph, data, kNormalization, {.calibration_samples = 40});
  std::map<std::string, bool> integer;
  for (const Placement& p : placements(result.graph))
    integer[result.graph.nodes[static_cast<std::size_t>(p.nodes[0])].name] = p.integer;
  for (const char* name : {"stem", "swish", "pool", "se", "mix", "gelu", "gap", "fc"})
    EXPECT_TRUE(integer.at(name)) << name;
  // What leads to the norm alone is not rounded before it.
  for (const char* name : {"gate", "excite", "last", "centre", "square", "norm", "softmax"})
    EXPECT_FALSE(integer.at(name)) << name;
  EXPECT_LT(relative_error(logits_of(result.graph, data, result.indices, kNormalization),
                           logits_of(graph, data, result.indices, kNormalization)),
            0.05);
}

TEST(Ptq, AnnotatesWithTheObservedRanges) {
  const PtqResult result =
      quantize_ptq(small_model(), random_images(40), kNormalization, {.calibration_samples = 20});
  for (const auto& [name, range] : result.ranges) {
    const ValueId id = result.graph.find_value(name);
    ASSERT_NE(id, kNoValue) << name;
    EXPECT_EQ(result.graph.value(id).quant, choose_activation_params(range)) << name;
  }
  EXPECT_NO_THROW(validate(result.graph));
  for (const Node& node : result.graph.nodes) EXPECT_NE(node.op, Op::kBatchNormalization);
}

TEST(Ptq, QuantizedModelIsCloseToTheFloatModelWithEveryObserver) {
  const Dataset data = random_images(100);
  std::vector<std::int64_t> indices(50);
  for (std::size_t i = 0; i < indices.size(); ++i) indices[i] = static_cast<std::int64_t>(i);
  const auto expected = logits_of(small_model(), data, indices, kNormalization);
  for (const std::string& kind : observer_names()) {
    const PtqResult result = quantize_ptq(small_model(), data, kNormalization,
                                          {.observer = {.kind = kind}, .calibration_samples = 100});
    const auto logits = logits_of(result.graph, data, indices, kNormalization);
    EXPECT_LT(relative_error(logits, expected), 0.02) << kind;
    EXPECT_GT(relative_error(logits, expected), 0.0) << kind << ": nothing was quantized";
  }
}

TEST(Ptq, RangesDoNotDependOnTheBatchSize) {
  const Dataset data = random_images(40);
  const auto ranges = [&](std::int64_t batch) {
    PtqConfig config;
    config.calibration_samples = 40;
    config.batch_size = batch;
    return quantize_ptq(small_model(), data, kNormalization, config).ranges;
  };
  const auto whole = ranges(1000);
  for (const std::int64_t batch : {1, 7}) {
    for (const auto& [name, range] : ranges(batch)) {
      EXPECT_NEAR(range.max, whole.at(name).max, 1e-3F * whole.at(name).max) << name;
      EXPECT_NEAR(range.min, whole.at(name).min, 1e-3F * std::fabs(whole.at(name).min)) << name;
    }
  }
}

TEST(Ptq, ReportsProgressUpToTheExactNumberOfImages) {
  std::vector<std::int64_t> seen;
  PtqConfig config{.calibration_samples = 23, .batch_size = 10};
  config.on_progress = [&](std::int64_t done, std::int64_t total) {
    EXPECT_EQ(total, 23);
    seen.push_back(done);
  };
  quantize_ptq(small_model(), random_images(40), kNormalization, config);
  EXPECT_EQ(seen, (std::vector<std::int64_t>{10, 20, 23}));
}

TEST(Ptq, MetadataSaysHowItWasMade) {
  Graph graph = small_model();
  graph.metadata["octavo.seed"] = "5";
  const PtqResult result = quantize_ptq(graph, random_images(6), kNormalization,
                                        {.observer = {.kind = "percentile", .percentile = 99.5F, .bins = 512},
                                         .calibration_samples = 6,
                                         .seed = 9});
  const auto& metadata = result.graph.metadata;
  EXPECT_EQ(metadata.at("octavo.quantization"), "ptq");
  EXPECT_EQ(metadata.at("octavo.observer"), "percentile");
  EXPECT_EQ(metadata.at("octavo.observer.percentile"), "99.5");
  EXPECT_EQ(metadata.at("octavo.observer.bins"), "512");
  EXPECT_FALSE(metadata.contains("octavo.observer.momentum"));
  EXPECT_EQ(metadata.at("octavo.weight_qmax"), "127");
  EXPECT_EQ(metadata.at("octavo.calibration.samples"), "6");
  EXPECT_EQ(metadata.at("octavo.calibration.seed"), "9");
  EXPECT_EQ(metadata.at("octavo.calibration.indices"), "0,1,2,3,4,5");
  EXPECT_EQ(metadata.at("octavo.calibration.data"), "noise train");
  EXPECT_EQ(metadata.at("octavo.calibration.data_hash"), "00ff");
  EXPECT_EQ(metadata.at("octavo.seed"), "5");
  EXPECT_EQ(get_normalization(result.graph), kNormalization);
}

TEST(Ptq, NonFiniteActivationNamesItsValue) {
  Graph graph = small_model();
  graph.value(graph.nodes[0].inputs[2]).constant->data<float>()[0] = std::numeric_limits<float>::max();
  for (float& w : graph.value(graph.nodes[0].inputs[1]).constant->data<float>())
    w = std::numeric_limits<float>::max();
  const Error error =
      error_of([&] { quantize_ptq(graph, random_images(4), kNormalization, {.calibration_samples = 4}); });
  EXPECT_EQ(error.code(), ErrorCode::kBadInput);
  const std::string name = graph.value(graph.nodes[2].output).name;  // relu1's
  EXPECT_NE(std::string(error.what()).find("small: value '" + name + "'"), std::string::npos) << error.what();
}

TEST(Ptq, RejectsWhatItCannotCalibrate) {
  const Dataset data = random_images(10);
  const auto run = [&](const Graph& graph, const Dataset& images, const PtqConfig& config) {
    return error_of([&] { quantize_ptq(graph, images, kNormalization, config); }).code();
  };
  EXPECT_EQ(run(small_model(), data, {.calibration_samples = 11}), ErrorCode::kUsage);
  EXPECT_EQ(run(small_model(), data, {.calibration_samples = 0}), ErrorCode::kUsage);
  EXPECT_EQ(run(small_model(), data, {.calibration_samples = 5, .batch_size = 0}), ErrorCode::kUsage);
  EXPECT_EQ(run(small_model(), data, {.calibration_samples = 5, .batch_size = -3}), ErrorCode::kUsage);
  EXPECT_EQ(run(small_model(), data, {.observer = {.kind = "guess"}, .calibration_samples = 5}),
            ErrorCode::kUsage);
  EXPECT_EQ(run(small_model(), data, {.calibration_samples = 5, .weight_qmax = 200}), ErrorCode::kUsage);
  EXPECT_EQ(run(make_model("simple-cnn", {}, 1), data, {.calibration_samples = 5}), ErrorCode::kBadInput);
  const Graph quantized = quantize_ptq(small_model(), data, kNormalization, {.calibration_samples = 5}).graph;
  EXPECT_EQ(run(quantized, data, {.calibration_samples = 5}), ErrorCode::kBadInput);
}

TEST(Ptq, RealImagesThroughTheZoo) {
  const char* named = std::getenv("OCTAVO_TEST_CIFAR10");
  const char* home = std::getenv("HOME");
  const std::filesystem::path folder =
      named ? std::filesystem::path(named)
            : std::filesystem::path(home ? home : "") / ".cache/octavo/cifar-10-batches-bin";
  if (!std::filesystem::exists(folder))
    GTEST_SKIP() << "CIFAR-10 is not here; name its folder in OCTAVO_TEST_CIFAR10.";
  const DatasetPair pair = read_cifar10(folder);
  std::vector<std::int64_t> indices(100);
  for (std::size_t i = 0; i < indices.size(); ++i) indices[i] = static_cast<std::int64_t>(i);
  for (const char* model : {"simple-cnn", "resnet20"}) {
    const Graph graph = make_model(model, {}, 3);
    const PtqResult result =
        quantize_ptq(graph, pair.train, pair.normalization, {.calibration_samples = 100});
    EXPECT_EQ(result.indices.size(), 100U);
    const auto expected = logits_of(graph, pair.test, indices, pair.normalization);
    EXPECT_LT(relative_error(logits_of(result.graph, pair.test, indices, pair.normalization), expected), 0.06)
        << model;
  }
}

}  // namespace
}  // namespace octavo
