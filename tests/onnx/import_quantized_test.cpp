#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "octavo/onnx/onnx.h"
#include "octavo/runtime/placement.h"
#include "octavo/runtime/reference.h"
#include "onnx/protos.h"

namespace octavo {
namespace {

using test::import_error;
using test::import_text;
using testing::HasSubstr;

std::string model(const std::string& body, const std::string& input = "float[N,1,1,2] x") {
  return "<ir_version: 7, opset_import: [\"\" : 13]> g (" + input + ") => (float[N,2] y) {" + body + "}";
}

/// x flattened, quantized to `type` with scale 0.5 and `zero_point`, dequantized.
std::string quantized_input(const std::string& type = "uint8", const std::string& zero_point = "4") {
  return "s = Constant<value = float {0.5}>() z = Constant<value = " + type + " {" + zero_point +
         "}>() r = Flatten(x) q = QuantizeLinear(r, s, z) f = DequantizeLinear(q, s, z) ";
}

/// An int8 weight [2, 2] with a scale for each row.
const std::string kWeight =
    "wq = Constant<value = int8[2,2] {10,20,-30,40}>() ws = Constant<value = float[2] {0.5,0.25}>() "
    "wz = Constant<value = int8[2] {0,0}>() w = DequantizeLinear<axis=0>(wq, ws, wz) ";

TEST(ImportQuantized, PairsBecomeAnnotations) {
  const Graph graph = import_text(model(quantized_input() + kWeight + "y = Gemm<transB=1>(f, w)"));
  ASSERT_EQ(graph.nodes.size(), 2U);
  EXPECT_EQ(graph.value(graph.nodes[0].output).quant, activation_params(0.5F, 4));
  const Value& weight = graph.value(graph.nodes[1].inputs[1]);
  EXPECT_EQ(weight.name, "w");
  EXPECT_EQ(weight.quant, weight_params({0.5F, 0.25F}));
  EXPECT_EQ(*weight.constant, Tensor::from<std::int8_t>({2, 2}, std::vector<std::int8_t>{10, 20, -30, 40}));
  EXPECT_FALSE(graph.value(graph.output).quant);
}

TEST(ImportQuantized, SignedActivationsBecomeUnsigned) {
  const Graph graph =
      import_text(model(quantized_input("int8", "-124") + kWeight + "y = Gemm<transB=1>(f, w)"));
  EXPECT_EQ(graph.value(graph.nodes[0].output).quant, activation_params(0.5F, 4));
}

TEST(ImportQuantized, UnsignedSymmetricWeightsBecomeSigned) {
  const std::string weight =
      "wq = Constant<value = uint8[2,2] {138,148,98,168}>() ws = Constant<value = float {0.5}>() "
      "wz = Constant<value = uint8 {128}>() w = DequantizeLinear(wq, ws, wz) ";
  const Graph graph = import_text(model(quantized_input() + weight + "y = Gemm<transB=1>(f, w)"));
  const Value& value = graph.value(graph.nodes[1].inputs[1]);
  EXPECT_EQ(value.quant, weight_params({0.5F}, QuantParams::kPerTensor));
  EXPECT_EQ(*value.constant, Tensor::from<std::int8_t>({2, 2}, std::vector<std::int8_t>{10, 20, -30, 40}));
}

TEST(ImportQuantized, MatMulWeightsAreTransposedWithTheirAxis) {
  const std::string weight =
      "wq = Constant<value = int8[2,2] {10,-30,20,40}>() ws = Constant<value = float[2] {0.5,0.25}>() "
      "w = DequantizeLinear<axis=1>(wq, ws) ";
  const Graph graph = import_text(model(quantized_input() + weight + "y = MatMul(f, w)"));
  const Value& value = graph.value(graph.nodes[1].inputs[1]);
  EXPECT_EQ(value.quant, weight_params({0.5F, 0.25F}));
  EXPECT_EQ(*value.constant, Tensor::from<std::int8_t>({2, 2}, std::vector<std::int8_t>{10, 20, -30, 40}));
}

TEST(ImportQuantized, WeightsStoredInFloatAreQuantized) {
  const std::string weight =
      "wf = Constant<value = float[2,2] {5.1,10,-7.5,10}>() ws = Constant<value = float[2] {0.5,0.25}>() "
      "wz = Constant<value = int8[2] {0,0}>() wq = QuantizeLinear<axis=0>(wf, ws, wz) "
      "w = DequantizeLinear<axis=0>(wq, ws, wz) ";
  const Graph graph = import_text(model(quantized_input() + weight + "y = Gemm<transB=1>(f, w)"));
  EXPECT_EQ(*graph.value(graph.nodes[1].inputs[1]).constant,
            Tensor::from<std::int8_t>({2, 2}, std::vector<std::int8_t>{10, 20, -30, 40}));
}

TEST(ImportQuantized, BiasesAtTheScaleOfTheContractStayIntegers) {
  const std::string bias =
      "bq = Constant<value = int32[2] {100,-7}>() bs = Constant<value = float[2] {0.25,0.125}>() "
      "b = DequantizeLinear<axis=0>(bq, bs) ";
  const Graph graph = import_text(model(quantized_input() + kWeight + bias + "y = Gemm<transB=1>(f, w, b)"));
  const Value& value = graph.value(graph.nodes[1].inputs[2]);
  EXPECT_EQ(*value.constant, Tensor::from<std::int32_t>({2}, std::vector<std::int32_t>{100, -7}));
  EXPECT_EQ(value.quant.value().scales, (std::vector<float>{0.25F, 0.125F}));
}

TEST(ImportQuantized, BiasesAtAnotherScaleAreRequantized) {
  const std::string bias =
      "bq = Constant<value = int32[2] {100,-7}>() bs = Constant<value = float {0.5}>() b = "
      "DequantizeLinear(bq, bs) ";
  const Graph graph = import_text(model(quantized_input() + kWeight + bias + "y = Gemm<transB=1>(f, w, b)"));
  const Value& value = graph.value(graph.nodes[1].inputs[2]);
  EXPECT_EQ(*value.constant, Tensor::from<std::int32_t>({2}, std::vector<std::int32_t>{200, -28}));
  EXPECT_EQ(value.quant.value().scales, (std::vector<float>{0.25F, 0.125F}));
}

TEST(ImportQuantized, SymmetricIntegersMayHoldMinus128) {
  const std::string weight =
      "wq = Constant<value = int8[2,2] {-128,20,-30,40}>() ws = Constant<value = float {0.5}>() "
      "w = DequantizeLinear(wq, ws) ";
  const Graph graph = import_text(model(quantized_input() + weight + "y = Gemm<transB=1>(f, w)"));
  EXPECT_EQ(graph.value(graph.nodes[1].inputs[1]).quant.value().qmin, -128);
}

TEST(ImportQuantized, RangeInTheMetadataIsCheckedAgainstTheIntegers) {
  onnx::ModelProto proto =
      test::model_from_text(model(quantized_input() + kWeight + "y = Gemm<transB=1>(f, w)"));
  onnx::StringStringEntryProto& entry = *proto.add_metadata_props();
  entry.set_key("octavo.range.w");
  entry.set_value("-63,63");
  const Graph graph = test::import_model(proto);
  EXPECT_EQ(graph.value(graph.nodes[1].inputs[1]).quant, weight_params({0.5F, 0.25F}, 0, 63));
  EXPECT_TRUE(graph.metadata.empty());
  for (const std::string wrong : {"-31,31", "63,-63", "-63", "-63,63,", "x", "-99999999999,1", "-63,63 "}) {
    proto.mutable_metadata_props(0)->set_value(wrong);
    EXPECT_THAT(import_error(proto), HasSubstr("3: test.onnx: tensor 'w'")) << wrong;
  }
}

TEST(ImportQuantized, DifferentPairsOnOneTensorGetACopyEach) {
  const Graph graph =
      import_text(model("s = Constant<value = float {0.5}>() t = Constant<value = float {0.25}>() "
                        "z = Constant<value = uint8 {0}>() a = QuantizeLinear(x, s, z) "
                        "b = DequantizeLinear(a, s, z) c = QuantizeLinear(x, t, z) "
                        "d = DequantizeLinear(c, t, z) e = Add(b, d) y = Flatten(e)"));
  ASSERT_EQ(graph.nodes.size(), 4U);
  EXPECT_FALSE(graph.value(graph.input).quant);
  EXPECT_EQ(graph.nodes[0].as<ClipAttributes>(), ClipAttributes{});
  EXPECT_EQ(graph.value(graph.nodes[0].output).quant, activation_params(0.5F, 0));
  EXPECT_EQ(graph.value(graph.nodes[1].output).quant, activation_params(0.25F, 0));
  EXPECT_EQ(parse_onnx(serialize_onnx(graph), "again.onnx"), graph);
}

/// A constant behind DequantizeLinear is as good as integers: the operator runs as a table that holds its
/// exact effect.
TEST(ImportQuantized, QuantizedConstantsOfElementwiseOperatorsRunInIntegers) {
  for (const std::string op : {"Add", "Sub", "Mul", "Div"}) {
    const Graph graph = import_text(
        model("s = Constant<value = float {0.5}>() z = Constant<value = uint8 {100}>() "
              "q = QuantizeLinear(x, s, z) f = DequantizeLinear(q, s, z) "
              "cq = Constant<value = int8[1,2,1,1] {-9,7}>() cs = Constant<value = float {0.3}>() "
              "cz = Constant<value = int8 {1}>() c = DequantizeLinear(cq, cs, cz) a = " +
                  op + "(f, c) aq = QuantizeLinear(a, s, z) b = DequantizeLinear(aq, s, z) y = Flatten(b) ",
              "float[N,2,1,1] x"));
    const Value& constant = graph.value(graph.nodes[0].inputs[1]);
    EXPECT_EQ(*constant.constant,
              Tensor::from<float>({1, 2, 1, 1}, std::vector<float>{-10 * 0.3F, 6 * 0.3F}));
    EXPECT_TRUE(placements(graph).at(0).integer) << placements(graph).at(0).reason;
    // What the file says, in its own steps.
    std::vector<float> inputs;
    std::vector<float> expected;
    for (int i = -60; i < 60; ++i) {
      for (const float c : constant.constant->data<float>()) {
        const float x = static_cast<float>(i) * 0.9F;
        const auto q = [](float real) { return std::clamp(std::nearbyint(real / 0.5F) + 100, 0.0F, 255.0F); };
        const float f = (q(x) - 100) * 0.5F;
        const float a = op == "Add" ? f + c : op == "Sub" ? f - c : op == "Mul" ? f * c : f / c;
        inputs.push_back(x);
        expected.push_back((q(a) - 100) * 0.5F);
      }
    }
    const Tensor output = interpret(graph, Tensor::from<float>({120, 2, 1, 1}, inputs));
    EXPECT_TRUE(std::ranges::equal(output.data<float>(), expected)) << op;
  }
}

TEST(ImportQuantized, IntegersQuantizedAgainGetACopy) {
  const Graph graph = import_text(
      model("s = Constant<value = float {0.5}>() t = Constant<value = float {0.25}>() "
            "z = Constant<value = uint8 {0}>() a = QuantizeLinear(x, s, z) b = DequantizeLinear(a, s, z) "
            "c = QuantizeLinear(b, t, z) d = DequantizeLinear(c, t, z) "
            "e = QuantizeLinear(d, t, z) f = DequantizeLinear(e, t, z) y = Flatten(f)"));
  ASSERT_EQ(graph.nodes.size(), 2U);
  EXPECT_EQ(graph.value(graph.input).quant, activation_params(0.5F, 0));
  EXPECT_EQ(graph.value(graph.nodes[0].output).quant, activation_params(0.25F, 0));
}

TEST(ImportQuantized, PairsWithOtherParametersThanTheirsAreUnsupported) {
  EXPECT_THAT(import_error(model("s = Constant<value = float {0.5}>() t = Constant<value = float {0.25}>() "
                                 "z = Constant<value = uint8 {0}>() a = QuantizeLinear(x, s, z) "
                                 "b = DequantizeLinear(a, t, z) y = Flatten(b)")),
              HasSubstr("differs"));
}

TEST(ImportQuantized, TensorReadInFloatTooGetsACopy) {
  const Graph graph =
      import_text(model("s = Constant<value = float {0.5}>() z = Constant<value = uint8 {0}>() "
                        "a = QuantizeLinear(x, s, z) b = DequantizeLinear(a, s, z) e = Add(b, x) "
                        "y = Flatten(e)"));
  ASSERT_EQ(graph.nodes.size(), 3U);
  EXPECT_FALSE(graph.value(graph.input).quant);
  EXPECT_EQ(graph.value(graph.nodes[0].output).quant, activation_params(0.5F, 0));
  EXPECT_EQ(graph.nodes[1].inputs, (std::vector<ValueId>{graph.nodes[0].output, graph.input}));
  // Two equal pairs, with parameters of their own, are one.
  const Graph twice =
      import_text(model("s = Constant<value = float {0.5}>() t = Constant<value = float {0.5}>() "
                        "z = Constant<value = uint8 {0}>() a = QuantizeLinear(x, s, z) "
                        "b = DequantizeLinear(a, s, z) c = QuantizeLinear(x, t, z) "
                        "d = DequantizeLinear(c, t, z) e = Add(b, d) y = Flatten(e)"));
  EXPECT_EQ(twice.nodes.size(), 2U);
  EXPECT_EQ(twice.value(twice.input).quant, activation_params(0.5F, 0));
}

TEST(ImportQuantized, WhatHasNoPlaceInTheContractStaysRealOrIsUnsupported) {
  const auto weight = [](const std::string& type, const std::string& zero_point) {
    return "wq = Constant<value = " + type + "[2,2] {10,20,30,40}>() ws = Constant<value = float {0.5}>() " +
           "wz = Constant<value = " + type + " {" + zero_point + "}>() w = DequantizeLinear(wq, ws, wz) ";
  };
  // Such weights become the real numbers that they stand for.
  const auto real = [&](const std::string& body) {
    const Graph graph = import_text(model(quantized_input() + body));
    const Value& value = graph.value(graph.nodes[1].inputs[1]);
    EXPECT_FALSE(value.quant);
    return std::vector<float>(value.constant->data<float>().begin(), value.constant->data<float>().end());
  };
  const std::string gemm = "y = Gemm<transB=1>(f, w)";
  EXPECT_EQ(real(weight("uint8", "200") + gemm), (std::vector<float>{-95, -90, -85, -80}));
  EXPECT_EQ(real(weight("int8", "-100") + gemm), (std::vector<float>{55, 60, 65, 70}));
  EXPECT_EQ(real(weight("int32", "0") + gemm), (std::vector<float>{5, 10, 15, 20}));
  // Less their zero points, these fit int8.
  for (const std::string type : {"uint8", "int8"}) {
    const Graph graph = import_text(model(quantized_input() + weight(type, "3") + gemm));
    const Value& value = graph.value(graph.nodes[1].inputs[1]);
    EXPECT_EQ(value.quant, weight_params({0.5F}, QuantParams::kPerTensor)) << type;
    EXPECT_EQ(*value.constant, Tensor::from<std::int8_t>({2, 2}, std::vector<std::int8_t>{7, 17, 27, 37}));
  }
  EXPECT_EQ(real(kWeight + "y = Gemm(f, w)"), (std::vector<float>{5, -7.5, 10, 10}));
  EXPECT_THAT(
      import_error(model("s = Constant<value = float[2] {0.5,0.5}>() z = Constant<value = uint8[2] {0,0}>() "
                         "a = QuantizeLinear<axis=3>(x, s, z) b = DequantizeLinear<axis=3>(a, s, z) "
                         "y = Flatten(b)")),
      HasSubstr("per-channel activations"));
  EXPECT_THAT(
      import_error(model("s = Constant<value = float {0.5}>() a = QuantizeLinear(x, s) y = Flatten(a)")),
      HasSubstr("is not a float tensor"));
}

TEST(ImportQuantized, OperatorsOnIntegersBecomeAnnotations) {
  for (const bool is_signed : {false, true}) {
    const Graph graph = is_signed ? import_text(test::operators_on_integers("int8", -128))
                                  : import_text(test::operators_on_integers("uint8", 0));
    ASSERT_EQ(graph.nodes.size(), 6U);
    const Node& conv = graph.nodes[0];
    EXPECT_EQ(conv.op, Op::kConv);
    EXPECT_EQ(graph.value(graph.input).quant, activation_params(0.5F, 4));
    EXPECT_EQ(graph.value(conv.inputs[1]).quant, weight_params({0.01F, 0.02F}));
    EXPECT_EQ(graph.value(conv.inputs[2]).quant.value().scales,
              (std::vector<float>{0.5F * 0.01F, 0.5F * 0.02F}));
    EXPECT_EQ(*graph.value(conv.inputs[2]).constant,
              Tensor::from<std::int32_t>({2}, std::vector<std::int32_t>{100, -50}));
    EXPECT_EQ(graph.value(conv.output).quant, activation_params(0.25F, 8));
    EXPECT_EQ(graph.nodes[1].op, Op::kMaxPool);
    EXPECT_EQ(graph.value(graph.nodes[1].output).quant, activation_params(0.25F, 8));
    EXPECT_EQ(graph.value(graph.nodes[2].output).quant, activation_params(0.5F, 1));
    EXPECT_EQ(graph.nodes[3].op, Op::kGlobalAveragePool);
    EXPECT_EQ(graph.value(graph.nodes[4].output).quant, activation_params(0.125F, 2));
    const Node& gemm = graph.nodes[5];
    EXPECT_EQ(gemm.op, Op::kGemm);
    EXPECT_EQ(graph.value(gemm.inputs[1]).quant, weight_params({0.1F, 0.2F}));
    EXPECT_EQ(*graph.value(gemm.inputs[1]).constant,
              Tensor::from<std::int8_t>({2, 2}, std::vector<std::int8_t>{1, 3, 2, 4}));
    EXPECT_EQ(graph.value(graph.output).quant, activation_params(0.05F, 100));
    EXPECT_EQ(parse_onnx(serialize_onnx(graph), "again.onnx"), graph);
  }
}

TEST(ImportQuantized, OperatorsOnIntegersWithOtherParametersAreUnsupported) {
  std::string other = test::operators_on_integers("uint8", 0);
  other.replace(other.find("QLinearConv(q, xs"), 17, "QLinearConv(q, cs");
  EXPECT_THAT(import_error(other), HasSubstr("another scale or zero point"));
  std::string real = test::operators_on_integers("uint8", 0);
  real.replace(real.find("QLinearConv(q, xs"), 17, "QLinearConv(x, xs");
  EXPECT_THAT(import_error(real), HasSubstr("input 0 is not a quantized tensor"));
}

TEST(ImportQuantized, WrongParametersAreBadInput) {
  const auto error = [](const std::string& scale, const std::string& zero_point) {
    return import_error(
        model("s = Constant<value = " + scale + ">() z = Constant<value = " + zero_point +
              ">() a = QuantizeLinear(x, s, z) b = DequantizeLinear(a, s, z) y = Flatten(b)"));
  };
  EXPECT_EQ(error("float {0.5}", "uint8 {0}"), "");
  EXPECT_THAT(error("float {0.0}", "uint8 {0}"), HasSubstr("3: test.onnx: node 'QuantizeLinear_0'"));
  EXPECT_THAT(error("float {-1.0}", "uint8 {0}"), HasSubstr("scale 0 is -1"));
  EXPECT_THAT(error("float {0.5}", "uint8[2] {0,0}"), HasSubstr("1 scales but 2 zero points"));
  EXPECT_THAT(error("float[3] {1,1,1}", "uint8[3] {0,0,0}"), HasSubstr("per-channel activations"));
  EXPECT_THAT(error("float {0.5}", "float {0.0}"), HasSubstr("expected int8, uint8 or int32"));
  EXPECT_THAT(error("int32 {1}", "uint8 {0}"), HasSubstr("expected float32"));
}

}  // namespace
}  // namespace octavo
