// What a file leaves open, what surrounds it, and the number formats of its tensors.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <filesystem>

#include "octavo/core/file.h"
#include "octavo/core/quant.h"
#include "octavo/core/temporary_folder.h"
#include "octavo/onnx/onnx.h"
#include "octavo/runtime/reference.h"
#include "onnx/protos.h"

namespace octavo {
namespace {

using test::import_error;
using test::model_from_text;
using testing::HasSubstr;
using testing::StartsWith;

std::string model(const std::string& outputs, const std::string& body,
                  const std::string& input = "float[N,1,2,2] x", int opset = 13) {
  return "<ir_version: 8, opset_import: [\"\" : " + std::to_string(opset) + "]> g (" + input + ") => (" +
         outputs + ") {" + body + "}";
}

std::string error_with(const std::string& text, const ImportOptions& options) {
  try {
    parse_onnx(test::to_bytes(model_from_text(text)), "test.onnx", options);
  } catch (const Error& error) {
    return std::to_string(error.exit_code()) + ": " + error.what();
  }
  return "";
}

std::string output_with(const std::string& text, const ImportOptions& options = {}) {
  const Graph graph = parse_onnx(test::to_bytes(model_from_text(text)), "test.onnx", options);
  return graph.value(graph.output).name;
}

TEST(Outputs, TheOneOfTwoDimensionsIsTakenOrTheOneThatIsNamed) {
  const std::string body = "f = Relu(x) y = Flatten(f) z = Neg(y)";
  EXPECT_EQ(output_with(model("float[N,1,2,2] f, float[N,4] y", body)), "y");
  EXPECT_EQ(output_with(model("float[N,1,2,2] f, float[N,4] y", body), {.output = "f", .image_size = 0}),
            "f");
  const std::string two = model("float[N,4] y, float[N,4] z", body);
  EXPECT_EQ(
      error_with(two, {}),
      "4: test.onnx: 2 outputs; expected one, or the name of one that is [N, classes] (--output): 'y' of [N, "
      "4], 'z' of [N, 4]");
  EXPECT_EQ(output_with(two, {.output = "z", .image_size = 0}), "z");
  EXPECT_EQ(error_with(two, {.output = "w", .image_size = 0}),
            "2: test.onnx: has no output 'w'; expected one of 'y' of [N, 4], 'z' of [N, 4]");
}

Shape input_with(const std::string& input, std::int64_t size) {
  const Graph graph =
      parse_onnx(test::to_bytes(model_from_text(model("float[N,M] y", "y = Flatten(x)", input))), "test.onnx",
                 {.output = "", .image_size = size});
  return graph.value(graph.input).shape;
}

TEST(Inputs, OpenHeightAndWidthAreFixed) {
  EXPECT_EQ(input_with("float[N,3,H,W] x", 8), (Shape{kDynamic, 3, 8, 8}));
  EXPECT_EQ(input_with("float[N,3,6,W] x", 8), (Shape{kDynamic, 3, 6, 8}));
  EXPECT_EQ(input_with("float[N,H,W,3] x", 8), (Shape{kDynamic, 3, 8, 8}));
  EXPECT_EQ(input_with("float[N,3,5,6] x", 8), (Shape{kDynamic, 3, 5, 6}));
  EXPECT_THAT(
      error_with(model("float[N,M] y", "y = Flatten(x)", "float[N,3,H,W] x"), {}),
      HasSubstr("dimension 2 is not fixed; expected the batch alone to vary (fix height and width with "
                "--image-size)"));
  EXPECT_THAT(error_with(model("float[N,M] y", "y = Flatten(x)", "float[N,C,4,4] x"),
                         {.output = "", .image_size = 8}),
              HasSubstr("the number of channels is not fixed"));
  onnx::ModelProto minus = model_from_text(model("float[N,M] y", "y = Flatten(x)", "float[N,3,4,4] x"));
  minus.mutable_graph()
      ->mutable_input(0)
      ->mutable_type()
      ->mutable_tensor_type()
      ->mutable_shape()
      ->mutable_dim(2)
      ->set_dim_value(-1);
  EXPECT_THAT(import_error(minus), HasSubstr("dimension 2 is not fixed"));
}

/// As model hubs keep files: links in one folder to what lies in another, by hash.
TEST(Links, DataBesideTheFileThatAModelLinksToAreRead) {
  const TemporaryFolder temporary;
  const std::filesystem::path folder = temporary.path();
  std::filesystem::create_directories(folder / "blobs");
  std::filesystem::create_directories(folder / "snapshot");
  onnx::ModelProto proto = model_from_text(model("float[N,4] y", "f = Flatten(x) y = Mul(f, w)"));
  onnx::TensorProto& w = *proto.mutable_graph()->add_initializer();
  w.set_name("w");
  w.set_data_type(onnx::TensorProto::FLOAT);
  w.add_dims(1);
  w.set_data_location(onnx::TensorProto::EXTERNAL);
  auto& entry = *w.add_external_data();
  entry.set_key("location");
  entry.set_value("m.data");
  write_file(folder / "blobs" / "0", test::to_bytes(proto));
  const auto two = std::bit_cast<std::array<std::byte, 4>>(2.0F);
  write_file(folder / "blobs" / "1", two);
  std::filesystem::create_symlink("../blobs/0", folder / "snapshot" / "m.onnx");
  std::filesystem::create_symlink("../blobs/1", folder / "snapshot" / "m.data");
  EXPECT_EQ(load_onnx(folder / "snapshot" / "m.onnx").nodes.size(), 2U);
  // The data lie elsewhere than both.
  write_file(folder / "outside", two);
  std::filesystem::remove(folder / "snapshot" / "m.data");
  std::filesystem::create_symlink("../outside", folder / "snapshot" / "m.data");
  EXPECT_THROW(load_onnx(folder / "snapshot" / "m.onnx"), Error);
}

onnx::TensorProto& add_raw(onnx::ModelProto& proto, const std::string& name, int type,
                           const std::vector<int>& shape, const std::string& raw) {
  onnx::TensorProto& tensor = *proto.mutable_graph()->add_initializer();
  tensor.set_name(name);
  tensor.set_data_type(type);
  for (const int size : shape) tensor.add_dims(size);
  tensor.set_raw_data(raw);
  return tensor;
}

/// The output for the image 1, 2, 3, 4.
std::vector<float> run(const onnx::ModelProto& proto) {
  Tensor output =
      interpret(test::import_model(proto), Tensor::from<float>({1, 1, 2, 2}, std::vector<float>{1, 2, 3, 4}));
  return {std::as_const(output).data<float>().begin(), std::as_const(output).data<float>().end()};
}

constexpr const char* kScaled = "f = Flatten(x) d = DequantizeLinear(w, s) y = Mul(f, d)";

onnx::ModelProto with_weight(const std::string& body, const std::vector<float>& scales,
                             const std::vector<int>& shape) {
  onnx::ModelProto proto = model_from_text(model("float[N,4] y", body, "float[N,1,2,2] x", 21));
  add_raw(proto, "s", onnx::TensorProto::FLOAT, shape,
          std::string(reinterpret_cast<const char*>(scales.data()), scales.size() * sizeof(float)));
  return proto;
}

TEST(Formats, IntegersOfFourBitsLieTwoInAByte) {
  constexpr int kInt4 = 22;
  constexpr int kUInt4 = 21;
  onnx::ModelProto proto = with_weight(kScaled, {0.5F}, {});
  onnx::TensorProto& w = add_raw(proto, "w", kInt4, {3}, "\x7f\x08");
  EXPECT_THAT(import_error(proto), StartsWith("3: "));  // Three elements do not multiply four.
  w.set_dims(0, 4);
  w.set_raw_data("\x7f\x98");  // -1, 7, -8, -7
  EXPECT_EQ(run(proto), (std::vector<float>{-0.5F, 7, -12, -14}));
  w.set_data_type(kUInt4);
  EXPECT_EQ(run(proto), (std::vector<float>{7.5F, 7, 12, 18}));
  w.clear_raw_data();
  w.add_int32_data(0x7f);
  w.add_int32_data(0x98);
  EXPECT_EQ(run(proto), (std::vector<float>{7.5F, 7, 12, 18}));
  w.set_dims(0, 5);
  EXPECT_THAT(import_error(proto), HasSubstr("needs 3 values, got 2"));
}

TEST(Formats, IntegersOfSixteenBitsAreRead) {
  onnx::ModelProto proto = with_weight(kScaled, {0.5F}, {});
  onnx::TensorProto& w =
      add_raw(proto, "w", onnx::TensorProto::INT16, {4}, std::string("\x01\x00\xff\xff\x00\x80\xff\x7f", 8));
  EXPECT_EQ(run(proto), (std::vector<float>{0.5F, -1, -49152, 65534}));
  w.set_data_type(onnx::TensorProto::UINT16);
  EXPECT_EQ(run(proto), (std::vector<float>{0.5F, 65535, 49152, 65534}));
}

TEST(Formats, FloatsOfEightBitsAreRead) {
  onnx::ModelProto proto = with_weight(kScaled, {2.0F}, {});
  // 1 (0 0111 000), -1.125 (1 0111 001), 448 (0 1111 110), 2^-9 (0 0000 001)
  onnx::TensorProto& w = add_raw(proto, "w", 17, {4}, std::string("\x38\xb9\x7e\x01", 4));
  EXPECT_EQ(run(proto), (std::vector<float>{2, -4.5F, 2688, 0.015625F}));
  w.set_data_type(18);  // Half of it all; 0x7e is 0 1111 110: 2^7 * 1.75.
  EXPECT_EQ(run(proto), (std::vector<float>{1, -2.25F, 1344, 0.0078125F}));
  w.set_raw_data(std::string("\x3c\xbd\x7b\x01", 4));
  w.set_data_type(19);  // 1, -1.25, 57344, 2^-16
  EXPECT_EQ(run(proto), (std::vector<float>{2, -5, 344064, 0.0001220703125F}));
  w.set_data_type(20);
  EXPECT_EQ(run(proto), (std::vector<float>{1, -2.5F, 172032, 0.00006103515625F}));
  w.set_raw_data(std::string("\x80\xbd\x7b\x01", 4));  // NaN
  EXPECT_THAT(import_error(proto), HasSubstr("not finite"));
}

TEST(Formats, BlocksOfScalesAreRead) {
  const std::string body =
      "f = Flatten(x) d = DequantizeLinear<axis = 1, block_size = 2>(w, s, z) y = MatMul(f, d)";
  onnx::ModelProto proto = with_weight(body, {1, 10, 2, 20, 3, 30, 4, 40}, {4, 2});
  std::string raw;
  for (const int q : {1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3}) raw += static_cast<char>(q);
  add_raw(proto, "w", onnx::TensorProto::INT8, {4, 3}, raw);
  add_raw(proto, "z", onnx::TensorProto::INT8, {4, 2}, std::string("\x00\x01\x00\x01\x00\x01\x00\x01", 8));
  // Rows (1, 2, 20), (2, 4, 40), (3, 6, 60), (4, 8, 80) by 1, 2, 3, 4.
  EXPECT_EQ(run(proto), (std::vector<float>{30, 60, 600}));
  proto.mutable_graph()->mutable_initializer(0)->set_dims(1, 1);
  proto.mutable_graph()->mutable_initializer(0)->set_dims(0, 8);
  EXPECT_THAT(import_error(proto), HasSubstr("scales of shape [8, 1] for [4, 3]; expected [4, 2]"));
}

TEST(Formats, ActivationsOfSixteenBitsAreRoundedInFloat) {
  const std::string ends = " y = Flatten(d)";
  onnx::ModelProto proto =
      with_weight("q = QuantizeLinear(x, s, z) d = DequantizeLinear(q, s, z)" + ends, {0.0625F}, {});
  add_raw(proto, "z", onnx::TensorProto::UINT16, {},
          std::string("\xd7\xff", 2));  // 65495: saturates at 40 steps
  EXPECT_EQ(run(proto), (std::vector<float>{1, 2, 2.5F, 2.5F}));
  proto.mutable_graph()->mutable_initializer(1)->set_data_type(onnx::TensorProto::INT16);
  proto.mutable_graph()->mutable_initializer(1)->set_raw_data(std::string("\xd7\x7f", 2));
  EXPECT_EQ(run(proto), (std::vector<float>{1, 2, 2.5F, 2.5F}));
  // 4 bits are a narrower range of 8.
  proto.mutable_graph()->mutable_initializer(1)->set_data_type(22);
  proto.mutable_graph()->mutable_initializer(1)->set_raw_data(std::string("\x00", 1));
  EXPECT_EQ(test::import_model(proto).value(test::import_model(proto).input).quant,
            activation_params(0.0625F, 8, 0, 15));
}

TEST(Formats, ChannelsWithAScaleOfZeroAreZero) {
  onnx::ModelProto proto = with_weight(
      "q = QuantizeLinear(x, t) e = DequantizeLinear(q, t) f = Flatten(e) d = DequantizeLinear<axis = 0>(w, "
      "s, z) y = "
      "Gemm<transB = 1>(f, d)",
      {0.5F, 0}, {2});
  add_raw(proto, "w", onnx::TensorProto::INT8, {2, 4}, "\x01\x01\x01\x01\x02\x02\x02\x02");
  add_raw(proto, "z", onnx::TensorProto::INT8, {2}, std::string("\x00\x00", 2));
  add_raw(proto, "t", onnx::TensorProto::FLOAT, {}, std::string("\x00\x00\x80\x3f", 4));
  EXPECT_EQ(run(proto), (std::vector<float>{5, 0}));
}

}  // namespace
}  // namespace octavo
