#include "octavo/eval/inspect.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "octavo/graph/builder.h"
#include "octavo/graph/passes.h"
#include "octavo/graph/zoo.h"
#include "octavo/quantize/ptq.h"

namespace octavo {
namespace {

Graph quantized(const Graph& model) {
  Graph graph = fold_batch_norm(model);
  std::map<std::string, QuantParams> activations;
  for (const ValueId id : quantized_activations(graph))
    activations[graph.value(id).name] = activation_params(0.02F, 128);
  annotate(graph, activations, 127);
  return graph;
}

TEST(Inspect, LayersAddUpToTheModel) {
  const Graph graph = make_model("resnet20", {.channels = 3, .height = 32, .width = 32, .classes = 10}, 1);
  const ModelFacts facts = inspect(graph);
  EXPECT_EQ(facts.parameters, parameter_count(graph));
  EXPECT_EQ(facts.macs, mac_count(graph));
  EXPECT_EQ(facts.input, (Shape{kDynamic, 3, 32, 32}));
  EXPECT_EQ(facts.output, (Shape{kDynamic, 10}));
  std::int64_t macs = 0;
  std::int64_t parameters = 0;
  for (const LayerFacts& layer : facts.layers) {
    macs += layer.macs;
    parameters += layer.parameters;
    EXPECT_FALSE(layer.integer);
    EXPECT_FALSE(layer.reason.empty());
  }
  EXPECT_EQ(macs, facts.macs);
  // Folding makes of each batch norm's scale and shift (and no bias before) one bias.
  EXPECT_EQ(parameters, parameter_count(fold_batch_norm(graph)));
}

TEST(Inspect, QuantizedLayersAreInIntegersWithTheirParameters) {
  const Graph graph = quantized(make_model("simple-cnn", {}, 1));
  const ModelFacts facts = inspect(graph);
  ASSERT_FALSE(facts.layers.empty());
  const LayerFacts& first = facts.layers.front();
  EXPECT_EQ(first.name, "conv1");
  EXPECT_EQ(first.operators, "Conv + Relu");
  EXPECT_TRUE(first.integer);
  EXPECT_TRUE(first.reason.empty());
  EXPECT_EQ(first.weight_bits, 8);
  EXPECT_TRUE(first.per_channel);
  ASSERT_TRUE(first.quant);
  EXPECT_EQ(first.quant->scale(), 0.02F);
  EXPECT_TRUE(std::ranges::all_of(facts.layers, &LayerFacts::integer));
}

TEST(Inspect, BitsOfARange) {
  EXPECT_EQ(bits_of(activation_params(1, 0)), 8);
  EXPECT_EQ(bits_of(activation_params(1, 0, 0, 15)), 4);
  EXPECT_EQ(bits_of(weight_params({1.0F})), 8);
  EXPECT_EQ(bits_of(weight_params({1.0F}, 0, 63)), 7);
}

}  // namespace
}  // namespace octavo
