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

/// Scale and zero point operands for integers of `shape`. `otherwise` is the container where there is no zero
/// point.
QuantParams read_params(NodeReader& reader, const Shape& shape, DType otherwise) {
  const Tensor scales = reader.real(1);
  QuantParams params;
  params.scales.assign(scales.data<float>().begin(), scales.data<float>().end());
  params.dtype = otherwise;
  params.zero_points.assign(params.scales.size(), 0);
  if (reader.has(2)) {
    params.zero_points = widened(reader, 2);
    params.dtype = reader.constant(2).tensor->dtype();
  }
  const IntegerRange range = container_range(params.dtype);
  params.qmin = range.qmin;
  params.qmax = range.qmax;

  const bool explicit_axis = reader.attributes.has("axis");
  const auto rank = static_cast<std::int64_t>(shape.size());
  std::int64_t axis = reader.attributes.integer("axis", 1);
  if (axis < 0) axis += rank;
  // One scale in a row of length 1 stands for a channel only where the node says which.
  if (scales.rank() == 1 && (params.scales.size() != 1 || explicit_axis)) {
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

/// Per-tensor parameters of an activation, as uint8.
QuantParams read_activation_params(NodeReader& reader, ValueId id) {
  QuantParams params = read_params(reader, reader.importer.graph().value(id).shape, DType::kUInt8);
  if (params.scales.size() != 1) throw Unsupported{"per-channel activations"};
  if (params.dtype == DType::kInt32) throw Unsupported{"int32 activations"};
  const std::int32_t shift = params.dtype == DType::kInt8 ? 128 : 0;
  return activation_params(params.scale(), params.zero_point() + shift);
}

Tensor transpose(const Tensor& tensor) {
  Tensor result({tensor.dim(1), tensor.dim(0)}, tensor.dtype());
  const std::size_t unit = size_of(tensor.dtype());
  const auto rows = static_cast<std::size_t>(tensor.dim(0));
  const auto columns = static_cast<std::size_t>(tensor.dim(1));
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t c = 0; c < columns; ++c)
      std::copy_n(tensor.raw() + (r * columns + c) * unit, unit, result.raw() + (c * rows + r) * unit);
  }
  return result;
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

Importer::Made make_weight(const NodeReader& reader, int index, bool transposed, float alpha) {
  const Constant& constant = reader.constant(index);
  Importer::Made made{*constant.tensor, constant.quant};
  if (!made.quant) {
    if (made.tensor.dtype() != DType::kFloat32)
      reader.fail(fmt::format("weight is {}; expected float32", to_string(made.tensor.dtype())));
    if (alpha != 1.0F) {
      for (float& w : made.tensor.data<float>()) w *= alpha;
    }
  } else {
    QuantParams& quant = *made.quant;
    if (quant.dtype == DType::kInt32) throw Unsupported{"int32 weights"};
    if (quant.dtype == DType::kUInt8) make_signed(made.tensor, quant);
    if (std::ranges::any_of(quant.zero_points, [](std::int32_t z) { return z != 0; }))
      throw Unsupported{"weights with a zero point"};
    if (quant.per_channel() && quant.axis != (transposed ? 1 : 0))
      throw Unsupported{"weights with scales along another axis than the output channel"};
    if (quant.per_channel()) quant.axis = 0;
    if (!(alpha > 0)) throw Unsupported{fmt::format("alpha {} on integer weights", alpha)};
    for (float& scale : quant.scales) scale *= alpha;
  }
  if (transposed) made.tensor = transpose(made.tensor);
  return made;
}

}  // namespace

IntegerRange apparent_range(const Tensor& integers, const QuantParams& quant) {
  IntegerRange range = container_range(quant.dtype);
  const bool symmetric = std::ranges::all_of(quant.zero_points, [](std::int32_t z) { return z == 0; });
  if (quant.dtype == DType::kInt8 && symmetric &&
      std::ranges::count(integers.data<std::int8_t>(), std::int8_t{-128}) == 0) {
    range.qmin = -127;
  }
  return range;
}

void convert_quantize_linear(NodeReader& reader) {
  if (const Flow* flow = std::get_if<Flow>(&reader.operand(0))) {
    reader.define(Integers{flow->id, read_activation_params(reader, flow->id)});
    return;
  }
  // A constant that is stored in float.
  const Constant& source = reader.constant(0);
  const Tensor real = reader.real(0);
  const QuantParams params = read_params(reader, real.shape(), DType::kUInt8);
  if (params.dtype == DType::kInt32) throw Unsupported{"int32 integers"};
  if (real.size() == 0) reader.fail("quantizes '" + source.name + "', which is empty");
  reader.importer.charge(real.size_bytes());
  const std::string& name = reader.node.output(0);
  reader.define(Constant{name, std::make_shared<const Tensor>(quantize(real, params)), {}});
}

void convert_dequantize_linear(NodeReader& reader) {
  if (const Integers* integers = std::get_if<Integers>(&reader.operand(0))) {
    const QuantParams params = read_activation_params(reader, integers->id);
    if (params.scales != integers->quant.scales || params.zero_points != integers->quant.zero_points)
      throw Unsupported{"its scale or zero point differs from QuantizeLinear's"};
    std::optional<QuantParams>& quant = reader.importer.graph().value(integers->id).quant;
    if (quant && *quant != integers->quant)
      throw Unsupported{"quantizes a tensor for the second time, differently"};
    quant = integers->quant;
    reader.define(Flow{.id = integers->id, .dequantized = true});
    return;
  }
  const Constant& source = reader.constant(0);
  if (source.quant || source.tensor->dtype() == DType::kFloat32 || source.tensor->dtype() == DType::kInt64)
    reader.fail("its input is not int8, uint8 or int32");
  const DType dtype = source.tensor->dtype();
  QuantParams params = read_params(reader, source.tensor->shape(), dtype);
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

ValueId weight_value(const NodeReader& reader, int index, bool transposed, float alpha) {
  const Constant& constant = reader.constant(index);
  if (transposed && constant.tensor->rank() != 2) {
    reader.fail("weight of shape " + to_string(constant.tensor->shape()) + "; expected 2 dimensions");
  }
  const std::string key = fmt::format("weight {} {:08x}", transposed, std::bit_cast<std::uint32_t>(alpha));
  return reader.importer.constant_value(constant, key,
                                        [&] { return make_weight(reader, index, transposed, alpha); });
}

ValueId bias_value(const NodeReader& reader, int index, ValueId weight, float beta) {
  const Constant& constant = reader.constant(index);
  const std::int64_t channels = reader.importer.graph().value(weight).shape.at(0);
  const Shape& shape = constant.tensor->shape();
  if (beta == 1.0F && constant.quant && constant.quant->dtype == DType::kInt32 && shape == Shape{channels}) {
    return reader.importer.constant_value(constant, "int32", [&] {
      return Importer::Made{*constant.tensor, constant.quant};
    });
  }
  const bool row = !shape.empty() && shape.back() == channels && constant.tensor->size() == channels;
  const bool broadcasts = reader.node.op_type() != "Conv" && constant.tensor->size() == 1;
  if (!row && !broadcasts) {
    throw Unsupported{fmt::format("bias of shape {}, not [{}]", to_string(shape), channels)};
  }
  const std::string key = fmt::format("bias {} {:08x}", channels, std::bit_cast<std::uint32_t>(beta));
  return reader.importer.constant_value(constant, key, [&] {
    const Tensor real = reader.real(index);
    Tensor bias({channels}, DType::kFloat32);
    const auto source = real.data<float>();
    const auto target = bias.data<float>();
    for (std::size_t c = 0; c < target.size(); ++c) target[c] = beta * source[row ? c : 0];
    return Importer::Made{std::move(bias), {}};
  });
}

}  // namespace octavo::onnx_format
