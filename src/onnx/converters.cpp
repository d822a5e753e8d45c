#include "converters.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "importer.h"
#include "octavo/core/error.h"

namespace octavo::onnx_format {
namespace {

Tensor constant_tensor(NodeReader& reader) {
  const onnx::TensorProto* dense = reader.attributes.tensor("value");
  const onnx::SparseTensorProto* sparse = dense ? nullptr : reader.attributes.sparse_tensor("sparse_value");
  if (dense || sparse) {
    try {
      return dense ? reader.importer.read(*dense, reader.what)
                   : reader.importer.read_sparse(*sparse, reader.what);
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
  const onnx::TensorProto* proto = reader.attributes.tensor("value");
  reader.define(Constant{reader.node.output(0), std::move(tensor), {}, proto ? proto->data_type() : 0});
}

/// Computed by fold_constants(), or not at all.
void convert_shape_arithmetic(NodeReader&) { throw Unsupported{"of what is not constant"}; }

/// The unary operator that ONNX calls so and that is read by its row of the table: no operands beside x.
const OperatorInfo* table_unary(std::string_view op_type) {
  const auto all = operators();
  const auto found = std::ranges::find(all, op_type, &OperatorInfo::name);
  if (found == all.end() || found->form != Form::kUnary || found->since_opset == 0) return nullptr;
  return &*found;
}

void convert_unary(NodeReader& reader) {
  const OperatorInfo& info = *table_unary(reader.node.op_type());
  Attributes attributes;
  if (!info.scalars[0].name.empty()) {
    std::array<float, 2> values{};
    for (std::size_t i = 0; i < values.size(); ++i) {
      const ScalarInfo& scalar = info.scalars[i];
      if (scalar.name.empty()) continue;
      values[i] = reader.attributes.real(std::string(scalar.name), scalar.otherwise);
      if (!std::isfinite(values[i])) reader.fail(fmt::format("attribute '{}' is not finite", scalar.name));
    }
    attributes = ScalarAttributes{.alpha = values[0], .beta = values[1]};
  }
  // Of Gelu: another function.
  if (info.op == Op::kGelu && reader.attributes.text("approximate", "none") != "none")
    throw Unsupported{"an approximation"};
  reader.emit(info.op, {reader.viewed(0).id}, std::move(attributes));
}

/// What ONNX Runtime makes of an Add of a row in front of Gelu.
void convert_bias_gelu(NodeReader& reader) {
  const Flow x = reader.viewed(0);
  const ValueId bias = reader.real_value_in_view(1, reader.rank(x));
  reader.emit(Op::kGelu, {reader.emit_inner("_sum", Op::kAdd, {x.id, bias})});
}

/// Of ONNX's own domain; what comes first in several is taken.
std::vector<std::span<const ConverterEntry>> standard_converters() {
  return {layer_converters(),     elementwise_converters(),   move_converters(),
          constant_converters(),  normalization_converters(), rearrangement_converters(),
          window_converters(),    einsum_converters(),        reduction_converters(),
          expansion_converters(), quantization_converters(),  standard_qlinear_converters(),
          attention_converters()};
}

Converter find(std::string_view op_type, const std::vector<std::span<const ConverterEntry>>& files) {
  for (const auto& entries : files) {
    const auto found = std::ranges::find(entries, op_type, &ConverterEntry::op_type);
    if (found != entries.end()) return found->converter;
  }
  return nullptr;
}

}  // namespace

std::span<const ConverterEntry> constant_converters() {
  static constexpr ConverterEntry kEntries[] = {
      {"Constant", convert_constant},
      {"And", convert_shape_arithmetic},
      {"ConstantOfShape", convert_shape_arithmetic},
      {"Equal", convert_shape_arithmetic},
      {"Greater", convert_shape_arithmetic},
      {"GreaterOrEqual", convert_shape_arithmetic},
      {"Less", convert_shape_arithmetic},
      {"LessOrEqual", convert_shape_arithmetic},
      {"Mod", convert_shape_arithmetic},
      {"Not", convert_shape_arithmetic},
      {"Or", convert_shape_arithmetic},
      {"Range", convert_shape_arithmetic},
      {"ScatterND", convert_shape_arithmetic},
      {"Shape", convert_shape_arithmetic},
      {"Where", convert_shape_arithmetic},
      {"CumSum", convert_shape_arithmetic},
      {"ReduceMin", convert_shape_arithmetic},
      {"ReduceProd", convert_shape_arithmetic},
      {"OneHot", convert_shape_arithmetic},
  };
  return kEntries;
}

Converter find_converter(const onnx::NodeProto& node) {
  const std::string& type = node.op_type();
  if (node.domain() == "com.microsoft") {
    if (type == "Gelu") return convert_unary;
    if (type == "BiasGelu") return convert_bias_gelu;
    return find(type, {qlinear_converters(), fused_converters(), fused_normalization_converters(),
                       quantization_converters()});
  }
  if (!node.domain().empty() && node.domain() != "ai.onnx") return nullptr;
  if (const Converter converter = find(type, standard_converters())) return converter;
  return table_unary(type) ? convert_unary : nullptr;
}

}  // namespace octavo::onnx_format
