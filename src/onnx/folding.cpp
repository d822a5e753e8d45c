/// Constant folding at import: chains of Shape, Gather, Concat and arithmetic that end in the shape of a
/// Reshape, and weights that are computed from constants. The batch size is not known; batches() stand for it
/// and survive whatever moves or multiplies them.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <numeric>

#include "converters.h"
#include "folding.h"
#include "importer.h"
#include "moves.h"
#include "octavo/graph/elementwise.h"
#include "tensor_proto.h"

namespace octavo::onnx_format {

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

/// `source`, repeated along the dimensions where `shape` has more.
Tensor spread(const NodeReader& reader, const Tensor& source, const Shape& shape) {
  const Shape spread_shape = sizes(reader, shape, source.dtype());
  const std::vector<std::int64_t> own = row_major(source.shape());
  std::vector<std::int64_t> strides(spread_shape.size(), 0);
  for (std::size_t i = 0; i < own.size(); ++i) {
    if (source.shape()[i] != 1) strides[strides.size() - own.size() + i] = own[i];
  }
  return take(source, spread_shape, 0, strides);
}

namespace {

Tensor fold_shape(NodeReader& reader) {
  const Symbol& source = reader.operand(0);
  Shape shape;
  if (const auto* constant = std::get_if<Constant>(&source)) {
    shape = constant->tensor->shape();
  } else {
    const auto* flow = std::get_if<Flow>(&source);
    const auto* integers = std::get_if<Integers>(&source);
    const auto* wide = std::get_if<WideIntegers>(&source);
    const ValueId id = flow ? flow->id : integers ? integers->id : wide->id;
    const BatchView& view = flow ? flow->view : integers ? integers->view : wide->view;
    shape = file_shape(reader.importer.graph().value(id).shape, view);
    if (view.position) {
      std::int64_t& images = shape[*view.position];
      const std::optional<std::int64_t> fixed = reader.importer.fixed_batch();
      if (images > kMostBatches || fixed > kMostBatches) throw Unsupported{"a batch of too many elements"};
      images = fixed ? images * *fixed : batches(images);
    }
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
  std::vector<std::int64_t> strides = row_major(shape);
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

/// To the size of the batch, a dimension of 1 stays as it is: it goes with any number of images.
Tensor fold_expand(NodeReader& reader) {
  const Tensor data = operand(reader, 0);
  Shape wanted = reader.integers(1, /*batch=*/true);
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (batches_in(wanted[i]) == 0) continue;
    const std::size_t from_end = wanted.size() - i;
    if (data.rank() > wanted.size() || (data.rank() >= from_end && data.dim(data.rank() - from_end) != 1))
      throw Unsupported{"to the size of the batch, of more than one image"};
    wanted[i] = 1;
  }
  for (const std::int64_t size : wanted) {
    if (size < 0) throw Unsupported{"to a size that is not known"};
  }
  const auto shape = broadcast_shapes(data.shape(), wanted);
  if (!shape)
    reader.fail(fmt::format("{} does not expand to {}", to_string(data.shape()), to_string(wanted)));
  return spread(reader, data, *shape);
}

Tensor fold_constant_of_shape(NodeReader& reader) {
  Tensor value({1}, DType::kFloat32);
  if (const onnx::TensorProto* proto = reader.attributes.tensor("value"))
    value = reader.importer.read(*proto, reader.what);
  if (value.size() != 1) reader.fail("a value of more than one element");
  std::vector<std::int64_t> wanted = reader.integers(0, /*batch=*/true);
  // The same for each image: one goes with any number of them.
  if (!wanted.empty() && batches_in(wanted[0]) > 0) wanted[0] = 1;
  if (std::ranges::any_of(wanted, [](std::int64_t size) { return batches_in(size) > 0; }))
    throw Unsupported{"of a size that depends on the batch"};
  const Shape shape = sizes(reader, std::move(wanted), value.dtype());
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
  const std::vector<std::int64_t> own = row_major(shape);
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

Fold find_fold(const std::string& type) {
  if (const Fold arithmetic = find_arithmetic_fold(type)) return arithmetic;
  if (const Fold indices = find_index_fold(type)) return indices;
  if (const Fold layer = find_layer_fold(type)) return layer;
  if (const Fold series = find_series_fold(type)) return series;
  if (type == "Expand") return fold_expand;
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
