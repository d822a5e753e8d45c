/// QOperator files: operators that read and make integers, each with the parameters of all its operands. Here
/// they become the float operator and annotations, as if QuantizeLinear and DequantizeLinear stood around it.
#include <fmt/format.h>

#include "converters.h"
#include "importer.h"
#include "layers.h"
#include "octavo/core/error.h"
#include "quantization.h"

namespace octavo::onnx_format {
namespace {

/// The value behind an integer operand whose parameters follow it, annotated.
ValueId quantized_operand(NodeReader& reader, int index) {
  const Integers* integers = std::get_if<Integers>(&reader.operand(index));
  if (!integers) throw Unsupported{fmt::format("input {} is not a quantized tensor", index)};
  if (!integers->view.plain()) throw Unsupported{fmt::format("input {} {}", index, describe(integers->view))};
  const QuantParams params =
      read_activation_params(reader, {.scale = index + 1, .zero_point = index + 2, .axis = {}});
  if (params.scales != integers->quant.scales || params.zero_points != integers->quant.zero_points)
    throw Unsupported{fmt::format("input {} is quantized with another scale or zero point", index)};
  reader.importer.annotate(*integers);
  return integers->id;
}

/// Emits the operator and defines its integers, whose parameters are the operands from `scale` on.
void emit_integers(NodeReader& reader, int scale, Op op, std::vector<ValueId> inputs,
                   Attributes attributes = {}) {
  const QuantParams quant =
      read_activation_params(reader, {.scale = scale, .zero_point = scale + 1, .axis = {}});
  const ValueId id = reader.emit(op, std::move(inputs), std::move(attributes));
  reader.define(Integers{id, quant});
}

/// A constant of integers with the parameters that follow it: a row of them lies along `axis`.
Constant quantized_weight(NodeReader& reader, int index, std::int64_t axis) {
  Constant weight = reader.constant(index);
  const DType dtype = weight.tensor->dtype();
  if (weight.quant || (dtype != DType::kInt8 && dtype != DType::kUInt8))
    reader.fail(fmt::format("input {} is {}; expected int8 or uint8", index, to_string(dtype)));
  const bool row = reader.real(index + 1).rank() == 1 && reader.real(index + 1).size() != 1;
  ParamOperands operands{.scale = index + 1, .zero_point = index + 2, .axis = {}};
  if (row) operands.axis = axis;
  weight.quant = read_params(reader, weight.tensor->shape(), dtype, operands);
  if (weight.quant->dtype != dtype) reader.fail("a weight and its zero point of different types");
  return weight;
}

/// Tells apart what one tensor becomes with several scales.
std::string scale_key(const NodeReader& reader, int index) {
  return reader.node.input(index + 1) + " " + (reader.has(index + 2) ? reader.node.input(index + 2) : "");
}

/// An int32 bias at scale_x * scale_w, operand `index`, of `channels` outputs.
ValueId int32_bias(NodeReader& reader, int index, ValueId x, const Constant& weight, std::int64_t channels,
                   const std::string& key) {
  Constant bias = reader.constant(index);
  if (bias.quant || bias.tensor->dtype() != DType::kInt32) reader.fail("the bias is not int32");
  const QuantParams& w = *weight.quant;
  const float scale_x = reader.importer.graph().value(x).quant->scale();
  bias.quant = QuantParams{.scales = {},
                           .zero_points = std::vector<std::int32_t>(w.scales.size(), 0),
                           .axis = w.per_channel() ? 0 : QuantParams::kPerTensor,
                           .dtype = DType::kInt32,
                           .qmin = std::numeric_limits<std::int32_t>::min(),
                           .qmax = std::numeric_limits<std::int32_t>::max()};
  for (const float scale : w.scales) bias.quant->scales.push_back(scale_x * scale);
  validate(*bias.quant, reader.what + ": bias");
  if (bias.tensor->shape() != Shape{channels}) reader.fail("the bias has another number of channels");
  return bias_value(reader, bias, channels, 1.0F, key + " " + reader.node.input(1));
}

/// x, w and y, each with scale and zero point (of x after x), then an int32 bias at scale_x * scale_w.
void convert_qlinear_conv(NodeReader& reader) {
  const ValueId x = quantized_operand(reader, 0);
  const Constant weight = quantized_weight(reader, 3, 0);
  const ConvAttributes a = read_conv(reader, reader.importer.graph().value(x).shape, *weight.tensor);
  const std::string key = scale_key(reader, 3);
  std::vector<ValueId> inputs{x, weight_value(reader, weight, {}, key)};
  if (reader.has(8)) inputs.push_back(int32_bias(reader, 8, x, weight, weight.tensor->dim(0), key));
  emit_integers(reader, 6, Op::kConv, std::move(inputs), a);
}

/// a [N, K] and b, each with scale and zero point, an int32 bias, then scale and zero point of the result.
void convert_qgemm(NodeReader& reader) {
  const ValueId x = quantized_operand(reader, 0);
  if (reader.attributes.integer("transA", 0) != 0)
    throw Unsupported{"transA 1, which mixes the images of a batch"};
  if (reader.attributes.real("alpha", 1.0F) != 1.0F) throw Unsupported{"alpha other than 1"};
  if (!reader.has(7)) throw Unsupported{"a result in float"};
  const bool transposed = reader.attributes.integer("transB", 0) == 0;
  const std::size_t axis = transposed ? 1 : 0;
  const Constant weight = quantized_weight(reader, 3, static_cast<std::int64_t>(axis));
  if (weight.tensor->rank() != 2) reader.fail("the weight has not two dimensions");
  if (reader.importer.graph().value(x).shape.size() != 2)
    throw Unsupported{"input of other than 2 dimensions"};
  const std::string key = scale_key(reader, 3);
  std::vector<ValueId> inputs{x, weight_value(reader, weight, {.axis = axis, .transposed = transposed}, key)};
  if (reader.has(6)) inputs.push_back(int32_bias(reader, 6, x, weight, weight.tensor->dim(axis), key));
  emit_integers(reader, 7, Op::kGemm, std::move(inputs));
}

/// a [N, ..., K] by a constant b [K, M], whose scales may be one per column.
void convert_qlinear_matmul(NodeReader& reader) {
  const ValueId x = quantized_operand(reader, 0);
  const Constant weight = quantized_weight(reader, 3, 1);
  if (weight.tensor->rank() != 2)
    throw Unsupported{fmt::format("a constant of {} dimensions on the right", weight.tensor->rank())};
  const ValueId w = weight_value(reader, weight, {.axis = 1}, scale_key(reader, 3));
  emit_integers(reader, 6, Op::kMatMul, {x, w});
}

/// QLinearAdd and QLinearMul: a and b with scale and zero point each, then those of the result.
template <Op kOp>
void convert_qlinear_binary(NodeReader& reader) {
  const ValueId a = quantized_operand(reader, 0);
  const ValueId b = quantized_operand(reader, 3);
  emit_integers(reader, 6, kOp, {a, b});
}

void expect_channels_first(NodeReader& reader) {
  if (reader.attributes.integer("channels_last", 0) != 0) throw Unsupported{"channels_last 1"};
}

void convert_qlinear_average_pool(NodeReader& reader) {
  const ValueId x = quantized_operand(reader, 0);
  expect_channels_first(reader);
  emit_integers(reader, 3, Op::kAveragePool, {x},
                read_average_pool(reader, reader.importer.graph().value(x).shape));
}

void convert_qlinear_global_average_pool(NodeReader& reader) {
  const ValueId x = quantized_operand(reader, 0);
  expect_channels_first(reader);
  emit_integers(reader, 3, Op::kGlobalAveragePool, {x});
}

/// The result's scale and zero point, then every operand with its own.
void convert_qlinear_concat(NodeReader& reader) {
  std::vector<ValueId> inputs;
  for (int i = 2; i + 2 < reader.node.input_size(); i += 3) inputs.push_back(quantized_operand(reader, i));
  if (inputs.empty()) reader.fail("has no input");
  const std::size_t rank = reader.importer.graph().value(inputs[0]).shape.size();
  const std::int64_t wanted = reader.attributes.integer("axis", 1);
  const std::size_t axis = reader.axis(wanted, rank);
  if (axis == 0) throw Unsupported{fmt::format("axis {}, which is the batch", wanted)};
  emit_integers(reader, 0, Op::kConcat, std::move(inputs), AxisAttributes{static_cast<std::int64_t>(axis)});
}

}  // namespace

std::span<const ConverterEntry> standard_qlinear_converters() {
  static constexpr ConverterEntry kEntries[] = {
      {"QLinearConv", convert_qlinear_conv},
      {"QLinearMatMul", convert_qlinear_matmul},
  };
  return kEntries;
}

std::span<const ConverterEntry> qlinear_converters() {
  static constexpr ConverterEntry kEntries[] = {
      {"QGemm", convert_qgemm},
      {"QLinearAdd", convert_qlinear_binary<Op::kAdd>},
      {"QLinearAveragePool", convert_qlinear_average_pool},
      {"QLinearConcat", convert_qlinear_concat},
      {"QLinearGlobalAveragePool", convert_qlinear_global_average_pool},
      {"QLinearMul", convert_qlinear_binary<Op::kMul>},
  };
  return kEntries;
}

}  // namespace octavo::onnx_format
