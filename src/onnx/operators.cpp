#include <algorithm>
#include <utility>

#include "importer.h"
#include "octavo/core/error.h"

namespace octavo::onnx_format {
namespace {

Tensor constant_tensor(NodeReader& reader) {
  if (const onnx::TensorProto* proto = reader.attributes.tensor("value")) {
    try {
      return reader.importer.read(*proto, reader.what);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kUnsupported) throw;
      throw Unsupported{std::string(error.what()).substr(reader.what.size() + 2)};
    }
  }
  if (reader.attributes.has("value_float"))
    return Tensor::from<float>({}, std::vector{reader.attributes.real("value_float", 0)});
  if (reader.attributes.has("value_floats")) {
    const std::vector<float> values = reader.attributes.reals("value_floats");
    return Tensor::from<float>({static_cast<std::int64_t>(values.size())}, values);
  }
  if (reader.attributes.has("value_int"))
    return Tensor::from<std::int64_t>({}, std::vector{reader.attributes.integer("value_int", 0)});
  if (reader.attributes.has("value_ints")) {
    const std::vector<std::int64_t> values = *reader.attributes.integers("value_ints");
    return Tensor::from<std::int64_t>({static_cast<std::int64_t>(values.size())}, values);
  }
  throw Unsupported{"a value of another kind"};
}

void convert_constant(NodeReader& reader) {
  auto tensor = std::make_shared<Tensor>(constant_tensor(reader));
  reader.define(Constant{reader.node.output(0), std::move(tensor), {}});
}

/// Computed by fold_constants(), or not at all.
void convert_shape_arithmetic(NodeReader&) { throw Unsupported{"of what is not constant"}; }

struct Entry {
  std::string_view op_type;
  Converter converter;
};

constexpr Entry kConverters[] = {
    {"Add", convert_binary},
    {"AveragePool", convert_pool},
    {"BatchNormalization", convert_batch_normalization},
    {"Cast", convert_cast},
    {"Clip", convert_clip},
    {"Concat", convert_concat},
    {"Constant", convert_constant},
    {"ConstantOfShape", convert_shape_arithmetic},
    {"Conv", convert_conv},
    {"DequantizeLinear", convert_dequantize_linear},
    {"Div", convert_binary},
    {"Dropout", convert_dropout},
    {"Erf", convert_unary},
    {"Flatten", convert_flatten},
    {"Floor", convert_shape_arithmetic},
    {"Gather", convert_shape_arithmetic},
    {"Gemm", convert_gemm},
    {"GlobalAveragePool", convert_global_pool},
    {"GlobalMaxPool", convert_global_pool},
    {"HardSigmoid", convert_scalar_unary},
    {"HardSwish", convert_unary},
    {"Identity", convert_identity},
    {"LeakyRelu", convert_scalar_unary},
    {"LogSoftmax", convert_softmax},
    {"MatMul", convert_matmul},
    {"MaxPool", convert_pool},
    {"Mul", convert_binary},
    {"PRelu", convert_prelu},
    {"Pad", convert_pad},
    {"Pow", convert_pow},
    {"QLinearConv", convert_qlinear_conv},
    {"QLinearMatMul", convert_qlinear_matmul},
    {"QuantizeLinear", convert_quantize_linear},
    {"ReduceMean", convert_reduce_mean},
    {"Relu", convert_unary},
    {"Reshape", convert_reshape},
    {"Shape", convert_shape_arithmetic},
    {"Sigmoid", convert_unary},
    {"Slice", convert_slice},
    {"Softmax", convert_softmax},
    {"Split", convert_split},
    {"Sqrt", convert_unary},
    {"Squeeze", convert_squeeze},
    {"Sub", convert_binary},
    {"Transpose", convert_transpose},
    {"Unsqueeze", convert_unsqueeze},
};

/// ONNX Runtime's own, in the files that its quantizer writes.
constexpr Entry kMicrosoftConverters[] = {
    {"DequantizeLinear", convert_dequantize_linear},    {"QLinearAdd", convert_qlinear_binary},
    {"QLinearAveragePool", convert_qlinear_pool},       {"QLinearConcat", convert_qlinear_concat},
    {"QLinearGlobalAveragePool", convert_qlinear_pool}, {"QLinearMul", convert_qlinear_binary},
    {"QuantizeLinear", convert_quantize_linear},
};

}  // namespace

Converter find_converter(const onnx::NodeProto& node) {
  const auto find = [&](const auto& entries) -> Converter {
    const auto* found = std::ranges::find(entries, std::string_view(node.op_type()), &Entry::op_type);
    return found == std::end(entries) ? nullptr : found->converter;
  };
  if (node.domain() == "com.microsoft") return find(kMicrosoftConverters);
  return node.domain().empty() || node.domain() == "ai.onnx" ? find(kConverters) : nullptr;
}

std::string supported_operators() {
  std::string names;
  for (const Entry& entry : kConverters) names += (names.empty() ? "" : ", ") + std::string(entry.op_type);
  return names;
}

}  // namespace octavo::onnx_format
