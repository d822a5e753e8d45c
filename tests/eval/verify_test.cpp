#include "octavo/eval/verify.h"

#include <gtest/gtest.h>

#include "octavo/graph/builder.h"
#include "octavo/graph/passes.h"
#include "octavo/quantize/ptq.h"

namespace octavo {
namespace {

Graph quantized_model() {
  GraphBuilder b("small", 3, 8, 8, 7);
  const ConvAttributes window{.kernel = {3, 3}, .pads = {1, 1, 1, 1}};
  ValueId x = b.relu("relu1", b.batch_norm("bn1", b.conv("conv1", b.input(), 16, window, true)));
  x = b.max_pool("pool1", x, {.kernel = {2, 2}, .strides = {2, 2}});
  Graph graph =
      fold_batch_norm(b.finish(b.gemm("fc", b.flatten("flatten", b.global_average_pool("gap", x)), 4)));
  std::map<std::string, QuantParams> activations;
  for (const ValueId id : quantized_activations(graph))
    activations[graph.value(id).name] = activation_params(0.02F, 128);
  annotate(graph, activations, 127);
  return graph;
}

Tensor images(std::int64_t count) {
  Tensor input({count, 3, 8, 8}, DType::kFloat32);
  for (std::size_t i = 0; i < input.data<float>().size(); ++i)
    input.data<float>()[i] = static_cast<float>(i % 37) / 18.0F - 1.0F;
  return input;
}

TEST(Verify, RuntimeEqualsTheReferenceInEveryValue) {
  const Graph graph = quantized_model();
  const Tensor input = images(3);
  const ProgramCheck check =
      compare_programs("runtime", graph, reference_values(graph, input), runtime_values(graph, input));
  ASSERT_GE(check.layers.size(), 4U);
  EXPECT_EQ(check.layers.front().layer, "");
  EXPECT_EQ(check.layers[1].layer, "conv1");
  EXPECT_EQ(check.max_lsb(), 0);
  EXPECT_EQ(check.max_logit_difference, 0);
  EXPECT_EQ(check.same_top1, 1);
}

TEST(Verify, CountsDifferencesInSteps) {
  const Graph graph = quantized_model();
  const ProgramValues reference = reference_values(graph, images(2));
  ProgramValues other = reference;
  const std::string name = graph.value(fuse(graph).front().output).name;
  other.at(name).data<float>()[5] += 3 * 0.02F;
  const ProgramCheck check = compare_programs("other", graph, reference, other);
  const LayerDifference& layer = check.layers[1];
  EXPECT_EQ(layer.value, name);
  const auto elements = static_cast<double>(other.at(name).size());
  EXPECT_NEAR(layer.max_lsb, 3, 1e-4);
  EXPECT_NEAR(layer.mean_lsb, 3 / elements, 1e-6);
  EXPECT_NEAR(layer.differing, 1 / elements, 1e-9);
  EXPECT_EQ(check.layers[0].max_lsb, 0);
}

TEST(Verify, LogitsAreComparedByClassAndSize) {
  const Graph graph = quantized_model();
  const ProgramValues reference = reference_values(graph, images(2));
  ProgramValues other = reference;
  Tensor& logits = other.at(graph.value(graph.output).name);
  for (std::size_t c = 0; c < 4; ++c) logits.data<float>()[c] = -logits.data<float>()[c];
  const ProgramCheck check = compare_programs("other", graph, reference, other);
  EXPECT_EQ(check.same_top1, 0.5);
  EXPECT_GT(check.max_logit_difference, 0.1);
}

}  // namespace
}  // namespace octavo
