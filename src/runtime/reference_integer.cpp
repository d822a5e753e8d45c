// The reference interpreter in integers: docs/arithmetic.md, word for word.
#include <algorithm>

#include "octavo/core/error.h"
#include "octavo/core/quant.h"
#include "runtime/integer_groups.h"
#include "runtime/reference_parts.h"

namespace octavo::reference {
namespace {

Tensor integer_conv(const Graph& graph, const FusedGroup& group, const Values& values, const Shape& shape) {
  const Node& n = graph.nodes[static_cast<std::size_t>(group.anchor)];
  const IntegerConv p = lower_integer_conv(graph, group);
  const Tensor& x = values.at(group.input);
  // A matrix product is a 1x1 convolution over a 1x1 image.
  const bool matrix = n.op != Op::kConv;
  const Shape x_shape = matrix ? Shape{x.size() / p.c_in, p.c_in, 1, 1} : x.shape();
  const Shape y_shape = matrix ? Shape{x_shape[0], p.c_out, 1, 1} : shape;
  const Window window = window_of(p.window);
  const Shape w_shape{p.c_out, p.c_in / p.window.group, window.kernel[0], window.kernel[1]};
  const std::int64_t out_group = p.c_out / p.window.group;
  const auto xs = x.data<std::uint8_t>();
  const auto ws = p.weight.data<std::int8_t>();
  Tensor y(shape, p.output_is_float ? DType::kFloat32 : DType::kUInt8);
  for_each_output(
      y_shape, [&](std::size_t i, std::int64_t b, std::int64_t m, std::int64_t oy, std::int64_t ox) {
        const auto channel = static_cast<std::size_t>(m);
        std::int32_t sum = 0;
        for_each_tap(window, x_shape, oy, ox, [&](auto ky, auto kx, auto iy, auto ix, bool inside) {
          for (std::int64_t c = 0; c < w_shape[1]; ++c) {
            const std::int32_t q =
                inside ? xs[at(x_shape, b, m / out_group * w_shape[1] + c, iy, ix)] : p.x_zero_point;
            sum += q * ws[at(w_shape, m, c, ky, kx)];
          }
        });
        float real_y = rescale(sum, p.bias[channel], p.multiplier[channel]);
        if (p.has_residual) {
          const std::int32_t q = values.at(group.residual).data<std::uint8_t>()[i];
          real_y = add_residual(real_y, q, p.residual_zero_point, p.residual_multiplier);
        }
        if (p.output_is_float) {
          y.data<float>()[i] = std::min(std::max(real_y, p.float_min), p.float_max);
        } else {
          y.data<std::uint8_t>()[i] =
              static_cast<std::uint8_t>(requantize(real_y, p.y_zero_point, p.y_min, p.y_max));
        }
      });
  return y;
}

Tensor integer_max_pool(const PoolAttributes& a, const Tensor& x, const Shape& shape) {
  const Window window = window_of(a);
  Tensor y(shape, DType::kUInt8);
  for_each_output(shape,
                  [&](std::size_t i, std::int64_t b, std::int64_t c, std::int64_t oy, std::int64_t ox) {
                    std::uint8_t best = 0;
                    for_each_tap(window, x.shape(), oy, ox, [&](auto, auto, auto iy, auto ix, bool inside) {
                      if (inside) best = std::max(best, x.data<std::uint8_t>()[at(x.shape(), b, c, iy, ix)]);
                    });
                    y.data<std::uint8_t>()[i] = best;
                  });
  return y;
}

Tensor integer_average(const IntegerAverage& p, const Tensor& x, const Shape& shape) {
  const Window window = window_of(p.window);
  Tensor y(shape, DType::kUInt8);
  for_each_output(
      shape, [&](std::size_t i, std::int64_t b, std::int64_t c, std::int64_t oy, std::int64_t ox) {
        std::int32_t sum = 0;
        std::int32_t count = 0;
        for_each_tap(window, x.shape(), oy, ox, [&](auto, auto, auto iy, auto ix, bool inside) {
          const bool padded = iy < x.dim(2) + p.window.pads[2] && ix < x.dim(3) + p.window.pads[3];
          if (inside || (p.window.count_include_pad && padded)) ++count;
          if (inside) sum += x.data<std::uint8_t>()[at(x.shape(), b, c, iy, ix)] - p.x_zero_point;
        });
        const float real_y = average(sum, count, p.multiplier);
        y.data<std::uint8_t>()[i] =
            static_cast<std::uint8_t>(requantize(real_y, p.y_zero_point, p.y_min, p.y_max));
      });
  return y;
}

Tensor integer_add(const IntegerAdd& p, const Tensor& first, const Tensor& second, const Shape& shape) {
  const auto a = first.data<std::uint8_t>();
  const auto b = second.data<std::uint8_t>();
  Tensor y(shape, DType::kUInt8);
  for (std::size_t i = 0; i < a.size(); ++i) {
    const float scaled = static_cast<float>(a[i] - p.a_zero_point) * p.a_multiplier;
    const float sum = add_residual(scaled, b[i], p.b_zero_point, p.b_multiplier);
    y.data<std::uint8_t>()[i] = static_cast<std::uint8_t>(requantize(sum, p.y_zero_point, p.y_min, p.y_max));
  }
  return y;
}

}  // namespace

Tensor evaluate_integer(const Graph& graph, const FusedGroup& group, const Values& values,
                        const Shape& shape) {
  const Node& n = graph.nodes[static_cast<std::size_t>(group.anchor)];
  const Tensor& x = values.at(group.input);
  switch (n.op) {
    case Op::kConv:
    case Op::kGemm:
      return integer_conv(graph, group, values, shape);
    case Op::kMaxPool:
      return integer_max_pool(n.as<PoolAttributes>(), x, shape);
    case Op::kAveragePool:
    case Op::kGlobalAveragePool:
      return integer_average(lower_integer_average(graph, n), x, shape);
    case Op::kFlatten:
      return x.reshaped(shape);
    case Op::kAdd:
      return integer_add(lower_integer_add(graph, group), values.at(n.inputs[0]), values.at(n.inputs[1]),
                         shape);
    default:
      throw Error(ErrorCode::kInternal, "interpret", "no integer form of " + to_string(n.op));
  }
}

}  // namespace octavo::reference
