#include "moves.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "converters.h"
#include "importer.h"
#include "octavo/core/error.h"
#include "tensor_proto.h"

namespace octavo::onnx_format {
namespace {

constexpr std::int64_t kLargest = std::numeric_limits<std::int32_t>::max();

/// A size that a Reshape asks for: a number, or one with the batch as a factor.
struct Size {
  std::int64_t count = 1;
  bool batch = false;
};

struct Target {
  Shape shape;  ///< As file_shape() has it.
  BatchView view;
};

/// Where in a shape of plain numbers the batch is, which the file fixes to `images`.
std::optional<Target> find_batch(const Shape& from, const BatchView& view, const Shape& sizes,
                                 std::int64_t images) {
  // One image may be anywhere: first if it can be, else where it was, else nowhere.
  if (images == 1) {
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      if (sizes[i] != 1) continue;
      if (i == 0) return Target{sizes, {}};
      const auto found = reshaped_view(from, view, sizes, i);
      if (view.position && found) return Target{sizes, *found};
    }
    return Target{sizes, kOneImage};
  }
  // Several have one stride, and so one place.
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    if (sizes[i] % images != 0) continue;
    Shape shape = sizes;
    shape[i] /= images;
    if (const auto found = reshaped_view(from, view, shape, i)) return Target{shape, *found};
  }
  return std::nullopt;
}

/// Reshape to `target`, one entry a dimension as in ONNX: 0 keeps a size, -1 takes what is left.
Target resolve(const NodeReader& reader, const Shape& x, const BatchView& view,
               const std::vector<std::int64_t>& target) {
  if (target.size() > 8) throw Unsupported{fmt::format("{} dimensions, more than 8", target.size())};
  const auto refuse = [&] {
    Shape from = x;
    std::vector<std::string> shown;
    for (const std::int64_t size : target) {
      const std::int64_t times = batches_in(size);
      shown.push_back(times == 0 ? std::to_string(size) : times == 1 ? "N" : fmt::format("{}*N", times));
    }
    if (view.plain()) from[0] = kDynamic;
    throw Unsupported{fmt::format("{}{} to [{}], which does not keep the batch", to_string(from),
                                  view.plain() ? "" : " " + describe(view), fmt::join(shown, ", "))};
  };
  const std::optional<std::int64_t> fixed = reader.importer.fixed_batch();
  const auto times_batch = [&](std::int64_t count) {
    std::int64_t result = 0;
    if (__builtin_mul_overflow(count, fixed.value_or(1), &result)) refuse();
    return result;
  };
  std::vector<Size> sizes;
  std::optional<std::size_t> open;
  std::optional<std::size_t> batch;
  for (std::size_t i = 0; i < target.size(); ++i) {
    Size size{.count = target[i]};
    if (const std::int64_t times = batches_in(target[i])) {
      size = {.count = times, .batch = true};
    } else if (target[i] == 0) {
      if (i >= x.size()) reader.fail(fmt::format("keeps dimension {} of {}", i, to_string(x)));
      size = {.count = x[i], .batch = view.position == i};
    } else if (target[i] == -1) {
      if (open) refuse();
      open = i;
    } else if (target[i] < 0 || target[i] > kLargest) {
      reader.fail(fmt::format("a size of {}; expected -1 to {}", target[i], kLargest));
    }
    if (size.batch && fixed) size = {.count = times_batch(size.count), .batch = false};
    if (size.batch && batch) refuse();
    if (size.batch) batch = i;
    sizes.push_back(size);
  }
  // Of a batch that is open, what is left has it where no other size has.
  const std::int64_t elements = times_batch(element_count(x));
  std::int64_t known = 1;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    if (i == open) continue;
    if (sizes[i].count > elements / known) refuse();
    known *= sizes[i].count;
  }
  if (open ? elements % known != 0 : known != elements) refuse();
  if (open) sizes[*open].count = elements / known;
  if (open && !batch) batch = open;
  Shape shape;
  for (const Size& size : sizes) shape.push_back(size.count);
  if (fixed) {
    auto found = find_batch(x, view, shape, *fixed);
    if (!found) refuse();
    return *std::move(found);
  }
  const auto found = batch ? reshaped_view(x, view, shape, *batch) : std::nullopt;
  if (!found) refuse();
  return {std::move(shape), *found};
}

}  // namespace

SliceAttributes slice_of(std::size_t rank, std::size_t axis, const SliceBounds& bounds) {
  SliceAttributes a{.starts = std::vector<std::int64_t>(rank, 0),
                    .ends = std::vector<std::int64_t>(rank, SliceAttributes::kWhole),
                    .steps = std::vector<std::int64_t>(rank, 1)};
  a.starts[axis] = bounds.start;
  a.ends[axis] = bounds.end;
  a.steps[axis] = bounds.step;
  return a;
}

std::optional<SliceBounds> slice_bounds(std::int64_t size, std::int64_t start, std::int64_t end,
                                        std::int64_t step) {
  const auto clamped = [&](std::int64_t at, std::int64_t least, std::int64_t most) {
    return std::clamp(at < 0 ? at + size : at, least, most);
  };
  step = std::clamp(step, -kLargest, kLargest);
  if (step > 0) {
    const SliceBounds bounds{clamped(start, 0, size), clamped(end, 0, size), step};
    if (bounds.start >= bounds.end) return std::nullopt;
    return SliceBounds{bounds.start, bounds.end == size ? SliceAttributes::kWhole : bounds.end, step};
  }
  const SliceBounds bounds{clamped(start, -1, size - 1), clamped(end, -1, size - 1), step};
  if (bounds.start <= bounds.end || step == 0) return std::nullopt;
  return bounds;
}

SliceOperands read_slice(NodeReader& reader, std::size_t rank) {
  SliceOperands operands;
  std::optional<std::vector<std::int64_t>> axes;
  if (reader.importer.opset() < 10) {
    const auto row = [&](const char* name) {
      if (!reader.attributes.has(name)) reader.fail(fmt::format("has no attribute '{}'", name));
      return *reader.attributes.integers(name);
    };
    operands.starts = row("starts");
    operands.ends = row("ends");
    axes = reader.attributes.integers("axes");
  } else {
    operands.starts = reader.integers(1);
    operands.ends = reader.integers(2);
    if (reader.has(3)) axes = reader.integers(3);
    if (reader.has(4)) operands.steps = reader.integers(4);
  }
  const std::size_t count = operands.starts.size();
  if (operands.steps.empty()) operands.steps.assign(count, 1);
  operands.axes.resize(axes ? axes->size() : count);
  std::iota(operands.axes.begin(), operands.axes.end(), 0);
  if (axes) operands.axes = *axes;
  if (operands.ends.size() != count || operands.steps.size() != count || operands.axes.size() != count)
    reader.fail("starts, ends, axes and steps differ in number");
  std::vector<bool> seen(rank, false);
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t axis = reader.axis(operands.axes[i], rank);
    if (seen[axis]) reader.fail(fmt::format("axis {} twice", axis));
    if (operands.steps[i] == 0) reader.fail("a step of 0");
    seen[axis] = true;
    operands.axes[i] = static_cast<std::int64_t>(axis);
  }
  return operands;
}

std::optional<std::vector<std::size_t>> read_axes(NodeReader& reader, std::size_t rank,
                                                  std::int64_t operand_since) {
  std::optional<std::vector<std::int64_t>> wanted;
  if (reader.importer.opset() < operand_since) {
    wanted = reader.attributes.integers("axes");
  } else if (reader.has(1)) {
    wanted = reader.integers(1);
  }
  if (!wanted) return std::nullopt;
  std::vector<std::size_t> axes;
  for (const std::int64_t axis : *wanted) axes.push_back(reader.axis(axis, rank));
  std::ranges::sort(axes);
  if (std::ranges::adjacent_find(axes) != axes.end()) reader.fail("an axis twice");
  return axes;
}

namespace {

/// Constants before and after what flows, such as a class token before an image's patches: the flow, padded
/// with zeros along the value's `axis`, and a constant added that has zeros where the flow is.
void concat_constants(const NodeReader& reader, ValueId x, std::size_t axis, const std::vector<int>& before,
                      const std::vector<int>& after) {
  const Shape shape = reader.importer.graph().value(x).shape;
  std::vector<Tensor> tensors;
  PadAttributes pads{std::vector<std::int64_t>(shape.size(), 0), std::vector<std::int64_t>(shape.size(), 0),
                     0};
  Shape total = shape;
  total[0] = 1;
  const auto add = [&](const std::vector<int>& operands, std::int64_t& size) {
    for (const int index : operands) {
      tensors.push_back(reader.real_in_view(index, file_rank(shape.size(), reader.view)));
      const Shape& own = tensors.back().shape();
      Shape expected = total;
      expected[axis] = own[axis];
      if (own != expected) {
        throw Unsupported{fmt::format("a constant of {} beside {}",
                                      to_string(reader.constant(index).tensor->shape()), to_string(shape))};
      }
      size += own[axis];
    }
  };
  add(before, pads.before[axis]);
  add(after, pads.after[axis]);
  total[axis] += pads.before[axis] + pads.after[axis];
  reader.importer.budget().charge(static_cast<std::uint64_t>(element_count(total)) * sizeof(float));
  Tensor sum(total, DType::kFloat32);
  const std::int64_t inner =
      element_count(Shape(total.begin() + static_cast<std::ptrdiff_t>(axis) + 1, total.end()));
  const std::int64_t outer =
      element_count(Shape(total.begin(), total.begin() + static_cast<std::ptrdiff_t>(axis)));
  std::int64_t at = 0;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const Tensor& tensor = std::as_const(tensors[i]);
    if (i == before.size()) at += shape[axis];
    const std::int64_t run = tensor.dim(axis) * inner;
    for (std::int64_t o = 0; o < outer; ++o) {
      std::copy_n(tensor.data<float>().begin() + o * run, run,
                  sum.data<float>().begin() + o * total[axis] * inner + at * inner);
    }
    at += tensor.dim(axis);
  }
  const Constant made{reader.name + "_constants", std::make_shared<Tensor>(std::move(sum)), {}};
  const ValueId added = reader.importer.constant_value(made, "real", [&] {
    return Importer::Made{*made.tensor, {}};
  });
  const ValueId padded = reader.emit_inner("_padded", Op::kPad, {x}, std::move(pads));
  reader.emit(Op::kAdd, {padded, added});
}

void convert_concat(NodeReader& reader) {
  if (!reader.attributes.has("axis")) reader.fail("has no attribute 'axis'");
  const std::int64_t wanted = reader.attributes.integer("axis", 1);
  std::vector<Flow> flows;
  std::vector<int> before;
  std::vector<int> after;
  for (int i = 0; i < reader.node.input_size(); ++i) {
    if (std::holds_alternative<Constant>(reader.operand(i))) {
      (flows.empty() ? before : after).push_back(i);
    } else if (after.empty()) {
      flows.push_back(reader.viewed(i));
    } else {
      throw Unsupported{"constants between values that flow"};
    }
  }
  if (flows.empty()) reader.fail("has no input");
  for (const Flow& flow : flows) {
    if (reader.rank(flow) != reader.rank(flows[0])) reader.fail("inputs differ in rank");
  }
  reader.align(flows);
  std::size_t axis = 0;
  std::vector<ValueId> inputs;
  for (Flow& flow : flows) {
    axis = reader.image_axis(wanted, flow);
    inputs.push_back(flow.id);
  }
  const AxisAttributes along{static_cast<std::int64_t>(axis)};
  if (before.empty() && after.empty()) {
    reader.emit(Op::kConcat, std::move(inputs), along);
    return;
  }
  const ValueId x = inputs.size() == 1 ? inputs[0] : reader.emit_inner("_flows", Op::kConcat, inputs, along);
  concat_constants(reader, x, axis, before, after);
}

void convert_slice(NodeReader& reader) {
  const Flow x = reader.moved(0);
  const Shape shape = reader.shape(x);
  const SliceOperands operands = read_slice(reader, reader.rank(x));
  SliceAttributes a = slice_of(shape.size(), 0, {0, SliceAttributes::kWhole, 1});
  for (std::size_t i = 0; i < operands.axes.size(); ++i) {
    const auto own = static_cast<std::size_t>(operands.axes[i]);
    const auto found = value_axis(own, x.view);
    if (!found) {
      const std::int64_t images = x.view.outer * x.view.inner;
      const auto fixed = reader.importer.fixed_batch();
      const auto taken = slice_bounds(fixed ? *fixed * images : kLargest, operands.starts[i],
                                      operands.ends[i], operands.steps[i]);
      const bool whole =
          taken && taken->start == 0 && taken->end == SliceAttributes::kWhole && taken->step == 1;
      // Of one image, whatever takes something takes it.
      if (!whole && !(taken && fixed == 1)) throw Unsupported{"takes a part of the batch"};
      continue;
    }
    const std::size_t axis = *found;
    const auto bounds = slice_bounds(shape[axis], operands.starts[i], operands.ends[i], operands.steps[i]);
    if (!bounds) throw Unsupported{fmt::format("takes nothing of dimension {}", own)};
    a.starts[axis] = bounds->start;
    a.ends[axis] = bounds->end;
    a.steps[axis] = bounds->step;
  }
  reader.emit(Op::kSlice, {x.id}, a);
}

/// One Slice for each output that is read.
void convert_split(NodeReader& reader) {
  Flow x = reader.moved(0);
  const std::size_t axis = reader.image_axis(reader.attributes.integer("axis", 0), x);
  const Shape shape = reader.shape(x);
  std::optional<std::vector<std::int64_t>> sizes;
  if (reader.importer.opset() < 13) {
    sizes = reader.attributes.integers("split");
  } else if (reader.has(1)) {
    sizes = reader.integers(1);
  }
  const std::int64_t outputs = reader.node.output_size();
  const bool numbered = reader.attributes.has("num_outputs");
  if (numbered && reader.attributes.integer("num_outputs", 0) != outputs)
    reader.fail(fmt::format("num_outputs is not {}, the outputs there are", outputs));
  if (!sizes) {
    if (shape[axis] % outputs != 0 && !numbered)
      reader.fail(fmt::format("{} outputs do not divide {}", outputs, shape[axis]));
    // The last is smaller where they do not divide.
    const std::int64_t each = (shape[axis] + outputs - 1) / outputs;
    sizes.emplace();
    for (std::int64_t left = shape[axis], i = 0; i < outputs; ++i, left -= each)
      sizes->push_back(std::clamp<std::int64_t>(left, 0, each));
  }
  std::int64_t left = shape[axis];
  for (const std::int64_t size : *sizes) {
    if (size < 0 || size > left) reader.fail(fmt::format("sizes that do not add up to {}", shape[axis]));
    left -= size;
  }
  if (left != 0 || static_cast<std::int64_t>(sizes->size()) != outputs)
    reader.fail(fmt::format("sizes that do not add up to {}, or not one per output", shape[axis]));
  std::int64_t start = 0;
  for (int i = 0; i < reader.node.output_size(); ++i) {
    const std::int64_t end = start + (*sizes)[static_cast<std::size_t>(i)];
    if (!reader.node.output(i).empty() && reader.importer.readers(reader.node.output(i)) > 0) {
      const auto bounds = slice_bounds(shape[axis], start, end, 1);
      if (!bounds) throw Unsupported{fmt::format("output {} is empty", i)};
      reader.emit(Op::kSlice, {x.id}, slice_of(shape.size(), axis, *bounds), i);
    }
    start = end;
  }
}

void convert_reshape(NodeReader& reader) {
  const Flow x = reader.moved(0);
  const std::vector<std::int64_t> wanted = reader.integers(1, /*batch=*/true);
  if (reader.attributes.integer("allowzero", 0) != 0 && std::ranges::count(wanted, 0) > 0)
    throw Unsupported{"allowzero 1"};
  const Target target = resolve(reader, file_shape(reader.shape(x), x.view), x.view, wanted);
  reader.emit_reshaped(x, target.shape, target.view);
}

void convert_flatten(NodeReader& reader) {
  const Flow x = reader.moved(0);
  const Shape shape = file_shape(reader.shape(x), x.view);
  const auto rank = static_cast<std::int64_t>(shape.size());
  std::int64_t axis = reader.attributes.integer("axis", 1);
  if (axis < -rank || axis > rank) reader.fail(fmt::format("axis {}; expected {} to {}", axis, -rank, rank));
  if (axis < 0) axis += rank;
  const Shape flat{element_count(Shape(shape.begin(), shape.begin() + axis)),
                   element_count(Shape(shape.begin() + axis, shape.end()))};
  if (reader.importer.fixed_batch() == 1)
    return reader.emit_reshaped(x, flat, flat[0] == 1 ? BatchView{} : kOneImage);
  const std::size_t batch = static_cast<std::int64_t>(x.view.position.value()) < axis ? 0 : 1;
  reader.emit_reshaped(x, flat, reshaped_view(shape, x.view, flat, batch).value());
}

void convert_squeeze(NodeReader& reader) {
  const Flow x = reader.moved(0);
  const Shape shape = file_shape(reader.shape(x), x.view);
  const auto axes = read_axes(reader, shape.size());
  BatchView to = x.view;
  Shape result;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    const bool is_batch = i == x.view.position;
    const bool single = shape[i] == 1 && (!is_batch || reader.importer.fixed_batch() == 1);
    const bool dropped = axes ? std::ranges::count(*axes, i) > 0 : single;
    if (dropped && is_batch && !single) throw Unsupported{"drops the batch"};
    if (dropped && !single)
      reader.fail(fmt::format("drops dimension {} of {}; expected a size of 1", i, to_string(shape)));
    if (dropped && is_batch) to.position.reset();
    if (is_batch && !dropped) to.position = result.size();
    if (!dropped) result.push_back(shape[i]);
  }
  // Where the batch of one goes and another size of 1 is first then, that is the batch.
  if (!to.position && !result.empty() && result[0] == 1) to = {};
  reader.emit_reshaped(x, result, to);
}

void convert_unsqueeze(NodeReader& reader) {
  const Flow x = reader.moved(0);
  Shape shape = file_shape(reader.shape(x), x.view);
  BatchView to = x.view;
  std::size_t count = 0;
  if (reader.importer.opset() < 13) {
    count = reader.attributes.integers("axes").value_or(std::vector<std::int64_t>{}).size();
  } else {
    count = reader.integers(1).size();
  }
  if (count + shape.size() > 8) throw Unsupported{"more than 8 dimensions"};
  const auto axes = read_axes(reader, shape.size() + count);
  if (!axes) reader.fail("has no axes");
  for (const std::size_t axis : *axes) {
    if (axis <= to.position) ++*to.position;
    shape.insert(shape.begin() + static_cast<std::ptrdiff_t>(axis), 1);
  }
  // One image without a batch gets it back.
  if (!to.position && shape[0] == 1) to = {};
  reader.emit_reshaped(x, shape, to);
}

void convert_transpose(NodeReader& reader) {
  const Flow x = reader.moved(0);
  const std::size_t rank = reader.rank(x);
  std::vector<std::int64_t> permutation(rank);
  std::iota(permutation.rbegin(), permutation.rend(), 0);
  permutation = reader.attributes.integers("perm").value_or(permutation);
  std::vector<std::int64_t> sorted = permutation;
  std::ranges::sort(sorted);
  bool sane = sorted.size() == rank;
  for (std::size_t i = 0; sane && i < rank; ++i) sane = sorted[i] == static_cast<std::int64_t>(i);
  if (!sane) reader.fail("perm does not name each dimension once");
  TransposedView to = transposed_view(reader.shape(x).size(), x.view, permutation);
  reader.view = to.view;
  reader.emit(Op::kTranspose, {x.id}, TransposeAttributes{std::move(to.permutation)});
}

void convert_softmax(NodeReader& reader) {
  const Op op = reader.node.op_type() == "Softmax" ? Op::kSoftmax : Op::kLogSoftmax;
  Flow x = reader.viewed(0);
  const bool coerces = reader.importer.opset() < 13;
  const std::int64_t wanted = reader.attributes.integer("axis", coerces ? 1 : -1);
  const std::size_t axis = coerces ? reader.first_image_axis(wanted, x) : reader.image_axis(wanted, x);
  const Shape shape = reader.shape(x);
  const auto at = shape.begin() + static_cast<std::ptrdiff_t>(axis);
  const AxisAttributes along{static_cast<std::int64_t>(axis)};
  const std::int64_t inner = element_count(Shape(at + 1, shape.end()));
  if (!coerces || inner == 1) {
    reader.emit(op, {x.id}, along);
    return;
  }
  // Before opset 13, over all dimensions from `axis` on.
  Shape rows(shape.begin(), at);
  rows.push_back(*at * inner);
  const ValueId flat = reader.emit_inner("_rows", Op::kReshape, {x.id}, ReshapeAttributes{std::move(rows)});
  const ValueId result = reader.emit_inner("_flat", op, {flat}, along);
  reader.emit(Op::kReshape, {result}, ReshapeAttributes{shape});
}

}  // namespace

std::span<const ConverterEntry> move_converters() {
  static constexpr ConverterEntry kEntries[] = {
      {"Concat", convert_concat},       {"Flatten", convert_flatten}, {"LogSoftmax", convert_softmax},
      {"Reshape", convert_reshape},     {"Slice", convert_slice},     {"Softmax", convert_softmax},
      {"Split", convert_split},         {"Squeeze", convert_squeeze}, {"Transpose", convert_transpose},
      {"Unsqueeze", convert_unsqueeze},
  };
  return kEntries;
}

}  // namespace octavo::onnx_format
