// The reference interpreter in float32, with double accumulators.
#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "octavo/core/error.h"
#include "octavo/graph/elementwise.h"
#include "runtime/reference/parts.h"

namespace octavo::reference {
namespace {

Tensor conv(const ConvAttributes& a, const std::vector<Tensor>& operands, const Shape& shape) {
  const Tensor& x = operands[0];
  const Tensor& weight = operands[1];
  const Window window = window_of(a);
  const std::int64_t in_group = weight.dim(1);
  const std::int64_t out_group = weight.dim(0) / a.group;
  const auto xs = x.data<float>();
  const auto ws = weight.data<float>();
  Tensor y(shape, DType::kFloat32);
  const auto ys = y.data<float>();
  for_each_output(
      shape, [&](std::size_t i, std::int64_t b, std::int64_t m, std::int64_t oy, std::int64_t ox) {
        double sum = operands.size() > 2 ? operands[2].data<float>()[static_cast<std::size_t>(m)] : 0.0F;
        for_each_tap(window, x.shape(), oy, ox, [&](auto ky, auto kx, auto iy, auto ix, bool inside) {
          if (!inside) return;
          for (std::int64_t c = 0; c < in_group; ++c) {
            sum += static_cast<double>(xs[at(x.shape(), b, m / out_group * in_group + c, iy, ix)]) *
                   ws[at(weight.shape(), m, c, ky, kx)];
          }
        });
        ys[i] = static_cast<float>(sum);
      });
  return y;
}

/// Gemm and MatMul: rows of x by the weight, whose element (k, column) is at k * k_stride + column * stride.
Tensor product(const std::vector<Tensor>& operands, const Shape& shape, bool transposed) {
  const auto xs = operands[0].data<float>();
  const auto ws = operands[1].data<float>();
  const auto k = static_cast<std::size_t>(operands[0].shape().back());
  const auto m = static_cast<std::size_t>(shape.back());
  Tensor y(shape, DType::kFloat32);
  const auto ys = y.data<float>();
  for (std::size_t i = 0; i < ys.size(); ++i) {
    const std::size_t row = i / m;
    const std::size_t column = i % m;
    double sum = operands.size() > 2 ? operands[2].data<float>()[column] : 0.0F;
    for (std::size_t j = 0; j < k; ++j)
      sum += static_cast<double>(xs[row * k + j]) * ws[transposed ? column * k + j : j * m + column];
    ys[i] = static_cast<float>(sum);
  }
  return y;
}

Tensor batch_norm(const BatchNormAttributes& a, const std::vector<Tensor>& operands) {
  Tensor y = operands[0];
  const auto p = [&](std::size_t i, std::size_t c) { return operands[i].data<float>()[c]; };
  const auto channels = static_cast<std::size_t>(y.dim(1));
  const std::size_t plane = static_cast<std::size_t>(y.size() / (y.dim(0) * y.dim(1)));
  const auto ys = y.data<float>();
  for (std::size_t i = 0; i < ys.size(); ++i) {
    const std::size_t c = i / plane % channels;
    ys[i] =
        apply_batch_norm(a, ys[i], {.scale = p(1, c), .bias = p(2, c), .mean = p(3, c), .variance = p(4, c)});
  }
  return y;
}

Tensor pool(const PoolAttributes& a, bool max, const Tensor& x, const Shape& shape) {
  const Window window = window_of(a);
  const auto xs = x.data<float>();
  Tensor y(shape, DType::kFloat32);
  for_each_output(shape,
                  [&](std::size_t i, std::int64_t b, std::int64_t c, std::int64_t oy, std::int64_t ox) {
                    float best = -std::numeric_limits<float>::infinity();
                    double sum = 0;
                    std::int64_t count = 0;
                    for_each_tap(window, x.shape(), oy, ox, [&](auto, auto, auto iy, auto ix, bool inside) {
                      // With ceil_mode the last window may reach past the padding; those taps never count.
                      const bool padded = iy < x.dim(2) + a.pads[2] && ix < x.dim(3) + a.pads[3];
                      if (inside || (a.count_include_pad && padded)) ++count;
                      if (!inside) return;
                      best = std::max(best, xs[at(x.shape(), b, c, iy, ix)]);
                      sum += xs[at(x.shape(), b, c, iy, ix)];
                    });
                    y.data<float>()[i] = max ? best : static_cast<float>(sum / static_cast<double>(count));
                  });
  return y;
}

Tensor unary(const Node& node, Tensor x) {
  for (float& v : x.data<float>()) v = apply_unary(node, v);
  return x;
}

Tensor binary(Op op, const Tensor& a, const Tensor& b, const Shape& shape) {
  Tensor y(shape, DType::kFloat32);
  for_each_element(shape, [&](std::size_t i, const std::vector<std::int64_t>& index) {
    const float first = a.data<float>()[broadcast_offset(a.shape(), index)];
    const float second = b.data<float>()[broadcast_offset(b.shape(), index)];
    y.data<float>()[i] = op == Op::kPRelu ? apply_prelu(first, second) : apply_binary(op, first, second);
  });
  return y;
}

Tensor concat(std::size_t axis, const std::vector<Tensor>& operands, const Shape& shape) {
  Tensor y(shape, DType::kFloat32);
  for_each_element(shape, [&](std::size_t i, std::vector<std::int64_t> index) {
    std::size_t source = 0;
    while (index[axis] >= operands[source].dim(axis)) index[axis] -= operands[source++].dim(axis);
    y.data<float>()[i] = operands[source].data<float>()[broadcast_offset(operands[source].shape(), index)];
  });
  return y;
}

Tensor moved(const Node& node, const Tensor& x, const Shape& shape) {
  Tensor y(shape, DType::kFloat32);
  for_each_element(shape, [&](std::size_t i, const std::vector<std::int64_t>& index) {
    const std::int64_t from = moved_from(node, x.shape(), index);
    y.data<float>()[i] =
        from < 0 ? node.as<PadAttributes>().value : x.data<float>()[static_cast<std::size_t>(from)];
  });
  return y;
}

Tensor reduce_mean(const ReduceAttributes& a, const Tensor& x, const Shape& shape) {
  Shape kept = x.shape();
  for (const std::int64_t axis : a.axes) kept[static_cast<std::size_t>(axis)] = 1;
  Tensor y(shape, DType::kFloat32);
  std::vector<double> sums(static_cast<std::size_t>(y.size()), 0.0);
  for_each_element(x.shape(), [&](std::size_t i, const std::vector<std::int64_t>& index) {
    sums[broadcast_offset(kept, index)] += x.data<float>()[i];
  });
  const double count =
      static_cast<double>(x.size() / y.size());  // NOLINT(bugprone-integer-division) It divides.
  std::ranges::transform(sums, y.data<float>().begin(),
                         [&](double sum) { return static_cast<float>(sum / count); });
  return y;
}

/// Softmax, or its logarithm, less the largest element so that nothing overflows.
Tensor softmax(std::size_t axis, bool logarithm, const Tensor& x) {
  Shape kept = x.shape();
  kept[axis] = 1;
  const auto lines = static_cast<std::size_t>(element_count(kept));
  std::vector<double> largest(lines, -std::numeric_limits<double>::infinity());
  std::vector<double> sums(lines, 0.0);
  const auto xs = x.data<float>();
  const auto each = [&](const auto& body) {
    for_each_element(x.shape(), [&](std::size_t i, const std::vector<std::int64_t>& index) {
      body(i, broadcast_offset(kept, index));
    });
  };
  each([&](std::size_t i, std::size_t line) { largest[line] = std::max<double>(largest[line], xs[i]); });
  each([&](std::size_t i, std::size_t line) { sums[line] += std::exp(xs[i] - largest[line]); });
  Tensor y(x.shape(), DType::kFloat32);
  each([&](std::size_t i, std::size_t line) {
    const double shifted = xs[i] - largest[line];
    y.data<float>()[i] =
        static_cast<float>(logarithm ? shifted - std::log(sums[line]) : std::exp(shifted) / sums[line]);
  });
  return y;
}

}  // namespace

std::int64_t moved_from(const Node& node, const Shape& x, const std::vector<std::int64_t>& index) {
  std::vector<std::int64_t> source = index;
  for (std::size_t d = 0; d < index.size(); ++d) {
    if (node.op == Op::kTranspose) {
      source[static_cast<std::size_t>(node.as<TransposeAttributes>().permutation[d])] = index[d];
    } else if (node.op == Op::kSlice) {
      const auto& a = node.as<SliceAttributes>();
      source[d] = a.starts[d] + index[d] * a.steps[d];
    } else {
      source[d] = index[d] - node.as<PadAttributes>().before[d];
      if (source[d] < 0 || source[d] >= x[d]) return -1;
    }
  }
  return static_cast<std::int64_t>(broadcast_offset(x, source));
}

Tensor evaluate_float(const Graph& graph, const Node& node, const std::vector<Tensor>& operands,
                      const Shape& shape) {
  const Tensor& x = operands[0];
  const auto whole = [&] { return PoolAttributes{.kernel = {x.dim(2), x.dim(3)}}; };
  const auto axis = [&] { return static_cast<std::size_t>(node.as<AxisAttributes>().axis); };
  switch (node.op) {
    case Op::kConv:
      return conv(node.as<ConvAttributes>(), operands, shape);
    case Op::kGemm:
      return product(operands, shape, true);
    case Op::kMatMul:
      return product(operands, shape, false);
    case Op::kBatchNormalization:
      return batch_norm(node.as<BatchNormAttributes>(), operands);
    case Op::kMaxPool:
    case Op::kAveragePool:
      return pool(node.as<PoolAttributes>(), node.op == Op::kMaxPool, x, shape);
    case Op::kGlobalMaxPool:
    case Op::kGlobalAveragePool:
      return pool(whole(), node.op == Op::kGlobalMaxPool, x, shape);
    case Op::kAdd:
    case Op::kSub:
    case Op::kMul:
    case Op::kDiv:
    case Op::kPRelu:
      return binary(node.op, x, operands[1], shape);
    case Op::kConcat:
      return concat(axis(), operands, shape);
    case Op::kSlice:
    case Op::kPad:
    case Op::kTranspose:
      return moved(node, x, shape);
    case Op::kFlatten:
    case Op::kReshape:
      return x.reshaped(shape);
    case Op::kReduceMean:
      return reduce_mean(node.as<ReduceAttributes>(), x, shape);
    case Op::kSoftmax:
    case Op::kLogSoftmax:
      return softmax(axis(), node.op == Op::kLogSoftmax, x);
    default:
      if (is_unary(node.op)) return unary(node, x);
      throw Error(ErrorCode::kUnsupported, graph.name,
                  "node '" + node.name + "': no reference for " + to_string(node.op));
  }
}

}  // namespace octavo::reference
