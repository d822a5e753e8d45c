#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <limits>
#include <thread>

#include "octavo/core/file.h"
#include "octavo/core/temporary_folder.h"
#include "octavo/onnx/onnx.h"
#include "octavo/runtime/reference.h"
#include "onnx/models.h"
#include "onnx/protos.h"

namespace octavo {
namespace {

using test::import_error;
using test::import_text;
using testing::HasSubstr;

std::string model(const std::string& body, const std::string& output = "float[N,2] y", int opset = 13,
                  const std::string& input = "float[N,1,1,2] x") {
  return "<ir_version: 7, opset_import: [\"\" : " + std::to_string(opset) + "]> g (" + input + ") => (" +
         output + ") {" + body + "}";
}

/// Logits for the images [1, 2] and [3, -4].
std::vector<float> logits(const Graph& graph) {
  const auto input = Tensor::from<float>({2, 1, 1, 2}, std::vector<float>{1, 2, 3, -4});
  const Tensor output = interpret(graph, input);
  return {output.data<float>().begin(), output.data<float>().end()};
}

const std::string kFlatten = "f = Flatten(x) ";
const std::string kWeight = "w = Constant<value = float[2,2] {1,2,3,4}>() ";

TEST(Import, GemmAsOursIsTakenAsItIs) {
  const Graph graph = import_text(model(kFlatten + kWeight + "y = Gemm<transB=1>(f, w)"));
  EXPECT_EQ(logits(graph), (std::vector<float>{5, 11, -5, -7}));
  EXPECT_EQ(graph.value(graph.output).name, "y");
  EXPECT_EQ(graph.value(graph.input).shape, (Shape{kDynamic, 1, 1, 2}));
}

TEST(Import, GemmIsTransposedAndScaledToOurForm) {
  const Graph graph =
      import_text(model(kFlatten + kWeight +
                        "b = Constant<value = float[1,2] {10,20}>() y = Gemm<alpha=2.0, beta=0.5>(f, w, b)"));
  // x W * 2 + b / 2
  EXPECT_EQ(logits(graph), (std::vector<float>{19, 30, -13, -10}));
}

TEST(Import, GemmBiasOfOneElementIsSpread) {
  const Graph graph = import_text(
      model(kFlatten + kWeight + "b = Constant<value = float[1] {7}>() y = Gemm<transB=1>(f, w, b)"));
  EXPECT_EQ(logits(graph), (std::vector<float>{12, 18, 2, 0}));
}

TEST(Import, MatMulAndAddBecomeOneGemm) {
  for (const std::string add : {"Add(m, b)", "Add(b, m)"}) {
    const Graph graph = import_text(
        model(kFlatten + kWeight + "b = Constant<value = float[2] {10,20}>() m = MatMul(f, w) y = " + add));
    EXPECT_EQ(logits(graph), (std::vector<float>{17, 30, 1, 10}));
    EXPECT_EQ(graph.nodes.size(), 2U);
  }
}

TEST(Import, MatMulReadTwiceKeepsItsOwnValue) {
  const Graph graph = import_text(model(kFlatten + kWeight +
                                        "b = Constant<value = float[2] {10,20}>() m = MatMul(f, w) "
                                        "a = Add(m, b) y = Add(a, m)"));
  EXPECT_EQ(graph.nodes.size(), 4U);
  EXPECT_EQ(logits(graph), (std::vector<float>{24, 40, -8, 0}));
}

TEST(Import, IdentityAndDropoutVanish) {
  const Graph graph = import_text(model(kFlatten + kWeight +
                                        "v = Identity(w) d, mask = Dropout(f) i = Identity(d) "
                                        "z = Gemm<transB=1>(i, v) y = Identity(z)"));
  EXPECT_EQ(graph.nodes.size(), 2U);
  EXPECT_EQ(graph.value(graph.output).name, "y");
  EXPECT_EQ(logits(graph), (std::vector<float>{5, 11, -5, -7}));
}

TEST(Import, DropoutThatMayTrainIsUnsupported) {
  EXPECT_THAT(import_error(model("r = Constant<value = float {0.5}>() t = Constant<value = bool {1}>() "
                                 "d = Dropout(x, r, t) y = Flatten(d)")),
              HasSubstr("training_mode"));
  EXPECT_EQ(import_error(model("r = Constant<value = float {0.5}>() t = Constant<value = bool {0}>() "
                               "d = Dropout(x, r, t) y = Flatten(d)")),
            "");
}

TEST(Import, ReshapeToRowsIsFlatten) {
  for (const std::string shape : {"0,-1", "-1,2", "0,2"}) {
    const Graph graph =
        import_text(model("s = Constant<value = int64[2] {" + shape + "}>() y = Reshape(x, s)"));
    ASSERT_EQ(graph.nodes.size(), 1U) << shape;
    EXPECT_EQ(graph.nodes[0].op, Op::kFlatten);
  }
  EXPECT_THAT(import_error(model("s = Constant<value = int64[2] {-1,1}>() y = Reshape(x, s)")),
              HasSubstr("output 'y' (with the batch merged into dimension 0)"));
  EXPECT_THAT(import_error(model("s = Constant<value = int64[2] {1,-1}>() y = Reshape(x, s)")),
              HasSubstr("output 'y' (with the batch merged into dimension 1)"));
  EXPECT_THAT(import_error(model("s = Constant<value = int64[2] {2,1}>() y = Reshape(x, s)")),
              HasSubstr("does not keep the batch"));
  EXPECT_EQ(import_error(model("s = Constant<value = int64[2] {1,-1}>() y = Reshape(x, s)", "float[1,2] y",
                               13, "float[1,1,1,2] x")),
            "");
}

TEST(Import, ClipTakesAttributesBeforeOpset11AndInputsAfter) {
  const Graph old_form =
      import_text(model("c = Clip<min=0.0, max=2.5>(x) y = Flatten(c)", "float[N,2] y", 9));
  EXPECT_EQ(old_form.nodes[0].as<ClipAttributes>(), (ClipAttributes{0.0F, 2.5F}));
  EXPECT_EQ(logits(old_form), (std::vector<float>{1, 2, 2.5, 0}));
  const Graph open = import_text(model("c = Clip<min=-1.0>(x) y = Flatten(c)", "float[N,2] y", 9));
  EXPECT_EQ(open.nodes[0].as<ClipAttributes>(),
            (ClipAttributes{-1.0F, std::numeric_limits<float>::infinity()}));
  const Graph inputs =
      import_text(model("h = Constant<value = float {2.5}>() c = Clip(x, , h) y = Flatten(c)"));
  EXPECT_EQ(inputs.nodes[0].as<ClipAttributes>(),
            (ClipAttributes{-std::numeric_limits<float>::infinity(), 2.5F}));
}

TEST(Import, AutoPadIsResolvedFromTheInputsSize) {
  const std::string weight = "w = Constant<value = float[1,1,1,3] {1,2,3}>() ";
  const auto pads = [&](const std::string& attributes, int width) {
    const Graph graph =
        import_text(model(weight + "c = Conv<" + attributes + ">(x, w) y = Flatten(c)", "float[N,M] y", 13,
                          "float[N,1,1," + std::to_string(width) + "] x"));
    return graph.nodes[0].as<ConvAttributes>().pads;
  };
  using Pads = std::array<std::int64_t, 4>;
  EXPECT_EQ(pads("auto_pad=\"SAME_UPPER\", strides=[1,2]", 6), (Pads{0, 0, 0, 1}));
  EXPECT_EQ(pads("auto_pad=\"SAME_LOWER\", strides=[1,2]", 6), (Pads{0, 1, 0, 0}));
  EXPECT_EQ(pads("auto_pad=\"SAME_UPPER\", strides=[1,2]", 5), (Pads{0, 1, 0, 1}));
  EXPECT_EQ(pads("auto_pad=\"SAME_UPPER\", dilations=[1,2]", 5), (Pads{0, 2, 0, 2}));
  EXPECT_EQ(pads("auto_pad=\"VALID\"", 5), (Pads{0, 0, 0, 0}));
  EXPECT_EQ(pads("auto_pad=\"NOTSET\", pads=[0,1,0,2]", 5), (Pads{0, 1, 0, 2}));
}

TEST(Import, InitializersMayBeInputsToo) {
  // As IR version 3 demands.
  const Graph graph = import_text(
      "<ir_version: 3, opset_import: [\"\" : 8]> g (float[N,1,1,2] x, float[2,2] w = {1,2,3,4}) => "
      "(float[N,2] y) {"
      "f = Flatten(x) y = Gemm<transB=1, alpha=1.0, beta=1.0>(f, w) }");
  EXPECT_EQ(logits(graph), (std::vector<float>{5, 11, -5, -7}));
}

TEST(Import, DeadNodesMayBeAnything) {
  EXPECT_EQ(import_error(model("dead = Softmax(x) y = Flatten(x)")), "");
}

TEST(Import, UnnamedAndDuplicateNodesGetNames) {
  onnx::ModelProto proto = test::model_from_text(model("a = Relu(x) b = Relu(a) c = Relu(b) y = Flatten(c)"));
  proto.mutable_graph()->mutable_node(0)->set_name("relu");
  proto.mutable_graph()->mutable_node(1)->set_name("relu");
  const Graph graph = test::import_model(proto);
  EXPECT_EQ(graph.nodes[0].name, "relu");
  EXPECT_EQ(graph.nodes[1].name, "relu_1");
  EXPECT_EQ(graph.nodes[2].name, "Relu_2");
}

TEST(Import, OneErrorListsEveryUnsupportedNode) {
  onnx::ModelProto proto =
      test::model_from_text(model("a = Hardmax(x) b = LpNormalization(a) c = Relu(b) d = "
                                  "AveragePool<kernel_shape=[1,1], dilations=[2,2]>(x) "
                                  "e = Add(c, d) y = Flatten(e)"));
  proto.mutable_graph()->mutable_node(0)->set_name("first");
  proto.mutable_graph()->mutable_node(3)->set_name("pool");
  const std::string error = import_error(proto);
  EXPECT_THAT(error, HasSubstr("4: test.onnx: 3 unsupported: "));
  EXPECT_THAT(error, HasSubstr("'first' (Hardmax, opset 13)"));
  EXPECT_THAT(error, HasSubstr("(LpNormalization, opset 13)"));
  EXPECT_THAT(error, HasSubstr("'pool' (AveragePool, opset 13: dilated pooling by the mean)"));
  EXPECT_THAT(error, testing::Not(HasSubstr("(Relu")));
}

TEST(Import, NodesRefusedForOneReasonAreCounted) {
  const std::string error = import_error(
      model("a = Hardmax(x) b = Hardmax(x) c = Hardmax(x) d = Add(a, b) e = Add(c, d) y = Flatten(e)"));
  EXPECT_THAT(error, HasSubstr("3 unsupported: '' and 2 more (Hardmax, opset 13); expected"));
}

TEST(Import, OtherDomainsAndUnknownAttributesAreUnsupported) {
  onnx::ModelProto proto = test::model_from_text(model("a = Relu(x) y = Flatten(a)"));
  proto.mutable_graph()->mutable_node(0)->set_domain("com.microsoft");
  EXPECT_THAT(import_error(proto), HasSubstr("(com.microsoft::Relu, opset 13)"));
  EXPECT_THAT(import_error(model("a = Relu<slope=0.5>(x) y = Flatten(a)")), HasSubstr("attribute 'slope'"));
}

TEST(Import, TrainingBatchNormalizationIsUnsupported) {
  const std::string one = "c = Constant<value = float[1] {1}>() ";
  EXPECT_THAT(import_error(model(one + "b = BatchNormalization<training_mode=1>(x,c,c,c,c) y = Flatten(b)",
                                 "float[N,2] y", 15)),
              HasSubstr("training_mode"));
  EXPECT_EQ(import_error(model(one + "b = BatchNormalization(x,c,c,c,c) y = Flatten(b)", "float[N,2] y", 15)),
            "");
}

TEST(Import, SecondOutputsThatAreReadAreUnsupported) {
  EXPECT_THAT(import_error(model("p, i = MaxPool<kernel_shape=[1,1]>(x) e = Add(p, i) y = Flatten(e)")),
              HasSubstr("4: test.onnx: 1 unsupported: '' (MaxPool, opset 13: output 1 is used)"));
  EXPECT_EQ(import_error(model("p, i = MaxPool<kernel_shape=[1,1]>(x) y = Flatten(p)")), "");
}

TEST(Import, WhatMixesImagesIsUnsupported) {
  EXPECT_THAT(import_error(model(kFlatten + kWeight + "y = Gemm<transA=1>(f, w)")), HasSubstr("transA"));
  EXPECT_THAT(import_error(model("y = Flatten<axis=2>(x)", "float[M,2] y", 13, "float[N,2,1,2] x")),
              HasSubstr("with the batch merged into dimension 0"));
  EXPECT_EQ(import_error(model("y = Flatten<axis=-3>(x)")), "");
}

TEST(Import, OpsetsBelowTheRangeAreUnsupported) {
  EXPECT_THAT(import_error(model("y = Flatten(x)", "float[N,2] y", 6)),
              HasSubstr("opset 6; expected 7 or later"));
  for (int opset = 7; opset <= 25; ++opset)
    EXPECT_EQ(import_error(model("y = Flatten(x)", "float[N,2] y", opset)), "") << opset;
}

/// As another writer might lay the same model out: two parts of one message are one message, and of a field
/// that is there twice the last counts.
TEST(Import, FileInPartsIsTheSameModel) {
  const std::vector<std::byte> whole = serialize_onnx(test::quantized(test::every_operator()));
  onnx::ModelProto first = test::from_bytes(whole);
  onnx::ModelProto second;
  second.mutable_graph()->mutable_initializer()->Swap(first.mutable_graph()->mutable_initializer());
  std::vector<std::byte> parts = test::to_bytes(first);
  for (const onnx::TensorProto& tensor : second.graph().initializer()) {
    // A graph of one initializer whose data were something else at first.
    onnx::TensorProto wrong = tensor;
    wrong.set_raw_data("nothing like it");
    const std::string twice = wrong.SerializeAsString() + [&] {
      onnx::TensorProto data;
      data.set_raw_data(tensor.raw_data());
      return data.SerializeAsString();
    }();
    const auto append = [&](char tag, std::size_t size) {
      parts.push_back(static_cast<std::byte>(tag));
      for (; size >= 0x80; size >>= 7) parts.push_back(static_cast<std::byte>(size | 0x80));
      parts.push_back(static_cast<std::byte>(size));
    };
    const std::size_t length_bytes = twice.size() < 0x80 ? 1 : twice.size() < 0x4000 ? 2 : 3;
    append(7 << 3 | 2, 1 + length_bytes + twice.size());
    append(5 << 3 | 2, twice.size());
    parts.insert(parts.end(), reinterpret_cast<const std::byte*>(twice.data()),
                 reinterpret_cast<const std::byte*>(twice.data()) + twice.size());
  }
  EXPECT_EQ(parse_onnx(parts, "parts.onnx"), parse_onnx(whole, "whole.onnx"));
}

TEST(Import, FilesAndPipesGiveWhatTheirBytesGive) {
  const Graph graph = test::zoo_model("resnet20");
  const TemporaryFolder folder;
  const auto path = folder / "model.onnx";
  save_onnx(graph, path);
  const std::vector<std::byte> bytes = serialize_onnx(graph);
  EXPECT_EQ(read_file(path), bytes);
  const Graph expected = parse_onnx(bytes, "bytes.onnx");
  EXPECT_EQ(load_onnx(path), expected);
  std::filesystem::remove(path);
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  std::thread writer([&] {
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  });
  const Graph piped = load_onnx(path);
  writer.join();
  EXPECT_EQ(piped, expected);
}

TEST(Import, InputsOfOtherKindsAreUnsupported) {
  EXPECT_THAT(import_error(model("y = Flatten(x)", "float[N,2] y", 13, "float[N,2] x")),
              HasSubstr("[N, C, H, W]"));
  EXPECT_THAT(import_error(model("y = Flatten(x)", "float[N,2] y", 13, "float[N,1,H,2] x")),
              HasSubstr("dimension 2 is not fixed"));
  EXPECT_THAT(import_error(model("y = Flatten(x)", "float[N,2] y", 13, "int8[N,1,1,2] x")),
              HasSubstr("no tensor of floats or bytes"));
  EXPECT_THAT(import_error(model("a = Add(x, z) y = Flatten(a)", "float[N,2] y", 13,
                                 "float[N,1,1,2] x, float[N,1,1,2] z")),
              HasSubstr("inputs 'x' and 'z'; expected one"));
}

}  // namespace
}  // namespace octavo
