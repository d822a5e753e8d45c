/// Reductions of what flows.
#include <fmt/format.h>

#include <algorithm>

#include "converters.h"
#include "importer.h"
#include "moves.h"

namespace octavo::onnx_format {

std::optional<ReduceAttributes> read_reduction(NodeReader& reader, Flow& x, std::int64_t operand_since) {
  const auto wanted = read_axes(reader, reader.rank(x), operand_since);
  ReduceAttributes a{.axes = {}, .keep_dims = reader.attributes.integer("keepdims", 1) != 0};
  const bool of_nothing = reader.attributes.integer("noop_with_empty_axes", 0) != 0;
  if (!wanted || wanted->empty()) {
    if (!of_nothing) throw Unsupported{"of the whole batch"};
    return std::nullopt;
  }
  for (const std::size_t axis : *wanted) reader.image_axis(static_cast<std::int64_t>(axis), x);
  BatchView& to = reader.view;
  for (const std::size_t axis : *wanted) {
    a.axes.push_back(static_cast<std::int64_t>(value_axis(axis, x.view).value()));
    if (!a.keep_dims && axis < x.view.position) --*to.position;
  }
  return a;
}

namespace {

void convert_reduce_mean(NodeReader& reader) {
  Flow x = reader.viewed(0);
  const auto along = read_reduction(reader, x, 18);
  if (!along) return reader.define(reader.operand(0));
  reader.emit(Op::kReduceMean, {x.id}, *along);
}

/// The mean by the number of its elements.
void convert_reduce_sum(NodeReader& reader) {
  Flow x = reader.viewed(0);
  const auto along = read_reduction(reader, x, 13);
  if (!along) return reader.define(reader.operand(0));
  const Shape shape = reader.shape(x);
  std::int64_t count = 1;
  for (const std::int64_t axis : along->axes) count *= shape[static_cast<std::size_t>(axis)];
  const ValueId mean = reader.emit_inner("_mean", Op::kReduceMean, {x.id}, *along);
  reader.emit(Op::kMul, {mean, reader.number("_count", static_cast<float>(count))});
}

/// Over the whole image, a GlobalMaxPool.
void convert_reduce_max(NodeReader& reader) {
  Flow x = reader.viewed(0);
  const auto along = read_reduction(reader, x, 18);
  if (!along) return reader.define(reader.operand(0));
  const Shape shape = reader.shape(x);
  if (shape.size() != 4 || along->axes != std::vector<std::int64_t>{2, 3} || !reader.view.plain())
    return reduce_by_slices(reader, x.id, *along, Op::kMax);
  if (along->keep_dims) {
    reader.emit(Op::kGlobalMaxPool, {x.id});
    return;
  }
  const ValueId pooled = reader.emit_inner("_pool", Op::kGlobalMaxPool, {x.id});
  reader.emit(Op::kReshape, {pooled}, ReshapeAttributes{{kDynamic, shape[1]}});
}

/// The mean by the number of elements.
ValueId summed(const NodeReader& reader, ValueId x, const ReduceAttributes& along) {
  std::int64_t count = 1;
  for (const std::int64_t axis : along.axes)
    count *= reader.importer.graph().value(x).shape[static_cast<std::size_t>(axis)];
  const ValueId mean = reader.emit_inner("_mean", Op::kReduceMean, {x}, along);
  return reader.emit_inner("_sum", Op::kMul, {mean, reader.number("_count", static_cast<float>(count))});
}

/// ReduceL1, ReduceL2 and ReduceSumSquare.
void convert_norm(NodeReader& reader) {
  const std::string& type = reader.node.op_type();
  Flow x = reader.viewed(0);
  const auto along = read_reduction(reader, x, 18);
  const bool absolute = type == "ReduceL1";
  const ValueId parts = absolute
                            ? reader.emit_inner("_parts", Op::kAbs, {x.id})
                            : reader.emit_inner("_parts", Op::kPow, {x.id}, ScalarAttributes{.alpha = 2.0F});
  const ValueId sum = along ? summed(reader, parts, *along) : parts;
  if (type == "ReduceL2") {
    reader.emit(Op::kSqrt, {sum});
  } else {
    reader.define(Flow{.id = sum, .view = reader.view});
  }
}

}  // namespace

/// One slice after the other.
void reduce_by_slices(NodeReader& reader, ValueId x, const ReduceAttributes& along, Op op) {
  constexpr std::int64_t kMost = 64;
  const Shape shape = reader.importer.graph().value(x).shape;
  for (const std::int64_t axis : along.axes) {
    const auto at = static_cast<std::size_t>(axis);
    if (shape[at] > kMost) throw Unsupported{fmt::format("of {} elements, more than {}", shape[at], kMost)};
    reader.importer.budget().charge(static_cast<std::uint64_t>(shape[at]) * (sizeof(Node) + sizeof(Value)));
    ValueId result = kNoValue;
    for (std::int64_t i = 0; i < shape[at]; ++i) {
      const SliceBounds bounds{i, i + 1 == shape[at] ? SliceAttributes::kWhole : i + 1, 1};
      const ValueId slice = shape[at] == 1 ? x
                                           : reader.emit_inner(fmt::format("_slice{}", i), Op::kSlice, {x},
                                                               slice_of(shape.size(), at, bounds));
      result =
          result == kNoValue ? slice : reader.emit_inner(fmt::format("_of{}", i + 1), op, {result, slice});
    }
    x = result;
  }
  if (!along.keep_dims) {
    Shape kept;
    for (std::size_t i = 0; i < shape.size(); ++i) {
      if (std::ranges::count(along.axes, static_cast<std::int64_t>(i)) == 0) kept.push_back(shape[i]);
    }
    x = reader.emit_inner("_without", Op::kReshape, {x}, ReshapeAttributes{std::move(kept)});
  }
  reader.define(Flow{.id = x, .view = reader.view});
}

std::span<const ConverterEntry> reduction_converters() {
  static constexpr ConverterEntry kEntries[] = {
      {"ReduceL1", convert_norm},        {"ReduceL2", convert_norm},
      {"ReduceMax", convert_reduce_max}, {"ReduceMean", convert_reduce_mean},
      {"ReduceSum", convert_reduce_sum}, {"ReduceSumSquare", convert_norm},
  };
  return kEntries;
}

}  // namespace octavo::onnx_format
