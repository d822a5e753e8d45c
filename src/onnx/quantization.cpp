#include "quantization.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <type_traits>

#include "converters.h"
#include "importer.h"
#include "octavo/core/error.h"
#include "tensor_proto.h"

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

/// Integers less their zero points as int8: the form of weights in the contract. False, and nothing changed,
/// if they do not fit it.
bool make_symmetric(Importer::Made& made, const WeightForm& form) {
  QuantParams& quant = *made.quant;
  if (quant.dtype == DType::kInt32 || !(form.alpha > 0)) return false;
  if (quant.per_channel() && quant.axis != static_cast<int>(form.axis)) return false;
  const bool centred = std::ranges::all_of(quant.zero_points, [](std::int32_t z) { return z == 0; });
  if (quant.dtype == DType::kInt8 && centred) return true;
  const Shape& shape = made.tensor.shape();
  std::int64_t inner = made.tensor.size();
  std::size_t channels = 1;
  if (quant.per_channel()) {
    channels = static_cast<std::size_t>(shape[form.axis]);
    inner = element_count(Shape(shape.begin() + static_cast<std::ptrdiff_t>(form.axis) + 1, shape.end()));
  }
  Tensor result(shape, DType::kInt8);
  const auto subtract = [&](auto source) {
    const auto target = result.data<std::int8_t>();
    for (std::size_t i = 0; i < source.size(); ++i) {
      const std::size_t channel = i / static_cast<std::size_t>(inner) % channels;
      const std::int32_t q = source[i] - quant.zero_points[channel];
      if (q < -128 || q > 127) return false;
      target[i] = static_cast<std::int8_t>(q);
    }
    return true;
  };
  const Tensor& source = made.tensor;
  const bool fits = source.dtype() == DType::kInt8 ? subtract(source.data<std::int8_t>())
                                                   : subtract(source.data<std::uint8_t>());
  if (!fits) return false;
  made.tensor = std::move(result);
  std::ranges::fill(quant.zero_points, 0);
  quant.dtype = DType::kInt8;
  return true;
}

Importer::Made make_weight(const NodeReader& reader, const Constant& constant, const WeightForm& form) {
  Importer::Made made{reader.importer.take(constant), constant.quant};
  if (made.quant && !make_symmetric(made, form)) {
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
    if (quant.per_channel() && form.transposed) quant.axis = 1 - quant.axis;
    for (float& scale : quant.scales) scale *= form.alpha;
  }
  if (form.transposed) made.tensor = transposed(made.tensor);
  return made;
}

/// Operands of QuantizeLinear and DequantizeLinear.
ParamOperands own_params(NodeReader& reader) {
  reader.attributes.integer("saturate", 1);  // Of 8-bit floats alone.
  ParamOperands operands;
  operands.block = reader.attributes.integer("block_size", 0);
  if (operands.block < 0) reader.fail(fmt::format("block_size {}", operands.block));
  for (const char* name : {"output_dtype", "precision"}) {
    const std::int64_t type = reader.attributes.integer(name, 0);
    const auto known = static_cast<std::int32_t>(std::clamp<std::int64_t>(type, 0, 100));
    if (type != 0 && !is_real(known) && !integer_limits(known))
      throw Unsupported{fmt::format("{} {}", name, type)};
  }
  if (reader.attributes.has("axis")) operands.axis = reader.attributes.integer("axis", 1);
  return operands;
}

std::int32_t element_of(const Constant& constant) {
  return constant.element != 0 ? constant.element : data_type(constant.tensor->dtype());
}

}  // namespace

QuantParams read_params(NodeReader& reader, const Shape& shape, DType otherwise,
                        const ParamOperands& operands) {
  const Tensor scales = reader.real(operands.scale);
  QuantParams params;
  // Scales and zero points: each node that reads them keeps its own.
  reader.importer.budget().charge(2 * scales.size_bytes());
  params.scales.assign(scales.data<float>().begin(), scales.data<float>().end());
  if (operands.zero_scale > 0) std::ranges::replace(params.scales, 0.0F, operands.zero_scale);
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
  if (reader.has(operands.zero_point)) {
    const auto limits = integer_limits(element_of(reader.constant(operands.zero_point)));
    params.qmin = std::max(params.qmin, limits ? limits->least : params.qmin);
    params.qmax = std::min(params.qmax, limits ? limits->greatest : params.qmax);
  }

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

QuantParams read_activation_params(NodeReader& reader, const ParamOperands& operands,
                                   std::int32_t otherwise) {
  if (operands.block != 0) throw Unsupported{"blocks of scales for what is computed from the image"};
  if (reader.real(operands.scale).size() != 1) throw Unsupported{"per-channel activations"};
  const bool has_zero = reader.has(operands.zero_point);
  const std::int32_t type = has_zero ? element_of(reader.constant(operands.zero_point)) : otherwise;
  const std::optional<IntegerLimits> limits = integer_limits(type);
  if (!limits && has_zero && type != 0) widened(reader, operands.zero_point);  // Says what it expects.
  if (!limits) throw Unsupported{"activations that are no integers of 4, 8 or 16 bits"};
  if (limits->greatest - static_cast<std::int64_t>(limits->least) > 255)
    throw Unsupported{fmt::format("{} activations", type == onnx::TensorProto::INT32 ? "int32" : "16-bit")};
  const QuantParams params = read_params(reader, {}, DType::kUInt8, operands);
  return activation_params(params.scale(), params.zero_point() - limits->least, 0,
                           limits->greatest - limits->least);
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

namespace {

/// ONNX's type of the integers that QuantizeLinear makes.
std::int32_t integers_of(NodeReader& reader, const ParamOperands& operands) {
  if (reader.has(operands.zero_point)) return element_of(reader.constant(operands.zero_point));
  const auto named = static_cast<std::int32_t>(reader.attributes.integer("output_dtype", 0));
  return named != 0 ? named : onnx::TensorProto::UINT8;
}

struct WideParams {
  float scale = 0;
  std::int32_t zero_point = 0;
};

WideParams read_wide_params(NodeReader& reader, const ParamOperands& operands, const IntegerLimits& limits) {
  if (operands.block != 0) throw Unsupported{"blocks of scales for what is computed from the image"};
  if (reader.real(operands.scale).size() != 1) throw Unsupported{"per-channel activations"};
  const QuantParams params = read_params(reader, {}, DType::kInt32, operands);
  if (params.zero_point() < limits.least || params.zero_point() > limits.greatest)
    reader.fail(
        fmt::format("zero point {}; expected {} to {}", params.zero_point(), limits.least, limits.greatest));
  return {params.scale(), params.zero_point()};
}

/// The contract has no integers of 16 bits: what they stand for, rounded and saturated in float32, which
/// holds each of them.
void quantize_wide(NodeReader& reader, const ParamOperands& operands, const IntegerLimits& limits) {
  const WideParams params = read_wide_params(reader, operands, limits);
  const Flow x = reader.viewed(0);
  const ValueId scale = reader.number("_scale", params.scale);
  const ValueId divided = reader.emit_inner("_divided", Op::kDiv, {x.id, scale});
  const ValueId rounded = reader.emit_inner("_rounded", Op::kRound, {divided});
  const ClipAttributes bounds{static_cast<float>(limits.least - params.zero_point),
                              static_cast<float>(limits.greatest - params.zero_point)};
  const ValueId integers = reader.emit_inner("_integers", Op::kClip, {rounded}, bounds);
  const ValueId real = reader.emit(Op::kMul, {integers, scale});
  reader.define(WideIntegers{real, params.scale, params.zero_point, x.view});
}

/// What the elements of a constant stand for, with scales for the tensor, along an axis or for blocks along
/// it; 8-bit floats too. Each is exact in float32 before it is scaled.
Tensor scaled(NodeReader& reader, const Constant& source, const ParamOperands& operands) {
  const Shape& shape = source.tensor->shape();
  const Tensor scales = reader.real(operands.scale);
  const auto as_float = [&](const Constant& constant) {
    const Tensor& from = *constant.tensor;
    reader.importer.budget().charge(static_cast<std::uint64_t>(from.size()) * sizeof(float));
    std::vector<float> values;
    if (from.dtype() == DType::kFloat32) values.assign(from.data<float>().begin(), from.data<float>().end());
    if (from.dtype() == DType::kInt8)
      values.assign(from.data<std::int8_t>().begin(), from.data<std::int8_t>().end());
    if (from.dtype() == DType::kUInt8)
      values.assign(from.data<std::uint8_t>().begin(), from.data<std::uint8_t>().end());
    if (from.dtype() == DType::kInt32 && constant.element != onnx::TensorProto::INT32) {
      for (const std::int32_t q : from.data<std::int32_t>()) values.push_back(static_cast<float>(q));
    }
    if (static_cast<std::int64_t>(values.size()) != from.size())
      throw Unsupported{"blocks of " + to_string(from.dtype())};
    return values;
  };
  const std::vector<float> values = as_float(source);
  std::vector<float> zeros(static_cast<std::size_t>(scales.size()), 0.0F);
  if (reader.has(operands.zero_point)) {
    const Constant& given = reader.constant(operands.zero_point);
    if (given.tensor->size() != scales.size())
      reader.fail(fmt::format("{} scales but {} zero points", scales.size(), given.tensor->size()));
    zeros = as_float(given);
  }
  const bool single = scales.size() == 1 && operands.block == 0;
  std::size_t axis = 0;
  if (!single) axis = reader.axis(operands.axis.value_or(1), shape.size());
  Shape expected{single ? 1 : shape[axis]};
  if (operands.block != 0) {
    expected = shape;
    expected[axis] = (shape[axis] + operands.block - 1) / operands.block;
  }
  if (single ? scales.size() != 1 : scales.shape() != expected) {
    reader.fail(fmt::format("scales of shape {} for {}; expected {}", to_string(scales.shape()),
                            to_string(shape), to_string(expected)));
  }
  Tensor result = Tensor(shape, DType::kFloat32);
  const auto target = result.data<float>();
  const auto inner = single ? std::size_t{1}
                            : static_cast<std::size_t>(element_count(
                                  Shape(shape.begin() + static_cast<std::ptrdiff_t>(axis) + 1, shape.end())));
  for (std::size_t i = 0; i < target.size(); ++i) {
    std::size_t at = 0;
    if (!single) {
      const auto size = static_cast<std::size_t>(shape[axis]);
      const std::size_t along = i / inner % size;
      at = operands.block == 0 ? along
                               : (i / inner / size * static_cast<std::size_t>(expected[axis]) +
                                  along / static_cast<std::size_t>(operands.block)) *
                                         inner +
                                     i % inner;
    }
    target[i] = (values[i] - zeros[at]) * scales.data<float>()[at];
  }
  return result;
}

/// Integers of channels with a scale of 0, which all stand for 0, as their zero points.
void clear_channels(Tensor& tensor, const QuantParams& params, const Tensor& scales) {
  const std::int64_t inner =
      params.per_channel()
          ? element_count(Shape(tensor.shape().begin() + params.axis + 1, tensor.shape().end()))
          : tensor.size();
  const auto clear = [&](auto values) {
    for (std::size_t i = 0; i < values.size(); ++i) {
      const std::size_t channel = i / static_cast<std::size_t>(inner) % params.scales.size();
      if (scales.data<float>()[channel] == 0)
        values[i] = static_cast<std::remove_reference_t<decltype(values[i])>>(params.zero_points[channel]);
    }
  };
  if (tensor.dtype() == DType::kInt8) clear(tensor.data<std::int8_t>());
  if (tensor.dtype() == DType::kUInt8) clear(tensor.data<std::uint8_t>());
  if (tensor.dtype() == DType::kInt32) clear(tensor.data<std::int32_t>());
}

/// A value that is read in float too, or in integers of two kinds, gets a copy for each: a Clip that clips
/// nothing.
void convert_quantize_linear(NodeReader& reader) {
  if (const Flow* flow = std::get_if<Flow>(&reader.operand(0))) {
    const ParamOperands operands = own_params(reader);
    const std::int32_t type = integers_of(reader, operands);
    if (type == onnx::TensorProto::INT16 || type == onnx::TensorProto::UINT16)
      return quantize_wide(reader, operands, *integer_limits(type));
    const QuantParams quant = read_activation_params(reader, operands, type);
    const ValueId from = flow->id;
    const BatchView view = flow->view;
    const bool same = flow->dequantized ? reader.importer.graph().value(from).quant == quant
                                        : reader.importer.read_as_same_integers(reader.node.input(0));
    ValueId id = from;
    if (!same) {
      reader.viewed(0);
      id = reader.importer.quantized_copy(from, quant,
                                          [&] { return reader.emit(Op::kClip, {from}, ClipAttributes{}); });
    }
    reader.define(Integers{id, quant, view, type});
    return;
  }
  // A constant that is stored in float.
  const Constant& source = reader.constant(0);
  const Tensor real = reader.real(0);
  const ParamOperands operands = own_params(reader);
  if (operands.block != 0) throw Unsupported{"blocks of scales"};
  if (!reader.has(operands.zero_point) && integers_of(reader, operands) != onnx::TensorProto::UINT8)
    throw Unsupported{"output_dtype without a zero point"};
  const QuantParams params = read_params(reader, real.shape(), DType::kUInt8, operands);
  if (params.dtype == DType::kInt32) throw Unsupported{"integers of 16 or 32 bits"};
  if (real.size() == 0) reader.fail("quantizes '" + source.name + "', which is empty");
  reader.importer.budget().charge(real.size_bytes());
  const std::string& name = reader.node.output(0);
  reader.define(Constant{name, std::make_shared<Tensor>(quantize(real, params)), {}});
}

void convert_dequantize_linear(NodeReader& reader) {
  if (const Integers* integers = std::get_if<Integers>(&reader.operand(0))) {
    const QuantParams params = read_activation_params(
        reader, own_params(reader), integers->element != 0 ? integers->element : onnx::TensorProto::UINT8);
    if (params.scales != integers->quant.scales || params.zero_points != integers->quant.zero_points)
      throw Unsupported{"its scale or zero point differs from QuantizeLinear's"};
    const Flow flow{.id = integers->id, .dequantized = true, .view = integers->view};
    reader.importer.annotate(*integers);
    reader.define(flow);
    return;
  }
  if (const WideIntegers* wide = std::get_if<WideIntegers>(&reader.operand(0))) {
    const WideParams params = read_wide_params(reader, own_params(reader), {-32768, 65535});
    if (params.scale != wide->scale || params.zero_point != wide->zero_point)
      throw Unsupported{"its scale or zero point differs from QuantizeLinear's"};
    reader.define(Flow{.id = wide->id, .view = wide->view});
    return;
  }
  if (reader.importer.input_is_bytes() && std::holds_alternative<Flow>(reader.operand(0))) {
    // Of the model's input: (q - zero point) * scale.
    const QuantParams params = read_activation_params(reader, own_params(reader));
    const ValueId centred = reader.emit_inner(
        "_centred", Op::kSub,
        {reader.flow(0).id, reader.number("_zero_point", static_cast<float>(params.zero_point()))});
    reader.emit(Op::kMul, {centred, reader.number("_scale", params.scale())});
    return;
  }
  const Constant& source = reader.constant(0);
  ParamOperands operands = own_params(reader);
  const std::int32_t element = element_of(source);
  const bool small_float = source.tensor->dtype() == DType::kFloat32 && !is_real(element);
  if (!source.quant && (small_float || (operands.block != 0 && integer_limits(element)))) {
    auto real = std::make_shared<Tensor>(scaled(reader, source, operands));
    reader.define(Constant{reader.node.output(0), std::move(real), {}});
    return;
  }
  if (source.quant || source.tensor->dtype() == DType::kFloat32 || source.tensor->dtype() == DType::kInt64)
    reader.fail("its input is not int8, uint8 or int32");
  const DType dtype = source.tensor->dtype();
  // A channel without weights may have a scale of 0: any other says the same of it, if its integers say 0.
  const Tensor scales = reader.real(operands.scale);
  const bool clears = std::ranges::count(scales.data<float>(), 0.0F) > 0;
  if (clears) {
    const float largest = std::ranges::max(scales.data<float>());
    operands.zero_scale = largest > 0 ? largest : 1.0F;
  }
  QuantParams params = read_params(reader, source.tensor->shape(), dtype, operands);
  if (params.dtype != dtype) {
    reader.fail(fmt::format("zero point is {}, input {}; expected the same type", to_string(params.dtype),
                            to_string(dtype)));
  }
  std::shared_ptr<Tensor> tensor = source.tensor;
  if (clears) {
    reader.importer.budget().charge(tensor->size_bytes());
    tensor = std::make_shared<Tensor>(*tensor);
    clear_channels(*tensor, params, scales);
  }
  reader.define(Constant{reader.node.output(0), std::move(tensor), std::move(params)});
}

}  // namespace

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

std::span<const ConverterEntry> quantization_converters() {
  static constexpr ConverterEntry kEntries[] = {
      {"DequantizeLinear", convert_dequantize_linear},
      {"QuantizeLinear", convert_quantize_linear},
  };
  return kEntries;
}

}  // namespace octavo::onnx_format
