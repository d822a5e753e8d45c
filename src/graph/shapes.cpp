#include "shapes.h"

#include <fmt/format.h>

#include <algorithm>

#include "octavo/core/error.h"
#include "octavo/graph/elementwise.h"

namespace octavo {

namespace shape_rules {
namespace {

/// Size of one spatial dimension after a window has moved over it.
std::int64_t window_output(const Graph& graph, const Node& node, std::int64_t size, std::int64_t kernel,
                           std::int64_t stride, std::int64_t dilation, std::int64_t pad_before,
                           std::int64_t pad_after, bool ceil_mode) {
  constexpr std::int64_t kLargest = std::int64_t{1} << 31;
  if (kernel < 1 || stride < 1 || dilation < 1 || pad_before < 0 || pad_after < 0) {
    fail(graph, node, "kernel, strides and dilations must be positive and pads not negative");
  }
  if (kernel > kLargest || stride > kLargest || dilation > kLargest || pad_before > kLargest ||
      pad_after > kLargest || size > kLargest) {
    fail(graph, node, "a size, kernel, stride, dilation or pad above 2^31");
  }
  const std::int64_t effective = (kernel - 1) * dilation + 1;
  const std::int64_t room = size + pad_before + pad_after - effective;
  if (room < 0) {
    fail(graph, node,
         fmt::format("window of {} does not fit an input of {} with pads {} and {}", effective, size,
                     pad_before, pad_after));
  }
  std::int64_t output = room / stride + 1;
  if (ceil_mode && room % stride != 0) {
    ++output;
    // As everywhere in the field: a window may not begin in the trailing padding.
    if ((output - 1) * stride >= size + pad_before) --output;
  }
  return output;
}

void expect_rank(const Graph& graph, const Node& node, const Shape& shape, std::size_t rank,
                 const char* what) {
  if (shape.size() != rank) {
    fail(graph, node, fmt::format("{} has shape {}; expected {} dimensions", what, to_string(shape), rank));
  }
}

}  // namespace

Shape conv_shape(const Graph& graph, const Node& node) {
  const auto& a = node.as<ConvAttributes>();
  const Shape& x = graph.value(node.inputs.at(0)).shape;
  const Shape& w = graph.value(node.inputs.at(1)).shape;
  expect_rank(graph, node, x, 4, "input");
  expect_rank(graph, node, w, 4, "weight");
  if (a.group < 1 || x[1] % a.group != 0 || w[0] % a.group != 0) {
    fail(graph, node,
         fmt::format("group {} does not divide {} input and {} output channels; expected a divisor", a.group,
                     x[1], w[0]));
  }
  if (w[1] != x[1] / a.group) {
    fail(graph, node,
         fmt::format("weight {} does not fit {} input channels in {} groups; expected {} per group",
                     to_string(w), x[1], a.group, x[1] / a.group));
  }
  if (w[2] != a.kernel[0] || w[3] != a.kernel[1]) {
    fail(graph, node,
         fmt::format("weight {} does not fit a {}x{} kernel", to_string(w), a.kernel[0], a.kernel[1]));
  }
  if (node.inputs.size() > 2 && graph.value(node.inputs[2]).shape != Shape{w[0]}) {
    fail(graph, node,
         fmt::format("bias has shape {}; expected [{}]", to_string(graph.value(node.inputs[2]).shape), w[0]));
  }
  return {x[0], w[0],
          window_output(graph, node, x[2], a.kernel[0], a.strides[0], a.dilations[0], a.pads[0], a.pads[2],
                        false),
          window_output(graph, node, x[3], a.kernel[1], a.strides[1], a.dilations[1], a.pads[1], a.pads[3],
                        false)};
}

Shape pool_shape(const Graph& graph, const Node& node) {
  const auto& a = node.as<PoolAttributes>();
  const Shape& x = graph.value(node.inputs.at(0)).shape;
  expect_rank(graph, node, x, 4, "input");
  if (a.pads[0] >= a.kernel[0] || a.pads[2] >= a.kernel[0] || a.pads[1] >= a.kernel[1] ||
      a.pads[3] >= a.kernel[1]) {
    fail(graph, node, "a pad as large as the kernel; expected less (a window would hold padding alone)");
  }
  return {x[0], x[1],
          window_output(graph, node, x[2], a.kernel[0], a.strides[0], 1, a.pads[0], a.pads[2], a.ceil_mode),
          window_output(graph, node, x[3], a.kernel[1], a.strides[1], 1, a.pads[1], a.pads[3], a.ceil_mode)};
}

Shape batch_norm_shape(const Graph& graph, const Node& node) {
  const Shape& x = graph.value(node.inputs.at(0)).shape;
  if (x.size() < 2) fail(graph, node, "input has shape " + to_string(x) + "; expected [N, C, ...]");
  for (std::size_t i = 1; i < 5; ++i) {
    const Shape& s = graph.value(node.inputs.at(i)).shape;
    if (s != Shape{x[1]})
      fail(graph, node, fmt::format("parameter {} has shape {}; expected [{}]", i, to_string(s), x[1]));
  }
  return x;
}

Shape gemm_shape(const Graph& graph, const Node& node) {
  const Shape& x = graph.value(node.inputs.at(0)).shape;
  const Shape& w = graph.value(node.inputs.at(1)).shape;
  expect_rank(graph, node, x, 2, "input");
  expect_rank(graph, node, w, 2, "weight");
  if (x[1] != w[1])
    fail(graph, node, fmt::format("weight {} does not fit {} input features", to_string(w), x[1]));
  if (node.inputs.size() > 2 && graph.value(node.inputs[2]).shape != Shape{w[0]}) {
    fail(graph, node,
         fmt::format("bias has shape {}; expected [{}]", to_string(graph.value(node.inputs[2]).shape), w[0]));
  }
  return {x[0], w[0]};
}

Shape global_pool_shape(const Graph& graph, const Node& node) {
  const Shape& x = graph.value(node.inputs.at(0)).shape;
  expect_rank(graph, node, x, 4, "input");
  return {x[0], x[1], 1, 1};
}

Shape flatten_shape(const Graph& graph, const Node& node) {
  const Shape& x = graph.value(node.inputs.at(0)).shape;
  if (x.size() < 2) fail(graph, node, "input has shape " + to_string(x) + "; expected at least 2 dimensions");
  return {x[0], element_count(Shape(x.begin() + 1, x.end()))};
}

/// The batch may only come from an operand that flows: a constant that has more dimensions, or more than 1
/// element along the first, would make or spread it.
Shape binary_shape(const Graph& graph, const Node& node) {
  const Value& a = graph.value(node.inputs.at(0));
  const Value& b = graph.value(node.inputs.at(1));
  const std::optional<Shape> result = broadcast_shapes(a.shape, b.shape);
  const std::size_t rank = std::max(a.shape.size(), b.shape.size());
  for (const Value* value : {&a, &b}) {
    const bool flows = !value->shape.empty() && value->shape[0] == kDynamic;
    if (!result || (flows && value->shape.size() != rank) ||
        (!flows && value->shape.size() == rank && rank > 0 && value->shape[0] != 1)) {
      fail(graph, node,
           fmt::format("shapes {} and {} do not broadcast; expected equal sizes, or 1, in every dimension",
                       to_string(a.shape), to_string(b.shape)));
    }
  }
  return *result;
}

Shape prelu_shape(const Graph& graph, const Node& node) {
  const Shape& x = graph.value(node.inputs.at(0)).shape;
  const Shape& slope = graph.value(node.inputs.at(1)).shape;
  if (broadcast_shapes(x, slope) != x)
    fail(graph, node, fmt::format("slope {} does not broadcast to {}", to_string(slope), to_string(x)));
  return x;
}

Shape matmul_shape(const Graph& graph, const Node& node) {
  const Shape& x = graph.value(node.inputs.at(0)).shape;
  const Shape& w = graph.value(node.inputs.at(1)).shape;
  expect_rank(graph, node, w, 2, "weight");
  if (x.size() < 2 || x.back() != w[0])
    fail(graph, node, fmt::format("weight {} does not fit input {}", to_string(w), to_string(x)));
  if (node.inputs.size() > 2 && graph.value(node.inputs[2]).shape != Shape{w[1]}) {
    fail(graph, node,
         fmt::format("bias has shape {}; expected [{}]", to_string(graph.value(node.inputs[2]).shape), w[1]));
  }
  Shape result = x;
  result.back() = w[1];
  return result;
}

Shape layer_norm_shape(const Graph& graph, const Node& node) {
  const Shape& x = graph.value(node.inputs.at(0)).shape;
  if (x.size() < 2) fail(graph, node, "input has shape " + to_string(x) + "; expected [N, ..., C]");
  for (std::size_t i = 1; i < 3; ++i) {
    const Shape& s = graph.value(node.inputs.at(i)).shape;
    if (s != Shape{x.back()})
      fail(graph, node, fmt::format("parameter {} has shape {}; expected [{}]", i, to_string(s), x.back()));
  }
  return x;
}

Shape matmul_of_values_shape(const Graph& graph, const Node& node) {
  const Shape& x = graph.value(node.inputs.at(0)).shape;
  const Shape& y = graph.value(node.inputs.at(1)).shape;
  const bool fits = x.size() >= 3 && x.size() == y.size() && std::equal(x.begin(), x.end() - 2, y.begin()) &&
                    x.back() == y[y.size() - 2];
  if (!fits) {
    fail(graph, node,
         fmt::format("{} by {}; expected [N, ..., M, K] by [N, ..., K, P]", to_string(x), to_string(y)));
  }
  Shape result = x;
  result.back() = y.back();
  return result;
}

Shape same_shape(const Graph& graph, const Node& node) { return graph.value(node.inputs.at(0)).shape; }

Shape along_axis_shape(const Graph& graph, const Node& node) {
  const Shape& x = graph.value(node.inputs.at(0)).shape;
  check_axis(graph, node, x, node.as<AxisAttributes>().axis);
  return x;
}

}  // namespace shape_rules

Shape infer_shape(const Graph& graph, const Node& node) { return operator_info(node.op).shape(graph, node); }

void infer_shapes(Graph& graph) {
  for (const Node& node : graph.nodes) graph.value(node.output).shape = infer_shape(graph, node);
}

}  // namespace octavo
