/// Operators that put elements in other places in ways that Slice, Pad, Reshape, Transpose and Concat add up
/// to.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "converters.h"
#include "importer.h"
#include "interpolation.h"
#include "moves.h"
#include "octavo/core/error.h"
#include "tensor_proto.h"

namespace octavo::onnx_format {
namespace {

constexpr std::int64_t kLargest = std::numeric_limits<std::int32_t>::max();

/// In the order of their elements, whatever their dimensions.
std::vector<std::int64_t> indices_of_gather(const NodeReader& reader) {
  const Tensor& tensor = *reader.constant(1).tensor;
  reader.importer.budget().work(tensor.size_bytes());
  if (tensor.dtype() == DType::kInt64) {
    const auto values = tensor.data<std::int64_t>();
    if (std::ranges::any_of(values, [](std::int64_t index) { return batches_in(index) > 0; }))
      throw Unsupported{"indices that depend on the size of the batch"};
    return {values.begin(), values.end()};
  }
  if (tensor.dtype() != DType::kInt32) reader.fail("indices are not int32 or int64");
  const auto values = tensor.data<std::int32_t>();
  return {values.begin(), values.end()};
}

/// Gather by constant indices along a dimension of the image: Slices, joined where they are several.
void convert_gather(NodeReader& reader) {
  Flow x = reader.viewed(0);
  const std::size_t axis = reader.image_axis(reader.attributes.integer("axis", 0), x);
  const Shape shape = reader.shape(x);
  const std::int64_t size = shape[axis];
  const Shape shape_of_indices = reader.constant(1).tensor->shape();
  const std::size_t rank_of_indices = shape_of_indices.size();
  std::vector<std::int64_t> indices = indices_of_gather(reader);
  constexpr std::size_t kMost = 4096;
  if (indices.empty() || indices.size() > kMost)
    throw Unsupported{fmt::format("{} indices; expected 1 to {}", indices.size(), kMost)};
  for (std::int64_t& index : indices) {
    if (index < -size || index >= size)
      reader.fail(fmt::format("index {}; expected {} to {}", index, -size, size - 1));
    if (index < 0) index += size;
  }
  // Runs of equal steps, each a Slice.
  std::vector<SliceAttributes> slices;
  for (std::size_t first = 0; first < indices.size();) {
    std::size_t last = first;
    const std::int64_t step = first + 1 < indices.size() ? indices[first + 1] - indices[first] : 1;
    if (step != 0) {
      while (last + 1 < indices.size() && indices[last + 1] - indices[last] == step) ++last;
    }
    const std::int64_t by = step == 0 || first == last ? 1 : step;
    const std::int64_t end = indices[last] + by;
    slices.push_back(
        slice_of(shape.size(), axis,
                 {indices[first],
                  by > 0 && end >= size ? SliceAttributes::kWhole : std::max<std::int64_t>(end, -1), by}));
    first = last + 1;
  }
  // A node for each, and one that reads them.
  reader.importer.budget().charge(slices.size() * (sizeof(Node) + sizeof(Value)));
  if (rank_of_indices == 0) {  // One element: its dimension goes.
    Shape rest = shape;
    rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(axis));
    const ValueId one = reader.emit_inner("_slice", Op::kSlice, {x.id}, slices[0]);
    // The batch moves to the front where what was before it goes.
    if (x.view.position >= axis) --*reader.view.position;
    reader.emit(Op::kReshape, {one}, ReshapeAttributes{std::move(rest)});
    return;
  }
  if (slices.size() == 1 && rank_of_indices == 1) {
    reader.emit(Op::kSlice, {x.id}, slices[0]);
    return;
  }
  std::vector<ValueId> parts;
  for (std::size_t i = 0; i < slices.size(); ++i)
    parts.push_back(reader.emit_inner(fmt::format("_slice{}", i), Op::kSlice, {x.id}, slices[i]));
  const AxisAttributes along{static_cast<std::int64_t>(axis)};
  if (rank_of_indices == 1) {
    reader.emit(Op::kConcat, std::move(parts), along);
    return;
  }
  if (shape.size() + rank_of_indices > 9) throw Unsupported{"more than 8 dimensions"};
  const ValueId row =
      parts.size() == 1 ? parts[0] : reader.emit_inner("_row", Op::kConcat, std::move(parts), along);
  Shape result = shape;
  const auto at = result.erase(result.begin() + static_cast<std::ptrdiff_t>(axis));
  result.insert(at, shape_of_indices.begin(), shape_of_indices.end());
  // The batch moves back where what is before it is more dimensions now.
  if (x.view.position >= axis) *reader.view.position += rank_of_indices - 1;
  reader.emit(Op::kReshape, {row}, ReshapeAttributes{std::move(result)});
}

/// Elements before and after each dimension; negative ones crop.
struct Pads {
  std::vector<std::int64_t> before, after;
};

Pads read_pads(NodeReader& reader, std::size_t rank, bool attributes) {
  std::vector<std::int64_t> pads =
      attributes ? reader.attributes.integers("pads").value_or(std::vector<std::int64_t>{})
                 : reader.integers(1);
  std::vector<std::size_t> axes(rank);
  for (std::size_t i = 0; i < rank; ++i) axes[i] = i;
  if (!attributes && reader.has(3)) {
    axes.clear();
    for (const std::int64_t axis : reader.integers(3)) axes.push_back(reader.axis(axis, rank));
  }
  if (pads.size() != 2 * axes.size()) {
    reader.fail(
        fmt::format("{} pads; expected {} for {} dimensions", pads.size(), 2 * axes.size(), axes.size()));
  }
  Pads result{std::vector<std::int64_t>(rank, 0), std::vector<std::int64_t>(rank, 0)};
  for (std::size_t i = 0; i < axes.size(); ++i) {
    result.before[axes[i]] = pads[i];
    result.after[axes[i]] = pads[axes.size() + i];
  }
  for (const std::int64_t pad : pads) {
    if (pad > kLargest || pad < -kLargest) reader.fail(fmt::format("a pad of {}", pad));
  }
  return result;
}

/// The same of the value behind the file's tensor.
Pads pads_of_value(const Pads& pads, const BatchView& view, std::size_t rank) {
  Pads result{std::vector<std::int64_t>(rank, 0), std::vector<std::int64_t>(rank, 0)};
  for (std::size_t axis = 0; axis < pads.before.size(); ++axis) {
    const auto at = value_axis(axis, view);
    if (!at && (pads.before[axis] != 0 || pads.after[axis] != 0)) throw Unsupported{"pads the batch"};
    if (!at) continue;
    result.before[*at] = pads.before[axis];
    result.after[*at] = pads.after[axis];
  }
  return result;
}

/// Cuts off what negative pads crop, and leaves the others.
ValueId crop(const NodeReader& reader, ValueId x, Pads& pads) {
  const Shape shape = reader.importer.graph().value(x).shape;
  for (std::size_t axis = 1; axis < shape.size(); ++axis) {
    const std::int64_t start = std::max<std::int64_t>(-pads.before[axis], 0);
    const std::int64_t end = shape[axis] - std::max<std::int64_t>(-pads.after[axis], 0);
    pads.before[axis] = std::max<std::int64_t>(pads.before[axis], 0);
    pads.after[axis] = std::max<std::int64_t>(pads.after[axis], 0);
    if (start == 0 && end == shape[axis]) continue;
    const auto bounds = slice_bounds(shape[axis], start, end, 1);
    if (!bounds) throw Unsupported{fmt::format("crops all of dimension {}", axis)};
    x = reader.emit_inner(fmt::format("_crop{}", axis), Op::kSlice, {x},
                          slice_of(shape.size(), axis, *bounds));
  }
  return x;
}

/// `count` elements of the image beside its edge along `axis`, outermost first or last: the edge itself, or
/// what lies inside it as in a mirror.
void append_border(const NodeReader& reader, ValueId x, std::size_t axis, std::int64_t count, bool after,
                   bool mirror, std::vector<ValueId>& parts) {
  if (count == 0) return;
  const Shape shape = reader.importer.graph().value(x).shape;
  const std::int64_t size = shape[axis];
  const std::string suffix = fmt::format("_{}{}", after ? "after" : "before", axis);
  if (mirror) {
    if (count >= size) reader.fail(fmt::format("mirrors {} of {} elements; expected less", count, size));
    const SliceBounds bounds =
        after ? SliceBounds{size - 2, size - 2 - count, -1} : SliceBounds{count, 0, -1};
    parts.push_back(reader.emit_inner(suffix, Op::kSlice, {x}, slice_of(shape.size(), axis, bounds)));
    return;
  }
  constexpr std::int64_t kMost = 256;
  if (count > kMost) throw Unsupported{fmt::format("repeats an edge {} times, more than {}", count, kMost)};
  const SliceBounds bounds = after ? SliceBounds{size - 1, SliceAttributes::kWhole, 1}
                                   : SliceBounds{0, size == 1 ? SliceAttributes::kWhole : 1, 1};
  const ValueId edge = reader.emit_inner(suffix, Op::kSlice, {x}, slice_of(shape.size(), axis, bounds));
  reader.importer.budget().charge(static_cast<std::uint64_t>(count) * sizeof(ValueId));
  parts.insert(parts.end(), static_cast<std::size_t>(count), edge);
}

void convert_pad(NodeReader& reader) {
  const Flow x = reader.viewed(0);
  const std::size_t rank = reader.shape(x).size();
  const std::string mode = reader.attributes.text("mode", "constant");
  const bool attributes = reader.importer.opset() < 11;
  Pads pads = pads_of_value(read_pads(reader, reader.rank(x), attributes), x.view, rank);
  float value = attributes ? reader.attributes.real("value", 0) : 0;
  if (!attributes && reader.has(2)) value = reader.scalar(2);
  if (std::isnan(value)) reader.fail("pads with what is not a number");
  ValueId y = crop(reader, x.id, pads);
  if (mode == "constant") {
    reader.emit(Op::kPad, {y}, PadAttributes{pads.before, pads.after, value});
    return;
  }
  if (mode != "reflect" && mode != "edge") throw Unsupported{"mode '" + printable(mode) + "'"};
  for (std::size_t axis = 1; axis < rank; ++axis) {
    std::vector<ValueId> parts;
    append_border(reader, y, axis, pads.before[axis], /*after=*/false, mode == "reflect", parts);
    parts.push_back(y);
    append_border(reader, y, axis, pads.after[axis], /*after=*/true, mode == "reflect", parts);
    if (parts.size() == 1) continue;
    y = reader.emit_inner(fmt::format("_padded{}", axis), Op::kConcat, std::move(parts),
                          AxisAttributes{static_cast<std::int64_t>(axis)});
  }
  reader.define(Flow{.id = y, .view = x.view});
}

/// Which element of `in` along an axis is the nearest to each of `out`, as Resize says it.
std::vector<std::int64_t> nearest_elements(const std::string& coordinates, const std::string& rounding,
                                           std::int64_t in, std::int64_t out, double scale) {
  std::vector<std::int64_t> result;
  for (std::int64_t o = 0; o < out; ++o) {
    const double at = coordinate(coordinates, o, in, out, scale);
    const double nearest = rounding == "floor"               ? std::floor(at)
                           : rounding == "ceil"              ? std::ceil(at)
                           : rounding == "round_prefer_ceil" ? std::floor(at + 0.5)
                                                             : std::ceil(at - 0.5);
    result.push_back(std::clamp(static_cast<std::int64_t>(nearest), std::int64_t{0}, in - 1));
  }
  return result;
}

/// Takes those elements along `axis`: every so-manyth, or each as often as the others. Throws Unsupported for
/// others.
ValueId take_elements(const NodeReader& reader, ValueId x, std::size_t axis,
                      const std::vector<std::int64_t>& elements) {
  const Shape shape = reader.importer.graph().value(x).shape;
  const auto out = static_cast<std::int64_t>(elements.size());
  const std::int64_t step = out > 1 ? elements[1] - elements[0] : 1;
  const auto every = [&](const auto& expected) {
    for (std::int64_t o = 0; o < out; ++o) {
      if (elements[static_cast<std::size_t>(o)] != expected(o)) return false;
    }
    return true;
  };
  const std::string suffix = fmt::format("_along{}", axis);
  if (step > 0 && every([&](std::int64_t o) { return elements[0] + o * step; })) {
    if (out == shape[axis]) return x;
    const auto bounds = slice_bounds(shape[axis], elements[0], elements.back() + 1, step);
    return reader.emit_inner(suffix, Op::kSlice, {x}, slice_of(shape.size(), axis, bounds.value()));
  }
  const std::int64_t times = out / shape[axis];
  constexpr std::int64_t kMost = 64;
  if (times < 2 || times > kMost || out % shape[axis] != 0 ||
      !every([&](std::int64_t o) { return o / times; }))
    throw Unsupported{fmt::format("{} to {} elements, which is no repetition", shape[axis], out)};
  Shape apart = shape;
  apart.insert(apart.begin() + static_cast<std::ptrdiff_t>(axis) + 1, 1);
  const ValueId single = reader.emit_inner(suffix + "_apart", Op::kReshape, {x}, ReshapeAttributes{apart});
  const ValueId repeated = reader.emit_inner(suffix + "_repeated", Op::kConcat,
                                             std::vector<ValueId>(static_cast<std::size_t>(times), single),
                                             AxisAttributes{static_cast<std::int64_t>(axis) + 1});
  Shape joined = shape;
  joined[axis] = out;
  return reader.emit_inner(suffix, Op::kReshape, {repeated}, ReshapeAttributes{joined});
}

/// The output's size along each axis, and how much larger it is.
struct Resized {
  Shape shape;
  std::vector<double> scales;
};

Resized read_resized(NodeReader& reader, const Shape& shape) {
  const bool upsample = reader.node.op_type() == "Upsample";
  const std::int64_t opset = reader.importer.opset();
  const int scale_operand = upsample || opset < 11 ? 1 : 2;
  Resized result{shape, std::vector<double>(shape.size(), 1.0)};
  std::vector<float> scales;
  if (upsample && opset < 9) {
    scales = reader.attributes.reals("scales");
  } else if (reader.has(scale_operand)) {
    const Tensor tensor = reader.real(scale_operand);
    scales.assign(tensor.data<float>().begin(), tensor.data<float>().end());
  }
  if (reader.attributes.has("axes")) throw Unsupported{"attribute 'axes'"};
  if (!scales.empty()) {
    if (scales.size() != shape.size()) reader.fail("scales do not fit the input's dimensions");
    for (std::size_t i = 0; i < scales.size(); ++i) {
      if (!(scales[i] > 0) || scales[i] > 1024) reader.fail(fmt::format("a scale of {}", scales[i]));
      result.scales[i] = static_cast<double>(scales[i]);
      if (i > 0)
        result.shape[i] =
            static_cast<std::int64_t>(std::floor(static_cast<double>(shape[i]) * result.scales[i]));
    }
  } else {
    const std::vector<std::int64_t> sizes = reader.integers(3, /*batch=*/true);
    if (sizes.size() != shape.size()) reader.fail("sizes do not fit the input's dimensions");
    for (std::size_t i = 1; i < sizes.size(); ++i) {
      result.shape[i] = sizes[i];
      result.scales[i] = static_cast<double>(sizes[i]) / static_cast<double>(shape[i]);
    }
  }
  if (result.scales[0] != 1.0) throw Unsupported{"of the batch"};
  for (std::size_t i = 1; i < shape.size(); ++i) {
    if (result.shape[i] < 1 || result.shape[i] > (1 << 16))
      reader.fail(fmt::format("a size of {}", result.shape[i]));
  }
  return result;
}

/// Nearest neighbours by repetition or by leaving out; the mean of four for half the size, which is what
/// linear interpolation gives there.
void convert_resize(NodeReader& reader) {
  const Flow x = reader.flow(0);
  const Shape shape = reader.shape(x);
  const Resized to = read_resized(reader, shape);
  const bool upsample = reader.node.op_type() == "Upsample";
  const std::string mode = reader.attributes.text("mode", "nearest");
  const bool old = upsample || reader.importer.opset() < 11;
  const std::string coordinates =
      reader.attributes.text("coordinate_transformation_mode", old ? "asymmetric" : "half_pixel");
  const std::string rounding = reader.attributes.text("nearest_mode", old ? "floor" : "round_prefer_floor");
  Interpolation how{
      .mode = mode, .coordinates = coordinates, .cubic = reader.attributes.real("cubic_coeff_a", -0.75F)};
  reader.attributes.real("extrapolation_value", 0);
  how.exclude_outside = reader.attributes.integer("exclude_outside", 0) != 0;
  if (reader.attributes.integer("antialias", 0) != 0) throw Unsupported{"antialias"};
  const bool halves = shape.size() == 4 && to.scales[1] == 1.0 && to.scales[2] == 0.5 &&
                      to.scales[3] == 0.5 && shape[2] % 2 == 0 && shape[3] % 2 == 0;
  if (mode == "linear" && halves && (coordinates == "half_pixel" || coordinates == "pytorch_half_pixel")) {
    reader.emit(Op::kAveragePool, {x.id}, PoolAttributes{.kernel = {2, 2}, .strides = {2, 2}});
    return;
  }
  if (mode != "nearest" && mode != "linear" && mode != "cubic")
    throw Unsupported{"mode '" + printable(mode) + "'"};
  ValueId y = x.id;
  for (std::size_t axis = 1; axis < shape.size(); ++axis) {
    if (mode != "nearest") {
      if (to.scales[axis] != 1.0 || to.shape[axis] != shape[axis])
        y = interpolated(reader, y, axis, to.shape[axis], to.scales[axis], how);
      continue;
    }
    reader.importer.budget().work(static_cast<std::uint64_t>(to.shape[axis]));
    y = take_elements(reader, y, axis,
                      nearest_elements(coordinates, rounding, shape[axis], to.shape[axis], to.scales[axis]));
  }
  reader.define(Flow{.id = y});
}

std::int64_t block_of(NodeReader& reader, const Shape& shape) {
  if (shape.size() != 4) throw Unsupported{fmt::format("input of {} dimensions, not 4", shape.size())};
  const std::int64_t block = reader.attributes.integer("blocksize", 0);
  if (block < 1 || block > 1024) reader.fail(fmt::format("blocksize {}", block));
  return block;
}

void convert_depth_to_space(NodeReader& reader) {
  const Flow x = reader.flow(0);
  const Shape s = reader.shape(x);
  const std::int64_t b = block_of(reader, s);
  if (s[1] % (b * b) != 0) reader.fail(fmt::format("{} channels in blocks of {}", s[1], b * b));
  const bool depth_first = reader.attributes.text("mode", "DCR") == "DCR";
  const std::int64_t c = s[1] / (b * b);
  const Shape split =
      depth_first ? Shape{kDynamic, b, b, c, s[2], s[3]} : Shape{kDynamic, c, b, b, s[2], s[3]};
  const std::vector<std::int64_t> order =
      depth_first ? std::vector<std::int64_t>{0, 3, 4, 1, 5, 2} : std::vector<std::int64_t>{0, 1, 4, 2, 5, 3};
  const ValueId blocks = reader.emit_inner("_blocks", Op::kReshape, {x.id}, ReshapeAttributes{split});
  const ValueId moved = reader.emit_inner("_moved", Op::kTranspose, {blocks}, TransposeAttributes{order});
  reader.emit(Op::kReshape, {moved}, ReshapeAttributes{{kDynamic, c, s[2] * b, s[3] * b}});
}

void convert_space_to_depth(NodeReader& reader) {
  const Flow x = reader.flow(0);
  const Shape s = reader.shape(x);
  const std::int64_t b = block_of(reader, s);
  if (s[2] % b != 0 || s[3] % b != 0) reader.fail(fmt::format("{} in blocks of {}", to_string(s), b));
  const Shape split{kDynamic, s[1], s[2] / b, b, s[3] / b, b};
  const ValueId blocks = reader.emit_inner("_blocks", Op::kReshape, {x.id}, ReshapeAttributes{split});
  const ValueId moved =
      reader.emit_inner("_moved", Op::kTranspose, {blocks}, TransposeAttributes{{0, 3, 5, 1, 2, 4}});
  reader.emit(Op::kReshape, {moved}, ReshapeAttributes{{kDynamic, s[1] * b * b, s[2] / b, s[3] / b}});
}

}  // namespace

std::span<const ConverterEntry> rearrangement_converters() {
  static constexpr ConverterEntry kEntries[] = {
      {"DepthToSpace", convert_depth_to_space},
      {"Gather", convert_gather},
      {"Pad", convert_pad},
      {"Resize", convert_resize},
      {"SpaceToDepth", convert_space_to_depth},
      {"Upsample", convert_resize},
  };
  return kEntries;
}

}  // namespace octavo::onnx_format
