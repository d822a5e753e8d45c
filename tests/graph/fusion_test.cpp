#include <gtest/gtest.h>

#include <set>

#include "octavo/graph/builder.h"
#include "octavo/graph/passes.h"
#include "octavo/graph/zoo.h"

namespace octavo {
namespace {

TEST(Fuse, ConvBatchNormReluAreOneGroup) {
  // Mistake 4 of the program Octavo replaces: quantizing convolution, batch norm and ReLU one by one.
  const Graph graph = make_model("simple-cnn", {}, 1);
  const auto groups = fuse(graph);
  int convolutions = 0;
  for (const FusedGroup& group : groups) {
    if (graph.nodes[static_cast<std::size_t>(group.anchor)].op != Op::kConv) continue;
    ++convolutions;
    EXPECT_GE(group.batch_norm, 0);
    EXPECT_GE(group.activation, 0);
  }
  EXPECT_EQ(convolutions, 4);
  EXPECT_EQ(groups.size(), 4U + 4U + 3U);  // Convolutions, max pools; average pool, flatten, gemm.
}

TEST(Fuse, ResidualAddJoinsTheConvolutionThatRunsLast) {
  for (const Graph& graph : {make_model("resnet20", {}, 1), fold_batch_norm(make_model("resnet20", {}, 1))}) {
    int adds = 0;
    std::set<ValueId> made{graph.input};
    for (const FusedGroup& group : fuse(graph)) {
      EXPECT_TRUE(made.contains(group.input));
      if (group.add >= 0) {
        ++adds;
        EXPECT_TRUE(made.contains(group.residual)) << "the residual must exist when the group runs";
        EXPECT_GE(group.activation, 0);
      }
      made.insert(group.output);
    }
    EXPECT_EQ(adds, 9);
  }
}

TEST(Fuse, AddIsApartWhereWeightsAreQuantizedAndInGroupsToBeQuantized) {
  GraphBuilder b("residual", 4, 4, 4, 1);
  const ValueId conv = b.conv("c", b.input(), 4, {.kernel = {1, 1}}, true);
  Graph graph = b.finish(b.relu("r", b.add("a", conv, b.input())));
  ASSERT_EQ(fuse(graph).size(), 1U);
  const auto apart = quantizable_groups(graph);
  ASSERT_EQ(apart.size(), 2U);
  EXPECT_EQ(apart[0].output, conv);
  EXPECT_EQ(apart[1].input, conv);
  EXPECT_EQ(apart[1].residual, graph.input);
  EXPECT_EQ(apart[1].output, graph.output);
  graph.value(graph.nodes[0].inputs[1]).quant = weight_params({0.1F, 0.1F, 0.1F, 0.1F});
  EXPECT_EQ(fuse(graph).size(), 2U);
}

TEST(Fuse, ValuesToBeKeptAreNotInsideGroups) {
  GraphBuilder b("kept", 4, 4, 4, 1);
  const ValueId conv = b.conv("c", b.input(), 4, {.kernel = {1, 1}}, true);
  const ValueId sum = b.add("a", conv, b.input());
  const Graph graph = b.finish(b.relu("r", sum));
  EXPECT_EQ(fuse(graph).size(), 1U);
  EXPECT_EQ(fuse(graph, std::vector{sum}).size(), 2U);
  EXPECT_EQ(fuse(graph, std::vector{conv}).size(), 2U);
  EXPECT_EQ(fuse(graph, std::vector{conv, sum}).size(), 3U);
}

TEST(Fuse, EveryNodeIsInExactlyOneGroup) {
  const Graph graph = make_model("resnet20", {}, 1);
  std::multiset<int> seen;
  for (const FusedGroup& group : fuse(graph)) {
    for (const int index : {group.anchor, group.batch_norm, group.add, group.activation}) {
      if (index >= 0) seen.insert(index);
    }
  }
  EXPECT_EQ(seen.size(), graph.nodes.size());
  EXPECT_EQ(std::set<int>(seen.begin(), seen.end()).size(), graph.nodes.size());
}

TEST(Fuse, ValueReadTwiceIsNotSwallowed) {
  GraphBuilder b("twice", 3, 4, 4, 1);
  const ValueId conv = b.conv("c", b.input(), 3, {.kernel = {1, 1}}, true);
  const Graph graph = b.finish(b.flatten("f", b.add("a", b.relu("r", conv), conv)));
  EXPECT_EQ(fuse(graph).size(), graph.nodes.size());
}

TEST(Fuse, ModelOutputAndQuantizedValuesAreNotSwallowed) {
  GraphBuilder b("quantized-inside", 3, 4, 4, 1);
  const ValueId conv = b.conv("c", b.input(), 3, {.kernel = {1, 1}}, true);
  Graph graph = b.finish(b.relu("r", conv));
  EXPECT_EQ(fuse(graph).size(), 1U);
  graph.value(conv).quant = activation_params(0.1F, 0);
  EXPECT_EQ(fuse(graph).size(), 2U);
}

TEST(ActivationBounds, FollowReluAndClip) {
  GraphBuilder b("bounds", 3, 4, 4, 1);
  const Graph graph = b.finish(b.clip("c", b.conv("conv", b.input(), 3, {}, true), -1.0F, 6.0F));
  const ClipAttributes bounds = activation_bounds(graph, fuse(graph).at(0));
  EXPECT_EQ(bounds.min, -1.0F);
  EXPECT_EQ(bounds.max, 6.0F);
}

}  // namespace
}  // namespace octavo
