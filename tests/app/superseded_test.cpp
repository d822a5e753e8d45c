// The mistakes of the program that Octavo supersedes, each as a test of the real program. (The sixth, figures
// of time without their circumstances, is in cli_test.cpp and run_test.cpp.)
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>
#include <sstream>

#include "octavo/core/temporary_folder.h"
#include "octavo/data/sources.h"
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

// 1: test images went through the training augmentation.
TEST_F(SupersededMistake, EvaluationSeesTestImagesAsTheyAre) {
  constexpr std::int64_t kImages = 40;
  std::vector<std::int64_t> indices(kImages);
  std::iota(indices.begin(), indices.end(), 0);
  const Tensor logits =
      interpret(load_onnx(base()), normalized_batch(data_.test, indices, data_.normalization));
  const auto values = logits.data<float>();
  std::int64_t correct = 0;
  for (std::int64_t i = 0; i < kImages; ++i) {
    const auto row = values.subspan(static_cast<std::size_t>(i * 10), 10);
    correct += std::max_element(row.begin(), row.end()) - row.begin() ==
               data_.test.labels[static_cast<std::size_t>(i)];
  }
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
    EXPECT_FALSE(dequantize(*weight.constant, *weight.quant) ==
                 dequantize(*before.value(same).constant, *before.value(same).quant))
        << weight.name;
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
