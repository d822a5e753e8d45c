// The reference interpreter against numbers worked out by hand.
#include "octavo/runtime/reference.h"

#include <gtest/gtest.h>

#include "octavo/core/error.h"
#include "octavo/graph/builder.h"

namespace octavo {
namespace {

TEST(Interpret, ConvAddsPaddedNeighboursAndBias) {
  GraphBuilder b("sum", 1, 2, 2, 1);
  Graph graph =
      b.finish(b.flatten("f", b.conv("conv", b.input(), 1, {.kernel = {3, 3}, .pads = {1, 1, 1, 1}}, true)));
  for (float& w : graph.value(graph.nodes[0].inputs[1]).constant->data<float>()) w = 1.0F;
  graph.value(graph.nodes[0].inputs[2]).constant->data<float>()[0] = 0.5F;
  const Tensor y = interpret(graph, Tensor::from<float>({1, 1, 2, 2}, std::vector<float>{1, 2, 3, 4}));
  for (const float v : y.data<float>()) EXPECT_EQ(v, 10.5F);  // Every window sees all four pixels.
}

/// Conv 1x1 of one channel, weight 0.5, bias 0.25, then Relu; scales picked so that integers are easy to
/// follow.
Graph tiny_quantized() {
  GraphBuilder b("tiny", 1, 1, 2, 1);
  Graph graph = b.finish(b.flatten("f", b.relu("relu", b.conv("conv", b.input(), 1, {}, true))));
  Value& weight = graph.value(graph.nodes[0].inputs[1]);
  weight.constant->data<float>()[0] = 0.5F;
  weight.quant = weight_params({0.5F / 127});
  graph.value(graph.nodes[0].inputs[2]).constant->data<float>()[0] = 0.25F;
  graph.value(graph.input).quant = activation_params(0.1F, 10);
  graph.value(graph.nodes[1].output).quant = activation_params(0.05F, 3);
  graph.value(graph.output).quant = activation_params(0.05F, 3);
  return graph;
}

TEST(Interpret, IntegerConvFollowsTheContractByHand) {
  const Graph graph = tiny_quantized();
  const auto values =
      interpret_all(graph, Tensor::from<float>({1, 1, 1, 2}, std::vector<float>{2.0F, -0.6F}));
  // x: 2.0 / 0.1 + 10 = 30; -0.6 / 0.1 + 10 = 4.
  EXPECT_EQ(values.at(graph.input).data<std::uint8_t>()[0], 30);
  EXPECT_EQ(values.at(graph.input).data<std::uint8_t>()[1], 4);
  // 0.5 * 2.0 + 0.25 = 1.25 -> 25 + 3; 0.5 * -0.6 + 0.25 = -0.05 -> Relu -> 0 -> 3.
  EXPECT_EQ(values.at(graph.output).data<std::uint8_t>()[0], 28);
  EXPECT_EQ(values.at(graph.output).data<std::uint8_t>()[1], 3);
}

TEST(Interpret, AveragePoolRoundsHalfToEven) {
  GraphBuilder b("mean", 1, 1, 2, 1);
  Graph graph = b.finish(b.flatten("f", b.global_average_pool("gap", b.input())));
  for (const ValueId id : {graph.input, graph.nodes[0].output, graph.output})
    graph.value(id).quant = activation_params(1.0F, 0);
  const auto mean = [&](float a, float c) {
    return interpret(graph, Tensor::from<float>({1, 1, 1, 2}, std::vector<float>{a, c}))
        .data<std::uint8_t>()[0];
  };
  EXPECT_EQ(mean(1, 2), 2);  // 1.5 to even
  EXPECT_EQ(mean(2, 3), 2);  // 2.5 to even
  EXPECT_EQ(mean(300, 255), 255);
}

TEST(Interpret, WrongInputShapeIsRefused) {
  const Graph graph = tiny_quantized();
  EXPECT_THROW(interpret(graph, Tensor({1, 1, 2, 2}, DType::kFloat32)), Error);
}

TEST(Interpret, AccumulatorThatCouldOverflowIsRefused) {
  Graph graph = tiny_quantized();
  // A bias of 1e9 at a scale of about 4e-4 is far beyond int32 minus the products.
  graph.value(graph.nodes[0].inputs[2]).constant->data<float>()[0] = 1e9F;
  graph.value(graph.input).quant = activation_params(0.1F, 255);
  Value& weight = graph.value(graph.nodes[0].inputs[1]);
  weight.constant->data<float>()[0] = -0.5F;
  try {
    interpret(graph, Tensor({1, 1, 1, 2}, DType::kFloat32));
    FAIL() << "expected an Error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
    EXPECT_NE(std::string(error.what()).find("conv"), std::string::npos);
  }
}

}  // namespace
}  // namespace octavo
