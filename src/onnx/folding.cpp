/// Constant folding at import: chains of Shape, Gather, Concat and arithmetic that end in the shape of a
/// Reshape, and weights that are computed from constants. The batch size is not known; kBatchSize stands for
/// it and survives whatever moves it.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

#include "importer.h"
#include "octavo/graph/elementwise.h"

namespace octavo::onnx_format {

std::vector<std::int64_t> strides_of(const Shape& shape) {
  std::vector<std::int64_t> strides(shape.size(), 1);
  for (std::size_t i = shape.size(); i-- > 1;) strides[i - 1] = strides[i] * shape[i];
  return strides;
}

namespace {

/// `Bits` is an integer of the elements' size.
template <typename Bits>
void gather(const Tensor& source, std::int64_t offset, const std::vector<std::int64_t>& strides,
            Tensor& result) {
  const Shape& shape = result.shape();
  const auto* from = reinterpret_cast<const Bits*>(source.raw());
  auto* to = reinterpret_cast<Bits*>(result.raw());
  const std::int64_t row = shape.empty() ? 1 : shape.back();
  const std::int64_t step = shape.empty() ? 0 : strides.back();
  std::vector<std::int64_t> index(shape.size(), 0);
  for (std::int64_t done = 0; done < result.size(); done += row) {
    for (std::int64_t i = 0; i < row; ++i) *to++ = from[offset + i * step];
    for (std::size_t axis = shape.size() - std::min<std::size_t>(1, shape.size()); axis-- > 0;) {
      offset += strides[axis];
      if (++index[axis] < shape[axis]) break;
      offset -= strides[axis] * shape[axis];
      index[axis] = 0;
    }
  }
}

}  // namespace

Tensor take(const Tensor& source, const Shape& shape, std::int64_t offset,
            const std::vector<std::int64_t>& strides) {
  Tensor result(shape, source.dtype());
  switch (size_of(source.dtype())) {
    case 1:
      gather<std::uint8_t>(source, offset, strides, result);
      break;
    case 4:
      gather<std::uint32_t>(source, offset, strides, result);
      break;
    default:
      gather<std::uint64_t>(source, offset, strides, result);
  }
  return result;
}

namespace {

/// Sizes that a constant is to have: none negative, charged before anything is allocated. Dimensions are
/// bounded one by one and together, also where one of them is zero: loops and strides may rely on it.
Shape sizes(const NodeReader& reader, std::vector<std::int64_t> wanted, DType dtype) {
  if (wanted.size() > 8) throw Unsupported{"more than 8 dimensions"};
  constexpr std::int64_t kLargest = std::numeric_limits<std::int32_t>::max();
  std::int64_t count = 1;
  for (const std::int64_t size : wanted) {
    if (size < 0 || size > kLargest || count > kLargest / std::max<std::int64_t>(size, 1))
      reader.fail(fmt::format("a constant of shape {}; expected less than 2^31 elements", to_string(wanted)));
    count *= std::max<std::int64_t>(size, 1);
  }
  reader.importer.budget().charge(static_cast<std::uint64_t>(element_count(wanted)) * size_of(dtype));
  return wanted;
}

/// A tensor to be filled, paid for.
Tensor result_of(const NodeReader& reader, const Shape& shape, DType dtype) {
  return Tensor(sizes(reader, shape, dtype), dtype);
}

/// The node's operand as it is stored, or in float32 where it stands for real numbers.
Tensor operand(const NodeReader& reader, int index) {
  const Constant& source = reader.constant(index);
  const std::size_t unit = source.quant ? sizeof(float) : size_of(source.tensor->dtype());
  reader.importer.budget().charge(static_cast<std::uint64_t>(source.tensor->size()) * unit);
  return source.quant ? reader.real(index) : *source.tensor;
}

Tensor fold_shape(NodeReader& reader) {
  const Symbol& source = reader.operand(0);
  Shape shape;
  if (const auto* constant = std::get_if<Constant>(&source)) {
    shape = constant->tensor->shape();
  } else {
    const auto* flow = std::get_if<Flow>(&source);
    const ValueId id = flow ? flow->id : std::get<Integers>(source).id;
    shape = reader.importer.graph().value(id).shape;
    shape[0] = reader.importer.fixed_batch().value_or(kBatchSize);
  }
  const auto rank = static_cast<std::int64_t>(shape.size());
  const auto bound = [&](const char* name, std::int64_t otherwise) {
    const std::int64_t value = reader.attributes.integer(name, otherwise);
    return std::clamp<std::int64_t>(value < 0 ? value + rank : value, 0, rank);
  };
  const std::int64_t start = bound("start", 0);
  const std::int64_t end = std::max(start, bound("end", rank));
  return Tensor::from<std::int64_t>({end - start}, std::vector(shape.begin() + start, shape.begin() + end));
}

Tensor fold_gather(NodeReader& reader) {
  const Tensor data = operand(reader, 0);
  const Tensor& indices = *reader.constant(1).tensor;
  const std::size_t axis = reader.axis(reader.attributes.integer("axis", 0), data.rank());
  reader.importer.budget().work(indices.size_bytes());
  std::vector<std::int64_t> wanted;
  if (indices.dtype() == DType::kInt64) {
    wanted.assign(indices.data<std::int64_t>().begin(), indices.data<std::int64_t>().end());
  } else if (indices.dtype() == DType::kInt32) {
    wanted.assign(indices.data<std::int32_t>().begin(), indices.data<std::int32_t>().end());
  } else {
    reader.fail("indices are not int32 or int64");
  }
  const auto at = data.shape().begin() + static_cast<std::ptrdiff_t>(axis);
  const std::int64_t size = *at;
  for (std::int64_t& index : wanted) {
    if (index < -size || index >= size)
      reader.fail(fmt::format("index {}; expected {} to {}", index, -size, size - 1));
    if (index < 0) index += size;
  }
  Shape shape(data.shape().begin(), at);
  shape.insert(shape.end(), indices.shape().begin(), indices.shape().end());
  shape.insert(shape.end(), at + 1, data.shape().end());
  Tensor result = result_of(reader, shape, data.dtype());
  // Without elements, a dimension may still be huge.
  if (result.size() == 0) return result;
  const std::size_t unit = size_of(data.dtype());
  const auto block = static_cast<std::size_t>(element_count(Shape(at + 1, data.shape().end()))) * unit;
  const auto outer = static_cast<std::size_t>(element_count(Shape(data.shape().begin(), at)));
  for (std::size_t o = 0; o < outer; ++o) {
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      const std::size_t from = o * static_cast<std::size_t>(size) + static_cast<std::size_t>(wanted[i]);
      std::memcpy(result.raw() + (o * wanted.size() + i) * block, data.raw() + from * block, block);
    }
  }
  return result;
}

Tensor fold_concat(NodeReader& reader) {
  std::vector<Tensor> parts;
  for (int i = 0; i < reader.node.input_size(); ++i) parts.push_back(operand(reader, i));
  if (parts.empty()) reader.fail("has no input");
  const std::size_t axis = reader.axis(reader.attributes.integer("axis", 0), parts[0].rank());
  Shape shape = parts[0].shape();
  for (std::size_t i = 1; i < parts.size(); ++i) {
    Shape other = parts[i].shape();
    if (other.size() != shape.size() || parts[i].dtype() != parts[0].dtype())
      reader.fail("inputs differ in rank or type");
    const std::int64_t added = std::exchange(other[axis], shape[axis]);
    if (other != shape) reader.fail("inputs differ outside the axis");
    shape[axis] += added;
  }
  Tensor result = result_of(reader, shape, parts[0].dtype());
  if (result.size() == 0) return result;
  // Parts without elements would cost a step for each row, and give nothing.
  std::erase_if(parts, [](const Tensor& part) { return part.size() == 0; });
  const auto outer = element_count(Shape(shape.begin(), shape.begin() + static_cast<std::ptrdiff_t>(axis)));
  std::byte* target = result.raw();
  for (std::int64_t o = 0; o < outer; ++o) {
    for (const Tensor& part : parts) {
      const std::size_t block = part.size_bytes() / static_cast<std::size_t>(outer);
      std::memcpy(target, part.raw() + static_cast<std::size_t>(o) * block, block);
      target += block;
    }
  }
  return result;
}

Tensor fold_slice(NodeReader& reader) {
  const Tensor data = operand(reader, 0);
  const SliceOperands operands = read_slice(reader, data.rank());
  Shape shape = data.shape();
  std::vector<std::int64_t> strides = strides_of(shape);
  std::int64_t offset = 0;
  for (std::size_t i = 0; i < operands.axes.size(); ++i) {
    const auto axis = static_cast<std::size_t>(operands.axes[i]);
    const std::int64_t size = data.shape()[axis];
    const auto bounds = slice_bounds(size, operands.starts[i], operands.ends[i], operands.steps[i]);
    if (!bounds) {
      shape[axis] = 0;
      continue;
    }
    const std::int64_t step = bounds->step;
    const std::int64_t end = std::min(bounds->end, size);
    const std::int64_t span = step > 0 ? end - bounds->start : bounds->start - end;
    shape[axis] = (span + std::abs(step) - 1) / std::abs(step);
    offset += bounds->start * strides[axis];
    strides[axis] *= step;
  }
  return take(data, sizes(reader, shape, data.dtype()), offset, strides);
}

/// Integer arithmetic on sizes. The batch passes through where it stays itself.
std::int64_t compute(const NodeReader& reader, Op op, std::int64_t a, std::int64_t b) {
  if (a == kBatchSize || b == kBatchSize) {
    const std::int64_t other = a == kBatchSize ? b : a;
    const bool first = a == kBatchSize;
    const bool same = op == Op::kMul   ? other == 1
                      : op == Op::kAdd ? other == 0
                      : op == Op::kSub ? first && other == 0
                                       : first && other == 1;
    if (!same || other == kBatchSize) throw Unsupported{"computes with the size of the batch"};
    return kBatchSize;
  }
  std::int64_t result = 0;
  bool overflow = false;
  switch (op) {
    case Op::kAdd:
      overflow = __builtin_add_overflow(a, b, &result);
      break;
    case Op::kSub:
      overflow = __builtin_sub_overflow(a, b, &result);
      break;
    case Op::kMul:
      overflow = __builtin_mul_overflow(a, b, &result);
      break;
    default:
      overflow = b == 0 || (b == -1 && a == std::numeric_limits<std::int64_t>::min());
      if (!overflow) result = a / b;
  }
  if (overflow) reader.fail("integers overflow, or are divided by 0");
  return result;
}

template <typename T, typename Body>
Tensor broadcast(const NodeReader& reader, const Tensor& a, const Tensor& b, const Body& body) {
  const std::optional<Shape> shape = broadcast_shapes(a.shape(), b.shape());
  if (!shape) {
    reader.fail(fmt::format("shapes {} and {} do not broadcast", to_string(a.shape()), to_string(b.shape())));
  }
  const auto spread = [&](const Tensor& source) {
    const Shape spread_shape = sizes(reader, *shape, source.dtype());
    std::vector<std::int64_t> own = strides_of(source.shape());
    std::vector<std::int64_t> strides(spread_shape.size(), 0);
    for (std::size_t i = 0; i < own.size(); ++i) {
      if (source.shape()[i] != 1) strides[strides.size() - own.size() + i] = own[i];
    }
    return take(source, spread_shape, 0, strides);
  };
  Tensor result = spread(a);
  const Tensor right = spread(b);
  const auto target = result.data<T>();
  for (std::size_t i = 0; i < target.size(); ++i) target[i] = body(target[i], right.data<T>()[i]);
  return result;
}

Tensor fold_binary(NodeReader& reader) {
  const std::string& type = reader.node.op_type();
  const Op op = type == "Add" ? Op::kAdd : type == "Sub" ? Op::kSub : type == "Mul" ? Op::kMul : Op::kDiv;
  const Tensor a = operand(reader, 0);
  const Tensor b = operand(reader, 1);
  if (a.dtype() != b.dtype()) reader.fail("inputs of different types");
  if (a.dtype() == DType::kFloat32)
    return broadcast<float>(reader, a, b, [&](float x, float y) { return apply_binary(op, x, y); });
  if (a.dtype() == DType::kInt64) {
    return broadcast<std::int64_t>(reader, a, b,
                                   [&](std::int64_t x, std::int64_t y) { return compute(reader, op, x, y); });
  }
  throw Unsupported{"constants of " + to_string(a.dtype())};
}

Tensor fold_unary(NodeReader& reader) {
  Tensor result = operand(reader, 0);
  // Of integers, floor is what they are.
  if (result.dtype() != DType::kFloat32) throw Unsupported{"constants of " + to_string(result.dtype())};
  const bool root = reader.node.op_type() == "Sqrt";
  for (float& x : result.data<float>()) x = root ? std::sqrt(x) : std::floor(x);
  return result;
}

Tensor fold_cast(NodeReader& reader) {
  const Tensor source = operand(reader, 0);
  const std::int64_t to = reader.attributes.integer("to", 0);
  const DType wanted = to == onnx::TensorProto::FLOAT ? DType::kFloat32
                       : to == onnx::TensorProto::INT64
                           ? DType::kInt64
                           : throw Unsupported{"to another type than float32 or int64"};
  if (source.dtype() == wanted) return source;
  Tensor result = result_of(reader, source.shape(), wanted);
  const auto copy = [&](auto values) {
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (wanted == DType::kInt64) {
        // Beyond 2^62 no size makes sense, and the conversion would not be defined.
        if (!(std::abs(static_cast<double>(values[i])) < 0x1p62)) reader.fail("a number out of range");
        result.data<std::int64_t>()[i] = static_cast<std::int64_t>(values[i]);
      } else {
        if (static_cast<std::int64_t>(values[i]) == kBatchSize)
          throw Unsupported{"computes with the size of the batch"};
        result.data<float>()[i] = static_cast<float>(values[i]);
      }
    }
  };
  switch (source.dtype()) {
    case DType::kFloat32:
      copy(source.data<float>());
      break;
    case DType::kInt64:
      copy(source.data<std::int64_t>());
      break;
    case DType::kInt32:
      copy(source.data<std::int32_t>());
      break;
    case DType::kUInt8:
      copy(source.data<std::uint8_t>());
      break;
    case DType::kInt8:
      copy(source.data<std::int8_t>());
      break;
  }
  return result;
}

Tensor fold_constant_of_shape(NodeReader& reader) {
  Tensor value({1}, DType::kFloat32);
  if (const onnx::TensorProto* proto = reader.attributes.tensor("value"))
    value = reader.importer.read(*proto, reader.what);
  if (value.size() != 1) reader.fail("a value of more than one element");
  const Shape shape = sizes(reader, reader.integers(0), value.dtype());
  return take(value, shape, 0, std::vector<std::int64_t>(shape.size(), 0));
}

Tensor fold_reshape(NodeReader& reader) {
  const Tensor data = operand(reader, 0);
  const std::string& type = reader.node.op_type();
  Shape shape = data.shape();
  if (type == "Squeeze") {
    const auto axes = read_axes(reader, shape.size());
    Shape kept;
    for (std::size_t i = 0; i < shape.size(); ++i) {
      const bool dropped = axes ? std::ranges::count(*axes, i) > 0 : shape[i] == 1;
      if (!dropped) kept.push_back(shape[i]);
    }
    shape = kept;
  } else if (type == "Unsqueeze") {
    const std::size_t count =
        reader.importer.opset() < 13
            ? reader.attributes.integers("axes").value_or(std::vector<std::int64_t>{}).size()
            : reader.integers(1).size();
    if (count + shape.size() > 8) throw Unsupported{"more than 8 dimensions"};
    for (const std::size_t axis :
         read_axes(reader, shape.size() + count).value_or(std::vector<std::size_t>{}))
      shape.insert(shape.begin() + static_cast<std::ptrdiff_t>(axis), 1);
  } else if (type == "Flatten") {
    const std::int64_t wanted = reader.attributes.integer("axis", 1);
    const auto rank = static_cast<std::int64_t>(shape.size());
    const std::int64_t axis = std::clamp<std::int64_t>(wanted < 0 ? wanted + rank : wanted, 0, rank);
    const std::int64_t rows = element_count(Shape(shape.begin(), shape.begin() + axis));
    shape = {rows, rows == 0 ? 0 : data.size() / rows};
  } else {
    const bool keeps_zero = reader.attributes.integer("allowzero", 0) != 0;
    std::vector<std::int64_t> wanted = reader.integers(1);
    std::int64_t known = 1;
    std::int64_t* open = nullptr;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      if (wanted[i] == 0 && !keeps_zero && i < shape.size()) wanted[i] = shape[i];
      if (wanted[i] == -1) {
        if (open) reader.fail("two open sizes");
        open = &wanted[i];
      } else if (wanted[i] < 0 || wanted[i] > data.size() ||
                 known > std::numeric_limits<std::int32_t>::max()) {
        reader.fail(fmt::format("a size of {} for {} elements", wanted[i], data.size()));
      } else {
        known *= wanted[i];
      }
    }
    if (open) *open = known == 0 ? 0 : data.size() / known;
    shape = sizes(reader, wanted, data.dtype());
  }
  if (element_count(shape) != data.size())
    reader.fail(fmt::format("{} cannot become {}", to_string(data.shape()), to_string(shape)));
  return data.reshaped(shape);
}

/// Keeps integers that stand for real numbers as they are, for the weights of quantized layers.
void fold_transpose(NodeReader& reader) {
  const Constant& source = reader.constant(0);
  const Shape& shape = source.tensor->shape();
  std::vector<std::int64_t> permutation(shape.size());
  std::iota(permutation.rbegin(), permutation.rend(), 0);
  permutation = reader.attributes.integers("perm").value_or(permutation);
  std::vector<std::int64_t> sorted = permutation;
  std::ranges::sort(sorted);
  bool sane = sorted.size() == shape.size();
  for (std::size_t i = 0; sane && i < sorted.size(); ++i) sane = sorted[i] == static_cast<std::int64_t>(i);
  if (!sane) reader.fail("perm does not name each dimension once");
  const std::vector<std::int64_t> own = strides_of(shape);
  Shape result;
  std::vector<std::int64_t> strides;
  for (const std::int64_t from : permutation) {
    result.push_back(shape[static_cast<std::size_t>(from)]);
    strides.push_back(own[static_cast<std::size_t>(from)]);
  }
  reader.importer.budget().charge(source.tensor->size_bytes());
  Constant moved = source;
  moved.name = reader.node.output(0);
  moved.tensor = std::make_shared<Tensor>(take(*source.tensor, result, 0, strides));
  if (moved.quant && moved.quant->per_channel()) {
    moved.quant->axis =
        static_cast<int>(std::ranges::find(permutation, moved.quant->axis) - permutation.begin());
  }
  reader.define(std::move(moved));
}

using Fold = Tensor (*)(NodeReader&);

Fold find_fold(const std::string& type) {
  if (type == "Add" || type == "Sub" || type == "Mul" || type == "Div") return fold_binary;
  if (type == "Sqrt" || type == "Floor") return fold_unary;
  if (type == "Cast") return fold_cast;
  if (type == "Concat") return fold_concat;
  if (type == "ConstantOfShape") return fold_constant_of_shape;
  if (type == "Gather") return fold_gather;
  if (type == "Slice") return fold_slice;
  if (type == "Reshape" || type == "Flatten" || type == "Squeeze" || type == "Unsqueeze") return fold_reshape;
  return nullptr;
}

}  // namespace

bool fold_constants(NodeReader& reader) {
  if (reader.node.domain() == "com.microsoft") return false;
  const std::string& type = reader.node.op_type();
  Fold fold = nullptr;
  if (type == "Shape") {
    fold = fold_shape;
  } else {
    if (reader.node.input_size() == 0) return false;
    for (const std::string& input : reader.node.input()) {
      if (!input.empty() && !std::holds_alternative<Constant>(*reader.importer.find(input))) return false;
    }
    if (type == "Transpose") {
      fold_transpose(reader);
      return true;
    }
    fold = find_fold(type);
  }
  if (!fold) return false;
  reader.define(Constant{reader.node.output(0), std::make_shared<Tensor>(fold(reader)), {}});
  return true;
}

}  // namespace octavo::onnx_format
