/// Forms that exporters of PyTorch write for what timm's architectures compute, against ONNX Runtime.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "octavo/core/file.h"
#include "octavo/core/temporary_folder.h"
#include "octavo/onnx/onnx.h"
#include "octavo/runtime/reference.h"
#include "onnx/models.h"
#include "onnx/protos.h"
#include "support/ort.h"

namespace octavo {
namespace {

using test::import_error;
using testing::HasSubstr;

/// Of images [4, 4, 6]: `body` makes r of x; y is a row of it.
std::string model(const std::string& body, int opset = 17) {
  return fmt::format(
      "<ir_version: 8, opset_import: [\"\" : {}]> g (float[N,4,4,6] x) => (float[N,M] y) {{ {} y = "
      "Flatten(r) }}",
      opset, body);
}

std::string integers(const std::string& name, const std::string& values) {
  const auto count = std::ranges::count(values, ',') + 1;
  return fmt::format("{} = Constant<value = int64[{}] {{{}}}>() ", name, count, values);
}
std::string integer(const std::string& name, int value) {
  return fmt::format("{} = Constant<value = int64 {{{}}}>() ", name, value);
}
/// Numbers between -1 and 1 in the tensor of this shape.
std::string numbers(const std::string& name, const std::string& shape, int count) {
  std::string values;
  for (int i = 0; i < count; ++i)
    values += fmt::format("{}{:.4f}", i == 0 ? "" : ",", std::sin(1.0 + 2.7 * i));
  return fmt::format("{} = Constant<value = float[{}] {{{}}}>() ", name, shape, values);
}

class Exporters : public testing::Test {
 protected:
  void SetUp() override {
    if (const std::string why = test::why_no_onnx_runtime(); !why.empty()) GTEST_SKIP() << why;
  }

  static Graph expect_same(const std::string& text) {
    SCOPED_TRACE(text);
    const onnx::ModelProto proto = test::model_from_text(text);
    Graph graph = test::import_model(proto);
    const Tensor input = test::random_input(graph, 3);
    const Tensor ours = interpret(graph, input);
    const TemporaryFolder folder;
    const auto file = folder.path() / "model.onnx";
    write_file(file, test::to_bytes(proto));
    const std::vector<float> theirs = test::onnx_runtime_logits(file, input);
    EXPECT_EQ(static_cast<std::size_t>(ours.size()), theirs.size());
    for (std::size_t i = 0; i < std::min(theirs.size(), static_cast<std::size_t>(ours.size())); ++i) {
      // A few roundings in sums of at most some dozens of numbers near 1.
      EXPECT_NEAR(ours.data<float>()[i], theirs[i], 2e-5 * std::max(1.0F, std::abs(theirs[i]))) << i;
    }
    return graph;
  }
};

TEST_F(Exporters, TablesOfPositionsAreComputedAtImport) {
  // Integers: rows of a mask, sizes with remainders.
  expect_same(model(integer("zero", 0) + integer("six", 6) + integer("one", 1) + integer("four", 4) +
                    "i = Range(zero, six, one) m = Mod(i, four) c = Cast<to=1>(m) r = Add(x, c) "));
  expect_same(model(integers("a", "-7,7,-6,5,-1,3") + integers("b", "4,-4,3,-5,2,2") +
                    "m = Mod(a, b) n = Mod<fmod=1>(a, b) o = Sub(m, n) c = Cast<to=1>(o) r = Add(x, c) "));
  expect_same(model(numbers("t", "1,6", 6) + integer("axis", 1) + integers("twice", "4,1") +
                    "s = CumSum(t, axis) v = Tile(s, twice) w = Sin(v) r = Mul(x, w) "));
  expect_same(
      model(numbers("t", "4,6", 24) + integers("at", "2") + integers("u", "1") + numbers("d", "1,6", 6) +
            "p = Unsqueeze(at, u) i = Squeeze(p, u) z = Constant<value = int64[1] {0}>() j = Unsqueeze(i, u) "
            "s = ScatterND(t, j, d) r = Add(x, s) "));
  expect_same(model(integers("i", "2,0,-1,5") + integer("depth", 6) +
                    "v = Constant<value = float[2] {0.5, 2.0}>() h = OneHot(i, depth, v) r = Mul(x, h) "));
}

TEST_F(Exporters, PositionsOfAMaskGoWithAnyNumberOfImages) {
  expect_same(model("s = Shape(x) " + integers("first", "0") + integers("two", "2") + integers("zero", "0") +
                    integers("six", "6") +
                    "n = Slice(s, first, two, zero) q = Concat<axis=0>(n, six) "
                    "o = ConstantOfShape<value = float[1] {1.0}>(q) " +
                    integer("axis", 2) + "c = CumSum(o, axis) " + integers("third", "2") +
                    "d = Unsqueeze(c, third) r = Add(x, d) "));
}

TEST_F(Exporters, ReductionsOfConstantsAreComputedAtImport) {
  for (const std::string type :
       {"ReduceMean", "ReduceL2", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceSumSquare"}) {
    expect_same(
        model(numbers("t", "4,6", 24) + "m = " + type + "<axes=[1]>(t) s = Sub(t, m) r = Mul(x, s) "));
    expect_same(model(numbers("t", "4,6", 24) + "m = " + type + "<axes=[0], keepdims=0>(t) r = Mul(x, m) "));
    expect_same(model(numbers("t", "4,6", 24) + "m = " + type + "<keepdims=0>(t) r = Mul(x, m) "));
  }
  expect_same(
      model(numbers("t", "4,6", 24) + integers("a", "-1") + "m = ReduceMean(t, a) r = Mul(x, m) ", 18));
}

TEST_F(Exporters, LayersOfConstantsAreComputedAtImport) {
  expect_same(model(numbers("p", "4,2", 8) + numbers("a", "2,5", 10) + numbers("b", "5,6", 30) +
                    "h = MatMul(p, a) g = Relu(h) t = MatMul(g, b) r = Add(x, t) "));
  expect_same(model(numbers("p", "3,4,2", 24) + numbers("a", "3,2,6", 36) + integer("one", 1) +
                    "h = MatMul(p, a) t = Gather<axis=0>(h, one) r = Add(x, t) "));
  expect_same(model(numbers("p", "2,4", 8) + numbers("a", "6,2", 12) + numbers("b", "6", 6) +
                    "t = Gemm<transA=1, transB=1, alpha=0.5, beta=2.0>(p, a, b) r = Add(x, t) "));
  expect_same(model(numbers("p", "4,6", 24) + "t = Softmax<axis=0>(p) r = Mul(x, t) "));
  expect_same(model(numbers("p", "1,2,1,6", 12) + numbers("w", "4,2,1,1", 8) + numbers("b", "4", 4) +
                    "t = Conv(p, w, b) r = Add(x, t) "));
  // Weights as a network with standardized ones has them: by the statistics of each channel.
  const std::string weights = numbers("w", "1,4,6", 24) + numbers("g", "4", 4) +
                              "z = Constant<value = float[4] {0.0,0.0,0.0,0.0}>() "
                              "v = Constant<value = float[4] {1.0,2.0,1.0,0.5}>() ";
  expect_same(
      model(weights + "s, u1, u2 = BatchNormalization<training_mode=1>(w, g, z, z, v) r = Mul(x, s) "));
  expect_same(model(weights + "s = BatchNormalization(w, g, z, z, v) r = Mul(x, s) "));
}

TEST_F(Exporters, NormsAndExtremesOfWhatFlowsAreReduced) {
  for (const std::string type : {"ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceMax"}) {
    expect_same(model("m = " + type + "<axes=[3]>(x) r = Sub(x, m) "));
    expect_same(model("r = " + type + "<axes=[1,3], keepdims=0>(x) "));
  }
}

TEST_F(Exporters, ExpandedTensorsAreBroadcast) {
  const std::string gate = "m = ReduceMean<axes=[2,3]>(x) s = Shape(x) ";
  const Graph graph = expect_same(model(gate + "e = Expand(m, s) r = Mul(x, e) "));
  EXPECT_EQ(graph.nodes.size(), 3U);
  expect_same(model(gate + "r = Expand(m, s) "));
  expect_same(model("m = ReduceMean<axes=[3]>(x) " + integers("k", "1,1,1,5") + "r = Tile(m, k) "));
  expect_same(
      model(numbers("w", "6,1", 6) + integers("k", "1,1,1,5") + "m = MatMul(x, w) r = Expand(m, k) "));
  expect_same(model(integers("k", "1,2,1,3") + "r = Tile(x, k) "));
  EXPECT_THAT(import_error(model(integers("k", "2,1,1,1") + "r = Tile(x, k) ")), HasSubstr("of the batch"));
  EXPECT_THAT(import_error(model(integers("k", "2,4,4,6") + "r = Expand(x, k) ")), HasSubstr("of the batch"));
}

TEST_F(Exporters, RowsAreImagesOnePixelHigh) {
  const std::string rows = integers("s", "0,4,24") + "t = Reshape(x, s) ";
  expect_same(model(rows + numbers("w", "2,4,3", 24) + numbers("b", "2", 2) +
                    "r = Conv<pads=[1,0], strides=[2]>(t, w, b) "));
  expect_same(
      model(rows + numbers("w", "4,1,3", 12) + "r = Conv<group=4, dilations=[2], pads=[2,2]>(t, w) "));
  expect_same(model(rows + "r = AveragePool<kernel_shape=[3], strides=[2], pads=[1,1]>(t) "));
  expect_same(
      model(rows + "r = AveragePool<kernel_shape=[2], strides=[2], pads=[1,1], count_include_pad=1>(t) "));
}

/// Two by two windows of the images' halves, in the batch's dimension.
const std::string kWindows = integers("apart", "0,4,2,2,6") +
                             "h = Reshape(x, apart) "
                             "i = Transpose<perm=[0,2,1,3,4]>(h) " +
                             integers("merged", "-1,4,2,6") + "w = Reshape(i, merged) ";
const std::string kBack = integers("grid", "-1,2,4,2,6") + "r = Reshape(z, grid) ";

TEST_F(Exporters, WindowsInTheBatchAreConvolvedPaddedAndNormalized) {
  expect_same(model(kWindows + numbers("f", "4,4,3,3", 144) + numbers("b", "4", 4) +
                    "z = Conv<pads=[1,1,1,1]>(w, f, b) " + kBack));
  expect_same(
      model(kWindows + numbers("f", "4,1,3,3", 36) + "z = Conv<group=4, pads=[1,1,1,1]>(w, f) " + kBack));
  expect_same(model(
      kWindows + numbers("g", "4", 4) + numbers("b", "4", 4) + numbers("m", "4", 4) +
      "v = Constant<value = float[4] {1.0,2.0,1.0,0.5}>() z = BatchNormalization(w, g, b, m, v) " + kBack));
  expect_same(model(kWindows + integers("p", "0,0,0,0,0,0,0,1") + integers("wide", "-1,2,4,2,7") +
                    "z = Pad(w, p) r = Reshape(z, wide) "));
  EXPECT_THAT(import_error(model(kWindows + integers("p", "0,0,0,0,1,0,0,0") + "z = Pad(w, p) " + kBack)),
              HasSubstr("pads the batch"));
}

TEST_F(Exporters, RowsOfTokensAreNormalizedByChannel) {
  expect_same(model(
      integers("s", "0,16,6") + "t = Reshape(x, s) f = Flatten<axis=2>(t) " + numbers("g", "6", 6) +
      numbers("b", "6", 6) + numbers("m", "6", 6) +
      "v = Constant<value = float[6] {1.0,2.0,1.0,0.5,3.0,1.0}>() z = BatchNormalization(f, g, b, m, v) " +
      integers("u", "-1,96") + "r = Reshape(z, u) "));
}

TEST_F(Exporters, OneMatrixIsForAllHeads) {
  expect_same(model(integers("a", "1") +
                    "k = ReduceMean<axes=[1]>(x) t = Transpose<perm=[0,1,3,2]>(k) r = MatMul(x, t) "));
}

TEST_F(Exporters, GatherTakesIndicesOfSeveralDimensions) {
  expect_same(model("i = Constant<value = int64[2,3] {0,2,4,1,3,5}>() r = Gather<axis=3>(x, i) "));
  expect_same(model("i = Constant<value = int64[2,2] {3,-1,0,1}>() r = Gather<axis=1>(x, i) "));
  EXPECT_THAT(import_error(model("i = Constant<value = int64[2,2] {3,-5,0,1}>() r = Gather<axis=1>(x, i) ")),
              HasSubstr("index -5"));
}

TEST_F(Exporters, ResizeInterpolatesToAnySize) {
  for (const std::string mode : {"linear", "cubic"}) {
    for (const std::string coordinates :
         {"half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"}) {
      const std::string resize = "n = Constant<value = float[0] {}>() r = Resize<mode=\"" + mode +
                                 "\", coordinate_transformation_mode=\"" + coordinates + "\">";
      expect_same(model("s = Constant<value = float[4] {1.0,1.0,2.0,1.5}>() " + resize + "(x, n, s) "));
      expect_same(model(integers("z", "3,4,3,5") + "h = Shape(x) " + integers("b", "0") + integers("e", "1") +
                        integers("t", "4,3,5") + "d = Slice(h, b, e, b) o = Concat<axis=0>(d, t) " + resize +
                        "(x, n, n, o) "));
    }
  }
  EXPECT_THAT(import_error(model(
                  "n = Constant<value = float[0] {}>() s = Constant<value = float[4] {1.0,1.0,2.0,1.5}>() "
                  "r = Resize<mode=\"linear\", antialias=1>(x, n, s) ",
                  18)),
              HasSubstr("antialias"));
}

}  // namespace
}  // namespace octavo
