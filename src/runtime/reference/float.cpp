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

Tensor product_of_values(double alpha, const Tensor& x, const Tensor& w, const Shape& shape) {
  const auto xs = x.data<float>();
  const auto ws = w.data<float>();
  const auto k = static_cast<std::size_t>(x.shape().back());
  const auto p = static_cast<std::size_t>(shape.back());
  const auto m = static_cast<std::size_t>(shape[shape.size() - 2]);
  Tensor y(shape, DType::kFloat32);
  const auto ys = y.data<float>();
  for (std::size_t i = 0; i < ys.size(); ++i) {
    const std::size_t row = i / p;
    const std::size_t matrix = row / m;
    double sum = 0;
    for (std::size_t j = 0; j < k; ++j)
      sum += static_cast<double>(xs[row * k + j]) * ws[(matrix * k + j) * p + i % p];
    ys[i] = static_cast<float>(sum * alpha);
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

Tensor layer_norm(const LayerNormAttributes& a, const std::vector<Tensor>& operands) {
  Tensor y = operands[0];
  const auto channels = static_cast<std::size_t>(y.shape().back());
  const auto ys = y.data<float>();
  for (std::size_t row = 0; row < ys.size(); row += channels) {
    const auto line = ys.subspan(row, channels);
    double sum = 0;
    for (const float v : line) sum += v;
    const double mean = sum / static_cast<double>(channels);
    double squares = 0;
    for (const float v : line) squares += (v - mean) * (v - mean);
    const double deviation = std::sqrt(squares / static_cast<double>(channels) + a.epsilon);
    for (std::size_t c = 0; c < channels; ++c) {
      line[c] = static_cast<float>((line[c] - mean) / deviation * operands[1].data<float>()[c] +
                                   operands[2].data<float>()[c]);
    }
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
    const auto from = moved_from(node, x.shape(), index);
    y.data<float>()[i] =
        from ? x.data<float>()[broadcast_offset(x.shape(), *from)] : node.as<PadAttributes>().value;
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

Tensor evaluate_float(const Node& node, const std::vector<Tensor>& operands, const Shape& shape) {
  const Tensor& x = operands[0];
  const auto whole = [&] { return PoolAttributes{.kernel = {x.dim(2), x.dim(3)}}; };
  const auto axis = [&] { return static_cast<std::size_t>(node.as<AxisAttributes>().axis); };
  switch (operator_info(node.op).form) {
    case Form::kConvolution:
      return conv(node.as<ConvAttributes>(), operands, shape);
    case Form::kProduct:
      return product(operands, shape, node.op == Op::kGemm);
    case Form::kProductOfValues:
      return product_of_values(static_cast<double>(node.as<ScalarAttributes>().alpha), x, operands[1], shape);
    case Form::kBatchNormalization:
      return batch_norm(node.as<BatchNormAttributes>(), operands);
    case Form::kLayerNormalization:
      return layer_norm(node.as<LayerNormAttributes>(), operands);
    case Form::kUnary:
      return unary(node, x);
    case Form::kBinary:
    case Form::kPRelu:
      return binary(node.op, x, operands[1], shape);
    case Form::kPool:
      return pool(node.as<PoolAttributes>(), node.op == Op::kMaxPool, x, shape);
    case Form::kGlobalPool:
      return pool(whole(), node.op == Op::kGlobalMaxPool, x, shape);
    case Form::kConcat:
      return concat(axis(), operands, shape);
    case Form::kReshape:
      return x.reshaped(shape);
    case Form::kMove:
      return moved(node, x, shape);
    case Form::kReduce:
      return reduce_mean(node.as<ReduceAttributes>(), x, shape);
    case Form::kSoftmax:
      return softmax(axis(), node.op == Op::kLogSoftmax, x);
  }
  throw Error(ErrorCode::kInternal, node.name, "an operator of no form");
}

}  // namespace octavo::reference
