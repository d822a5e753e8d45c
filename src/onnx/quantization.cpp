#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "importer.h"
#include "octavo/core/error.h"

namespace octavo::onnx_format {
namespace {

IntegerRange container_range(DType dtype) {
  switch (dtype) {
    case DType::kUInt8:
      return {0, 255};
    case DType::kInt8:
      return {-128, 127};
    default:
      return {std::numeric_limits<std::int32_t>::min(), std::numeric_limits<std::int32_t>::max()};
  }
}

/// Integer constants of any container as int32.
std::vector<std::int32_t> widened(const NodeReader& reader, int index) {
  const Tensor& tensor = *reader.constant(index).tensor;
  reader.importer.budget().work(tensor.size_bytes());
  const auto copy = [](auto values) { return std::vector<std::int32_t>(values.begin(), values.end()); };
  switch (tensor.dtype()) {
    case DType::kInt8:
      return copy(tensor.data<std::int8_t>());
    case DType::kUInt8:
      return copy(tensor.data<std::uint8_t>());
    case DType::kInt32:
      return copy(tensor.data<std::int32_t>());
    default:
      reader.fail(
          fmt::format("input {} is {}; expected int8, uint8 or int32", index, to_string(tensor.dtype())));
  }
}

/// uint8 weights as int8: both integers and zero point 128 lower.
void make_signed(Tensor& tensor, QuantParams& quant) {
  Tensor result(tensor.shape(), DType::kInt8);
  const auto source = std::as_const(tensor).data<std::uint8_t>();
  std::ranges::transform(source, result.data<std::int8_t>().begin(),
                         [](std::uint8_t q) { return static_cast<std::int8_t>(q - 128); });
  tensor = std::move(result);
  for (std::int32_t& zero_point : quant.zero_points) zero_point -= 128;
  quant.dtype = DType::kInt8;
}

/// Whether the contract has a place for a weight's integers.
bool fits_contract(const Tensor& tensor, const QuantParams& quant, const WeightForm& form) {
  if (quant.dtype == DType::kInt32 || !(form.alpha > 0)) return false;
  if (quant.per_channel() && quant.axis != static_cast<int>(form.axis)) return false;
  const std::int32_t middle = tensor.dtype() == DType::kUInt8 ? 128 : 0;
  return std::ranges::all_of(quant.zero_points, [&](std::int32_t z) { return z == middle; });
}

Importer::Made make_weight(const NodeReader& reader, const Constant& constant, const WeightForm& form) {
  Importer::Made made{reader.importer.take(constant), constant.quant};
  if (made.quant && !fits_contract(made.tensor, *made.quant, form)) {
    made.tensor = dequantize(made.tensor, *made.quant);
    made.quant.reset();
  }
  if (!made.quant) {
    if (made.tensor.dtype() != DType::kFloat32)
      reader.fail(fmt::format("weight is {}; expected float32", to_string(made.tensor.dtype())));
    if (form.alpha != 1.0F) {
      for (float& w : made.tensor.data<float>()) w *= form.alpha;
    }
  } else {
    QuantParams& quant = *made.quant;
    if (quant.dtype == DType::kUInt8) make_signed(made.tensor, quant);
    if (quant.per_channel() && form.transposed) quant.axis = 0;
    for (float& scale : quant.scales) scale *= form.alpha;
  }
  if (form.transposed) {
    made.tensor = take(made.tensor, {made.tensor.dim(1), made.tensor.dim(0)}, 0, {1, made.tensor.dim(1)});
  }
  return made;
}

/// Operands of QuantizeLinear and DequantizeLinear.
ParamOperands own_params(NodeReader& reader) {
  ParamOperands operands;
  if (reader.attributes.has("axis")) operands.axis = reader.attributes.integer("axis", 1);
  return operands;
}

}  // namespace

QuantParams read_params(NodeReader& reader, const Shape& shape, DType otherwise,
                        const ParamOperands& operands) {
  const Tensor scales = reader.real(operands.scale);
  QuantParams params;
  // Scales and zero points: each node that reads them keeps its own.
  reader.importer.budget().charge(2 * scales.size_bytes());
  params.scales.assign(scales.data<float>().begin(), scales.data<float>().end());
  params.dtype = otherwise;
  params.zero_points.assign(params.scales.size(), 0);
  if (reader.has(operands.zero_point)) {
    params.zero_points = widened(reader, operands.zero_point);
    params.dtype = reader.constant(operands.zero_point).tensor->dtype();
    // One for all channels, as some writers have it.
    if (params.zero_points.size() == 1)
      params.zero_points.resize(params.scales.size(), params.zero_points[0]);
  }
  const IntegerRange range = container_range(params.dtype);
  params.qmin = range.qmin;
  params.qmax = range.qmax;

  const auto rank = static_cast<std::int64_t>(shape.size());
  std::int64_t axis = operands.axis.value_or(1);
  if (axis < 0) axis += rank;
  // One scale in a row of length 1 stands for a channel only where the node says which.
  if (scales.rank() == 1 && (params.scales.size() != 1 || operands.axis)) {
    const bool fits =
        axis >= 0 && axis < rank &&
        shape[static_cast<std::size_t>(axis)] == static_cast<std::int64_t>(params.scales.size());
    if (fits) {
      params.axis = static_cast<int>(axis);
    } else if (params.scales.size() != 1) {
      reader.fail(fmt::format("{} scales along axis {} do not fit shape {}", params.scales.size(), axis,
                              to_string(shape)));
    }
  } else if (params.scales.size() != 1) {
    reader.fail(fmt::format("scale of shape {}; expected one value or a row", to_string(scales.shape())));
  }
  validate(params, reader.what);
  return params;
}

QuantParams read_activation_params(NodeReader& reader, const ParamOperands& operands) {
  if (reader.real(operands.scale).size() != 1) throw Unsupported{"per-channel activations"};
  const QuantParams params = read_params(reader, {}, DType::kUInt8, operands);
  if (params.dtype == DType::kInt32) throw Unsupported{"int32 activations"};
  const std::int32_t shift = params.dtype == DType::kInt8 ? 128 : 0;
  return activation_params(params.scale(), params.zero_point() + shift);
}

IntegerRange apparent_range(const Tensor& integers, const QuantParams& quant) {
  IntegerRange range = container_range(quant.dtype);
  const bool symmetric = std::ranges::all_of(quant.zero_points, [](std::int32_t z) { return z == 0; });
  if (quant.dtype == DType::kInt8 && symmetric &&
      std::ranges::count(integers.data<std::int8_t>(), std::int8_t{-128}) == 0) {
    range.qmin = -127;
  }
  return range;
}

/// A value that is read in float too, or in integers of two kinds, gets a copy for each: a Clip that clips
/// nothing.
void convert_quantize_linear(NodeReader& reader) {
  if (const Flow* flow = std::get_if<Flow>(&reader.operand(0))) {
    const QuantParams quant = read_activation_params(reader, own_params(reader));
    const ValueId from = flow->id;
    const bool same = flow->dequantized ? reader.importer.graph().value(from).quant == quant
                                        : reader.importer.read_as_same_integers(reader.node.input(0));
    ValueId id = from;
    if (!same) {
      reader.flow(0);
      id = reader.importer.quantized_copy(from, quant,
                                          [&] { return reader.emit(Op::kClip, {from}, ClipAttributes{}); });
    }
    reader.define(Integers{id, quant});
    return;
  }
  // A constant that is stored in float.
  const Constant& source = reader.constant(0);
  const Tensor real = reader.real(0);
  const QuantParams params = read_params(reader, real.shape(), DType::kUInt8, own_params(reader));
  if (params.dtype == DType::kInt32) throw Unsupported{"int32 integers"};
  if (real.size() == 0) reader.fail("quantizes '" + source.name + "', which is empty");
  reader.importer.budget().charge(real.size_bytes());
  const std::string& name = reader.node.output(0);
  reader.define(Constant{name, std::make_shared<Tensor>(quantize(real, params)), {}});
}

void convert_dequantize_linear(NodeReader& reader) {
  if (const Integers* integers = std::get_if<Integers>(&reader.operand(0))) {
    const QuantParams params = read_activation_params(reader, own_params(reader));
    if (params.scales != integers->quant.scales || params.zero_points != integers->quant.zero_points)
      throw Unsupported{"its scale or zero point differs from QuantizeLinear's"};
    const ValueId id = integers->id;
    reader.importer.annotate(*integers);
    reader.define(Flow{.id = id, .dequantized = true});
    return;
  }
  const Constant& source = reader.constant(0);
  if (source.quant || source.tensor->dtype() == DType::kFloat32 || source.tensor->dtype() == DType::kInt64)
    reader.fail("its input is not int8, uint8 or int32");
  const DType dtype = source.tensor->dtype();
  QuantParams params = read_params(reader, source.tensor->shape(), dtype, own_params(reader));
  if (params.dtype != dtype) {
    reader.fail(fmt::format("zero point is {}, input {}; expected the same type", to_string(params.dtype),
                            to_string(dtype)));
  }
  reader.define(Constant{reader.node.output(0), source.tensor, std::move(params)});
}

void convert_integer_clip(NodeReader& reader, const Integers& integers) {
  Integers clipped = integers;
  const auto bound = [&](int index) {
    const std::vector<std::int32_t> values = widened(reader, index);
    if (values.size() != 1)
      reader.fail(fmt::format("input {} has {} elements; expected 1", index, values.size()));
    return values[0] + (reader.constant(index).tensor->dtype() == DType::kInt8 ? 128 : 0);
  };
  if (reader.has(1)) clipped.quant.qmin = std::max(clipped.quant.qmin, bound(1));
  if (reader.has(2)) clipped.quant.qmax = std::min(clipped.quant.qmax, bound(2));
  const QuantParams& quant = clipped.quant;
  if (quant.qmin >= quant.qmax || quant.zero_point() < quant.qmin || quant.zero_point() > quant.qmax)
    throw Unsupported{"clips integers to a range without the zero point"};
  reader.define(std::move(clipped));
}

ValueId weight_value(const NodeReader& reader, const Constant& constant, const WeightForm& form,
                     const std::string& key) {
  const std::string full = fmt::format("weight {} {} {:08x} {}", form.axis, form.transposed,
                                       std::bit_cast<std::uint32_t>(form.alpha), key);
  return reader.importer.constant_value(constant, full, [&] { return make_weight(reader, constant, form); });
}

ValueId bias_value(const NodeReader& reader, const Constant& constant, std::int64_t channels, float beta,
                   const std::string& key) {
  const Shape& shape = constant.tensor->shape();
  if (beta == 1.0F && constant.quant && constant.quant->dtype == DType::kInt32 && shape == Shape{channels}) {
    return reader.importer.constant_value(constant, "int32 " + key, [&] {
      return Importer::Made{*constant.tensor, constant.quant};
    });
  }
  const bool row = !shape.empty() && shape.back() == channels && constant.tensor->size() == channels;
  const bool broadcasts = reader.node.op_type() != "Conv" && constant.tensor->size() == 1;
  if (!row && !broadcasts) {
    throw Unsupported{fmt::format("bias of shape {}, not [{}]", to_string(shape), channels)};
  }
  const std::string full =
      fmt::format("bias {} {:08x} {}", channels, std::bit_cast<std::uint32_t>(beta), key);
  return reader.importer.constant_value(constant, full, [&] {
    const Tensor real = constant.quant ? dequantize(*constant.tensor, *constant.quant) : *constant.tensor;
    if (real.dtype() != DType::kFloat32)
      reader.fail(fmt::format("bias is {}; expected float32", to_string(real.dtype())));
    Tensor bias({channels}, DType::kFloat32);
    const auto source = real.data<float>();
    const auto target = bias.data<float>();
    for (std::size_t c = 0; c < target.size(); ++c) target[c] = beta * source[row ? c : 0];
    return Importer::Made{std::move(bias), {}};
  });
}

}  // namespace octavo::onnx_format
