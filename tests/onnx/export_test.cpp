#include <fmt/format.h>
#include <gtest/gtest.h>

#include <set>

#include "octavo/core/error.h"
#include "octavo/core/version.h"
#include "octavo/graph/builder.h"
#include "octavo/onnx/onnx.h"
#include "onnx/models.h"
#include "onnx/protos.h"

namespace octavo {
namespace {

using test::every_operator;
using test::from_bytes;
using test::quantized;
using test::zoo_model;

onnx::ModelProto exported(const Graph& graph) { return from_bytes(serialize_onnx(graph)); }

const onnx::NodeProto& maker(const onnx::ModelProto& model, const std::string& tensor) {
  for (const auto& node : model.graph().node()) {
    if (node.output(0) == tensor) return node;
  }
  throw std::runtime_error("nothing makes " + tensor);
}

const onnx::TensorProto& initializer(const onnx::ModelProto& model, const std::string& name) {
  for (const auto& tensor : model.graph().initializer()) {
    if (tensor.name() == name) return tensor;
  }
  throw std::runtime_error("no initializer " + name);
}

TEST(Export, PassesTheCheckerAndStrictShapeInference) {
  Graph output = quantized(every_operator());
  output.value(output.output).quant = activation_params(0.1F, 7, 5, 250);
  const Graph graphs[] = {every_operator(),
                          quantized(every_operator()),
                          zoo_model("simple-cnn"),
                          quantized(zoo_model("resnet20")),
                          output,
                          test::every_other_operator(),
                          quantized(test::every_other_operator())};
  for (const Graph& graph : graphs) EXPECT_NO_THROW(test::check_with_onnx(exported(graph))) << graph.name;
}

TEST(Export, HeaderNamesVersionAndDynamicBatch) {
  const onnx::ModelProto model = exported(every_operator());
  EXPECT_EQ(model.ir_version(), 7);
  ASSERT_EQ(model.opset_import_size(), 1);
  EXPECT_EQ(model.opset_import(0).version(), 13);
  EXPECT_EQ(model.producer_name(), "octavo");
  EXPECT_EQ(model.producer_version(), version());
  ASSERT_EQ(model.graph().input_size(), 1);
  const auto& input = model.graph().input(0).type().tensor_type().shape();
  EXPECT_EQ(input.dim(0).dim_param(), "N");
  EXPECT_EQ(input.dim(1).dim_value(), 3);
  EXPECT_EQ(model.graph().output(0).name(), "logits");
  EXPECT_EQ(model.graph().output(0).type().tensor_type().shape().dim(0).dim_param(), "N");
  ASSERT_EQ(model.metadata_props_size(), 2);
  EXPECT_EQ(model.metadata_props(0).key(), "note");
  EXPECT_EQ(model.metadata_props(1).value(), "0.5,0.4,0.3");
}

TEST(Export, OpsetIsTheOneAskedForOrTheFirstThatHasItsOperators) {
  const auto header = [](const Graph& graph, int opset) {
    const std::vector<std::byte> bytes = serialize_onnx(graph, {.opset = opset});
    const onnx::ModelProto model = from_bytes(bytes);
    return std::pair(model.opset_import(0).version(), model.ir_version());
  };
  const Graph plain = every_operator();
  EXPECT_EQ(header(plain, 13), std::pair(std::int64_t{13}, std::int64_t{7}));
  EXPECT_EQ(header(plain, 21), std::pair(std::int64_t{21}, std::int64_t{10}));
  EXPECT_EQ(header(plain, 23), std::pair(std::int64_t{23}, std::int64_t{11}));
  GraphBuilder b("norm", 3, 4, 4, 1);
  const Graph norm = b.finish(b.gemm("fc", b.flatten("flatten", b.layer_norm("norm", b.input())), 2));
  EXPECT_EQ(header(norm, 13), std::pair(std::int64_t{17}, std::int64_t{8}));
  EXPECT_EQ(header(norm, 20), std::pair(std::int64_t{20}, std::int64_t{9}));
  for (const int opset : {12, 24}) EXPECT_THROW(serialize_onnx(plain, {.opset = opset}), Error) << opset;
}

TEST(Export, LaterOpsetsHaveOperatorsThatTakeOneNodeThere) {
  GraphBuilder b("gelu", 3, 4, 4, 1);
  const Graph graph =
      b.finish(b.gemm("fc", b.flatten("flatten", b.gelu("gelu", b.conv("conv", b.input(), 4, {}, true))), 2));
  const auto nodes = [&](int opset) {
    const std::vector<std::byte> bytes = serialize_onnx(graph, {.opset = opset});
    return from_bytes(bytes).graph().node_size();
  };
  EXPECT_EQ(nodes(19), nodes(20) + 4);
}

TEST(Export, EveryTensorBetweenHasItsShape) {
  for (const Graph& graph : {quantized(every_operator()), quantized(test::every_other_operator())}) {
    const onnx::ModelProto model = exported(graph);
    std::set<std::string> described;
    for (const auto& info : model.graph().value_info()) described.insert(info.name());
    for (const auto& node : model.graph().node()) {
      EXPECT_TRUE(node.output(0) == "logits" || described.contains(node.output(0))) << node.output(0);
    }
  }
}

TEST(Export, BytesDependOnTheGraphAlone) {
  EXPECT_EQ(serialize_onnx(quantized(every_operator())), serialize_onnx(quantized(every_operator())));
}

TEST(Export, ConvolutionReadsDequantizedIntegersAndItsGroupEndsInQuantize) {
  const Graph graph = quantized(every_operator());
  const onnx::ModelProto model = exported(graph);
  const onnx::NodeProto* conv = nullptr;
  for (const auto& node : model.graph().node()) {
    if (node.name() == "conv2") conv = &node;
  }
  ASSERT_TRUE(conv);
  const auto& weight = maker(model, conv->input(1));
  EXPECT_EQ(maker(model, conv->input(0)).op_type(), "DequantizeLinear");
  EXPECT_EQ(weight.op_type(), "DequantizeLinear");
  ASSERT_EQ(weight.attribute_size(), 1);
  EXPECT_EQ(weight.attribute(0).name(), "axis");
  EXPECT_EQ(weight.attribute(0).i(), 0);
  EXPECT_EQ(initializer(model, weight.input(0)).data_type(), onnx::TensorProto::INT8);
  EXPECT_EQ(initializer(model, weight.input(1)).dims(0), 6);
  const auto& bias = maker(model, conv->input(2));
  EXPECT_EQ(initializer(model, bias.input(0)).data_type(), onnx::TensorProto::INT32);
  EXPECT_EQ(initializer(model, bias.input(2)).data_type(), onnx::TensorProto::INT32);
  // The convolution is rounded before it is added; add -> clip is one group: no QuantizeLinear between them.
  for (const auto& node : model.graph().node()) {
    for (const auto& input : node.input()) {
      EXPECT_TRUE(input != conv->output(0) || node.op_type() == "QuantizeLinear");
      EXPECT_TRUE(input != "add.out" || node.op_type() == "Clip");
      EXPECT_TRUE(input != "clip.out" || node.op_type() == "QuantizeLinear");
    }
  }
  EXPECT_EQ(maker(model, "logits").op_type(), "Gemm");
}

TEST(Export, PartsOfOneOperatorStayInFloatBetweenTheIntegers) {
  const onnx::ModelProto model = exported(quantized(test::every_other_operator()));
  const auto& product = maker(model, "gelu.out");
  EXPECT_EQ(product.name(), "gelu");
  EXPECT_EQ(product.op_type(), "Mul");
  const auto& inner = maker(model, product.input(0));
  EXPECT_EQ(inner.op_type(), "Mul");
  EXPECT_EQ(maker(model, inner.input(0)).op_type(), "DequantizeLinear");
  const auto& plus = maker(model, inner.input(1));
  EXPECT_EQ(plus.op_type(), "Add");
  EXPECT_EQ(maker(model, plus.input(0)).op_type(), "Erf");
  const auto& gate = maker(model, maker(model, "hard_swish.out").input(1));
  EXPECT_EQ(gate.op_type(), "HardSigmoid");
}

TEST(Export, InfiniteClipBoundsAreLeftOut) {
  const onnx::ModelProto model = exported(every_operator());
  EXPECT_EQ(maker(model, "clip3.out").input_size(), 2);
  EXPECT_EQ(maker(model, "clip.out").input_size(), 3);
}

TEST(Export, IntegerFileTakesAtMostAQuarterAndALittle) {
  const Graph graph = zoo_model("simple-cnn");
  Graph integers = quantized(graph, test::random_input(graph, 1));
  // What calibration leaves behind: a thousand indices.
  for (int i = 0; i < 1000; ++i) integers.metadata["octavo.calibration"] += fmt::format("{},", 49 * i);
  const auto float_bytes = static_cast<double>(serialize_onnx(graph).size());
  const auto integer_bytes = static_cast<double>(serialize_onnx(integers).size());
  RecordProperty("float_bytes", std::to_string(float_bytes));
  RecordProperty("integer_bytes", std::to_string(integer_bytes));
  EXPECT_LE(integer_bytes, 0.26 * float_bytes);
}

}  // namespace
}  // namespace octavo
