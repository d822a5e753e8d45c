/// Several ONNX nodes that are one operator of ours.
#include <gtest/gtest.h>

#include <cmath>

#include "octavo/graph/elementwise.h"
#include "octavo/onnx/onnx.h"
#include "octavo/runtime/reference.h"
#include "onnx/protos.h"

namespace octavo {
namespace {

using test::import_text;

std::string model(const std::string& body) {
  return "<ir_version: 7, opset_import: [\"\" : 13]> g (float[N,1,1,4] x) => (float[N,4] y) <float three = "
         "{3}, "
         "float six = {6}, float sixth = {0.16666667}, float zero = {0}, float one = {1}, float half = "
         "{0.5}, "
         "float root = {1.4142135}, float inverse = {0.70710677}> {" +
         body + " y = Flatten(r)}";
}

/// The one operator before the Flatten, having checked what it computes.
Op fused(const std::string& body) {
  const Graph graph = import_text(model(body));
  EXPECT_EQ(graph.nodes.size(), 2U) << body;
  const std::vector<float> values{-4, -0.5, 0.75, 5};
  const Tensor output = interpret(graph, Tensor::from<float>({1, 1, 1, 4}, values));
  for (std::size_t i = 0; i < values.size(); ++i)
    EXPECT_EQ(output.data<float>()[i], apply_unary(graph.nodes[0], values[i])) << body;
  EXPECT_EQ(graph.value(graph.nodes[0].output).name, "r");
  EXPECT_EQ(parse_onnx(serialize_onnx(graph), "again.onnx"), graph);
  return graph.nodes[0].op;
}

std::size_t nodes(const std::string& body) { return import_text(model(body)).nodes.size(); }

TEST(Patterns, SigmoidTimesItsInputIsSilu) {
  EXPECT_EQ(fused("s = Sigmoid(x) r = Mul(x, s)"), Op::kSilu);
  EXPECT_EQ(fused("s = Sigmoid(x) r = Mul(s, x)"), Op::kSilu);
}

TEST(Patterns, HardSigmoidTimesItsInputIsHardSwish) {
  EXPECT_EQ(fused("s = HardSigmoid<alpha=0.16666667, beta=0.5>(x) r = Mul(x, s)"), Op::kHardSwish);
  EXPECT_EQ(fused("a = Add(x, three) c = Clip(a, zero, six) m = Mul(x, c) r = Div(m, six)"), Op::kHardSwish);
  EXPECT_EQ(fused("a = Add(three, x) c = Clip(a, zero, six) m = Mul(c, x) r = Mul(sixth, m)"),
            Op::kHardSwish);
  EXPECT_EQ(fused("a = Add(x, three) c = Clip(a, zero, six) d = Div(c, six) r = Mul(x, d)"), Op::kHardSwish);
  EXPECT_EQ(nodes("s = HardSigmoid<alpha=0.2, beta=0.5>(x) r = Mul(x, s)"), 3U);
}

TEST(Patterns, ShiftedRelu6OverSixIsHardSigmoid) {
  EXPECT_EQ(fused("a = Add(x, three) c = Clip(a, zero, six) r = Div(c, six)"), Op::kHardSigmoid);
  EXPECT_EQ(nodes("a = Add(x, three) c = Clip(a, zero, three) r = Div(c, six)"), 4U);
  EXPECT_EQ(nodes("a = Add(x, six) c = Clip(a, zero, six) r = Div(c, six)"), 4U);
  EXPECT_EQ(nodes("a = Add(x, three) c = Clip(a, zero, six) r = Div(six, c)"), 4U);
}

TEST(Patterns, ErfFormsAreGelu) {
  const std::string plus = "d = Div(x, root) e = Erf(d) p = Add(e, one) ";
  EXPECT_EQ(fused(plus + "m = Mul(x, p) r = Mul(m, half)"), Op::kGelu);
  EXPECT_EQ(fused(plus + "m = Mul(half, x) r = Mul(m, p)"), Op::kGelu);
  EXPECT_EQ(fused(plus + "m = Mul(p, half) r = Mul(x, m)"), Op::kGelu);
  EXPECT_EQ(fused("d = Mul(inverse, x) e = Erf(d) p = Add(one, e) m = Mul(x, p) r = Mul(m, half)"),
            Op::kGelu);
  EXPECT_EQ(nodes(plus + "m = Mul(x, p) r = Mul(m, three)"), 6U);
}

TEST(Patterns, WhatOthersReadIsNotFused) {
  EXPECT_EQ(nodes("s = Sigmoid(x) m = Mul(x, s) r = Add(m, s)"), 4U);
  EXPECT_EQ(nodes("a = Add(x, three) c = Clip(a, zero, six) m = Mul(x, c) d = Div(m, six) r = Add(d, m)"),
            6U);
}

TEST(Patterns, WhatIsQuantizedInsideIsNotFused) {
  const Graph graph = import_text(
      "<ir_version: 7, opset_import: [\"\" : 13]> g (float[N,1,1,4] x) => (float[N,4] y) "
      "<float s = {0.01}, uint8 z = {0}> {"
      "a = Sigmoid(x) q = QuantizeLinear(a, s, z) d = DequantizeLinear(q, s, z) r = Mul(x, d) y = "
      "Flatten(r)}");
  EXPECT_EQ(graph.nodes.size(), 3U);
  EXPECT_EQ(parse_onnx(serialize_onnx(graph), "again.onnx"), graph);
}

TEST(Patterns, ConstantsAddedToALayerAreItsBias) {
  const std::string head =
      "<ir_version: 7, opset_import: [\"\" : 13]> g (float[N,1,1,2] x) => (float[N,M] y) ";
  const auto names = [](const Graph& graph) { return graph.value(graph.nodes[0].inputs.back()).name; };
  const Graph conv = import_text(head +
                                 "<float[2,1,1,1] w = {1,2}, float[1,2,1,1] b = {10,20}> {"
                                 "c = Conv(x, w) a = Add(c, b) y = Flatten(a)}");
  EXPECT_EQ(conv.nodes.size(), 2U);
  EXPECT_EQ(names(conv), "b");
  EXPECT_EQ(conv.value(conv.nodes[0].output).name, "a");
  const Tensor output = interpret(conv, Tensor::from<float>({1, 1, 1, 2}, std::vector<float>{1, 2}));
  EXPECT_EQ(output, Tensor::from<float>({1, 4}, std::vector<float>{11, 12, 22, 24}));
  // Along the width it is no bias, and neither where the layer has one.
  EXPECT_EQ(import_text(head + "<float[2,1,1,1] w = {1,2}, float[2] b = {10,20}> {"
                               "c = Conv(x, w) a = Add(c, b) y = Flatten(a)}")
                .nodes.size(),
            3U);
  EXPECT_EQ(import_text(head + "<float[2,1,1,1] w = {1,2}, float[2] v = {1,1}, float[2,1,1] b = {10,20}> {"
                               "c = Conv(x, w, v) a = Add(c, b) y = Flatten(a)}")
                .nodes.size(),
            3U);
}

TEST(Patterns, WhatChangesNothingVanishes) {
  EXPECT_EQ(nodes("t = Transpose<perm=[0,1,2,3]>(x) c = Concat<axis=1>(t) "
                  "s = Constant<value = int64[4] {0,1,1,4}>() q = Reshape(c, s) u = Relu(q) r = Identity(u)"),
            2U);
}

}  // namespace
}  // namespace octavo
