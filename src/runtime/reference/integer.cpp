// The reference interpreter in integers: docs/arithmetic.md, word for word.
#include <algorithm>
#include <cmath>

#include "octavo/core/error.h"
#include "octavo/core/quant.h"
#include "octavo/graph/elementwise.h"
#include "runtime/lowering/integer_groups.h"
#include "runtime/reference/parts.h"

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
        const float real_y = rescale(sum, p.bias[channel], p.multiplier[channel]);
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
  Tensor y(shape, p.output_is_float ? DType::kFloat32 : DType::kUInt8);
  for_each_output(
      shape, [&](std::size_t i, std::int64_t b, std::int64_t c, std::int64_t oy, std::int64_t ox) {
        std::int32_t sum = 0;
        float real_sum = 0;
        std::int32_t count = 0;
        for_each_tap(window, x.shape(), oy, ox, [&](auto, auto, auto iy, auto ix, bool inside) {
          const bool padded = iy < x.dim(2) + p.window.pads[2] && ix < x.dim(3) + p.window.pads[3];
          if (inside || (p.window.count_include_pad && padded)) ++count;
          if (!inside) return;
          const std::int32_t q = x.data<std::uint8_t>()[at(x.shape(), b, c, iy, ix)];
          sum += q - p.x_zero_point;
          real_sum += dequantize(q, p.x_scale, p.x_zero_point);
        });
        const float real_y = p.global ? global_average(sum, count, p.x_scale, p.y_scale)
                                      : window_average(real_sum, count, p.y_scale, p.y_zero_point);
        if (p.output_is_float) {
          y.data<float>()[i] = real_y;
        } else {
          y.data<std::uint8_t>()[i] =
              static_cast<std::uint8_t>(requantize(real_y, p.global ? p.y_zero_point : 0, p.y_min, p.y_max));
        }
      });
  return y;
}

Tensor integer_binary(const IntegerBinary& p, const Tensor& first, const Tensor& second, const Shape& shape) {
  Tensor y(shape, DType::kUInt8);
  for_each_element(shape, [&](std::size_t i, const std::vector<std::int64_t>& index) {
    const std::int32_t a = first.data<std::uint8_t>()[broadcast_offset(first.shape(), index)];
    const std::int32_t b = second.data<std::uint8_t>()[broadcast_offset(second.shape(), index)];
    std::int32_t q = 0;
    if (p.product) {
      const auto product = static_cast<float>((a - p.a_zero_point) * (b - p.b_zero_point));
      q = requantize(product * p.a_multiplier, p.y_zero_point, p.y_min, p.y_max);
    } else {
      q = requantize(quantized_sum(a, p.a_multiplier, b, p.b_multiplier, p.offset), 0, p.y_min, p.y_max);
    }
    y.data<std::uint8_t>()[i] = static_cast<std::uint8_t>(q);
  });
  return y;
}

Tensor integer_affine(const IntegerAffine& p, const Tensor& x) {
  Tensor y(x.shape(), DType::kUInt8);
  for_each_element(x.shape(), [&](std::size_t i, const std::vector<std::int64_t>& index) {
    const auto c = static_cast<std::size_t>(index[1]);
    const std::int32_t q = x.data<std::uint8_t>()[i];
    const float real_y = batch_norm(q, p.x_zero_point, p.x_scale, p.factor[c], p.offset[c], p.y_scale);
    y.data<std::uint8_t>()[i] =
        static_cast<std::uint8_t>(requantize(real_y, p.y_zero_point, p.y_min, p.y_max));
  });
  return y;
}

Tensor integer_table(const IntegerTable& table, const Tensor& x) {
  Tensor y(x.shape(), DType::kUInt8);
  for_each_element(x.shape(), [&](std::size_t i, const std::vector<std::int64_t>& index) {
    const std::int64_t row = table.axis < 0 ? 0 : index[static_cast<std::size_t>(table.axis)];
    const std::int64_t q = x.data<std::uint8_t>()[i];
    y.data<std::uint8_t>()[i] = table.values[static_cast<std::size_t>(row * IntegerTable::kEntries + q)];
  });
  return y;
}

/// Slice, Transpose or Pad.
Tensor moved(const Node& node, const Tensor& x, std::int32_t zero_point, const Shape& shape) {
  Tensor y(shape, DType::kUInt8);
  for_each_element(shape, [&](std::size_t i, const std::vector<std::int64_t>& index) {
    const auto from = moved_from(node, x.shape(), index);
    y.data<std::uint8_t>()[i] = from ? x.data<std::uint8_t>()[broadcast_offset(x.shape(), *from)]
                                     : static_cast<std::uint8_t>(zero_point);
  });
  return y;
}

Tensor integer_concat(const Graph& graph, const Node& node, const Values& values, const Shape& shape) {
  const auto axis = static_cast<std::size_t>(node.as<AxisAttributes>().axis);
  std::vector<Tensor> operands;
  for (const ValueId id : node.inputs) {
    const IntegerTable table = lower_integer_rescale(*graph.value(id).quant, *graph.value(node.output).quant);
    operands.push_back(integer_table(table, values.at(id)));
  }
  Tensor y(shape, DType::kUInt8);
  for_each_element(shape, [&](std::size_t i, std::vector<std::int64_t> index) {
    std::size_t source = 0;
    while (index[axis] >= operands[source].dim(axis)) index[axis] -= operands[source++].dim(axis);
    y.data<std::uint8_t>()[i] =
        operands[source].data<std::uint8_t>()[broadcast_offset(operands[source].shape(), index)];
  });
  return y;
}

}  // namespace

Tensor evaluate_integer(const Graph& graph, const FusedGroup& group, const Values& values,
                        const Shape& shape) {
  const Node& n = graph.nodes[static_cast<std::size_t>(group.anchor)];
  const Tensor& x = values.at(group.input);
  switch (operator_info(n.op).integer_form) {
    case IntegerForm::kConvolution:
      return integer_conv(graph, group, values, shape);
    case IntegerForm::kMaxPool:
      return n.op == Op::kMaxPool ? integer_max_pool(n.as<PoolAttributes>(), x, shape)
                                  : integer_max_pool({.kernel = {x.dim(2), x.dim(3)}}, x, shape);
    case IntegerForm::kAveragePool:
      return integer_average(lower_integer_average(graph, group), x, shape);
    case IntegerForm::kReshape:
      return x.reshaped(shape);
    case IntegerForm::kMove:
      return moved(n, x, graph.value(group.input).quant->zero_point(), shape);
    case IntegerForm::kAffine:
      return integer_affine(lower_integer_affine(graph, group), x);
    case IntegerForm::kConcat:
      return integer_concat(graph, n, values, shape);
    case IntegerForm::kBinary:
      if (flowing_inputs(graph, group).size() == 2) {
        return integer_binary(lower_integer_binary(graph, group), values.at(n.inputs[0]),
                              values.at(n.inputs[1]), shape);
      }
      [[fallthrough]];
    case IntegerForm::kTable:
      return integer_table(lower_integer_table(graph, group), x);
    case IntegerForm::kProductOfValues:
      return integer_product(lower_integer_product(graph, group), x, values.at(n.inputs[1]), shape);
    case IntegerForm::kLayerNormalization:
      return integer_layer_norm(lower_integer_layer_norm(graph, group), x, shape);
    case IntegerForm::kSoftmax:
      return integer_softmax(lower_integer_softmax(graph, group), x, shape);
    case IntegerForm::kNone:
      break;
  }
  throw Error(ErrorCode::kInternal, "interpret", "no integer form of " + to_string(n.op));
}

}  // namespace octavo::reference
