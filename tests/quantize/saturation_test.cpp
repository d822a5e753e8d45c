#include "octavo/quantize/saturation.h"

#include <gtest/gtest.h>

#include <numeric>

#include "octavo/core/error.h"
#include "octavo/graph/builder.h"
#include "octavo/quantize/layer_choices.h"
#include "octavo/quantize/ptq.h"
#include "octavo/runtime/placement.h"

namespace octavo {
namespace {

/// Images [count, 2, 2, 2] of these pixels.
Dataset images(const std::vector<std::vector<std::uint8_t>>& pixels) {
  Dataset data;
  data.name = "made";
  data.split = "train";
  data.channels = data.height = data.width = 2;
  for (const auto& image : pixels) {
    data.pixels.insert(data.pixels.end(), image.begin(), image.end());
    data.labels.push_back(0);
  }
  data.class_names = {"a"};
  return data;
}

/// A 1x1 convolution of two channels to two with these weights, whose integers they are, over an input whose
/// integers are its pixels, and a Gemm whose weights are small.
Graph model(const std::vector<float>& weights) {
  GraphBuilder b("pairs", 2, 2, 2, 1);
  ValueId x = b.conv("conv", b.input(), 2, {.kernel = {1, 1}}, false);
  x = b.global_average_pool("gap", b.relu("relu", x));
  Graph graph = b.finish(b.gemm("fc", b.flatten("flatten", x), 2));
  std::map<std::string, QuantParams> activations;
  for (const ValueId id : quantized_activations(graph))
    activations[graph.value(id).name] = activation_params(1.0F, 0);
  for (const Node& node : graph.nodes) {
    if (node.op == Op::kConv)
      graph.value(node.inputs[1]).constant = Tensor::from<float>({2, 2, 1, 1}, weights);
    if (node.op == Op::kGemm)
      graph.value(node.inputs[1]).constant = Tensor::from<float>({2, 2}, std::vector<float>{127, 1, -127, 1});
  }
  annotate(graph, activations);
  return graph;
}

/// Pixels are divided by 255 before they are normalized.
Normalization as_integers() { return {.mean = {0, 0}, .std = {1 / 255.0F, 1 / 255.0F}}; }

std::vector<std::int64_t> all(const Dataset& data) {
  std::vector<std::int64_t> indices(static_cast<std::size_t>(data.size()));
  std::iota(indices.begin(), indices.end(), 0);
  return indices;
}

// 255 * 128 fits int16, 255 * 129 does not.
TEST(Saturation, BoundIsThatOfTheTwoLargestWeightsOfAChannel) {
  const Graph graph = model({127, 1, -127, 100});
  const std::vector<LayerSaturation> layers = saturation_bounds(graph);
  ASSERT_EQ(layers.size(), 2U);
  EXPECT_EQ(layers[0].layer, "conv");
  EXPECT_EQ(layers[0].largest, 255 * 128);
  EXPECT_TRUE(layers[0].proven());
  EXPECT_EQ(layers[0].risky_pairs, 0);
  const LayerSaturation steep = saturation_bounds(model({127, 2, 127, -127})).at(0);
  EXPECT_EQ(steep.largest, 255 * 129);
  EXPECT_FALSE(steep.proven());
  EXPECT_EQ(steep.risky_pairs, 1);
  EXPECT_EQ(saturation_bounds(model({127, 2, -127, -2})).at(0).risky_pairs, 2);
}

TEST(Saturation, EventsAreThoseOfThePixelsThatReachTheEnd) {
  const Graph graph = model({127, 127, -127, -127});
  // Of the four pixels, the first channel's first: 127 * (129 + 129) = 32766, 127 * (129 + 130) = 32893;
  // negated, down to -32768.
  const Dataset data = images({{129, 129, 0, 255, 129, 130, 255, 255}, {1, 2, 3, 4, 5, 6, 7, 8}});
  const std::vector<LayerSaturation> layers = count_saturation(graph, data, as_integers(), all(data), 1);
  EXPECT_EQ(layers.at(0).risky_pairs, 2);
  // Pixels 2 and 4 of the first image, in both output channels.
  EXPECT_EQ(layers.at(0).events, 4);
  EXPECT_EQ(layers.at(1).events, 0);
  EXPECT_THROW(count_saturation(graph, data, as_integers(), {}), Error);
}

TEST(Saturation, OnlyLayersWithEventsAreNarrowed) {
  const Dataset bright = images({{255, 255, 255, 255, 255, 255, 255, 255}});
  const Dataset dark = images({{100, 100, 100, 100, 100, 100, 100, 100}});
  Graph graph = model({127, 127, 50, -127});
  const Graph before = graph;
  std::vector<LayerSaturation> layers = narrow_saturating_layers(graph, dark, as_integers(), all(dark));
  EXPECT_FALSE(layers.at(0).proven());
  EXPECT_FALSE(layers.at(0).narrowed);
  ASSERT_TRUE(layer_choices(graph).saturation);
  EXPECT_EQ(layer_choices(graph).saturation->images, 1);
  EXPECT_EQ(layer_choices(graph).saturation->proven, 1);
  EXPECT_EQ(layer_choices(graph).saturation->layers.at(0).layer, "conv");
  EXPECT_EQ(layer_choices(graph).saturation->layers.at(0).events, 0);
  forget_layer_choices(graph);
  EXPECT_EQ(graph, before);
  layers = narrow_saturating_layers(graph, bright, as_integers(), all(bright));
  EXPECT_TRUE(layers.at(0).narrowed);
  EXPECT_EQ(layers.at(0).events, 4);
  EXPECT_EQ(layers.at(0).largest, 255 * 254);  // as with eight bits
  EXPECT_FALSE(layers.at(1).narrowed);
  EXPECT_TRUE(layer_choices(graph).saturation->layers.at(0).narrowed);
  EXPECT_EQ(layer_choices(graph).saturation->layers.at(0).largest, 255 * 254);
  EXPECT_TRUE(saturation_bounds(graph).at(0).proven());
  for (const Node& node : graph.nodes) {
    const bool weighted = node.op == Op::kConv || node.op == Op::kGemm;
    if (!weighted) continue;
    EXPECT_EQ(graph.value(node.inputs[1]).quant->qmax, node.op == Op::kConv ? 63 : 127);
  }
  EXPECT_TRUE(placements(graph).at(0).integer);
  for (const LayerSaturation& layer : count_saturation(graph, bright, as_integers(), all(bright)))
    EXPECT_EQ(layer.events, 0);
}

/// One channel: a tap is the neighbour of the next, and padding is 0 here.
TEST(Saturation, PairsGoOnFromTapToTap) {
  GraphBuilder b("taps", 1, 2, 2, 1);
  const ValueId x =
      b.relu("relu", b.conv("conv", b.input(), 1, {.kernel = {1, 3}, .pads = {0, 1, 0, 1}}, false));
  Graph graph = b.finish(b.gemm("fc", b.flatten("flatten", x), 1));
  std::map<std::string, QuantParams> activations;
  for (const ValueId id : quantized_activations(graph))
    activations[graph.value(id).name] = activation_params(1.0F, 0);
  for (const Node& node : graph.nodes) {
    if (node.op == Op::kConv)
      graph.value(node.inputs[1]).constant =
          Tensor::from<float>({1, 1, 1, 3}, std::vector<float>{100, 127, 127});
  }
  annotate(graph, activations);
  Dataset data;
  data.name = "made";
  data.channels = 1;
  data.height = data.width = 2;
  data.pixels = {255, 255, 255, 10};
  data.labels = {0};
  const Normalization normalization{.mean = {0}, .std = {1 / 255.0F}};
  const LayerSaturation layer = count_saturation(graph, data, normalization, all(data)).at(0);
  // Of three taps the first two are a pair; the third is alone.
  EXPECT_EQ(layer.risky_pairs, 1);
  // Left pixels meet padding first; of the right ones, 255 * 100 + 255 * 127 is too much, 255 * 100 + 10 *
  // 127 not.
  EXPECT_EQ(layer.events, 1);
}

}  // namespace
}  // namespace octavo
