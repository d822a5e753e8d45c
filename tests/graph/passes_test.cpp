#include "octavo/graph/passes.h"

#include <gtest/gtest.h>

#include "octavo/graph/builder.h"
#include "octavo/graph/zoo.h"
#include "octavo/runtime/reference.h"

namespace octavo {
namespace {

/// Statistics and parameters that are not the trivial ones.
void disturb(Graph& graph) {
  float x = 0.3F;
  for (const Node& node : graph.nodes) {
    for (std::size_t i = 1; i < node.inputs.size(); ++i) {
      if (node.op != Op::kBatchNormalization && i == 1) continue;
      for (float& v : graph.value(node.inputs[i]).constant->data<float>())
        v = x = 0.2F + 3.7F * x * (1.0F - x) * 0.9F;
    }
  }
}

TEST(FoldBatchNorm, ComputesTheSameFunction) {
  Graph graph = make_model("resnet20", {.channels = 3, .height = 8, .width = 8}, 1);
  disturb(graph);
  const Graph folded = fold_batch_norm(graph);
  EXPECT_NO_THROW(validate(folded));
  for (const Node& node : folded.nodes) EXPECT_NE(node.op, Op::kBatchNormalization);
  Tensor input({2, 3, 8, 8}, DType::kFloat32);
  for (std::size_t i = 0; i < input.data<float>().size(); ++i)
    input.data<float>()[i] = static_cast<float>(i % 17) / 8 - 1;
  const Tensor a = interpret(graph, input);
  const Tensor b = interpret(folded, input);
  for (std::size_t i = 0; i < a.data<float>().size(); ++i) {
    EXPECT_NEAR(a.data<float>()[i], b.data<float>()[i], 1e-4F * (1 + std::abs(a.data<float>()[i])));
  }
}

TEST(FoldBatchNorm, KeepsTheNamesOfGroupOutputs) {
  const Graph graph = make_model("simple-cnn", {}, 1);
  const Graph folded = fold_batch_norm(graph);
  const auto before = fuse(graph);
  const auto after = fuse(folded);
  ASSERT_EQ(before.size(), after.size());
  for (std::size_t i = 0; i < before.size(); ++i) {
    EXPECT_EQ(graph.value(before[i].output).name, folded.value(after[i].output).name);
  }
}

TEST(FoldBatchNorm, LeavesANormThatFollowsNoConvolution) {
  GraphBuilder b("norm-first", 3, 4, 4, 1);
  const Graph graph = b.finish(b.flatten("f", b.relu("r", b.batch_norm("bn", b.input()))));
  EXPECT_EQ(fold_batch_norm(graph), graph);
}

TEST(FoldBatchNorm, LeavesAConvolutionThatIsReadElsewhere) {
  GraphBuilder b("shared", 3, 4, 4, 1);
  const ValueId conv = b.conv("c", b.input(), 3, {.kernel = {1, 1}}, false);
  const Graph graph = b.finish(b.flatten("f", b.add("a", b.batch_norm("bn", conv), conv)));
  const Graph folded = fold_batch_norm(graph);
  EXPECT_EQ(folded.nodes.size(), graph.nodes.size());
}

TEST(RemoveUnusedValues, DropsAndRenumbers) {
  Graph graph = make_model("simple-cnn", {}, 1);
  const Graph original = graph;
  graph.values.insert(graph.values.begin() + 5, Value{"orphan", {1}, {}, {}});
  for (Node& node : graph.nodes) {
    for (ValueId& id : node.inputs) id += id >= 5 ? 1 : 0;
    node.output += node.output >= 5 ? 1 : 0;
  }
  graph.output += graph.output >= 5 ? 1 : 0;
  remove_unused_values(graph);
  EXPECT_EQ(graph, original);
}

}  // namespace
}  // namespace octavo
