// The float runtime against the reference interpreter.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "octavo/core/error.h"
#include "octavo/graph/builder.h"
#include "octavo/graph/passes.h"
#include "octavo/graph/zoo.h"
#include "octavo/runtime/reference.h"
#include "octavo/runtime/runtime.h"
#include "runtime/annotated_graph.h"

namespace octavo {
namespace {

using testing::random_tensor;
using testing::randomize;

float largest(std::span<const float> values) {
  float result = 0;
  for (const float x : values) result = std::max(result, std::abs(x));
  return result;
}

void expect_close(const Graph& graph, std::int64_t batch, std::uint64_t seed) {
  const Shape& shape = graph.value(graph.input).shape;
  const Tensor input = random_tensor({batch, shape[1], shape[2], shape[3]}, seed, -2.0F, 2.0F);
  const Tensor expected = interpret(graph, input);
  const CompiledModel model(graph, {.max_batch = batch, .threads = 2});
  EXPECT_EQ(model.precision(), "fp32");
  CompiledModel::Context context(model);
  Tensor actual(expected.shape(), DType::kFloat32);
  model.run(context, input.data<float>(), batch, actual.data<float>());
  // float32 sums of a few thousand terms, a dozen layers deep: relative errors of some 1e-6 each.
  const float tolerance = 5e-5F * std::max(1.0F, largest(expected.data<float>()));
  for (std::size_t i = 0; i < actual.data<float>().size(); ++i) {
    ASSERT_NEAR(actual.data<float>()[i], expected.data<float>()[i], tolerance) << "logit " << i;
  }
}

TEST(FloatModel, SimpleCnnEqualsReference) {
  Graph graph = make_model("simple-cnn", {.channels = 3, .height = 16, .width = 16}, 1);
  randomize(graph, 1);
  expect_close(graph, 3, 1);
}

TEST(FloatModel, Resnet20EqualsReference) {
  Graph graph = make_model("resnet20", {.channels = 3, .height = 16, .width = 16}, 2);
  randomize(graph, 2);
  expect_close(graph, 2, 2);
  expect_close(graph, 1, 3);
}

TEST(FloatModel, EveryOperatorAndWindowEqualsReference) {
  GraphBuilder b("mixed", 6, 13, 11, 3);
  ValueId x = b.conv("grouped", b.input(), 12,
                     {.kernel = {3, 3}, .strides = {1, 2}, .pads = {1, 0, 0, 1}, .group = 3}, true);
  x = b.batch_norm("bn", b.relu("relu", x));  // Not foldable: nothing but a Relu before it.
  x = b.clip("clip", x, -0.5F, 0.5F);
  x = b.conv("dilated", x, 16, {.kernel = {3, 3}, .dilations = {2, 1}, .pads = {2, 1, 2, 1}}, false);
  const ValueId a = b.average_pool("avg", x, {.kernel = {3, 2}, .strides = {2, 2}, .pads = {1, 0, 1, 1}});
  const ValueId m = b.max_pool("max", x, {.kernel = {3, 2}, .strides = {2, 2}, .pads = {1, 0, 1, 1}});
  x = b.relu("sum.relu", b.add("sum", a, m));
  x = b.max_pool("ceil", x, {.kernel = {2, 2}, .strides = {2, 2}, .ceil_mode = true});
  x = b.average_pool("include", x,
                     {.kernel = {2, 2}, .strides = {1, 1}, .pads = {1, 1, 0, 0}, .count_include_pad = true});
  Graph graph = b.finish(b.gemm("fc2", b.relu("r", b.gemm("fc1", b.flatten("flatten", x), 9)), 5, false));
  randomize(graph, 30);
  expect_close(graph, 2, 4);
}

TEST(FloatModel, ObservedValuesEqualReference) {
  Graph graph = fold_batch_norm(make_model("resnet20", {.channels = 3, .height = 8, .width = 8}, 5));
  std::vector<ValueId> observe{graph.input};
  for (const FusedGroup& group : fuse(graph)) observe.push_back(group.output);
  const Tensor input = random_tensor({2, 3, 8, 8}, 6);
  const auto expected = interpret_all(graph, input);
  const CompiledModel model(graph, {.max_batch = 4, .observe = observe});
  CompiledModel::Context context(model);
  std::vector<float> logits(2 * 10);
  std::size_t seen = 0;
  model.run_observed(context, input.data<float>(), 2, logits, [&](ValueId id, std::span<const float> values) {
    ++seen;
    const auto wanted = expected.at(id).data<float>();
    ASSERT_EQ(values.size(), wanted.size());
    const float tolerance = 1e-4F * std::max(1.0F, largest(wanted));
    for (std::size_t i = 0; i < values.size(); ++i) ASSERT_NEAR(values[i], wanted[i], tolerance);
  });
  EXPECT_EQ(seen, observe.size());
}

TEST(FloatModel, ObservingInsideAFusedGroupIsRefused) {
  const Graph graph = make_model("simple-cnn", {}, 1);
  const ValueId conv = graph.nodes[0].output;
  EXPECT_THROW(CompiledModel(graph, {.observe = {conv}}), Error);
}

}  // namespace
}  // namespace octavo
