/// ONNX's own conformance data (Debian: libonnx-testdata): one node, its inputs, the output it must give.
/// Operands are graph inputs there; here all but the first become initializers, as in a classifier.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>

#include "octavo/core/file.h"
#include "octavo/onnx/onnx.h"
#include "octavo/runtime/reference.h"
#include "onnx/protos.h"

namespace octavo {
namespace {

namespace fs = std::filesystem;
const fs::path kData = "/usr/share/libonnx-testdata/data";

onnx::TensorProto read_pb(const fs::path& path) {
  onnx::TensorProto proto;
  const std::vector<std::byte> bytes = read_file(path);
  if (!proto.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
    throw std::runtime_error(path.string());
  return proto;
}

std::vector<float> floats(const onnx::TensorProto& proto) {
  if (!proto.has_raw_data()) return {proto.float_data().begin(), proto.float_data().end()};
  std::vector<float> values(proto.raw_data().size() / sizeof(float));
  std::memcpy(values.data(), proto.raw_data().data(), proto.raw_data().size());
  return values;
}

/// The classifier around the node, and the input to give it.
struct Case {
  onnx::ModelProto model;
  Tensor input;
  std::vector<float> expected;
};

Case read_case(const std::string& name) {
  const fs::path folder = kData / name;
  Case result{.model = test::from_bytes(read_file(folder / "model.onnx")), .input = {}, .expected = {}};
  // pytorch-converted is opset 6, whose operators used here are those of opset 7.
  auto& opset = *result.model.mutable_opset_import(0);
  if (opset.version() < 7) opset.set_version(7);
  onnx::GraphProto& graph = *result.model.mutable_graph();
  std::vector<onnx::ValueInfoProto> inputs;
  for (const auto& input : graph.input()) {
    const bool known = std::ranges::any_of(graph.initializer(),
                                           [&](const auto& tensor) { return tensor.name() == input.name(); });
    if (!known) inputs.push_back(input);
  }
  for (std::size_t i = 1; i < inputs.size(); ++i) {
    onnx::TensorProto tensor = read_pb(folder / ("test_data_set_0/input_" + std::to_string(i) + ".pb"));
    tensor.set_name(inputs[i].name());
    *graph.add_initializer() = tensor;
  }
  const onnx::TensorProto first = read_pb(folder / "test_data_set_0/input_0.pb");
  Shape shape(first.dims().begin(), first.dims().end());
  if (shape.size() == 2) {
    // A matrix: images of one pixel, flattened.
    onnx::NodeProto flatten;
    flatten.set_op_type("Flatten");
    flatten.add_input("image");
    flatten.add_output(inputs[0].name());
    for (auto& input : *graph.mutable_input()) {
      if (input.name() == inputs[0].name()) input.set_name("image");
    }
    const auto nodes = graph.node();
    graph.clear_node();
    *graph.add_node() = flatten;
    graph.mutable_node()->MergeFrom(nodes);
    shape.insert(shape.end(), {1, 1});
    auto& dims = *graph.mutable_input(0)->mutable_type()->mutable_tensor_type()->mutable_shape();
    dims.add_dim()->set_dim_value(1);
    dims.add_dim()->set_dim_value(1);
  }
  result.input = Tensor::from<float>(shape, floats(first));
  result.expected = floats(read_pb(folder / "test_data_set_0/output_0.pb"));
  return result;
}

class Conformance : public testing::TestWithParam<const char*> {};

TEST_P(Conformance, ImportedNodeGivesTheExpectedOutput) {
  if (!fs::exists(kData))
    GTEST_SKIP() << "ONNX's test data are not installed; run: apt-get install libonnx-testdata";
  const Case data = read_case(GetParam());
  const Graph graph = test::import_model(data.model);
  const Tensor output = interpret(graph, data.input);
  ASSERT_EQ(output.size(), static_cast<std::int64_t>(data.expected.size()));
  for (std::size_t i = 0; i < data.expected.size(); ++i) {
    // Sums of at most a few hundred products in another order.
    EXPECT_NEAR(output.data<float>()[i], data.expected[i],
                1e-4F * std::max(1.0F, std::abs(data.expected[i])));
  }
  const Graph again = parse_onnx(serialize_onnx(graph), "again.onnx");
  EXPECT_EQ(again, graph);
}

INSTANTIATE_TEST_SUITE_P(
    Onnx, Conformance,
    testing::Values(
        "node/test_basic_conv_with_padding", "node/test_basic_conv_without_padding",
        "node/test_conv_with_autopad_same", "node/test_conv_with_strides_and_asymmetric_padding",
        "node/test_conv_with_strides_no_padding", "node/test_conv_with_strides_padding",
        "node/test_batchnorm_example", "node/test_batchnorm_epsilon", "node/test_averagepool_2d_ceil",
        "node/test_averagepool_2d_default", "node/test_averagepool_2d_pads",
        "node/test_averagepool_2d_pads_count_include_pad", "node/test_averagepool_2d_precomputed_pads",
        "node/test_averagepool_2d_precomputed_pads_count_include_pad",
        "node/test_averagepool_2d_precomputed_same_upper", "node/test_averagepool_2d_precomputed_strides",
        "node/test_averagepool_2d_same_lower", "node/test_averagepool_2d_same_upper",
        "node/test_averagepool_2d_strides", "node/test_maxpool_2d_ceil", "node/test_maxpool_2d_default",
        "node/test_maxpool_2d_pads", "node/test_maxpool_2d_precomputed_pads",
        "node/test_maxpool_2d_precomputed_same_upper", "node/test_maxpool_2d_precomputed_strides",
        "node/test_maxpool_2d_same_lower", "node/test_maxpool_2d_same_upper", "node/test_maxpool_2d_strides",
        "node/test_globalaveragepool", "node/test_globalaveragepool_precomputed", "node/test_flatten_axis1",
        "node/test_flatten_default_axis", "node/test_flatten_negative_axis3", "node/test_gemm_alpha",
        "node/test_gemm_default_no_bias", "node/test_gemm_default_scalar_bias",
        "node/test_gemm_default_single_elem_vector_bias", "node/test_gemm_default_vector_bias",
        "node/test_gemm_default_zero_bias", "node/test_gemm_transposeB", "node/test_matmul_2d",
        "pytorch-converted/test_Conv2d", "pytorch-converted/test_Conv2d_depthwise",
        "pytorch-converted/test_Conv2d_depthwise_padded", "pytorch-converted/test_Conv2d_depthwise_strided",
        "pytorch-converted/test_Conv2d_depthwise_with_multiplier", "pytorch-converted/test_Conv2d_dilated",
        "pytorch-converted/test_Conv2d_groups", "pytorch-converted/test_Conv2d_no_bias",
        "pytorch-converted/test_Conv2d_padding", "pytorch-converted/test_Conv2d_strided",
        "pytorch-converted/test_MaxPool2d", "pytorch-converted/test_AvgPool2d",
        "pytorch-converted/test_AvgPool2d_stride"),
    [](const testing::TestParamInfo<const char*>& param_info) {
      std::string name = param_info.param;
      std::ranges::replace_if(
          name, [](char c) { return c == '/' || c == '-'; }, '_');
      return name;
    });

}  // namespace
}  // namespace octavo
