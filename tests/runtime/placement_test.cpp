#include "octavo/runtime/placement.h"

#include <gtest/gtest.h>

#include "octavo/graph/builder.h"
#include "runtime/annotated_graph.h"

namespace octavo {
namespace {

using testing::annotate_from_sample;
using testing::random_tensor;
using testing::randomize;

Graph quantized() {
  GraphBuilder b("placed", 3, 6, 6, 1);
  ValueId x = b.relu("relu", b.conv("conv", b.input(), 8, {.kernel = {3, 3}}, true));
  x = b.softmax("softmax", x, 1);
  Graph graph = b.finish(b.gemm("fc", b.flatten("flatten", x), 5));
  randomize(graph, 1);
  return annotate_from_sample(graph, random_tensor({2, 3, 6, 6}, 1));
}

TEST(Placements, NameWhatRunsInIntegersAndWhyTheRestDoesNot) {
  Graph graph = quantized();
  auto placed = placements(graph);
  ASSERT_EQ(placed.size(), 4U);
  EXPECT_EQ(placed[0].nodes, (std::vector<int>{0, 1}));  // The Relu is part of the convolution.
  EXPECT_TRUE(placed[0].integer);
  EXPECT_EQ(placed[0].reason, "");
  EXPECT_FALSE(placed[1].integer);
  EXPECT_EQ(placed[1].reason, "not along the last dimension");
  EXPECT_TRUE(placed[2].integer);
  EXPECT_TRUE(placed[3].integer);

  graph.value(graph.nodes[0].inputs[1]).quant.reset();
  EXPECT_EQ(placements(graph)[0].reason, "weight 'conv.weight' is not quantized as int8 by output channel");
  graph = quantized();
  graph.value(graph.nodes[1].output).quant.reset();
  EXPECT_TRUE(placements(graph)[0].integer);  // A convolution may return real numbers.
  graph = quantized();
  graph.value(graph.nodes[3].output).quant->scales[0] *= 2;
  EXPECT_EQ(placements(graph)[2].reason, "output 'flatten.out' has other parameters than its input");
  graph = quantized();
  graph.value(graph.input).quant.reset();
  EXPECT_EQ(placements(graph)[0].reason, "input 'input' is not quantized");
}

}  // namespace
}  // namespace octavo
