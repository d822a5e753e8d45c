// The mistakes of the program that Octavo supersedes, each as a test of the real program. (The sixth, figures
// of time without their circumstances, is in cli_test.cpp and run_test.cpp.)
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <numeric>
#include <sstream>

#include "octavo/core/temporary_folder.h"
#include "octavo/data/sources.h"
#include "octavo/graph/builder.h"
#include "octavo/graph/zoo.h"
#include "octavo/onnx/onnx.h"
#include "octavo/runtime/reference.h"
#include "process.h"

namespace octavo::test {
namespace {

using Json = nlohmann::json;

class SupersededMistake : public ::testing::Test {
 protected:
  void SetUp() override {
    DataRequest request;
    request.dataset = "fashion-mnist";
    data_ = load_dataset(request);
    Graph graph = make_model("simple-cnn", {.channels = 1, .height = 28, .width = 28, .classes = 10}, 3);
    set_normalization(graph, data_.normalization);
    graph.metadata["octavo.dataset"] = "fashion-mnist";
    save_onnx(graph, folder_ / "base.onnx");
  }

  /// octavo with a model file, expected to succeed.
  Finished run(const std::vector<std::string>& arguments) {
    Finished finished = octavo(arguments);
    EXPECT_EQ(finished.exit_code, 0) << finished.err;
    return finished;
  }
  std::string base() const { return (folder_ / "base.onnx").string(); }
  std::string ptq() {
    const std::string output = (folder_ / "ptq.onnx").string();
    run({"ptq", base(), "--calibration-samples", "30", "--out", output});
    return output;
  }

  TemporaryFolder folder_;
  DatasetPair data_;
};

/// Number of the first `images` test images that `graph` answers right, each mirrored if asked for.
std::int64_t correct_answers(const Graph& graph, const DatasetPair& data, std::int64_t images,
                             bool mirrored) {
  std::vector<std::int64_t> indices(static_cast<std::size_t>(images));
  std::iota(indices.begin(), indices.end(), 0);
  Dataset test = data.test;
  for (auto row = test.pixels.begin(); mirrored && row != test.pixels.end(); row += test.width)
    std::reverse(row, row + test.width);
  const Tensor logits = interpret(graph, normalized_batch(test, indices, data.normalization));
  const auto values = logits.data<float>();
  std::int64_t correct = 0;
  for (std::size_t i = 0; i < indices.size(); ++i) {
    const auto row = values.subspan(i * 10, 10);
    correct += std::max_element(row.begin(), row.end()) - row.begin() == test.labels[i];
  }
  return correct;
}

// 1: test images went through the training augmentation.
TEST_F(SupersededMistake, EvaluationSeesTestImagesAsTheyAre) {
  // Scalar products with the pixels: no pooling makes up for a mirrored or shifted image.
  constexpr std::int64_t kImages = 2000;
  GraphBuilder builder("linear", 1, 28, 28, 3);
  Graph graph = builder.finish(builder.gemm("fc", builder.flatten("flatten", builder.input()), 10));
  set_normalization(graph, data_.normalization);
  graph.metadata["octavo.dataset"] = "fashion-mnist";
  save_onnx(graph, folder_ / "base.onnx");
  const std::int64_t correct = correct_answers(graph, data_, kImages, false);
  const std::int64_t mirrored = correct_answers(graph, data_, kImages, true);
  ASSERT_GE(std::abs(correct - mirrored), 10) << "this model could not tell";
  const Finished eval = run({"eval", base(), "--test-limit", std::to_string(kImages), "--json"});
  EXPECT_EQ(Json::parse(eval.out)["models"][0]["correct"], correct);
}

// 2: the optimizer of QAT held other parameters than those of the model.
TEST_F(SupersededMistake, QatMovesTheWeights) {
  const std::string output = (folder_ / "qat.onnx").string();
  run({"qat", base(), "--train-limit", "128", "--test-limit", "32", "--qat-epochs", "1", "--batch-size", "32",
       "--calibration-samples", "30", "--qat-lr", "0.05", "--out", output});
  const Graph before = load_onnx(ptq());
  const Graph after = load_onnx(output);
  int compared = 0;
  for (const Node& node : after.nodes) {
    if (node.op != Op::kConv && node.op != Op::kGemm) continue;
    const Value& weight = after.value(node.inputs[1]);
    const ValueId same = before.find_value(weight.name);
    ASSERT_NE(same, kNoValue) << weight.name;
    // Batch norm scales whole channels, and so their grids: it leaves the integers as they are, but for a
    // rounding here and there.
    const auto now = weight.constant->data<std::int8_t>();
    const auto once = before.value(same).constant->data<std::int8_t>();
    ASSERT_EQ(now.size(), once.size());
    std::size_t moved = 0;
    for (std::size_t i = 0; i < now.size(); ++i) moved += now[i] != once[i] ? 1 : 0;
    EXPECT_GT(moved, now.size() / 20) << weight.name;
    ++compared;
  }
  EXPECT_EQ(compared, 5);
}

// 3: calibration ignored its size, and augmented.
TEST_F(SupersededMistake, CalibrationUsesAsManyImagesAsAsked) {
  const Graph quantized = load_onnx(ptq());
  std::istringstream indices(quantized.metadata.at("octavo.calibration.indices"));
  int count = 0;
  for (std::string index; std::getline(indices, index, ',');) {
    EXPECT_LT(std::stoll(index), data_.train.size());
    ++count;
  }
  EXPECT_EQ(count, 30);
  // And those of the training split, as they are on disk.
  EXPECT_EQ(quantized.metadata.at("octavo.calibration.data"), "fashion-mnist train");
  EXPECT_EQ(quantized.metadata.at("octavo.calibration.data_hash"), data_.train.hash);
}

// 4: convolution, batch norm and ReLU were quantized one by one.
TEST_F(SupersededMistake, BatchNormIsFoldedAndReluFusedBeforeQuantization) {
  const Graph quantized = load_onnx(ptq());
  for (const Node& node : quantized.nodes) {
    EXPECT_NE(node.op, Op::kBatchNormalization) << node.name;
    if (node.op != Op::kConv) continue;
    EXPECT_FALSE(quantized.value(node.output).quant.has_value())
        << node.name << " is quantized before its ReLU";
    const auto readers = quantized.consumers(node.output);
    ASSERT_EQ(readers.size(), 1U) << node.name;
    const Node& relu = quantized.nodes[static_cast<std::size_t>(readers.front())];
    EXPECT_EQ(relu.op, Op::kRelu);
    EXPECT_TRUE(quantized.value(relu.output).quant.has_value()) << relu.name;
  }
}

// 5: the integer model ran on a slow default engine.
TEST_F(SupersededMistake, EveryStepOfTheQuantizedModelRunsInIntegers) {
  const Finished bench =
      run({"bench", ptq(), "--batches", "1", "--runs", "1", "--warmup", "0", "--layers", "--json"});
  const Json model = Json::parse(bench.out)["models"][0];
  EXPECT_EQ(model["precision"], "int8");
  const Json layers = model["latency"][0]["layers"];
  ASSERT_GE(layers.size(), 6U);
  for (const Json& layer : layers) {
    EXPECT_NE(layer["kernel"].get<std::string>().find("int8"), std::string::npos) << layer;
  }
}

}  // namespace
}  // namespace octavo::test
