#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "importer.h"
#include "octavo/core/error.h"
#include "tensor_proto.h"

namespace octavo::onnx_format {
namespace {

constexpr std::int64_t kLargest = std::numeric_limits<std::int32_t>::max();

std::int64_t elements_of_an_image(const Shape& shape) {
  return element_count(Shape(shape.begin() + 1, shape.end()));
}

/// A Slice of `axis` alone.
SliceAttributes slice_of(std::size_t rank, std::size_t axis, const SliceBounds& bounds) {
  SliceAttributes a{.starts = std::vector<std::int64_t>(rank, 0),
                    .ends = std::vector<std::int64_t>(rank, SliceAttributes::kWhole),
                    .steps = std::vector<std::int64_t>(rank, 1)};
  a.starts[axis] = bounds.start;
  a.ends[axis] = bounds.end;
  a.steps[axis] = bounds.step;
  return a;
}

/// Reshape to `target`, one entry a dimension as in ONNX: 0 keeps a size, -1 takes what is left.
Shape resolve(const NodeReader& reader, const Shape& x, std::vector<std::int64_t> target) {
  // As for constants. Each value that follows has a shape of as many dimensions.
  if (target.size() > 8) throw Unsupported{fmt::format("{} dimensions, more than 8", target.size())};
  const auto refuse = [&] {
    std::vector<std::string> shown;
    for (const std::int64_t size : target) shown.push_back(size == kBatchSize ? "N" : std::to_string(size));
    throw Unsupported{
        fmt::format("{} to [{}], which does not keep the batch", to_string(x), fmt::join(shown, ", "))};
  };
  const std::vector<std::int64_t> wanted = target;
  for (std::size_t i = 1; i < target.size(); ++i) {
    if (target[i] == kBatchSize) refuse();
    if (target[i] == 0) {
      if (i >= x.size()) reader.fail(fmt::format("keeps dimension {} of {}", i, to_string(x)));
      target[i] = x[i];
    }
    if (target[i] < -1 || target[i] > kLargest)
      reader.fail(fmt::format("a size of {}; expected -1 to {}", target[i], kLargest));
  }
  if (target.empty()) refuse();
  const std::int64_t features = elements_of_an_image(x);
  const auto open = std::count(target.begin() + 1, target.end(), -1);
  std::int64_t known = 1;
  for (std::size_t i = 1; i < target.size(); ++i) {
    if (target[i] == -1) continue;
    if (target[i] > features / known) refuse();
    known *= target[i];
  }
  const bool keeps = target[0] == 0 || target[0] == kBatchSize || target[0] == reader.importer.fixed_batch();
  if (open > 1 || !(keeps || (target[0] == -1 && open == 0)) || features % known != 0) refuse();
  if (open == 0 && known != features) refuse();
  for (std::size_t i = 1; i < target.size(); ++i) {
    if (target[i] == -1) target[i] = features / known;
  }
  target[0] = kDynamic;
  return target;
}

}  // namespace

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

std::optional<std::vector<std::size_t>> read_axes(NodeReader& reader, std::size_t rank) {
  std::optional<std::vector<std::int64_t>> wanted;
  if (reader.importer.opset() < 13) {
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

void convert_concat(NodeReader& reader) {
  if (!reader.attributes.has("axis")) reader.fail("has no attribute 'axis'");
  std::vector<ValueId> inputs;
  for (int i = 0; i < reader.node.input_size(); ++i) inputs.push_back(reader.flow(i).id);
  if (inputs.empty()) reader.fail("has no input");
  const std::size_t rank = reader.importer.graph().value(inputs[0]).shape.size();
  const std::size_t axis = reader.image_axis(reader.attributes.integer("axis", 1), rank);
  reader.emit(Op::kConcat, std::move(inputs), AxisAttributes{static_cast<std::int64_t>(axis)});
}

void convert_slice(NodeReader& reader) {
  const Flow x = reader.moved(0);
  const Shape shape = reader.shape(x);
  const SliceOperands operands = read_slice(reader, shape.size());
  SliceAttributes a = slice_of(shape.size(), 0, {0, SliceAttributes::kWhole, 1});
  for (std::size_t i = 0; i < operands.axes.size(); ++i) {
    const auto axis = static_cast<std::size_t>(operands.axes[i]);
    if (axis == 0) {
      const bool whole = operands.starts[i] == 0 && operands.steps[i] == 1 &&
                         operands.ends[i] >= reader.importer.fixed_batch().value_or(kLargest);
      if (!whole) throw Unsupported{"takes a part of the batch"};
      continue;
    }
    const auto bounds = slice_bounds(shape[axis], operands.starts[i], operands.ends[i], operands.steps[i]);
    if (!bounds) throw Unsupported{fmt::format("takes nothing of dimension {}", axis)};
    a.starts[axis] = bounds->start;
    a.ends[axis] = bounds->end;
    a.steps[axis] = bounds->step;
  }
  reader.emit(Op::kSlice, {x.id}, a);
}

/// One Slice for each output that is read.
void convert_split(NodeReader& reader) {
  const Flow x = reader.moved(0);
  const Shape shape = reader.shape(x);
  const std::size_t axis = reader.image_axis(reader.attributes.integer("axis", 0), shape.size());
  std::optional<std::vector<std::int64_t>> sizes;
  if (reader.importer.opset() < 13) {
    sizes = reader.attributes.integers("split");
  } else if (reader.has(1)) {
    sizes = reader.integers(1);
  }
  const std::int64_t outputs = reader.node.output_size();
  if (!sizes) {
    if (shape[axis] % outputs != 0)
      reader.fail(fmt::format("{} outputs do not divide {}", outputs, shape[axis]));
    sizes.emplace(static_cast<std::size_t>(outputs), shape[axis] / outputs);
  }
  std::int64_t left = shape[axis];
  for (const std::int64_t size : *sizes) {
    if (size < 0 || size > left) reader.fail(fmt::format("sizes that do not add up to {}", shape[axis]));
    left -= size;
  }
  if (left != 0 || static_cast<std::int64_t>(sizes->size()) != outputs)
    reader.fail(fmt::format("sizes that do not add up to {}, or not one an output", shape[axis]));
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

void convert_pad(NodeReader& reader) {
  const Flow x = reader.flow(0);
  const std::size_t rank = reader.shape(x).size();
  const std::string mode = reader.attributes.text("mode", "constant");
  if (mode != "constant") throw Unsupported{"mode '" + printable(mode) + "'"};
  PadAttributes a;
  std::vector<std::int64_t> pads;
  if (reader.importer.opset() < 11) {
    pads = reader.attributes.integers("pads").value_or(std::vector<std::int64_t>{});
    a.value = reader.attributes.real("value", 0);
  } else {
    pads = reader.integers(1);
    if (reader.has(2)) a.value = reader.scalar(2);
  }
  if (pads.size() != 2 * rank)
    reader.fail(
        fmt::format("{} pads; expected {} for an input of {} dimensions", pads.size(), 2 * rank, rank));
  if (std::isnan(a.value)) reader.fail("pads with what is not a number");
  for (const std::int64_t pad : pads) {
    if (pad > kLargest) reader.fail(fmt::format("a pad of {}; expected at most {}", pad, kLargest));
    if (pad < 0) throw Unsupported{fmt::format("a pad of {}, which crops", pad)};
  }
  if (pads[0] != 0 || pads[rank] != 0) throw Unsupported{"pads the batch"};
  a.before.assign(pads.begin(), pads.begin() + static_cast<std::ptrdiff_t>(rank));
  a.after.assign(pads.begin() + static_cast<std::ptrdiff_t>(rank), pads.end());
  reader.emit(Op::kPad, {x.id}, a);
}

void convert_reshape(NodeReader& reader) {
  const Flow x = reader.moved(0);
  if (reader.attributes.integer("allowzero", 0) != 0) throw Unsupported{"allowzero 1"};
  Shape shape = resolve(reader, reader.shape(x), reader.integers(1, /*batch=*/true));
  reader.emit(Op::kReshape, {x.id}, ReshapeAttributes{std::move(shape)});
}

void convert_flatten(NodeReader& reader) {
  const Flow x = reader.moved(0);
  const Shape& shape = reader.shape(x);
  std::int64_t axis = reader.attributes.integer("axis", 1);
  if (axis < 0) axis += static_cast<std::int64_t>(shape.size());
  if (axis != 1) throw Unsupported{fmt::format("axis {}, which mixes the batch with the rest", axis)};
  reader.emit(Op::kReshape, {x.id}, ReshapeAttributes{{kDynamic, elements_of_an_image(shape)}});
}

void convert_squeeze(NodeReader& reader) {
  const Flow x = reader.moved(0);
  const Shape& shape = reader.shape(x);
  const auto axes = read_axes(reader, shape.size());
  if (!axes && reader.importer.fixed_batch() == 1) throw Unsupported{"drops the batch"};
  Shape result;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    const bool dropped = axes ? std::ranges::count(*axes, i) > 0 : shape[i] == 1;
    if (dropped && i == 0) throw Unsupported{"drops the batch"};
    if (dropped && shape[i] != 1)
      reader.fail(fmt::format("drops dimension {} of {}; expected a size of 1", i, to_string(shape)));
    if (!dropped) result.push_back(shape[i]);
  }
  reader.emit(Op::kReshape, {x.id}, ReshapeAttributes{std::move(result)});
}

void convert_unsqueeze(NodeReader& reader) {
  const Flow x = reader.moved(0);
  Shape shape = reader.shape(x);
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
    if (axis == 0) throw Unsupported{"axis 0, which is the batch"};
    shape.insert(shape.begin() + static_cast<std::ptrdiff_t>(axis), 1);
  }
  reader.emit(Op::kReshape, {x.id}, ReshapeAttributes{std::move(shape)});
}

void convert_transpose(NodeReader& reader) {
  const Flow x = reader.moved(0);
  const std::size_t rank = reader.shape(x).size();
  std::vector<std::int64_t> permutation(rank);
  std::iota(permutation.rbegin(), permutation.rend(), 0);
  permutation = reader.attributes.integers("perm").value_or(permutation);
  if (permutation.size() == rank && rank > 0 && permutation[0] != 0) throw Unsupported{"moves the batch"};
  reader.emit(Op::kTranspose, {x.id}, TransposeAttributes{std::move(permutation)});
}

void convert_reduce_mean(NodeReader& reader) {
  const Flow x = reader.flow(0);
  const auto wanted = reader.attributes.integers("axes");
  if (!wanted || wanted->empty()) throw Unsupported{"the mean of the whole batch"};
  ReduceAttributes a{.axes = {}, .keep_dims = reader.attributes.integer("keepdims", 1) != 0};
  for (const std::int64_t axis : *wanted) {
    a.axes.push_back(static_cast<std::int64_t>(reader.image_axis(axis, reader.shape(x).size())));
  }
  std::ranges::sort(a.axes);
  if (std::ranges::adjacent_find(a.axes) != a.axes.end()) reader.fail("an axis twice");
  reader.emit(Op::kReduceMean, {x.id}, std::move(a));
}

void convert_softmax(NodeReader& reader) {
  const Op op = reader.node.op_type() == "Softmax" ? Op::kSoftmax : Op::kLogSoftmax;
  const Flow x = reader.flow(0);
  const Shape shape = reader.shape(x);
  const bool coerces = reader.importer.opset() < 13;
  const std::size_t axis =
      reader.image_axis(reader.attributes.integer("axis", coerces ? 1 : -1), shape.size());
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

}  // namespace octavo::onnx_format
