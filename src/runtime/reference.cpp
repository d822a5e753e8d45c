#include "octavo/runtime/reference.h"

#include <cmath>
#include <limits>

#include "octavo/core/error.h"
#include "octavo/graph/passes.h"
#include "runtime/integer_groups.h"

namespace octavo {
namespace {

/// A window moving over one image: everything Conv and the pools share.
struct Window {
  std::array<std::int64_t, 2> kernel, strides, dilations;
  std::array<std::int64_t, 4> pads;
};

Window window_of(const Node& node) {
  if (node.op == Op::kConv) {
    const auto& a = node.as<ConvAttributes>();
    return {a.kernel, a.strides, a.dilations, a.pads};
  }
  const auto& a = node.as<PoolAttributes>();
  return {a.kernel, a.strides, {1, 1}, a.pads};
}

/// Offset of element (n, c, y, x) of a 4-D tensor.
std::size_t at(const Shape& s, std::int64_t n, std::int64_t c, std::int64_t y, std::int64_t x) {
  return static_cast<std::size_t>(((n * s[1] + c) * s[2] + y) * s[3] + x);
}

/// Calls body(ky, kx, y, x, inside) for each tap of the window that makes output (oy, ox).
template <typename Body>
void for_each_tap(const Window& w, const Shape& input, std::int64_t oy, std::int64_t ox, const Body& body) {
  for (std::int64_t ky = 0; ky < w.kernel[0]; ++ky) {
    for (std::int64_t kx = 0; kx < w.kernel[1]; ++kx) {
      const std::int64_t y = oy * w.strides[0] - w.pads[0] + ky * w.dilations[0];
      const std::int64_t x = ox * w.strides[1] - w.pads[1] + kx * w.dilations[1];
      body(ky, kx, y, x, y >= 0 && y < input[2] && x >= 0 && x < input[3]);
    }
  }
}

/// Calls body(flat output offset, n, c, oy, ox) for every output element.
template <typename Body>
void for_each_output(const Shape& shape, const Body& body) {
  std::size_t i = 0;
  for (std::int64_t n = 0; n < shape[0]; ++n) {
    for (std::int64_t c = 0; c < shape[1]; ++c) {
      for (std::int64_t y = 0; y < shape[2]; ++y) {
        for (std::int64_t x = 0; x < shape[3]; ++x) body(i++, n, c, y, x);
      }
    }
  }
}

class Interpreter {
 public:
  Interpreter(const Graph& graph, const Tensor& input) : graph_(graph) {
    const Shape& expected = graph.value(graph.input).shape;
    if (input.dtype() != DType::kFloat32 || input.rank() != 4 ||
        !std::equal(expected.begin() + 1, expected.end(), input.shape().begin() + 1)) {
      throw Error(ErrorCode::kBadInput, graph.name,
                  "input has shape " + to_string(input.shape()) + "; expected " + to_string(expected));
    }
    batch_ = input.dim(0);
    store(graph.input, input);
  }

  std::map<ValueId, Tensor> run() {
    for (const FusedGroup& group : fuse(graph_)) {
      if (runs_in_integers(graph_, group)) {
        run_integer_group(group);
      } else {
        run_float_group(group);
      }
    }
    return std::move(values_);
  }

 private:
  const Node& node(int index) const { return graph_.nodes[static_cast<std::size_t>(index)]; }

  Shape shape_of(ValueId id) const {
    Shape shape = graph_.value(id).shape;
    shape[0] = batch_;
    return shape;
  }

  /// Keeps a float result, quantized if its value is.
  void store(ValueId id, const Tensor& real) {
    const auto& quant = graph_.value(id).quant;
    values_[id] = quant ? quantize(real, *quant) : real;
  }

  /// What flows through `id`, as real numbers.
  Tensor real(ValueId id) const {
    const Tensor& tensor = values_.at(id);
    return tensor.dtype() == DType::kFloat32 ? tensor : dequantize(tensor, *graph_.value(id).quant);
  }

  Tensor constant_real(ValueId id) const {
    const Value& value = graph_.value(id);
    return value.quant ? dequantize(quantize(*value.constant, *value.quant), *value.quant) : *value.constant;
  }

  // ---- float32, with double accumulators ----

  Tensor conv(const Node& n, const Tensor& x) const {
    const auto& a = n.as<ConvAttributes>();
    const Window window = window_of(n);
    const Tensor weight = constant_real(n.inputs[1]);
    const Tensor bias =
        n.inputs.size() > 2 ? constant_real(n.inputs[2]) : Tensor({weight.dim(0)}, DType::kFloat32);
    Tensor y(shape_of(n.output), DType::kFloat32);
    const std::int64_t in_group = weight.dim(1);
    const std::int64_t out_group = weight.dim(0) / a.group;
    const auto xs = x.data<float>();
    const auto ws = weight.data<float>();
    const auto ys = y.data<float>();
    for_each_output(
        y.shape(), [&](std::size_t i, std::int64_t b, std::int64_t m, std::int64_t oy, std::int64_t ox) {
          double sum = bias.data<float>()[static_cast<std::size_t>(m)];
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

  Tensor gemm(const Node& n, const Tensor& x) const {
    const Tensor weight = constant_real(n.inputs[1]);
    Tensor y(shape_of(n.output), DType::kFloat32);
    const std::int64_t k = weight.dim(1);
    const std::int64_t m = weight.dim(0);
    for (std::int64_t b = 0; b < batch_; ++b) {
      for (std::int64_t j = 0; j < m; ++j) {
        double sum = n.inputs.size() > 2
                         ? constant_real(n.inputs[2]).data<float>()[static_cast<std::size_t>(j)]
                         : 0.0F;
        for (std::int64_t i = 0; i < k; ++i) {
          sum += static_cast<double>(x.data<float>()[static_cast<std::size_t>(b * k + i)]) *
                 weight.data<float>()[static_cast<std::size_t>(j * k + i)];
        }
        y.data<float>()[static_cast<std::size_t>(b * m + j)] = static_cast<float>(sum);
      }
    }
    return y;
  }

  Tensor batch_norm(const Node& n, Tensor x) const {
    const auto p = [&](std::size_t i) { return graph_.value(n.inputs[i]).constant->data<float>(); };
    const double epsilon = n.as<BatchNormAttributes>().epsilon;
    const auto channels = static_cast<std::size_t>(x.dim(1));
    const std::size_t plane = static_cast<std::size_t>(x.size() / (x.dim(0) * x.dim(1)));
    const auto xs = x.data<float>();
    for (std::size_t i = 0; i < xs.size(); ++i) {
      const std::size_t c = i / plane % channels;
      xs[i] = static_cast<float>((xs[i] - p(3)[c]) / std::sqrt(p(4)[c] + epsilon) * p(1)[c] + p(2)[c]);
    }
    return x;
  }

  Tensor pool(const Node& n, const Tensor& x) const {
    const auto& a = n.as<PoolAttributes>();
    const Window window = window_of(n);
    Tensor y(shape_of(n.output), DType::kFloat32);
    const auto xs = x.data<float>();
    for_each_output(y.shape(), [&](std::size_t i, std::int64_t b, std::int64_t c, std::int64_t oy,
                                   std::int64_t ox) {
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
      y.data<float>()[i] = n.op == Op::kMaxPool ? best : static_cast<float>(sum / static_cast<double>(count));
    });
    return y;
  }

  Tensor global_average(const Node& n, const Tensor& x) const {
    Tensor y(shape_of(n.output), DType::kFloat32);
    const std::int64_t plane = x.dim(2) * x.dim(3);
    for (std::int64_t i = 0; i < y.size(); ++i) {
      double sum = 0;
      for (std::int64_t j = 0; j < plane; ++j)
        sum += x.data<float>()[static_cast<std::size_t>(i * plane + j)];
      y.data<float>()[static_cast<std::size_t>(i)] = static_cast<float>(sum / static_cast<double>(plane));
    }
    return y;
  }

  static Tensor clip(Tensor x, const ClipAttributes& bounds) {
    for (float& v : x.data<float>()) v = std::min(std::max(v, bounds.min), bounds.max);
    return x;
  }

  static Tensor add(Tensor a, const Tensor& b) {
    for (std::size_t i = 0; i < a.data<float>().size(); ++i) a.data<float>()[i] += b.data<float>()[i];
    return a;
  }

  Tensor evaluate(const Node& n) const {
    const Tensor x = real(n.inputs[0]);
    switch (n.op) {
      case Op::kConv:
        return conv(n, x);
      case Op::kGemm:
        return gemm(n, x);
      case Op::kBatchNormalization:
        return batch_norm(n, x);
      case Op::kRelu:
        return clip(x, {.min = 0.0F});
      case Op::kClip:
        return clip(x, n.as<ClipAttributes>());
      case Op::kAdd:
        return add(x, real(n.inputs[1]));
      case Op::kMaxPool:
      case Op::kAveragePool:
        return pool(n, x);
      case Op::kGlobalAveragePool:
        return global_average(n, x);
      case Op::kFlatten:
        return x.reshaped(shape_of(n.output));
      default:
        throw Error(ErrorCode::kUnsupported, graph_.name,
                    "node '" + n.name + "': no reference for " + to_string(n.op));
    }
  }

  void run_float_group(const FusedGroup& group) {
    Tensor y = evaluate(node(group.anchor));
    if (group.batch_norm >= 0) y = batch_norm(node(group.batch_norm), std::move(y));
    if (group.add >= 0) y = add(std::move(y), real(group.residual));
    if (group.activation >= 0) y = clip(std::move(y), activation_bounds(graph_, group));
    store(group.output, y);
  }

  // ---- integers: docs/arithmetic.md, word for word ----

  void run_integer_group(const FusedGroup& group) {
    const Node& n = node(group.anchor);
    switch (n.op) {
      case Op::kConv:
      case Op::kGemm:
        return integer_conv(group);
      case Op::kMaxPool:
        return integer_max_pool(n);
      case Op::kAveragePool:
      case Op::kGlobalAveragePool:
        return integer_average(n);
      case Op::kFlatten:
        values_[n.output] = values_.at(n.inputs[0]).reshaped(shape_of(n.output));
        return;
      case Op::kAdd:
        return integer_add(group);
      default:
        throw Error(ErrorCode::kInternal, "interpret", "no integer form of " + to_string(n.op));
    }
  }

  void integer_conv(const FusedGroup& group) {
    const Node& n = node(group.anchor);
    const IntegerConv p = lower_integer_conv(graph_, group);
    const Tensor& x = values_.at(n.inputs[0]);
    // A matrix product is a 1x1 convolution over a 1x1 image.
    const Shape x_shape = n.op == Op::kGemm ? Shape{x.dim(0), x.dim(1), 1, 1} : x.shape();
    const Shape y_shape = n.op == Op::kGemm ? Shape{x.dim(0), p.c_out, 1, 1} : shape_of(group.output);
    const Window window{p.window.kernel, p.window.strides, p.window.dilations, p.window.pads};
    const Shape w_shape{p.c_out, p.c_in / p.window.group, window.kernel[0], window.kernel[1]};
    const std::int64_t out_group = p.c_out / p.window.group;
    const auto xs = x.data<std::uint8_t>();
    const auto ws = p.weight.data<std::int8_t>();
    Tensor y(shape_of(group.output), p.output_is_float ? DType::kFloat32 : DType::kUInt8);
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
            const std::int32_t q = values_.at(group.residual).data<std::uint8_t>()[i];
            real_y = add_residual(real_y, q, p.residual_zero_point, p.residual_multiplier);
          }
          if (p.output_is_float) {
            y.data<float>()[i] = std::min(std::max(real_y, p.float_min), p.float_max);
          } else {
            y.data<std::uint8_t>()[i] =
                static_cast<std::uint8_t>(requantize(real_y, p.y_zero_point, p.y_min, p.y_max));
          }
        });
    values_[group.output] = std::move(y);
  }

  void integer_max_pool(const Node& n) {
    const Tensor& x = values_.at(n.inputs[0]);
    const Window window = window_of(n);
    Tensor y(shape_of(n.output), DType::kUInt8);
    for_each_output(y.shape(),
                    [&](std::size_t i, std::int64_t b, std::int64_t c, std::int64_t oy, std::int64_t ox) {
                      std::uint8_t best = 0;
                      for_each_tap(window, x.shape(), oy, ox, [&](auto, auto, auto iy, auto ix, bool inside) {
                        if (inside)
                          best = std::max(best, x.data<std::uint8_t>()[at(x.shape(), b, c, iy, ix)]);
                      });
                      y.data<std::uint8_t>()[i] = best;
                    });
    values_[n.output] = std::move(y);
  }

  void integer_average(const Node& n) {
    const Tensor& x = values_.at(n.inputs[0]);
    const IntegerAverage p = lower_integer_average(graph_, n);
    const Window window{p.window.kernel, p.window.strides, {1, 1}, p.window.pads};
    Tensor y(shape_of(n.output), DType::kUInt8);
    for_each_output(
        y.shape(), [&](std::size_t i, std::int64_t b, std::int64_t c, std::int64_t oy, std::int64_t ox) {
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
    values_[n.output] = std::move(y);
  }

  void integer_add(const FusedGroup& group) {
    const Node& n = node(group.anchor);
    const IntegerAdd p = lower_integer_add(graph_, group);
    const auto a = values_.at(n.inputs[0]).data<std::uint8_t>();
    const auto b = values_.at(n.inputs[1]).data<std::uint8_t>();
    Tensor y(shape_of(group.output), DType::kUInt8);
    for (std::size_t i = 0; i < a.size(); ++i) {
      const float first = static_cast<float>(a[i] - p.a_zero_point) * p.a_multiplier;
      const float sum = add_residual(first, b[i], p.b_zero_point, p.b_multiplier);
      y.data<std::uint8_t>()[i] =
          static_cast<std::uint8_t>(requantize(sum, p.y_zero_point, p.y_min, p.y_max));
    }
    values_[group.output] = std::move(y);
  }

  const Graph& graph_;
  std::int64_t batch_ = 0;
  std::map<ValueId, Tensor> values_;
};

}  // namespace

std::map<ValueId, Tensor> interpret_all(const Graph& graph, const Tensor& input) {
  validate(graph);
  return Interpreter(graph, input).run();
}

Tensor interpret(const Graph& graph, const Tensor& input) {
  auto values = interpret_all(graph, input);
  return std::move(values.at(graph.output));
}

}  // namespace octavo
