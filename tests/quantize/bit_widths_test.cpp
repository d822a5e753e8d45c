// Which bits a layer has, and what a network becomes whose layers have different ones.
#include "octavo/quantize/bit_widths.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <string>

#include "octavo/core/error.h"
#include "octavo/graph/builder.h"
#include "octavo/graph/passes.h"
#include "octavo/graph/zoo.h"
#include "octavo/quantize/ptq.h"
#include "octavo/runtime/reference.h"
#include "octavo/runtime/runtime.h"
#include "quantize/random_images.h"

namespace octavo {
namespace {

std::string message(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUsage);
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return {};
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

Graph residual() {
  GraphBuilder b("residual", 3, 8, 8, 7);
  const ConvAttributes window{.kernel = {3, 3}, .pads = {1, 1, 1, 1}};
  ValueId x = b.relu("relu1", b.batch_norm("bn1", b.conv("conv1", b.input(), 8, window, false)));
  const ValueId y = b.relu("relu2", b.batch_norm("bn2", b.conv("conv2", x, 8, window, false)));
  x = b.relu("relu3", b.add("add", b.batch_norm("bn3", b.conv("conv3", y, 8, window, false)), x));
  return b.finish(b.gemm("fc", b.flatten("flatten", b.global_average_pool("gap", x)), 4));
}

TEST(BitWidth, ReadsAndWritesTheUsualNotation) {
  EXPECT_EQ(parse_bit_width("w4a8", "--bits"), (BitWidth{4, 8}));
  EXPECT_EQ(to_string(BitWidth{2, 3}), "w2a3");
  for (const char* text : {"", "w4", "w4a", "a8w4", "w1a8", "w4a9", "w4a8 ", "4", "w99999999999a8"})
    EXPECT_TRUE(contains(message([&] { parse_bit_width(text, "--bits"); }), "--bits")) << text;
}

TEST(BitWidth, ReadsAndWritesThoseOfLayers) {
  const auto layers = parse_layer_bits("conv1=w8a8,a=b=w2a3", "--layer-bits");
  EXPECT_EQ(layers, (std::map<std::string, BitWidth>{{"conv1", {8, 8}}, {"a=b", {2, 3}}}));
  EXPECT_EQ(parse_layer_bits(to_string(layers), "--layer-bits"), layers);
  EXPECT_TRUE(parse_layer_bits("", "--layer-bits").empty());
  for (const char* text : {"conv1", "=w4a4", "conv1=", "conv1=w4a4,,"})
    EXPECT_TRUE(contains(message([&] { parse_layer_bits(text, "--layer-bits"); }), "--layer-bits")) << text;
}

TEST(BitWidths, FirstAndLastLayerKeepEightUnlessAsked) {
  const Graph graph = fold_batch_norm(residual());
  const auto of_layers = [&](const BitWidths& widths) {
    std::string text;
    const auto nodes = widths_of_nodes(graph, widths);
    for (std::size_t n = 0; n < nodes.size(); ++n) {
      if (has_weight(graph.nodes[n].op)) text += to_string(nodes[n]) + " ";
    }
    return text;
  };
  EXPECT_EQ(of_layers({.all = {4, 6}}), "w8a8 w4a6 w4a6 w8a8 ");
  EXPECT_EQ(of_layers({.all = {4, 6}, .first_last = 0}), "w4a6 w4a6 w4a6 w4a6 ");
  EXPECT_EQ(of_layers({.all = {4, 6}, .layers = {{"conv2", {3, 2}}, {"fc", {5, 5}}}}),
            "w8a8 w3a2 w4a6 w5a5 ");
}

TEST(BitWidths, LayerThatIsNotThereIsNamedWithTheNearest) {
  const std::string text = message([] {
    static_cast<void>(widths_of_nodes(residual(), {.layers = {{"conv9", {4, 4}}}}));
  });
  EXPECT_TRUE(contains(text, "'conv9'")) << text;
  EXPECT_TRUE(contains(text, "did you mean conv")) << text;
}

TEST(SeparateWidths, SumKeepsEightBitsAndItsLayerReadsACopy) {
  Graph graph = residual();
  separate_widths(graph, {.all = {4, 4}});
  const auto reads = [&](const std::string& layer) {
    return graph.value(std::ranges::find(graph.nodes, layer, &Node::name)->inputs[0]).name;
  };
  EXPECT_EQ(reads("conv2"), "relu1.out.a4");  // The sum reads relu1.out too.
  EXPECT_EQ(reads("conv3"), "relu2.out");     // Only this layer reads it: no copy.
  EXPECT_NO_THROW(validate(graph));
  const Graph once = graph;
  separate_widths(graph, {.all = {4, 4}});
  EXPECT_EQ(graph, once);

  const Graph folded = fold_batch_norm(graph);
  const std::vector<int> levels = levels_of_values(folded, {.all = {4, 4}});
  const auto of = [&](const std::string& value) {
    return levels.at(static_cast<std::size_t>(folded.find_value(value)));
  };
  EXPECT_EQ(of("relu1.out"), 256);
  EXPECT_EQ(of("relu1.out.a4"), 16);
  EXPECT_EQ(of("relu2.out"), 16);
  EXPECT_EQ(of("relu3.out"), 256);
}

TEST(SeparateWidths, EightBitsChangeNothing) {
  Graph graph = residual();
  separate_widths(graph, {});
  EXPECT_EQ(graph, residual());
}

/// Bits that differ between layers, and every network of the zoo's families: what the runtime computes is
/// what the reference interpreter does, and no integer leaves its range.
TEST(Ptq, FewBitsRunBitExactly) {
  const Dataset data = testing::random_images(24, 16);
  const std::vector<std::int64_t> indices = calibration_indices(data, 8, 1);
  const Tensor images = normalized_batch(data, indices, testing::kNoiseNormalization);
  for (const char* model : {"simple-cnn", "resnet20", "mobilenet-v2"}) {
    for (const BitWidths& bits : {BitWidths{.all = {4, 4}}, BitWidths{.all = {2, 3}, .first_last = 0},
                                  BitWidths{.all = {3, 8}}, BitWidths{.all = {8, 2}}}) {
      SCOPED_TRACE(std::string(model) + " " + to_string(bits));
      const Graph graph = make_model(model, {.channels = 3, .height = 16, .width = 16, .classes = 4}, 3);
      PtqConfig config;
      config.calibration_samples = 16;
      config.batch_size = 8;
      config.bits = bits;
      const PtqResult result = quantize_ptq(graph, data, testing::kNoiseNormalization, config);
      const auto widths = widths_of_nodes(result.graph, bits);
      for (std::size_t n = 0; n < result.graph.nodes.size(); ++n) {
        const Node& node = result.graph.nodes[n];
        if (!has_weight(node.op)) continue;
        EXPECT_EQ(result.graph.value(node.inputs[1]).quant->qmax, largest_weight(widths[n].weights))
            << node.name;
        EXPECT_EQ(result.graph.value(node.inputs[0]).quant->qmax, (1 << widths[n].activations) - 1)
            << node.name;
      }
      const CompiledModel compiled(result.graph, {.max_batch = 8});
      CompiledModel::Context context(compiled);
      std::vector<float> logits(8 * 4);
      compiled.run(context, images.data<float>(), 8, logits);
      const Tensor expected = interpret(result.graph, images);
      EXPECT_EQ(std::vector<float>(expected.data<float>().begin(), expected.data<float>().end()), logits);
    }
  }
}

}  // namespace
}  // namespace octavo
