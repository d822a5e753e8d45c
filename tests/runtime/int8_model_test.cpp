// Whole int8 models against the reference interpreter. Logits are exact too, since the last layer's float
// arithmetic is part of the contract.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "octavo/core/cpu.h"
#include "octavo/graph/builder.h"
#include "octavo/graph/zoo.h"
#include "octavo/runtime/placement.h"
#include "octavo/runtime/reference.h"
#include "octavo/runtime/runtime.h"
#include "runtime/annotated_graph.h"

namespace octavo {
namespace {

using testing::annotate_from_sample;
using testing::random_tensor;
using testing::randomize;

void expect_model_matches(const Graph& graph, std::int64_t batch, const std::vector<std::int64_t>& runs,
                          std::uint64_t seed) {
  const Shape& shape = graph.value(graph.input).shape;
  for (const int threads : {1, 2}) {
    const CompiledModel model(graph, {.max_batch = batch, .threads = threads});
    EXPECT_EQ(model.precision(), "int8");
    CompiledModel::Context context(model);
    for (const std::int64_t n : runs) {
      SCOPED_TRACE("batch " + std::to_string(n) + ", threads " + std::to_string(threads));
      const Tensor input = random_tensor({n, shape[1], shape[2], shape[3]}, ++seed, -2.0F, 2.0F);
      const Tensor expected = interpret(graph, input);
      Tensor actual(expected.shape(), DType::kFloat32);
      model.run(context, input.data<float>(), n, actual.data<float>());
      EXPECT_EQ(actual, expected);
    }
  }
}

Graph quantized_zoo(const std::string& name, const ZooInput& input, std::uint64_t seed) {
  Graph graph = make_model(name, input, seed);
  randomize(graph, seed);
  return annotate_from_sample(
      graph, random_tensor({1, input.channels, input.height, input.width}, seed, -2.0F, 2.0F));
}

TEST(Int8Model, SimpleCnnEqualsReferenceBitForBit) {
  expect_model_matches(quantized_zoo("simple-cnn", {.channels = 3, .height = 16, .width = 16}, 3), 3,
                       {3, 1, 2}, 10);
}

TEST(Int8Model, AllConvolutionsRunOnOurKernelsOnAvx512Vnni) {
  if (isa_in_use() != Isa::kAvx512Vnni) GTEST_SKIP() << "this CPU has no AVX-512 VNNI, or AMX besides";
  const CompiledModel model(quantized_zoo("resnet20", {.channels = 3, .height = 8, .width = 8}, 4), {});
  for (const StepInfo& step : model.steps(1)) {
    if (step.operations == 0) continue;
    EXPECT_TRUE(step.kernel.ends_with(" [int8 avx512-vnni]")) << step.kernel;
  }
}

TEST(Int8Model, Resnet20EqualsReferenceBitForBit) {
  expect_model_matches(quantized_zoo("resnet20", {.channels = 3, .height = 16, .width = 16}, 4), 3, {3, 1},
                       20);
}

/// Images as small as the model allows: the reference takes its time.
struct ZooCase {
  const char* model;
  std::int64_t height, width;
};
class Int8Zoo : public ::testing::TestWithParam<ZooCase> {};

TEST_P(Int8Zoo, EqualsReferenceBitForBit) {
  const auto& [model_name, height, width] = GetParam();
  const Graph graph = quantized_zoo(model_name, {.channels = 3, .height = height, .width = width}, 6);
  for (const Placement& placement : placements(graph))
    EXPECT_TRUE(placement.integer || placement.nodes.back() + 1 == static_cast<int>(graph.nodes.size()))
        << graph.nodes[static_cast<std::size_t>(placement.nodes[0])].name << ": " << placement.reason;
  const Tensor input = random_tensor({1, 3, height, width}, 7, -2.0F, 2.0F);
  const Tensor expected = interpret(graph, input);
  const CompiledModel model(graph, {.max_batch = 1, .threads = 2});
  CompiledModel::Context context(model);
  Tensor actual(expected.shape(), DType::kFloat32);
  model.run(context, input.data<float>(), 1, actual.data<float>());
  EXPECT_EQ(actual, expected);
}

INSTANTIATE_TEST_SUITE_P(Models, Int8Zoo,
                         ::testing::Values(ZooCase{"mobilenet-v2", 28, 32},
                                           ZooCase{"mobilenet-v3-small", 28, 32},
                                           ZooCase{"shufflenet-v2", 28, 32}, ZooCase{"squeezenet", 28, 32},
                                           ZooCase{"densenet", 8, 12}, ZooCase{"resnet18", 8, 12},
                                           ZooCase{"resnet9", 8, 16}, ZooCase{"vgg16-bn", 32, 32}),
                         [](const auto& zoo) {
                           std::string name = zoo.param.model;
                           std::ranges::replace(name, '-', '_');
                           return name;
                         });

TEST(Int8Model, GrayOddSizedImagesEqualReferenceBitForBit) {
  expect_model_matches(quantized_zoo("simple-cnn", {.channels = 1, .height = 19, .width = 17}, 5), 2, {2},
                       30);
}

TEST(Int8Model, PoolsAddsAndClipsEqualReferenceBitForBit) {
  GraphBuilder b("mixed", 5, 12, 11, 6);
  ValueId x = b.clip("clip", b.conv("conv1", b.input(), 20, {.kernel = {3, 3}, .pads = {1, 1, 1, 1}}, true),
                     0.0F, 0.8F);
  const ValueId left = b.average_pool("avg", x, {.kernel = {3, 3}, .strides = {2, 2}, .pads = {1, 1, 1, 1}});
  const ValueId right = b.max_pool("max", x, {.kernel = {3, 3}, .strides = {2, 2}, .pads = {1, 1, 1, 1}});
  x = b.relu("sum.relu", b.add("sum", left, right));
  x = b.average_pool("avg2", x,
                     {.kernel = {2, 2}, .strides = {2, 2}, .pads = {1, 0, 0, 1}, .count_include_pad = true});
  x = b.max_pool("max2", x, {.kernel = {2, 2}, .strides = {2, 2}, .ceil_mode = true});
  x = b.flatten("flatten", x);
  Graph graph = b.finish(b.gemm("fc2", b.relu("fc1.relu", b.gemm("fc1", x, 19)), 7));
  randomize(graph, 60);
  expect_model_matches(annotate_from_sample(graph, random_tensor({4, 5, 12, 11}, 6, -2.0F, 2.0F)), 4, {4, 1},
                       40);
}

TEST(Int8Model, ResidualReadAgainLaterIsNotOverwritten) {
  GraphBuilder b("reuse", 4, 8, 8, 7);
  const ConvAttributes window{.kernel = {3, 3}, .pads = {1, 1, 1, 1}};
  const ValueId x = b.relu("r1", b.conv("c1", b.input(), 16, window, true));
  const ValueId y = b.relu("r2", b.add("a1", b.conv("c2", x, 16, window, true), x));
  const ValueId z = b.relu("r3", b.add("a2", b.conv("c3", y, 16, window, true), x));
  Graph graph = b.finish(b.gemm("fc", b.flatten("flatten", b.global_average_pool("gap", z)), 3));
  randomize(graph, 70);
  expect_model_matches(annotate_from_sample(graph, random_tensor({2, 4, 8, 8}, 7)), 2, {2}, 50);
}

TEST(Int8Model, GraphQuantizedInPartsRunsTheRestInFloat) {
  Graph graph = quantized_zoo("resnet20", {.channels = 3, .height = 8, .width = 8}, 8);
  // One convolution stays float: its weight loses its parameters.
  int conv = 0;
  for (const Node& node : graph.nodes) {
    if (node.op == Op::kConv && ++conv == 5) graph.value(node.inputs[1]).quant.reset();
  }
  const Tensor input = random_tensor({2, 3, 8, 8}, 9, -2.0F, 2.0F);
  const Tensor expected = interpret(graph, input);
  const CompiledModel model(graph, {.max_batch = 2});
  CompiledModel::Context context(model);
  Tensor actual(expected.shape(), DType::kFloat32);
  model.run(context, input.data<float>(), 2, actual.data<float>());
  // The float layer may round an activation to the neighbouring integer; a few such steps stay small in the
  // logits.
  for (std::size_t i = 0; i < actual.data<float>().size(); ++i) {
    EXPECT_NEAR(actual.data<float>()[i], expected.data<float>()[i], 0.05F);
  }
}

}  // namespace
}  // namespace octavo
