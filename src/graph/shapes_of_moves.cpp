#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "octavo/core/error.h"
#include "octavo/graph/elementwise.h"
#include "shapes.h"

namespace octavo::shape_rules {
namespace {

const Shape& input_shape(const Graph& graph, const Node& node) {
  const Shape& x = graph.value(node.inputs.at(0)).shape;
  if (x.empty()) fail(graph, node, "input has no dimensions; expected the batch first");
  return x;
}

/// Sizes beyond this are mistakes, and their sums could overflow.
constexpr std::int64_t kLargest = std::int64_t{1} << 31;

}  // namespace

void fail(const Graph& graph, const Node& node, const std::string& problem) {
  throw Error(ErrorCode::kBadInput, graph.name,
              fmt::format("node '{}' ({}): {}", node.name, to_string(node.op), problem));
}

void check_axis(const Graph& graph, const Node& node, const Shape& x, std::int64_t axis) {
  if (axis < 1 || axis >= static_cast<std::int64_t>(x.size())) {
    fail(graph, node,
         fmt::format("axis {} of input {}; expected 1 to {} (0 is the batch)", axis, to_string(x),
                     static_cast<std::int64_t>(x.size()) - 1));
  }
}

Shape concat_shape(const Graph& graph, const Node& node) {
  Shape result = input_shape(graph, node);
  const std::int64_t wanted = node.as<AxisAttributes>().axis;
  check_axis(graph, node, result, wanted);
  const auto axis = static_cast<std::size_t>(wanted);
  for (std::size_t i = 1; i < node.inputs.size(); ++i) {
    Shape other = graph.value(node.inputs[i]).shape;
    if (other.size() != result.size()) {
      fail(graph, node, fmt::format("inputs {} and {} differ in rank", to_string(result), to_string(other)));
    }
    const std::int64_t added = std::exchange(other[axis], result[axis]);
    if (other != result) {
      other[axis] = added;
      fail(graph, node,
           fmt::format("inputs {} and {} differ outside axis {}", to_string(result), to_string(other), axis));
    }
    if (added > kLargest || result[axis] > kLargest) fail(graph, node, "a size above 2^31");
    result[axis] += added;
  }
  return result;
}

Shape slice_shape(const Graph& graph, const Node& node) {
  const Shape& x = input_shape(graph, node);
  const auto& a = node.as<SliceAttributes>();
  if (a.starts.size() != x.size() || a.ends.size() != x.size() || a.steps.size() != x.size())
    fail(graph, node, fmt::format("starts, ends and steps do not fit input {}", to_string(x)));
  if (a.starts[0] != 0 || a.ends[0] != SliceAttributes::kWhole || a.steps[0] != 1)
    fail(graph, node, "slices the batch");
  Shape result = x;
  for (std::size_t i = 1; i < x.size(); ++i) {
    const std::int64_t start = a.starts[i];
    const std::int64_t step = a.steps[i];
    if (step == 0 || step > kLargest || step < -kLargest || start < 0 || start >= x[i])
      fail(graph, node, fmt::format("start {} and step {} in a dimension of {}", start, step, x[i]));
    const std::int64_t end = step > 0 ? std::min(a.ends[i], x[i]) : std::max<std::int64_t>(a.ends[i], -1);
    const std::int64_t span = step > 0 ? end - start : start - end;
    if (span <= 0) fail(graph, node, fmt::format("takes nothing of dimension {} of {}", i, to_string(x)));
    const std::int64_t stride = step > 0 ? step : -step;
    result[i] = (span + stride - 1) / stride;
  }
  return result;
}

Shape pad_shape(const Graph& graph, const Node& node) {
  Shape result = input_shape(graph, node);
  const auto& a = node.as<PadAttributes>();
  if (a.before.size() != result.size() || a.after.size() != result.size())
    fail(graph, node, fmt::format("pads do not fit input {}", to_string(result)));
  for (std::size_t i = 0; i < result.size(); ++i) {
    const bool sane =
        a.before[i] >= 0 && a.after[i] >= 0 && a.before[i] <= kLargest && a.after[i] <= kLargest;
    if (!sane || (i == 0 && a.before[i] + a.after[i] != 0)) {
      fail(graph, node,
           fmt::format("pads {} and {} of dimension {}; expected 0 to 2^31, and 0 for the batch", a.before[i],
                       a.after[i], i));
    }
    if (i > 0) result[i] += a.before[i] + a.after[i];
  }
  return result;
}

Shape reshape_shape(const Graph& graph, const Node& node) {
  const Shape& x = input_shape(graph, node);
  const Shape& wanted = node.as<ReshapeAttributes>().shape;
  const auto positive = [](std::int64_t dim) { return dim > 0; };
  const bool sane =
      !wanted.empty() && wanted[0] == x[0] && std::all_of(wanted.begin() + 1, wanted.end(), positive);
  if (!sane || element_count(Shape(wanted.begin() + 1, wanted.end())) !=
                   element_count(Shape(x.begin() + 1, x.end()))) {
    fail(graph, node,
         fmt::format("input {} cannot become {}; expected the same batch and as many elements an image",
                     to_string(x), to_string(wanted)));
  }
  return wanted;
}

Shape transpose_shape(const Graph& graph, const Node& node) {
  const Shape& x = input_shape(graph, node);
  const auto& permutation = node.as<TransposeAttributes>().permutation;
  std::vector<std::int64_t> sorted = permutation;
  std::ranges::sort(sorted);
  bool sane = permutation.size() == x.size() && permutation[0] == 0;
  for (std::size_t i = 0; sane && i < sorted.size(); ++i) sane = sorted[i] == static_cast<std::int64_t>(i);
  if (!sane) {
    fail(graph, node,
         fmt::format("permutation [{}] of input {}; expected each dimension once, the batch first",
                     fmt::join(permutation, ", "), to_string(x)));
  }
  Shape result;
  for (const std::int64_t from : permutation) result.push_back(x[static_cast<std::size_t>(from)]);
  return result;
}

Shape reduce_shape(const Graph& graph, const Node& node) {
  const Shape& x = input_shape(graph, node);
  const auto& a = node.as<ReduceAttributes>();
  std::vector<bool> reduced(x.size(), false);
  for (const std::int64_t axis : a.axes) {
    check_axis(graph, node, x, axis);
    if (reduced[static_cast<std::size_t>(axis)]) fail(graph, node, fmt::format("axis {} twice", axis));
    reduced[static_cast<std::size_t>(axis)] = true;
  }
  Shape result;
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (!reduced[i]) result.push_back(x[i]);
    if (reduced[i] && a.keep_dims) result.push_back(1);
  }
  return result;
}

}  // namespace octavo::shape_rules

namespace octavo {

std::optional<std::vector<std::int64_t>> moved_from(const Node& node, const Shape& x,
                                                    const std::vector<std::int64_t>& index) {
  std::vector<std::int64_t> source = index;
  for (std::size_t d = 0; d < index.size(); ++d) {
    switch (node.op) {
      case Op::kTranspose:
        source[static_cast<std::size_t>(node.as<TransposeAttributes>().permutation[d])] = index[d];
        break;
      case Op::kSlice: {
        const auto& a = node.as<SliceAttributes>();
        source[d] = a.starts[d] + index[d] * a.steps[d];
        break;
      }
      case Op::kPad:
        source[d] = index[d] - node.as<PadAttributes>().before[d];
        if (source[d] < 0 || source[d] >= x[d]) return std::nullopt;
        break;
      default:
        throw Error(ErrorCode::kInternal, node.name, to_string(node.op) + " moves nothing");
    }
  }
  return source;
}

}  // namespace octavo
