#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <limits>

#include "octavo/core/error.h"
#include "octavo/core/file.h"
#include "octavo/core/temporary_folder.h"
#include "octavo/graph/builder.h"
#include "octavo/graph/passes.h"
#include "octavo/graph/zoo.h"
#include "octavo/onnx/onnx.h"
#include "octavo/runtime/reference.h"
#include "onnx/models.h"

namespace octavo {
namespace {

using test::every_operator;
using test::quantized;
using test::zoo_model;

/// The law of onnx.h, and that the second trip gives the same bytes.
void expect_round_trip(const Graph& graph) {
  const Graph stored = stored_form(graph);
  EXPECT_EQ(stored_form(stored), stored);
  const std::vector<std::byte> bytes = serialize_onnx(graph);
  const Graph read = parse_onnx(bytes, "round-trip.onnx");
  EXPECT_EQ(read.name, stored.name);
  EXPECT_EQ(read.metadata, stored.metadata);
  EXPECT_EQ(read.nodes, stored.nodes);
  ASSERT_EQ(read.values.size(), stored.values.size());
  for (std::size_t i = 0; i < read.values.size(); ++i)
    EXPECT_EQ(read.values[i], stored.values[i]) << stored.values[i].name;
  EXPECT_EQ(read, stored);
  EXPECT_EQ(serialize_onnx(read), bytes);
}

TEST(RoundTrip, FloatGraphOfEveryOperatorComesBack) { expect_round_trip(every_operator()); }
TEST(RoundTrip, FoldedGraphComesBack) { expect_round_trip(fold_batch_norm(every_operator())); }
TEST(RoundTrip, QuantizedGraphOfEveryOperatorComesBack) { expect_round_trip(quantized(every_operator())); }
TEST(RoundTrip, SimpleCnnComesBack) { expect_round_trip(zoo_model("simple-cnn")); }
TEST(RoundTrip, QuantizedSimpleCnnComesBack) { expect_round_trip(quantized(zoo_model("simple-cnn"))); }
TEST(RoundTrip, ResNetComesBack) { expect_round_trip(zoo_model("resnet20")); }
TEST(RoundTrip, QuantizedResNetComesBack) { expect_round_trip(quantized(zoo_model("resnet20"))); }

TEST(RoundTrip, EveryOtherOperatorComesBack) {
  const Graph graph = test::every_other_operator();
  const Graph stored = stored_form(graph);
  ASSERT_EQ(stored.nodes.size(), graph.nodes.size());
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    EXPECT_EQ(stored.nodes[i].op, graph.nodes[i].op) << graph.nodes[i].name;
    EXPECT_EQ(stored.nodes[i].attributes, graph.nodes[i].attributes) << graph.nodes[i].name;
  }
  expect_round_trip(graph);
}
TEST(RoundTrip, EveryOtherOperatorComesBackQuantized) {
  expect_round_trip(quantized(test::every_other_operator()));
}
TEST(RoundTrip, ZooModelsComeBack) {
  for (const std::string& name : model_names()) {
    const Graph graph = make_model(name, {}, 1);
    EXPECT_EQ(parse_onnx(serialize_onnx(graph), "zoo.onnx"), stored_form(graph)) << name;
  }
}

TEST(RoundTrip, StoredFormOfAFloatGraphInOrderIsTheGraph) {
  const Graph graph = every_operator();
  EXPECT_EQ(stored_form(graph), graph);
}

TEST(RoundTrip, IntegersInTheFileAreThoseTheRuntimeUses) {
  const Graph graph = quantized(every_operator());
  const Graph read = parse_onnx(serialize_onnx(graph), "file.onnx");
  for (const Node& node : graph.nodes) {
    if (node.op != Op::kConv && node.op != Op::kGemm) continue;
    const Value& weight = graph.value(node.inputs[1]);
    EXPECT_EQ(*read.value(read.find_value(weight.name)).constant, quantize(*weight.constant, *weight.quant));
    if (node.inputs.size() < 3) continue;
    const Value& bias = graph.value(node.inputs[2]);
    const float scale_x = graph.value(node.inputs[0]).quant->scale();
    const Value& stored = read.value(read.find_value(bias.name));
    EXPECT_EQ(*stored.constant, quantize_bias(*bias.constant, scale_x, *weight.quant));
    EXPECT_EQ(stored.quant->scales.at(0), scale_x * weight.quant->scales.at(0));
  }
}

TEST(RoundTrip, LogitsAreTheSameBitForBit) {
  for (const Graph& graph : {every_operator(), quantized(every_operator()), test::every_other_operator()}) {
    const Tensor input = test::random_input(graph, 3);
    EXPECT_EQ(interpret(parse_onnx(serialize_onnx(graph), "file.onnx"), input), interpret(graph, input));
  }
}

TEST(RoundTrip, NarrowRangesComeBack) {
  Graph graph = quantized(every_operator(), test::random_input(every_operator(), 4), 63);
  Value& activation = graph.value(graph.find_value("relu1.out"));
  activation.quant = activation_params(activation.quant.value().scale(), 3, 1, 100);
  expect_round_trip(graph);
  const Graph read = parse_onnx(serialize_onnx(graph), "file.onnx");
  EXPECT_EQ(read.value(read.nodes[0].inputs[1]).quant.value().qmax, 63);
  EXPECT_EQ(read.value(read.find_value("relu1.out")).quant.value().qmax, 100);
  EXPECT_EQ(read.metadata, graph.metadata);
}

TEST(RoundTrip, ReservedMetadataStayOutOfTheFile) {
  Graph graph = every_operator();
  graph.metadata["octavo.range.conv1.weight"] = "-1,1";
  EXPECT_FALSE(stored_form(graph).metadata.contains("octavo.range.conv1.weight"));
  expect_round_trip(graph);
}

TEST(RoundTrip, WeightThatHoldsMinus128ComesBack) {
  Graph graph = quantized(every_operator());
  Value& weight = graph.value(graph.nodes[0].inputs[1]);
  weight.quant->qmin = -128;
  expect_round_trip(graph);
  weight.constant->data<float>()[0] = -1000.0F;
  expect_round_trip(graph);
}

TEST(RoundTrip, PerTensorWeightsComeBack) {
  Graph graph = quantized(every_operator());
  for (const Node& node : graph.nodes) {
    if (node.op != Op::kConv && node.op != Op::kGemm) continue;
    Value& weight = graph.value(node.inputs[1]);
    weight.quant = weight_params({weight.quant->scales[0]}, QuantParams::kPerTensor);
  }
  expect_round_trip(graph);
}

TEST(RoundTrip, QuantizedOutputComesBack) {
  Graph graph = quantized(every_operator());
  graph.value(graph.output).quant = activation_params(0.25F, 100);
  expect_round_trip(graph);
}

TEST(RoundTrip, WeightOnlyQuantizationComesBack) {
  Graph graph = quantized(every_operator());
  for (Value& value : graph.values) {
    if (!value.constant) value.quant.reset();
  }
  expect_round_trip(graph);
}

TEST(RoundTrip, IntegerBiasThatDoesNotFitItsLayerIsConverted) {
  // Integers at the scales of one input, then the input gets another scale, then none.
  Graph graph = stored_form(quantized(every_operator()));
  const Node& gemm = graph.nodes.back();
  Value& bias = graph.value(gemm.inputs[2]);
  bias.constant = Tensor::from<std::int32_t>({5}, std::vector<std::int32_t>{100, -100, 0, 7, 9});
  const float before = bias.quant.value().scales[0];
  QuantParams& x = graph.value(gemm.inputs[0]).quant.value();
  x.scales[0] *= 2;
  const Value stored = stored_form(graph).value(gemm.inputs[2]);
  EXPECT_EQ(stored.constant->data<std::int32_t>()[0], 50);
  EXPECT_EQ(stored.quant.value().scales[0], 2 * before);
  expect_round_trip(graph);
  graph.value(gemm.inputs[0]).quant.reset();
  EXPECT_EQ(stored_form(graph).value(gemm.inputs[2]).constant->data<float>()[0], 100 * before);
  expect_round_trip(graph);
}

TEST(RoundTrip, SharedBiasBecomesOneForEachScale) {
  GraphBuilder builder("shared", 2, 4, 4, 1);
  ValueId x = builder.conv("a", builder.input(), 2, {}, true);
  x = builder.relu("ra", x);
  x = builder.conv("b", x, 2, {}, false);
  x = builder.flatten("f", x);
  x = builder.gemm("g", x, 3);
  Graph shared = builder.finish(x);
  shared.nodes[2].inputs.push_back(shared.nodes[0].inputs[2]);
  shared.value(shared.nodes[0].inputs[2]).constant->data<float>()[0] = 0.5F;
  const Graph graph = quantized(shared);
  const Graph stored = stored_form(graph);
  EXPECT_NE(stored.nodes[0].inputs[2], stored.nodes[2].inputs[2]);
  expect_round_trip(graph);
}

TEST(RoundTrip, ClashingNamesComeBack) {
  Graph graph = quantized(every_operator());
  // The names that the writer would like for its own tensors and nodes.
  graph.value(graph.nodes[0].output).name = "input_quantized";
  graph.value(graph.nodes[1].output).name = "input_scale";
  graph.value(graph.nodes[2].output).name = "conv1.weight.folded";
  graph.nodes[0].name = "input_QuantizeLinear";
  for (Value& value : graph.values) {
    if (value.name == "conv1.weight.folded" && value.constant) value.name = "w";
  }
  expect_round_trip(graph);
}

TEST(RoundTrip, DeadNodesAndUnusedValuesStayOut) {
  Graph graph = every_operator();
  const Graph before = graph;
  Value unused = graph.value(graph.nodes[0].inputs[1]);
  unused.name = "unused";
  graph.values.insert(graph.values.begin() + 1, unused);
  for (Node& node : graph.nodes) {
    for (ValueId& id : node.inputs) id += id > 0 ? 1 : 0;
    node.output += 1;
  }
  graph.output += 1;
  graph.values.push_back({"dead", graph.value(graph.nodes[0].output).shape, {}, {}});
  graph.nodes.push_back(
      {"dead", Op::kRelu, {graph.nodes[0].output}, static_cast<ValueId>(graph.values.size() - 1), {}});
  validate(graph);
  EXPECT_EQ(stored_form(graph), before);
  expect_round_trip(graph);
}

TEST(RoundTrip, FileAndBytesHoldTheSame) {
  const TemporaryFolder folder;
  const auto path = folder / "model.onnx";
  const Graph graph = every_operator();
  save_onnx(graph, path);
  EXPECT_EQ(read_file(path), serialize_onnx(graph));
  EXPECT_EQ(load_onnx(path), stored_form(graph));
}

TEST(RoundTrip, UnwritableTargetThrowsIo) {
  try {
    save_onnx(every_operator(), "/nonexistent-folder/model.onnx");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kIo);
  }
}

TEST(RoundTrip, InvalidGraphIsNotWritten) {
  const auto code = [](const Graph& graph) {
    try {
      serialize_onnx(graph);
    } catch (const Error& error) {
      return error.exit_code();
    }
    return 0;
  };
  Graph unnamed = every_operator();
  unnamed.nodes[3].name.clear();
  EXPECT_EQ(code(unnamed), 3);
  Graph signed_activation = quantized(every_operator());
  signed_activation.value(signed_activation.input).quant->dtype = DType::kInt8;
  signed_activation.value(signed_activation.input).quant->qmin = -128;
  signed_activation.value(signed_activation.input).quant->qmax = 127;
  signed_activation.value(signed_activation.input).quant->zero_points = {0};
  EXPECT_EQ(code(signed_activation), 3);
  Graph not_finite = every_operator();
  not_finite.value(not_finite.nodes[0].inputs[1]).constant->data<float>()[0] = std::nanf("");
  EXPECT_EQ(code(not_finite), 3);
  Graph asymmetric = quantized(every_operator());
  asymmetric.value(asymmetric.nodes[0].inputs[1]).quant.value().zero_points[0] = 1;
  EXPECT_EQ(code(asymmetric), 3);
  Graph outside = stored_form(quantized(every_operator()));
  outside.value(outside.nodes[0].inputs[1]).quant.value().qmax = 5;
  EXPECT_EQ(code(outside), 3);
  Graph statistics = every_operator();
  statistics.value(statistics.nodes[1].inputs[3]).quant = weight_params({0.1F}, QuantParams::kPerTensor);
  EXPECT_EQ(code(statistics), 3);
  Graph nothing_passes = every_operator();
  std::get<ClipAttributes>(nothing_passes.nodes[6].attributes) = {std::numeric_limits<float>::infinity(),
                                                                  std::numeric_limits<float>::infinity()};
  EXPECT_EQ(code(nothing_passes), 3);
  Graph empty = every_operator();
  empty.output = empty.input;
  EXPECT_EQ(code(empty), 3);
}

}  // namespace
}  // namespace octavo
