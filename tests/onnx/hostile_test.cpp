#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cstring>
#include <filesystem>
#include <limits>
#include <map>
#include <random>

#include "octavo/core/file.h"
#include "octavo/core/temporary_folder.h"
#include "octavo/onnx/onnx.h"
#include "onnx/models.h"
#include "onnx/protos.h"

namespace octavo {
namespace {

using test::import_error;
using testing::HasSubstr;
using testing::StartsWith;

/// A small model that imports: Conv, Flatten, Gemm.
onnx::ModelProto good_model() {
  return test::model_from_text(
      "<ir_version: 7, opset_import: [\"\" : 13]> g (float[N,1,2,2] x) => (float[N,2] y) "
      "<float[1,1,1,1] k = {2}, float[2,4] w = {1,2,3,4,5,6,7,8}> {"
      "c = Conv(x, k) f = Flatten(c) y = Gemm<transB=1>(f, w) }");
}

std::vector<std::byte> bytes_of(const std::string& text) {
  std::vector<std::byte> bytes(text.size());
  std::memcpy(bytes.data(), text.data(), text.size());
  return bytes;
}

/// import_error, with what the library wrote to standard error in the meantime.
std::string import_quietly(const std::vector<std::byte>& bytes) {
  testing::internal::CaptureStderr();
  const std::string error = import_error(bytes);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  return error;
}

TEST(Hostile, GoodModelImports) { EXPECT_EQ(import_error(good_model()), ""); }

TEST(Hostile, EmptyAndForeignFilesAreBadInput) {
  EXPECT_EQ(import_quietly({}), "3: test.onnx: not an ONNX model, or cut short; got 0 bytes");
  EXPECT_THAT(import_quietly(bytes_of("PK\x03\x04 a zip archive")),
              StartsWith("3: test.onnx: not an ONNX model"));
  EXPECT_THAT(import_quietly(bytes_of("plain text, of no use")),
              StartsWith("3: test.onnx: not an ONNX model"));
  EXPECT_THAT(import_quietly(std::vector<std::byte>(4096)), StartsWith("3: test.onnx: not an ONNX model"));
}

TEST(Hostile, EveryTruncationIsAnError) {
  for (const Graph& graph : {test::every_operator(), test::quantized(test::every_operator())}) {
    const std::vector<std::byte> bytes = serialize_onnx(graph);
    // The model's last fields are opset and metadata: without the latter alone, a file is whole.
    const std::size_t needed = test::to_bytes([&] {
                                 onnx::ModelProto model = test::from_bytes(bytes);
                                 model.clear_metadata_props();
                                 return model;
                               }())
                                   .size();
    for (std::size_t size = 0; size < needed; size += 1 + size / 50) {
      const std::vector<std::byte> cut(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
      EXPECT_THAT(import_quietly(cut), testing::MatchesRegex("[34]: test.onnx: .*")) << size;
    }
  }
}

TEST(Hostile, DamagedBytesNeverCrash) {
  const std::vector<std::byte> bytes = serialize_onnx(test::quantized(test::every_operator()));
  std::mt19937 generator(1);
  int refused = 0;
  for (int i = 0; i < 2000; ++i) {
    std::vector<std::byte> damaged = bytes;
    for (int k = 0; k < 1 + i % 4; ++k)
      damaged[generator() % damaged.size()] = static_cast<std::byte>(generator());
    const std::string error = import_error(damaged);
    EXPECT_THAT(error, testing::AnyOf("", StartsWith("3: test.onnx: "), StartsWith("4: test.onnx: ")));
    refused += error.empty() ? 0 : 1;
  }
  EXPECT_GT(refused, 100);
}

TEST(Hostile, MissingFileIsAnIoError) {
  try {
    load_onnx("/nonexistent/model.onnx");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kIo);
    EXPECT_THAT(error.what(), HasSubstr("/nonexistent/model.onnx"));
  }
}

TEST(Hostile, FileIsNamedInTheError) {
  const TemporaryFolder folder;
  const auto path = folder / "no-model.onnx";
  write_file(path, std::string_view("no model"));
  try {
    load_onnx(path);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kBadInput);
    EXPECT_THAT(error.what(), StartsWith(path.string() + ": not an ONNX model"));
  }
}

TEST(Hostile, CyclesAreBadInputAndDisorderIsNot) {
  onnx::ModelProto model = good_model();
  model.mutable_graph()->mutable_node(0)->set_input(0, "f");
  EXPECT_THAT(import_error(model), HasSubstr("before it is made; expected no cycles"));
  model = good_model();
  model.mutable_graph()->mutable_node()->SwapElements(0, 1);
  EXPECT_EQ(import_error(model), "");
  model = good_model();
  model.mutable_graph()->mutable_node(0)->set_input(0, "c");
  EXPECT_THAT(import_error(model), HasSubstr("reads 'c' before it is made"));
}

// The search for an ArgMax at the end goes by way of Casts.
TEST(Hostile, CycleBeforeTheOutputIsBadInput) {
  onnx::ModelProto model = good_model();
  onnx::NodeProto& cast = *model.mutable_graph()->add_node();
  cast.set_op_type("Cast");
  cast.add_input("round");
  cast.add_output("round");
  model.mutable_graph()->mutable_output(0)->set_name("round");
  EXPECT_THAT(import_error(model), HasSubstr("expected no cycles"));
}

TEST(Hostile, MissingTensorsAreBadInput) {
  onnx::ModelProto model = good_model();
  model.mutable_graph()->mutable_initializer(0)->set_name("other");
  EXPECT_THAT(import_error(model), HasSubstr("reads 'k', which no node, input or initializer makes"));
  model = good_model();
  model.mutable_graph()->mutable_node(0)->mutable_input()->RemoveLast();
  EXPECT_THAT(import_error(model), HasSubstr("3: test.onnx: node 'Conv_0' (Conv): input 1 is missing"));
  model = good_model();
  model.mutable_graph()->mutable_node(2)->set_output(0, "z");
  EXPECT_THAT(import_error(model), HasSubstr("nothing makes the output 'y'"));
  model = good_model();
  model.mutable_graph()->mutable_node(0)->clear_output();
  EXPECT_NE(import_error(model), "");
  model = good_model();
  model.mutable_graph()->clear_input();
  EXPECT_THAT(import_error(model), HasSubstr("3: test.onnx: has no input"));
  model = good_model();
  model.mutable_graph()->clear_output();
  EXPECT_THAT(import_error(model), HasSubstr("3: test.onnx: has no output"));
}

TEST(Hostile, DuplicateNamesAreBadInput) {
  onnx::ModelProto model = good_model();
  *model.mutable_graph()->add_initializer() = model.graph().initializer(0);
  EXPECT_THAT(import_error(model), HasSubstr("two initializers are named 'k'"));
  model = good_model();
  model.mutable_graph()->mutable_node(1)->set_output(0, "c");
  EXPECT_THAT(import_error(model), HasSubstr("tensor 'c' is made twice"));
  model = good_model();
  model.mutable_graph()->mutable_node(0)->set_output(0, "x");
  EXPECT_THAT(import_error(model), HasSubstr("tensor 'x' is made twice"));
  model = good_model();
  auto& node = *model.mutable_graph()->mutable_node(2);
  *node.add_attribute() = node.attribute(0);
  EXPECT_THAT(import_error(model), HasSubstr("attribute 'transB' occurs twice"));
}

TEST(Hostile, SizesAreCheckedBeforeAnythingIsAllocated) {
  for (const std::int64_t dim : {std::int64_t{1} << 40, std::int64_t{1} << 62, std::int64_t{1} << 30}) {
    onnx::ModelProto model = good_model();
    model.mutable_graph()->mutable_initializer(1)->set_dims(0, dim);
    EXPECT_THAT(import_error(model), HasSubstr("3: test.onnx: initializer 'w': ")) << dim;
  }
  onnx::ModelProto model = good_model();
  model.mutable_graph()->mutable_initializer(1)->set_dims(0, -2);
  EXPECT_THAT(import_error(model), HasSubstr("expected none below 0"));
  model.mutable_graph()->mutable_initializer(1)->set_dims(0, 3);
  EXPECT_THAT(import_error(model), HasSubstr("shape [3, 4] needs 12 values, got 8"));
  // Zero elements, and dimensions that no count of elements shows.
  model.mutable_graph()->mutable_initializer(1)->set_dims(0, 0);
  model.mutable_graph()->mutable_initializer(1)->set_dims(1, std::int64_t{1} << 50);
  model.mutable_graph()->mutable_initializer(1)->clear_float_data();
  EXPECT_THAT(import_error(model), HasSubstr("less than 2^31 elements"));
}

TEST(Hostile, HugeInputsAndWindowsAreBadInput) {
  const auto with_dim = [](int index, std::int64_t dim) {
    onnx::ModelProto model = good_model();
    model.mutable_graph()
        ->mutable_input(0)
        ->mutable_type()
        ->mutable_tensor_type()
        ->mutable_shape()
        ->mutable_dim(index)
        ->set_dim_value(dim);
    return import_error(model);
  };
  EXPECT_THAT(with_dim(2, std::numeric_limits<std::int64_t>::max()), StartsWith("3: test.onnx: input 'x'"));
  EXPECT_THAT(with_dim(2, 0), StartsWith("3: test.onnx: input 'x'"));
  EXPECT_THAT(with_dim(3, -5), StartsWith("3: test.onnx: input 'x'"));
  const auto with_attribute = [](const std::string& name, std::vector<std::int64_t> values) {
    onnx::ModelProto model = good_model();
    onnx::AttributeProto& attribute = *model.mutable_graph()->mutable_node(0)->add_attribute();
    attribute.set_name(name);
    attribute.set_type(onnx::AttributeProto::INTS);
    for (const std::int64_t value : values) attribute.add_ints(value);
    return import_error(model);
  };
  constexpr std::int64_t kHuge = std::numeric_limits<std::int64_t>::max();
  EXPECT_THAT(with_attribute("pads", {kHuge, kHuge, kHuge, kHuge}), StartsWith("3: test.onnx: node"));
  EXPECT_THAT(with_attribute("strides", {0, 1}), StartsWith("3: test.onnx: node"));
  EXPECT_THAT(with_attribute("strides", {-1, 1}), StartsWith("3: test.onnx: node"));
  EXPECT_THAT(with_attribute("dilations", {kHuge, kHuge}), StartsWith("3: test.onnx: node"));
  EXPECT_THAT(with_attribute("kernel_shape", {3, 3}), StartsWith("3: test.onnx: node"));
  EXPECT_THAT(with_attribute("strides", {1}), StartsWith("4: test.onnx: "));
  EXPECT_THAT(with_attribute("group", {1}), HasSubstr("wrong type; expected INT, got INTS"));
}

TEST(Hostile, WrongRanksAndShapesAreRefused) {
  onnx::ModelProto model = good_model();
  model.mutable_graph()->mutable_initializer(0)->mutable_dims()->RemoveLast();
  EXPECT_THAT(import_error(model), HasSubstr("weight of shape [1, 1, 1]; expected 4 dimensions"));
  model = good_model();
  model.mutable_graph()->mutable_initializer(1)->set_dims(0, 4);
  model.mutable_graph()->mutable_initializer(1)->set_dims(1, 2);
  EXPECT_THAT(import_error(model),
              HasSubstr("3: test.onnx: node 'Gemm_2' (Gemm): weight [4, 2] does not fit"));
  model = good_model();
  for (int i = 0; i < 1000; ++i) model.mutable_graph()->mutable_initializer(0)->add_dims(1);
  EXPECT_THAT(import_error(model), HasSubstr("1004 dimensions"));
  model = good_model();
  model.mutable_graph()->mutable_node(2)->set_input(0, "c");
  EXPECT_THAT(import_error(model), StartsWith("4: test.onnx: 1 unsupported: "));
}

TEST(Hostile, NonFiniteWeightsAreBadInput) {
  for (const float value :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    onnx::ModelProto model = good_model();
    model.mutable_graph()->mutable_initializer(1)->set_float_data(3, value);
    EXPECT_THAT(import_error(model), HasSubstr("3: test.onnx: tensor 'w': holds a value that is not finite"));
  }
}

TEST(Hostile, VariancesWithoutARootAreBadInput) {
  const auto error = [](const std::string& variance, const std::string& epsilon) {
    return import_error(
        "<ir_version: 7, opset_import: [\"\" : 13]> g (float[N,1,2,2] x) => (float[N,1,2,2] y) "
        "<float[1] one = {1}, float[1] v = {" +
        variance + "}> { y = BatchNormalization<epsilon = " + epsilon + ">(x, one, one, one, v) }");
  };
  EXPECT_EQ(error("0", "0.00001"), "");
  EXPECT_THAT(error("-1", "0.00001"),
              HasSubstr("3: test.onnx: node 'BatchNormalization_0' (BatchNormalization): variance -1"));
  EXPECT_THAT(error("0", "0.0"), HasSubstr("expected a sum above 0"));
}

TEST(Hostile, RangesInTheMetadataAreTwoIntegers) {
  // As the weight's range is stored where its values do not show it.
  const Graph graph = test::quantized(test::every_operator());
  const onnx::ModelProto model = test::from_bytes(serialize_onnx(graph));
  const auto with_range = [&](const std::string& range) {
    onnx::ModelProto changed = model;
    for (const Value& value : graph.values) {
      if (!value.constant || !value.quant || value.quant->dtype != DType::kInt8) continue;
      auto& entry = *changed.add_metadata_props();
      entry.set_key("octavo.range." + value.name);
      entry.set_value(range);
    }
    return import_error(changed);
  };
  EXPECT_EQ(with_range("-128,127"), "");
  // The last two were read as numbers modulo 2^32 once, or with the blanks left out.
  for (const std::string wrong :
       {"", ",", "-128", "-128,", "-128,127,", "x,y", "-128;127", "-4294967424,4294967423", "-128, 127"})
    EXPECT_THAT(with_range(wrong), HasSubstr("expected two integers")) << wrong;
}

TEST(Hostile, ExternalDataAndForeignTypesAreUnsupported) {
  onnx::ModelProto model = good_model();
  model.mutable_graph()->mutable_initializer(1)->set_data_location(onnx::TensorProto::EXTERNAL);
  EXPECT_THAT(import_error(model),
              HasSubstr("4: test.onnx: 1 unsupported: initializer 'w' (its data are in another"));
  model = good_model();
  model.mutable_graph()->mutable_initializer(1)->set_data_type(onnx::TensorProto::STRING);
  EXPECT_THAT(import_error(model), HasSubstr("initializer 'w' (element type STRING"));
  model.mutable_graph()->mutable_initializer(1)->set_data_type(99);
  EXPECT_THAT(import_error(model), HasSubstr("initializer 'w' (element type 99"));
  model.mutable_graph()->mutable_initializer(1)->clear_data_type();
  EXPECT_THAT(import_error(model), HasSubstr("3: test.onnx: initializer 'w': has no element type"));
}

/// A folder with good_model(), whose weight w lies in "weights.bin" from byte 8 on.
class ExternalData : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directories(folder_ / "model" / "data");
    std::vector<std::byte> bytes(8);
    for (float x = 1; x <= 8; ++x) {
      const auto raw = std::bit_cast<std::array<std::byte, 4>>(x);
      bytes.insert(bytes.end(), raw.begin(), raw.end());
    }
    for (const char* where : {"weights.bin", "model/weights.bin", "model/data/weights.bin"})
      write_file(folder_ / where, bytes);
  }

  /// What load_onnx says of a model whose w has these entries; "" if it loads.
  std::string error(const std::map<std::string, std::string>& entries, std::int64_t rows = 2) const {
    onnx::ModelProto model = good_model();
    onnx::TensorProto& w = *model.mutable_graph()->mutable_initializer(1);
    w.clear_float_data();
    w.set_dims(0, rows);
    w.set_data_location(onnx::TensorProto::EXTERNAL);
    for (const auto& [key, value] : entries) {
      auto& entry = *w.add_external_data();
      entry.set_key(key);
      entry.set_value(value);
    }
    write_file(folder_ / "model" / "m.onnx", test::to_bytes(model));
    try {
      const Graph graph = load_onnx(folder_ / "model" / "m.onnx");
      EXPECT_EQ(graph.value(graph.nodes.back().inputs[1]).constant,
                test::import_model(good_model()).value(graph.nodes.back().inputs[1]).constant);
    } catch (const Error& error) {
      return std::to_string(error.exit_code()) + ": " + error.what();
    }
    return "";
  }

  TemporaryFolder temporary_;
  std::filesystem::path folder_ = temporary_.path();
};

TEST_F(ExternalData, TensorsBesideTheModelAreRead) {
  EXPECT_EQ(error({{"location", "weights.bin"}, {"offset", "8"}, {"length", "32"}}), "");
  EXPECT_EQ(error({{"location", "data/weights.bin"}, {"offset", "8"}}), "");
  EXPECT_EQ(error({{"location", "./data/weights.bin"}, {"offset", "8"}, {"checksum", "x"}}), "");
}

TEST_F(ExternalData, WhatLiesOutsideTheFolderIsBadInput) {
  EXPECT_THAT(error({{"location", "../weights.bin"}, {"offset", "8"}}), HasSubstr("a path with '..'"));
  EXPECT_THAT(error({{"location", "data/../weights.bin"}, {"offset", "8"}}), HasSubstr("a path with '..'"));
  EXPECT_THAT(error({{"location", (folder_ / "weights.bin").string()}, {"offset", "8"}}),
              HasSubstr("an absolute path"));
  std::filesystem::create_symlink(folder_ / "weights.bin", folder_ / "model" / "link.bin");
  EXPECT_THAT(error({{"location", "link.bin"}, {"offset", "8"}}), HasSubstr("a link that leaves the folder"));
  std::filesystem::create_directory_symlink(folder_, folder_ / "model" / "up");
  EXPECT_THAT(error({{"location", "up/weights.bin"}, {"offset", "8"}}), HasSubstr("a link that leaves"));
  std::filesystem::create_symlink("data/weights.bin", folder_ / "model" / "inside.bin");
  EXPECT_EQ(error({{"location", "inside.bin"}, {"offset", "8"}}), "");
  EXPECT_THAT(error({{"location", "data"}}), HasSubstr("3: "));
  EXPECT_THAT(error({{"location", ""}}), HasSubstr("no file name"));
  EXPECT_THAT(error({}), HasSubstr("no file name"));
  EXPECT_THAT(error({{"location", "missing.bin"}}), StartsWith("5: "));
}

TEST_F(ExternalData, SizesAreCheckedAgainstTheFile) {
  EXPECT_THAT(error({{"location", "weights.bin"}, {"offset", "9"}}), HasSubstr("need 32 bytes from 9 on"));
  EXPECT_THAT(error({{"location", "weights.bin"}, {"offset", "8"}, {"length", "16"}}),
              HasSubstr("needs 32 bytes, external data's length is 16"));
  for (const std::string wrong : {"-8", "x", "8x", "", "99999999999999999999", "0x8"})
    EXPECT_THAT(error({{"location", "weights.bin"}, {"offset", wrong}}), HasSubstr("offset reads")) << wrong;
  EXPECT_THAT(error({{"location", "weights.bin"}, {"offset", "9223372036854775807"}}),
              HasSubstr("bytes from"));
  // Half a gigabyte that is not there.
  EXPECT_THAT(error({{"location", "weights.bin"}}, std::int64_t{1} << 25), HasSubstr("weights.bin' has 40"));
}

TEST(Hostile, NamesCannotSteerTheTerminal) {
  onnx::ModelProto model = good_model();
  model.mutable_graph()->mutable_node(0)->set_name("\x1b[2J\nname" + std::string(100000, 'x'));
  model.mutable_graph()->mutable_node(0)->set_op_type("Evil\r");
  const std::string error = import_error(model);
  EXPECT_THAT(error, HasSubstr("'\\x1b[2J\\x0anamexxx"));
  EXPECT_THAT(error, HasSubstr("(Evil\\x0d,"));
  EXPECT_LT(error.size(), 1000U);
}

TEST(Hostile, ManyEqualNamesTakeLinearTime) {
  onnx::ModelProto model = good_model();
  onnx::GraphProto& graph = *model.mutable_graph();
  std::string last = "y";
  for (int i = 0; i < 50000; ++i) {
    onnx::NodeProto& node = *graph.add_node();
    node.set_op_type("Relu");
    node.set_name("same");
    node.add_input(last);
    last = fmt::format("r{}", i);
    node.add_output(last);
  }
  graph.mutable_output(0)->set_name(last);
  EXPECT_EQ(test::import_model(model).nodes.size(), 50003U);
}

TEST(Hostile, OneInitializerCannotGrowWithoutBound) {
  // A hundred dequantized copies of one tensor would take a hundred times the file.
  onnx::ModelProto model;
  model.set_ir_version(7);
  model.add_opset_import()->set_version(13);
  onnx::GraphProto& graph = *model.mutable_graph();
  *graph.add_input() = good_model().graph().input(0);
  test::add_initializer(model, "w", Tensor({4, 4, 16, 16}, DType::kInt8));
  test::add_initializer(model, "s", Tensor::from<float>({}, std::vector<float>{1}));
  const auto add = [&](const std::string& op, std::vector<std::string> inputs, const std::string& output) {
    onnx::NodeProto& node = *graph.add_node();
    node.set_op_type(op);
    for (const std::string& input : inputs) node.add_input(input);
    node.add_output(output);
  };
  std::string last = "x";
  graph.mutable_input(0)
      ->mutable_type()
      ->mutable_tensor_type()
      ->mutable_shape()
      ->mutable_dim(1)
      ->set_dim_value(4);
  for (int i = 2; i < 4; ++i) {
    graph.mutable_input(0)
        ->mutable_type()
        ->mutable_tensor_type()
        ->mutable_shape()
        ->mutable_dim(i)
        ->set_dim_value(3000);
  }
  for (int i = 0; i < 100; ++i) {
    add("DequantizeLinear", {"w", "s"}, fmt::format("w{}", i));
    add("Conv", {last, fmt::format("w{}", i)}, fmt::format("c{}", i));
    last = fmt::format("c{}", i);
  }
  graph.add_output()->set_name(last);
  EXPECT_THAT(import_error(model), HasSubstr("4: test.onnx: its constants expand"));
}

}  // namespace
}  // namespace octavo
