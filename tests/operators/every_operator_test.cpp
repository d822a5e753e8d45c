// Each operator of the table through every part of the program but training, which has a test of its own.
#include "operators/every_operator.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "octavo/core/temporary_folder.h"
#include "octavo/onnx/onnx.h"
#include "octavo/quantize/ptq.h"
#include "octavo/runtime/placement.h"
#include "octavo/runtime/reference.h"
#include "octavo/runtime/runtime.h"
#include "quantize/random_images.h"
#include "support/ort.h"

namespace octavo {
namespace {

using testing::graph_around;

constexpr std::int64_t kImages = 6;

Tensor images() {
  Tensor batch({kImages, 3, testing::kOperatorImage, testing::kOperatorImage}, DType::kFloat32);
  float i = 0;
  for (float& value : batch.data<float>()) {
    value = std::sin(i * 1.7F) + 0.3F * std::sin(i * 0.13F);
    i += 1;
  }
  return batch;
}

std::vector<float> compiled(const Graph& graph, const Tensor& batch) {
  const CompiledModel model(graph, {.max_batch = batch.dim(0), .threads = 1, .observe = {}});
  CompiledModel::Context context(model);
  std::vector<float> logits(static_cast<std::size_t>(batch.dim(0) * model.classes()));
  model.run(context, batch.data<float>(), batch.dim(0), logits);
  return logits;
}

float largest(std::span<const float> values) {
  float result = 0;
  for (const float value : values) result = std::max(result, std::abs(value));
  return result;
}

void expect_near(std::span<const float> got, std::span<const float> expected, float tolerance) {
  ASSERT_EQ(got.size(), expected.size());
  const float scale = largest(expected);
  for (std::size_t i = 0; i < got.size(); ++i)
    ASSERT_NEAR(got[i], expected[i], tolerance * scale) << "logit " << i;
}

class EveryOperator : public ::testing::TestWithParam<Op> {};

// That the ways in which operators are told apart agree with each other.
TEST_P(EveryOperator, TableRowIsConsistent) {
  const Op op = GetParam();
  const OperatorInfo& info = operator_info(op);
  EXPECT_EQ(info.op, op);
  EXPECT_LE(info.least_inputs, info.most_inputs);
  EXPECT_NE(info.shape, nullptr);
  EXPECT_EQ(is_unary(op), info.function != nullptr);
  EXPECT_EQ(has_weight(op), info.integer_form == IntegerForm::kConvolution);
  const auto same_name = [&](const OperatorInfo& other) { return other.name == info.name; };
  EXPECT_EQ(std::ranges::count_if(operators(), same_name), 1) << info.name;
  const Graph graph = graph_around(op);
  EXPECT_TRUE(std::ranges::any_of(graph.nodes, [&](const Node& node) { return node.op == op; }));
}

TEST_P(EveryOperator, FileGivesTheGraphBack) {
  const Graph graph = graph_around(GetParam());
  EXPECT_EQ(parse_onnx(serialize_onnx(graph), "file"), stored_form(graph));
}

TEST_P(EveryOperator, FileOfAnyOpsetGivesTheGraphBack) {
  const Graph graph = graph_around(GetParam());
  for (int opset = ExportOptions::kLeastOpset; opset <= ExportOptions::kNewestOpset; ++opset) {
    EXPECT_EQ(parse_onnx(serialize_onnx(graph, {.opset = opset}), "file"), stored_form(graph)) << opset;
  }
}

TEST_P(EveryOperator, CompiledEqualsTheReference) {
  const Graph graph = graph_around(GetParam());
  expect_near(compiled(graph, images()), interpret(graph, images()).data<float>(), 2e-5F);
}

TEST_P(EveryOperator, OnnxRuntimeAgrees) {
  if (const std::string why = test::why_no_onnx_runtime(); !why.empty()) GTEST_SKIP() << why;
  const Graph graph = graph_around(GetParam());
  const TemporaryFolder folder;
  const auto file = folder / "model.onnx";
  const Tensor batch = images();
  for (const int opset : {ExportOptions::kLeastOpset, ExportOptions::kNewestOpset}) {
    SCOPED_TRACE(opset);
    save_onnx(graph, file, {.opset = opset});
    const std::vector<float> expected =
        test::onnx_runtime_logits(file, batch, {.modules = {}, .optimize = false});
    expect_near(interpret(graph, batch).data<float>(), expected, 2e-5F);
  }
}

// Its group runs in integers if the table says so, with the reference's bits.
TEST_P(EveryOperator, QuantizedRunsAsTheTableSays) {
  const Op op = GetParam();
  const Dataset data = testing::random_images(64, testing::kOperatorImage);
  const Graph graph =
      quantize_ptq(graph_around(op), data, testing::kNoiseNormalization, {.calibration_samples = 64}).graph;
  EXPECT_EQ(parse_onnx(serialize_onnx(graph), "file"), stored_form(graph));
  bool found = false;
  bool all_integer = true;
  for (const Placement& placement : placements(graph)) {
    all_integer = all_integer && placement.integer;
    // A Relu or Clip runs in the group of the layer before it.
    const auto is_op = [&](int node) { return graph.nodes[static_cast<std::size_t>(node)].name == "op"; };
    if (std::ranges::none_of(placement.nodes, is_op)) continue;
    found = true;
    EXPECT_EQ(placement.integer, operator_info(op).integer_form != IntegerForm::kNone) << placement.reason;
  }
  EXPECT_TRUE(found);
  if (!all_integer) return;
  std::vector<std::int64_t> indices(kImages);
  std::iota(indices.begin(), indices.end(), 0);
  const Tensor batch = normalized_batch(data, indices, testing::kNoiseNormalization);
  const Tensor expected = interpret(graph, batch);
  const auto logits = expected.data<float>();
  EXPECT_EQ(compiled(graph, batch), std::vector<float>(logits.begin(), logits.end()));
}

std::vector<Op> all_operators() {
  std::vector<Op> result;
  for (const OperatorInfo& info : operators()) result.push_back(info.op);
  return result;
}

INSTANTIATE_TEST_SUITE_P(Table, EveryOperator, ::testing::ValuesIn(all_operators()),
                         [](const auto& instance) { return to_string(instance.param); });

}  // namespace
}  // namespace octavo
