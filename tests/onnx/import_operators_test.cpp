/// Forms of operators that exporters write, by what they compute and what they become.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "octavo/graph/preprocessing.h"
#include "octavo/onnx/onnx.h"
#include "octavo/runtime/reference.h"
#include "onnx/protos.h"

namespace octavo {
namespace {

using test::import_error;
using test::import_text;
using testing::HasSubstr;

std::string model(const std::string& body, int opset = 13, const std::string& batch = "N") {
  return "<ir_version: 7, opset_import: [\"\" : " + std::to_string(opset) + "]> g (float[" + batch +
         ",2,2,2] x) => (float[" + batch + ",M] y) {" + body + "}";
}

/// The output for the images 1 to 8 and -1 to -8.
std::vector<float> run(const Graph& graph) {
  std::vector<float> values;
  for (int i = 1; i <= 8; ++i) values.push_back(static_cast<float>(i));
  for (int i = 1; i <= 8; ++i) values.push_back(static_cast<float>(-i));
  const Tensor output = interpret(graph, Tensor::from<float>({2, 2, 2, 2}, values));
  return {output.data<float>().begin(), output.data<float>().end()};
}
/// Of the first image alone.
std::vector<float> first(const Graph& graph) {
  std::vector<float> values = run(graph);
  values.resize(values.size() / 2);
  return values;
}

std::vector<Op> ops(const Graph& graph) {
  std::vector<Op> result;
  for (const Node& node : graph.nodes) result.push_back(node.op);
  return result;
}

std::string row(const std::string& name, const std::string& type, const std::string& values) {
  return name + " = Constant<value = " + type + " {" + values + "}>() ";
}

const std::string kFlat = " y = Flatten(r)";

TEST(ImportOperators, SliceTakesAttributesBeforeOpset10AndInputsAfter) {
  const Graph old_form = import_text(model("r = Slice<starts=[1,0], ends=[9,-1], axes=[1,3]>(x)" + kFlat, 9));
  EXPECT_EQ(first(old_form), (std::vector<float>{5, 7}));
  const std::string operands = row("s", "int64[2]", "-1,0") + row("e", "int64[2]", "-3,2147483647") +
                               row("a", "int64[2]", "-1,0") + row("t", "int64[2]", "-1,1");
  const Graph inputs = import_text(model(operands + "r = Slice(x, s, e, a, t)" + kFlat));
  EXPECT_EQ(first(inputs), (std::vector<float>{2, 1, 4, 3, 6, 5, 8, 7}));
  EXPECT_EQ(inputs.nodes[0].as<SliceAttributes>().ends[3], -1);
}

TEST(ImportOperators, SliceOfTheBatchOrOfNothingIsUnsupported) {
  EXPECT_THAT(import_error(model("r = Slice<starts=[0], ends=[1], axes=[0]>(x)" + kFlat, 9)),
              HasSubstr("a part of the batch"));
  EXPECT_THAT(import_error(model("r = Slice<starts=[1], ends=[1], axes=[1]>(x)" + kFlat, 9)),
              HasSubstr("takes nothing"));
  EXPECT_THAT(import_error(model("r = Slice<starts=[1,1], ends=[2,2], axes=[1,1]>(x)" + kFlat, 9)),
              HasSubstr("3: test.onnx: node"));
}

TEST(ImportOperators, SplitGivesOneSliceForEachOutputThatIsRead) {
  const Graph halves = import_text(model("a, b = Split<axis=1>(x) r = Sub(b, a)" + kFlat));
  EXPECT_EQ(ops(halves), (std::vector{Op::kSlice, Op::kSlice, Op::kSub, Op::kFlatten}));
  EXPECT_EQ(first(halves), (std::vector<float>{4, 4, 4, 4}));
  const Graph attribute = import_text(model("r, b = Split<axis=-1, split=[1,1]>(x)" + kFlat, 11));
  EXPECT_EQ(ops(attribute), (std::vector{Op::kSlice, Op::kFlatten}));
  EXPECT_EQ(first(attribute), (std::vector<float>{1, 3, 5, 7}));
  const Graph input = import_text(model(row("s", "int64[2]", "1,1") + "a, r = Split<axis=2>(x, s)" + kFlat));
  EXPECT_EQ(first(input), (std::vector<float>{3, 4, 7, 8}));
  EXPECT_THAT(import_error(model(row("s", "int64[2]", "1,2") + "a, r = Split<axis=2>(x, s)" + kFlat)),
              HasSubstr("3: test.onnx: node"));
  EXPECT_THAT(import_error(model("a, r = Split<axis=0>(x)" + kFlat)), HasSubstr("which is the batch"));
}

TEST(ImportOperators, PadTakesAttributesBeforeOpset11AndInputsAfter) {
  const Graph old_form = import_text(model("r = Pad<pads=[0,0,0,1,0,0,0,0], value=9.0>(x)" + kFlat, 9));
  EXPECT_EQ(first(old_form), (std::vector<float>{9, 1, 2, 9, 3, 4, 9, 5, 6, 9, 7, 8}));
  const Graph inputs = import_text(
      model(row("p", "int64[8]", "0,0,0,0,0,0,0,1") + row("v", "float", "9.0") + "r = Pad(x, p, v)" + kFlat));
  EXPECT_EQ(first(inputs), (std::vector<float>{1, 2, 9, 3, 4, 9, 5, 6, 9, 7, 8, 9}));
}

TEST(ImportOperators, PadsCropMirrorAndRepeatTheEdge) {
  const auto pad = [](const std::string& pads, const std::string& attributes = "") {
    return model(row("p", "int64[8]", pads) + "r = Pad" + attributes + "(x, p)" + kFlat);
  };
  EXPECT_EQ(first(import_text(pad("0,0,0,-1,0,0,0,0"))), (std::vector<float>{2, 4, 6, 8}));
  EXPECT_EQ(first(import_text(pad("0,0,-1,1,0,0,0,-1"))), (std::vector<float>{0, 3, 0, 7}));
  EXPECT_EQ(first(import_text(pad("0,0,0,1,0,0,0,1", "<mode=\"reflect\">"))),
            (std::vector<float>{2, 1, 2, 1, 4, 3, 4, 3, 6, 5, 6, 5, 8, 7, 8, 7}));
  EXPECT_EQ(first(import_text(pad("0,0,0,2,0,0,0,1", "<mode=\"edge\">"))),
            (std::vector<float>{1, 1, 1, 2, 2, 3, 3, 3, 4, 4, 5, 5, 5, 6, 6, 7, 7, 7, 8, 8}));
  EXPECT_THAT(import_error(pad("0,0,0,2,0,0,0,0", "<mode=\"reflect\">")), HasSubstr("mirrors 2 of 2"));
  EXPECT_THAT(import_error(pad("0,0,0,-2,0,0,0,0")), HasSubstr("crops all of dimension 3"));
  EXPECT_THAT(import_error(pad("1,0,0,0,0,0,0,0")), HasSubstr("pads the batch"));
  EXPECT_THAT(import_error(pad("0,0,0,9223372036854775807,0,0,0,0")), HasSubstr("3: test.onnx: node"));
}

TEST(ImportOperators, ReshapeFollowsOnnxsRules) {
  const auto reshaped = [](const std::string& target, int size) {
    const Graph graph = import_text(model(row("s", "int64[" + std::to_string(size) + "]", target) +
                                          "r = Reshape(x, s) q = Relu(r) y = Flatten(q)"));
    return graph.value(graph.nodes[0].output).shape;
  };
  EXPECT_EQ(reshaped("0,4,2", 3), (Shape{kDynamic, 4, 2}));
  EXPECT_EQ(reshaped("0,0,-1", 3), (Shape{kDynamic, 2, 4}));
  EXPECT_EQ(reshaped("-1,2,2,1,2", 5), (Shape{kDynamic, 2, 2, 1, 2}));
  const auto refused = [](const std::string& target, int size) {
    return import_error(
        model(row("s", "int64[" + std::to_string(size) + "]", target) + "r = Reshape(x, s)" + kFlat));
  };
  EXPECT_THAT(refused("2,8", 2), HasSubstr("does not keep the batch"));
  EXPECT_THAT(refused("0,-1,-1", 3), HasSubstr("does not keep the batch"));
  EXPECT_THAT(refused("0,3,-1", 3), HasSubstr("does not keep the batch"));
  EXPECT_THAT(refused("0,-2,4", 3), HasSubstr("3: test.onnx"));
  EXPECT_THAT(refused("0,2,2,2,0", 5), HasSubstr("3: test.onnx"));
}

TEST(ImportOperators, BatchesOfFixedSizeStayTheBatch) {
  const Graph graph =
      import_text(model(row("s", "int64[3]", "4,2,4") + "r = Reshape(x, s)" + kFlat, 13, "4"));
  EXPECT_EQ(graph.value(graph.input).shape[0], kDynamic);
  EXPECT_EQ(run(graph).size(), 16U);
}

TEST(ImportOperators, SizesComputedFromAShapeAreFolded) {
  // torch.flatten and channel shuffle, with a dynamic batch.
  const std::string batch = row("zero", "int64", "0") + row("axes", "int64[1]", "0") +
                            "h = Shape(x) n = Gather(h, zero) nn = Unsqueeze(n, axes) ";
  const Graph flat =
      import_text(model(batch + row("m", "int64[1]", "-1") + "s = Concat<axis=0>(nn, m) y = Reshape(x, s)"));
  EXPECT_EQ(ops(flat), (std::vector{Op::kFlatten}));
  const std::string channels = row("one", "int64", "1") + row("two", "int64", "2") +
                               "c = Gather(h, one) g = Div(c, two) gg = Unsqueeze(g, axes) tt = "
                               "Unsqueeze(two, axes) " +
                               row("hw", "int64[2]", "2,2");
  const Graph shuffle = import_text(
      model(batch + channels +
            "s = Concat<axis=0>(nn, tt, gg, hw) a = Reshape(x, s) b = Transpose<perm=[0,2,1,3,4]>(a) "
            "t = Concat<axis=0>(nn, hw, hw) " +
            row("begin", "int64[1]", "0") + row("end", "int64[1]", "4") +
            "u = Slice(t, begin, end) r = Reshape(b, u)" + kFlat));
  EXPECT_EQ(first(shuffle), (std::vector<float>{1, 2, 3, 4, 5, 6, 7, 8}));
}

TEST(ImportOperators, ArithmeticWithTheSizeOfTheBatchIsUnsupported) {
  const std::string sizes = row("zero", "int64", "0") + row("axes", "int64[1]", "0") +
                            row("two", "int64", "2") + row("m", "int64[1]", "-1") +
                            "h = Shape(x) n = Gather(h, zero) ";
  const auto rows = [&](const std::string& count) {
    return import_error(model(sizes + count +
                              " q = Unsqueeze(p, axes) s = Concat<axis=0>(q, m) r = Reshape(x, s) "
                              "f = Relu(r) y = Reshape(f, h2) h2 = Concat<axis=0>(n1, m) "
                              "n1 = Unsqueeze(n, axes)"));
  };
  // Multiples of it are known.
  EXPECT_EQ(rows("p = Mul(n, two)"), "");
  EXPECT_EQ(rows("t = Mul(two, n) p = Div(t, two)"), "");
  EXPECT_EQ(rows("t = Add(n, n) p = Sub(t, n)"), "");
  EXPECT_EQ(rows("t = Mul(n, two) u = Div(t, n) p = Mul(u, n)"), "");
  for (const char* unknown : {"p = Add(n, two)", "p = Mul(n, n)", "p = Div(n, two)", "p = Div(two, n)",
                              "p = Sub(two, n)", "p = Mul(n, m)"}) {
    EXPECT_THAT(rows(unknown), HasSubstr("computes with the size of the batch")) << unknown;
  }
  EXPECT_THAT(import_error(model(sizes + "s = Concat<axis=0>(m, h) r = Reshape(x, s)" + kFlat)),
              HasSubstr("with the batch merged into dimension 1"));
}

TEST(ImportOperators, SqueezeAndUnsqueezeAreReshapes) {
  for (const int opset : {11, 13}) {
    const std::string axes = row("u", "int64[2]", "1,-1") + row("v", "int64[1]", "1");
    const std::string body =
        opset == 11 ? "a = Unsqueeze<axes=[1,-1]>(x) b = Relu(a) c = Squeeze<axes=[1]>(b) r = Neg(c)"
                    : axes + "a = Unsqueeze(x, u) b = Relu(a) c = Squeeze(b, v) r = Neg(c)";
    const Graph graph = import_text(model(body + kFlat, opset));
    EXPECT_EQ(graph.value(graph.nodes[0].output).shape, (Shape{kDynamic, 1, 2, 2, 2, 1})) << opset;
    EXPECT_EQ(graph.value(graph.nodes[2].output).shape, (Shape{kDynamic, 2, 2, 2, 1})) << opset;
  }
  EXPECT_THAT(import_error(model("r = Squeeze<axes=[1]>(x)" + kFlat, 11)), HasSubstr("3: test.onnx: node"));
  EXPECT_THAT(import_error(model("r = Squeeze<axes=[0]>(x)" + kFlat, 11)), HasSubstr("drops the batch"));
  EXPECT_THAT(import_error(model("r = Squeeze(x)" + kFlat, 11, "1")), HasSubstr("without a batch"));
  EXPECT_THAT(import_error(model("r = Unsqueeze<axes=[0]>(x)" + kFlat, 11)), HasSubstr("the batch"));
}

TEST(ImportOperators, LaterOpsetsMoveAttributesToOperands) {
  const Graph mean = import_text(model(row("a", "int64[2]", "2,3") + "r = ReduceMean(x, a)" + kFlat, 18));
  EXPECT_EQ(first(mean), (std::vector<float>{2.5F, 6.5F}));
  const Graph same = import_text(model("m = ReduceMean<noop_with_empty_axes=1>(x) r = Neg(m)" + kFlat, 18));
  EXPECT_EQ(ops(same), (std::vector{Op::kNeg, Op::kFlatten}));
  EXPECT_THAT(import_error(model("r = ReduceMean(x)" + kFlat, 18)), HasSubstr("of the whole batch"));
  const Graph split = import_text(model("a, r = Split<axis=1, num_outputs=2>(x)" + kFlat, 18));
  EXPECT_EQ(first(split), (std::vector<float>{5, 6, 7, 8}));
  EXPECT_THAT(import_error(model("a, r = Split<axis=1, num_outputs=3>(x)" + kFlat, 18)),
              HasSubstr("num_outputs is not 2"));
  const std::string pad = row("p", "int64[2]", "1,0") + row("v", "float", "9") + row("a", "int64[1]", "-1");
  const Graph padded = import_text(model(pad + "r = Pad(x, p, v, a)" + kFlat, 19));
  EXPECT_EQ(first(padded), (std::vector<float>{9, 1, 2, 9, 3, 4, 9, 5, 6, 9, 7, 8}));
}

TEST(ImportOperators, SumMinAndMaxTakeAnyNumberOfOperands) {
  EXPECT_EQ(first(import_text(model("r = Sum(x, x, x)" + kFlat)))[7], 24);
  const Graph bounds = import_text(
      model(row("six", "float", "6") + row("two", "float", "2") + "a = Min(six, x) r = Max(a, two)" + kFlat));
  EXPECT_EQ(ops(bounds), (std::vector{Op::kClip, Op::kClip, Op::kFlatten}));
  EXPECT_EQ(first(bounds), (std::vector<float>{2, 2, 3, 4, 5, 6, 6, 6}));
  const Graph values = import_text(model("n = Neg(x) r = Max(n, x)" + kFlat));
  EXPECT_EQ(run(values)[8], 1);
  EXPECT_EQ(ops(import_text(model("a = Sum(x) r = Neg(a)" + kFlat))), (std::vector{Op::kNeg, Op::kFlatten}));
}

TEST(ImportOperators, GatherByConstantsIsSlices) {
  const Graph turned = import_text(model(row("i", "int64[2]", "1,0") + "r = Gather<axis=1>(x, i)" + kFlat));
  EXPECT_EQ(ops(turned), (std::vector{Op::kSlice, Op::kFlatten}));
  EXPECT_EQ(first(turned), (std::vector<float>{5, 6, 7, 8, 1, 2, 3, 4}));
  const Graph repeated =
      import_text(model(row("i", "int64[4]", "0,0,1,-2") + "r = Gather<axis=3>(x, i)" + kFlat));
  EXPECT_EQ(first(repeated), (std::vector<float>{1, 1, 2, 1, 3, 3, 4, 3, 5, 5, 6, 5, 7, 7, 8, 7}));
  const Graph one = import_text(model(row("i", "int64", "1") + "r = Gather<axis=2>(x, i)" + kFlat));
  EXPECT_EQ(first(one), (std::vector<float>{3, 4, 7, 8}));
  EXPECT_THAT(import_error(model(row("i", "int64[1]", "2") + "r = Gather<axis=1>(x, i)" + kFlat)),
              HasSubstr("index 2; expected -2 to 1"));
  EXPECT_THAT(import_error(model(row("i", "int64[1]", "0") + "r = Gather(x, i)" + kFlat)),
              HasSubstr("which is the batch"));
}

TEST(ImportOperators, ArgMaxAtTheEndGivesWayToTheLogits) {
  const Graph graph = import_text(
      "<ir_version: 7, opset_import: [\"\" : 13]> g (float[N,2,2,2] x) => (int64[N] y) "
      "{f = Flatten(x) y = ArgMax<axis=1, keepdims=0>(f)}");
  EXPECT_EQ(ops(graph), (std::vector{Op::kFlatten}));
  EXPECT_EQ(graph.value(graph.output).name, "f");
}

TEST(ImportOperators, ConstantsBesideWhatFlowsAreAddedToZeros) {
  const Graph graph =
      import_text(model(row("c", "float[1,1,2,2]", "9,8,7,6") + "r = Concat<axis=1>(c, x)" + kFlat));
  EXPECT_EQ(first(graph), (std::vector<float>{9, 8, 7, 6, 1, 2, 3, 4, 5, 6, 7, 8}));
  const Graph rows =
      import_text(model(row("c", "float[1,2,1,2]", "9,8,7,6") + "r = Concat<axis=2>(x, c)" + kFlat));
  EXPECT_EQ(first(rows), (std::vector<float>{1, 2, 3, 4, 9, 8, 5, 6, 7, 8, 7, 6}));
}

/// As a class token is repeated for the images of a batch.
TEST(ImportOperators, ExpandToTheBatchGoesWithAnyNumberOfImages) {
  const Graph graph = import_text(model(
      row("c", "float[1,1,2,2]", "9,8,7,6") + row("i", "int64", "0") + row("z", "int64[1]", "0") +
      row("minus", "int64[4]", "-1,-1,-1,-1") + row("one", "int64[3]", "1,2,2") +
      row("ones", "int64[4]", "1,1,1,1") +
      "s = Shape(x) n = Gather(s, i) u = Unsqueeze(n, z) t = Concat<axis=0>(u, one) e = Equal(t, minus) "
      "w = Where(e, ones, t) k = Expand(c, w) r = Concat<axis=1>(k, x)" +
      kFlat));
  EXPECT_EQ(run(graph)[12], 9);
  EXPECT_EQ(run(graph)[16], -1);
}

TEST(ImportOperators, ProductsOfValuesAreImageByImage) {
  const Graph graph = import_text(model("t = Transpose<perm=[0,1,3,2]>(x) r = MatMul(x, t)" + kFlat));
  EXPECT_EQ(ops(graph), (std::vector{Op::kTranspose, Op::kMatMulOfValues, Op::kFlatten}));
  EXPECT_EQ(first(graph), (std::vector<float>{5, 11, 11, 25, 61, 83, 83, 113}));
  EXPECT_THAT(import_error(model("f = Flatten(x) y = MatMul(f, f)")), HasSubstr("mixes images"));
}

std::string model_of(const std::string& input, const std::string& body) {
  return "<ir_version: 7, opset_import: [\"\" : 13]> g (" + input + ") => (float[N,M] y) {" + body + "}";
}

TEST(ImportOperators, InputsOfOtherLayoutsAreImages) {
  const Graph last = import_text(
      model_of("float[N,6,5,3] x", "t = Transpose<perm=[0,3,1,2]>(x) r = Relu(t) y = Flatten(r)"));
  EXPECT_EQ(last.value(last.input).shape, (Shape{kDynamic, 3, 6, 5}));
  EXPECT_EQ(ops(last), (std::vector{Op::kRelu, Op::kFlatten}));
  const Graph flat = import_text(model_of("float[N,12] x", "y = Neg(x)"));
  EXPECT_EQ(flat.value(flat.input).shape, (Shape{kDynamic, 3, 2, 2}));
  EXPECT_EQ(ops(flat), (std::vector{Op::kFlatten, Op::kNeg}));
  EXPECT_THAT(import_error(model_of("float[N,13] x", "y = Neg(x)")),
              HasSubstr("the pixels of a square image"));
}

TEST(ImportOperators, InputsOfBytesAreTheirNumbers) {
  const Graph cast = import_text(model_of("uint8[N,3,2,2] x", "f = Cast<to=1>(x) y = Flatten(f)"));
  EXPECT_EQ(ops(cast), (std::vector{Op::kFlatten}));
  const std::vector<std::uint8_t> pixels{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 255};
  Tensor input({1, 3, 2, 2}, DType::kFloat32);
  normalize(pixels, get_normalization(cast).value(), 4, input.data<float>());
  EXPECT_FLOAT_EQ(input.data<float>()[11], 255);
  const Graph scaled =
      import_text(model_of("uint8[N,3,2,2] x", row("s", "float", "0.5") + row("z", "uint8", "2") +
                                                   "d = DequantizeLinear(x, s, z) y = Flatten(d)"));
  EXPECT_FLOAT_EQ(interpret(scaled, input).data<float>()[4], 1);
  EXPECT_THAT(import_error(model_of("int32[N,3,2,2] x", "f = Cast<to=1>(x) y = Flatten(f)")),
              HasSubstr("no tensor of floats or bytes"));
}

TEST(ImportOperators, LogOfSoftmaxIsLogSoftmax) {
  const Graph graph = import_text(model("f = Flatten(x) s = Softmax<axis=1>(f) y = Log(s)"));
  EXPECT_EQ(ops(graph), (std::vector{Op::kFlatten, Op::kLogSoftmax}));
}

TEST(ImportOperators, BatchNormalizationInTrainingModeIsUnsupported) {
  const std::string parameters = row("s", "float[2]", "1,1") + row("b", "float[2]", "0,0");
  EXPECT_THAT(
      import_error(model(parameters + "r, m, v, sm, sv = BatchNormalization(x, s, b, b, s)" + kFlat, 9)),
      HasSubstr("training mode"));
}

TEST(ImportOperators, ReduceMeanOverTheImageIsGlobalAveragePool) {
  const Graph kept = import_text(model("r = ReduceMean<axes=[2,-1]>(x)" + kFlat));
  EXPECT_EQ(ops(kept), (std::vector{Op::kGlobalAveragePool, Op::kFlatten}));
  const Graph dropped = import_text(model("y = ReduceMean<axes=[3,2], keepdims=0>(x)"));
  EXPECT_EQ(ops(dropped), (std::vector{Op::kGlobalAveragePool, Op::kFlatten}));
  EXPECT_EQ(first(dropped), (std::vector<float>{2.5, 6.5}));
  EXPECT_EQ(parse_onnx(serialize_onnx(dropped), "again.onnx"), dropped);
  const Graph channels = import_text(model("r = ReduceMean<axes=[1]>(x)" + kFlat));
  EXPECT_EQ(first(channels), (std::vector<float>{3, 4, 5, 6}));
  EXPECT_THAT(import_error(model("r = ReduceMean(x)" + kFlat)), HasSubstr("whole batch"));
}

TEST(ImportOperators, SoftmaxBeforeOpset13CoercesToRows) {
  const Graph old_form = import_text(model("r = Softmax(x)" + kFlat, 11));
  const std::vector<float> all = first(old_form);
  float sum = 0;
  for (const float p : all) sum += p;
  EXPECT_NEAR(sum, 1, 1e-6);
  const Graph flat = import_text(model("f = Flatten(x) y = LogSoftmax(f)", 11));
  EXPECT_EQ(ops(flat), (std::vector{Op::kFlatten, Op::kLogSoftmax}));
  const Graph channels = import_text(model("r = Softmax<axis=1>(x)" + kFlat));
  EXPECT_NEAR(first(channels)[0], 1 / (1 + std::exp(4.0)), 1e-6);
  const Graph last = import_text(model("r = Softmax(x)" + kFlat));
  EXPECT_EQ(last.nodes[0].as<AxisAttributes>().axis, 3);
}

TEST(ImportOperators, BinaryOperatorsTakeConstantsOnEitherSide) {
  const std::string two = row("c", "float[2,1,1]", "2.0,3.0");
  EXPECT_EQ(first(import_text(model(two + "r = Mul(x, c)" + kFlat))),
            (std::vector<float>{2, 4, 6, 8, 15, 18, 21, 24}));
  EXPECT_EQ(first(import_text(model(two + "r = Sub(c, x)" + kFlat))),
            (std::vector<float>{1, 0, -1, -2, -2, -3, -4, -5}));
  EXPECT_THAT(import_error(model(row("c", "float[3]", "1,2,3") + "r = Mul(x, c)" + kFlat)),
              HasSubstr("3: test.onnx: node"));
  EXPECT_THAT(import_error(model(row("c", "float[2,1,1,1]", "1,2") + "r = Mul(x, c)" + kFlat)),
              HasSubstr("4: test.onnx: 1 unsupported"));
  EXPECT_THAT(import_error(model(row("c", "float[1,1,1,1,1]", "1") + "r = Mul(x, c)" + kFlat)),
              HasSubstr("4: test.onnx: 1 unsupported"));
}

TEST(ImportOperators, ActivationsTakeTheirParameters) {
  EXPECT_EQ(run(import_text(model("r = LeakyRelu<alpha=0.5>(x)" + kFlat)))[8], -0.5F);
  EXPECT_EQ(run(import_text(model(row("s", "float[2,1,1]", "0.5,0.25") + "r = PRelu(x, s)" + kFlat)))[15],
            -2.0F);
  EXPECT_EQ(first(import_text(model("r = HardSigmoid<alpha=0.125, beta=0.25>(x)" + kFlat)))[1], 0.5F);
  EXPECT_EQ(first(import_text(model(row("e", "int64", "2") + "r = Pow(x, e)" + kFlat)))[2], 9.0F);
  EXPECT_THAT(import_error(model(row("e", "float[2]", "2,3") + "r = Pow(x, e)" + kFlat)),
              HasSubstr("an exponent of more than one element"));
  EXPECT_THAT(import_error(model(row("s", "float[3]", "1,2,3") + "r = PRelu(x, s)" + kFlat)),
              HasSubstr("3: test.onnx: "));
}

TEST(ImportOperators, CastToFloatVanishes) {
  EXPECT_EQ(ops(import_text(model("r = Cast<to=1>(x)" + kFlat))), (std::vector{Op::kFlatten}));
  EXPECT_EQ(ops(import_text(model("h = Cast<to=10>(x) r = Cast<to=11>(h)" + kFlat))),
            (std::vector{Op::kFlatten}));
  EXPECT_THAT(import_error(model("r = Cast<to=6>(x)" + kFlat)), HasSubstr("another type"));
}

TEST(ImportOperators, WeightsComputedFromConstantsAreFolded) {
  const std::string weight = row("a", "float[2,2]", "1,2,3,4") + row("b", "float[2]", "10,100") +
                             "t = Transpose(a) m = Mul(t, b) " + row("p", "int64[2]", "2,2") +
                             "w = Reshape(m, p) g = GlobalAveragePool(x) f = Flatten(g) ";
  const Graph graph = import_text(model(weight + "y = Gemm<transB=1>(f, w)"));
  EXPECT_EQ(*graph.value(graph.nodes.back().inputs[1]).constant,
            Tensor::from<float>({2, 2}, std::vector<float>{10, 300, 20, 400}));
}

/// As the masks of shifted windows are.
TEST(ImportOperators, ConstantsArePutInPlaces) {
  const auto mask = [](const std::string& dividend, const std::string& values,
                       const std::string& limit = "4") {
    return model(row("zero", "int64", "0") + row("four", "int64", "4") + row("end", "int64", limit) +
                 row("six", "int64", dividend) + row("s", "int64[1]", "4") + row("c", "int64[2]", "2,1") +
                 row("u", "float[2]", values) + row("two", "float", "2") + row("sq", "int64[2]", "2,2") +
                 "step = Mod(six, four) i = Range(zero, end, step) ii = Reshape(i, c) z = ConstantOfShape(s) "
                 "m = ScatterND(z, ii, u) p = Pow(m, two) q = Reshape(p, sq) r = Add(x, q)" +
                 kFlat);
  };
  for (const char* dividend : {"6", "-6"}) {
    EXPECT_EQ(first(import_text(mask(dividend, "5,7"))), (std::vector<float>{26, 2, 52, 4, 30, 6, 56, 8}))
        << dividend;
  }
  EXPECT_THAT(import_error(mask("4", "5,7")), HasSubstr("from 0 to 4 by 0"));
  EXPECT_THAT(import_error(mask("6", "5,7", "6")), HasSubstr("3: test.onnx: node"));
  EXPECT_THAT(import_error(mask("5", "5,7", "2147483647")), HasSubstr("expand to more than 16 times"));
  EXPECT_THAT(import_error(model(row("d", "float[2]", "1,2") + row("i", "int64[1,1]", "2") +
                                 row("u", "float[1]", "3") + "m = ScatterND(d, i, u) r = Add(x, m)" + kFlat)),
              HasSubstr("index 2; expected -2 to 1"));
}

TEST(ImportOperators, FoldedConstantsCannotGrowWithoutBound) {
  EXPECT_THAT(import_error(model(row("s", "int64[2]", "40000,40000") +
                                 "c = ConstantOfShape(s) r = Add(x, c)" + kFlat)),
              HasSubstr("expand to more than 16 times"));
  EXPECT_THAT(import_error(model(row("s", "int64[2]", "4000000,4000000") +
                                 "c = ConstantOfShape(s) r = Add(x, c)" + kFlat)),
              HasSubstr("less than 2^31 elements"));
}

}  // namespace
}  // namespace octavo
