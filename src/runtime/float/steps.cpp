#include "runtime/float/steps.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "octavo/core/error.h"
#include "octavo/graph/elementwise.h"
#include "runtime/program/function_step.h"

namespace octavo {
namespace {

/// True if the last two dimensions are one run of y and a, along which b repeats: a blocked layout's channels
/// of each pixel.
bool repeats(const Walk& walk, std::int64_t block) {
  const std::size_t last = walk.dims.size() - 1;
  const auto run = [&](const Strides& s) { return s[last] == 1 && s[last - 1] == block; };
  return last > 0 && walk.dims[last] == block && run(walk.strides[0]) && run(walk.strides[1]) &&
         walk.strides[2][last] == 1 && walk.strides[2][last - 1] == 0;
}

template <int Block, typename Combine>
void repeated_lines(const Walk& walk, const float* a, const float* b, float* y, int threads,
                    const Combine& combine) {
  Lines lines(walk);
  lines.drop(walk.dims.size() - 1);
  for_each_line(lines, threads, [&](const std::int64_t* at, std::int64_t count) {
    float other[Block];
    std::copy_n(b + at[2], Block, other);
    const float* first = a + at[1];
    float* target = y + at[0];
    for (std::int64_t i = 0; i < count * Block; i += Block) {
      for (int j = 0; j < Block; ++j) target[i + j] = combine(first[i + j], other[j]);
    }
  });
}

template <typename Combine>
void binary_lines(const Walk& walk, const ClipAttributes& bounds, const float* a, const float* b, float* y,
                  int threads, const Combine& combine) {
  const std::int64_t y_step = walk.strides[0].back();
  const std::int64_t a_step = walk.strides[1].back();
  const std::int64_t b_step = walk.strides[2].back();
  const float lo = bounds.min;
  const float hi = bounds.max;
  const auto clipped = [=](float v) {
    v = v < lo ? lo : v;
    return v > hi ? hi : v;
  };
  const auto both = [&](float first, float second) { return clipped(combine(first, second)); };
  if (repeats(walk, 8)) return repeated_lines<8>(walk, a, b, y, threads, both);
  if (repeats(walk, 16)) return repeated_lines<16>(walk, a, b, y, threads, both);
  for_each_line(walk, threads, [&](const std::int64_t* at, std::int64_t count) {
    float* target = y + at[0];
    const float* first = a + at[1];
    const float* second = b + at[2];
    if (y_step == 1 && a_step == 1 && b_step == 1) {
      for (std::int64_t i = 0; i < count; ++i) target[i] = both(first[i], second[i]);
    } else if (y_step == 1 && a_step == 1 && b_step == 0) {
      const float other = second[0];
      for (std::int64_t i = 0; i < count; ++i) target[i] = both(first[i], other);
    } else {
      for (std::int64_t i = 0; i < count; ++i)
        target[i * y_step] = both(first[i * a_step], second[i * b_step]);
    }
  });
}

const float* elements(const FloatSource& source, const StepArguments& arguments) {
  return source.buffer >= 0 ? arguments.buffer<const float>(source.buffer) : source.constant.data();
}

/// Offset of each element of a box of some of a row-major tensor's dimensions.
std::vector<std::int64_t> box_offsets(const Shape& shape, const std::vector<bool>& inside) {
  const Strides strides = row_major(shape);
  std::vector<std::int64_t> offsets{0};
  for (std::size_t d = 0; d < shape.size(); ++d) {
    if (!inside[d]) continue;
    std::vector<std::int64_t> next;
    next.reserve(offsets.size() * static_cast<std::size_t>(shape[d]));
    for (const std::int64_t offset : offsets) {
      for (std::int64_t i = 0; i < shape[d]; ++i) next.push_back(offset + i * strides[d]);
    }
    offsets = std::move(next);
  }
  return offsets;
}

void layer_norm_row(const float* x, const std::vector<float>& scale, const std::vector<float>& bias,
                    float epsilon, float* y) {
  constexpr std::size_t kParts = 16;  // Of each sum, so that it is vectorized.
  const std::size_t length = scale.size();
  const float share = 1.0F / static_cast<float>(length);
  const auto sum = [&](const auto& term) {
    float parts[kParts] = {};
    for (std::size_t i = 0; i < length / kParts * kParts; i += kParts) {
      for (std::size_t j = 0; j < kParts; ++j) parts[j] += term(x[i + j]);
    }
    for (std::size_t i = length / kParts * kParts; i < length; ++i) parts[i % kParts] += term(x[i]);
    float total = 0;
    for (const float part : parts) total += part;
    return total;
  };
  const float mean = sum([](float v) { return v; }) * share;
  const float variance = sum([&](float v) { return (v - mean) * (v - mean); }) * share;
  const float factor = 1.0F / std::sqrt(variance + epsilon);
  for (std::size_t i = 0; i < length; ++i) y[i] = (x[i] - mean) * factor * scale[i] + bias[i];
}

}  // namespace

std::unique_ptr<Step> make_float_binary_step(const std::string& kernel, Op op, const ClipAttributes& bounds,
                                             const Walk& walk, FloatSource a, FloatSource b, BufferId y) {
  return function_step(kernel, [op, bounds, walk = simplified(walk), a = std::move(a), b = std::move(b),
                                y](const StepArguments& s) {
    const auto run = [&](const auto& combine) {
      binary_lines(walk, bounds, elements(a, s), elements(b, s), s.buffer<float>(y), s.threads, combine);
    };
    switch (op) {
      case Op::kAdd:
        return run([](float first, float second) { return first + second; });
      case Op::kSub:
        return run([](float first, float second) { return first - second; });
      case Op::kMul:
        return run([](float first, float second) { return first * second; });
      case Op::kDiv:
        return run([](float first, float second) { return first / second; });
      case Op::kMin:
        return run([](float first, float second) { return second < first ? second : first; });
      case Op::kMax:
        return run([](float first, float second) { return first < second ? second : first; });
      default:
        check_internal(op == Op::kPRelu, "float binary step of " + to_string(op));
        return run([](float first, float slope) { return first < 0 ? slope * first : first; });
    }
  });
}

std::unique_ptr<Step> make_scale_shift_step(const std::string& kernel, const ClipAttributes& bounds,
                                            const Walk& walk, std::vector<float> scale,
                                            std::vector<float> shift, BufferId x, BufferId y) {
  return function_step(kernel, [bounds, walk = simplified(walk), scale = std::move(scale),
                                shift = std::move(shift), x, y](const StepArguments& s) {
    const std::int64_t y_step = walk.strides[0].back();
    const std::int64_t x_step = walk.strides[1].back();
    const std::int64_t c_step = walk.strides[2].back();
    const float lo = bounds.min;
    const float hi = bounds.max;
    const auto bounded = [=](float v) {
      v = v < lo ? lo : v;
      return v > hi ? hi : v;
    };
    for_each_line(walk, s.threads, [&](const std::int64_t* at, std::int64_t count) {
      const float* source = s.buffer<const float>(x) + at[1];
      float* target = s.buffer<float>(y) + at[0];
      const float* factor = scale.data() + at[2];
      const float* offset = shift.data() + at[2];
      if (y_step == 1 && x_step == 1 && c_step == 1) {
        for (std::int64_t i = 0; i < count; ++i) target[i] = bounded(source[i] * factor[i] + offset[i]);
      } else if (y_step == 1 && x_step == 1 && c_step == 0) {
        const float one = factor[0];
        const float other = offset[0];
        for (std::int64_t i = 0; i < count; ++i) target[i] = bounded(source[i] * one + other);
      } else {
        for (std::int64_t i = 0; i < count; ++i)
          target[i * y_step] = bounded(source[i * x_step] * factor[i * c_step] + offset[i * c_step]);
      }
    });
  });
}

std::unique_ptr<Step> make_float_copy_step(const std::string& kernel, const Walk& walk, BufferId x,
                                           BufferId y) {
  return function_step(kernel, [walk = simplified(walk), x, y](const StepArguments& s) {
    const auto* source = s.buffer<const float>(x);
    auto* target = s.buffer<float>(y);
    const std::int64_t y_step = walk.strides[0].back();
    const std::int64_t x_step = walk.strides[1].back();
    for_each_line(walk, s.threads, [&](const std::int64_t* at, std::int64_t count) {
      if (y_step == 1 && x_step == 1) {
        std::memcpy(target + at[0], source + at[1], static_cast<std::size_t>(count) * sizeof(float));
      } else {
        for (std::int64_t i = 0; i < count; ++i) target[at[0] + i * y_step] = source[at[1] + i * x_step];
      }
    });
  });
}

std::unique_ptr<Step> make_float_fill_step(const std::string& kernel, float value, std::int64_t count,
                                           BufferId y) {
  return function_step(
      kernel, [value, count, y](const StepArguments& s) { std::fill_n(s.buffer<float>(y), count, value); });
}

std::unique_ptr<Step> make_float_unary_step(const std::string& kernel, const Node& node, std::int64_t count,
                                            BufferId x, BufferId y) {
  return function_step(kernel, [node, count, x, y](const StepArguments& s) {
    const auto* source = s.buffer<const float>(x);
    auto* target = s.buffer<float>(y);
    parallel_for(
        count, 1024,
        [&](std::int64_t begin, std::int64_t end) {
          for (std::int64_t i = begin; i < end; ++i) target[i] = apply_unary(node, source[i]);
        },
        s.threads);
  });
}

std::unique_ptr<Step> make_float_layer_norm_step(const std::string& kernel, std::int64_t rows, float epsilon,
                                                 std::vector<float> scale, std::vector<float> bias,
                                                 BufferId x, BufferId y) {
  const std::size_t bytes = 2 * scale.size() * sizeof(float);
  return function_step(
      kernel,
      [rows, epsilon, scale = std::move(scale), bias = std::move(bias), x, y](const StepArguments& a) {
        const auto length = static_cast<std::int64_t>(scale.size());
        const auto* const source = a.buffer<const float>(x);
        auto* const target = a.buffer<float>(y);
        parallel_for(
            rows, std::max<std::int64_t>(1, 4096 / length),
            [&](std::int64_t begin, std::int64_t end) {
              for (std::int64_t row = begin; row < end; ++row)
                layer_norm_row(source + row * length, scale, bias, epsilon, target + row * length);
            },
            a.threads);
      },
      bytes);
}

std::unique_ptr<Step> make_reduce_mean_step(const std::string& kernel, const Shape& x_shape,
                                            const std::vector<std::int64_t>& axes, BufferId x, BufferId y) {
  std::vector<bool> reduced(x_shape.size(), false);
  for (const std::int64_t axis : axes) reduced[static_cast<std::size_t>(axis)] = true;
  std::vector<std::int64_t> inner = box_offsets(x_shape, reduced);
  reduced.flip();
  std::vector<std::int64_t> outer = box_offsets(x_shape, reduced);
  return function_step(kernel,
                       [inner = std::move(inner), outer = std::move(outer), x, y](const StepArguments& s) {
                         const auto* source = s.buffer<const float>(x);
                         auto* target = s.buffer<float>(y);
                         parallel_for(
                             static_cast<std::int64_t>(outer.size()), 16,
                             [&](std::int64_t begin, std::int64_t end) {
                               for (std::int64_t i = begin; i < end; ++i) {
                                 const float* from = source + outer[static_cast<std::size_t>(i)];
                                 double sum = 0;
                                 for (const std::int64_t offset : inner) sum += from[offset];
                                 target[i] = static_cast<float>(sum / static_cast<double>(inner.size()));
                               }
                             },
                             s.threads);
                       });
}

std::unique_ptr<Step> make_float_average_pool_step(const std::string& kernel, const Shape& x_shape,
                                                   const Shape& y_shape, const PoolAttributes& w, BufferId x,
                                                   BufferId y) {
  return function_step(kernel, [x_shape, y_shape, w, x, y](const StepArguments& s) {
    const std::int64_t height = x_shape[2];
    const std::int64_t width = x_shape[3];
    parallel_for(
        y_shape[0] * y_shape[1], 1,
        [&](std::int64_t begin, std::int64_t end) {
          for (std::int64_t plane = begin; plane < end; ++plane) {
            const float* source = s.buffer<const float>(x) + plane * height * width;
            float* target = s.buffer<float>(y) + plane * y_shape[2] * y_shape[3];
            for (std::int64_t i = 0; i < y_shape[2] * y_shape[3]; ++i) {
              const std::int64_t top = i / y_shape[3] * w.strides[0] - w.pads[0];
              const std::int64_t left = i % y_shape[3] * w.strides[1] - w.pads[1];
              const std::int64_t bottom = std::min(top + w.kernel[0], height + w.pads[2]);
              const std::int64_t right = std::min(left + w.kernel[1], width + w.pads[3]);
              double sum = 0;
              std::int64_t inside = 0;
              for (std::int64_t iy = std::max<std::int64_t>(top, 0); iy < std::min(bottom, height); ++iy) {
                for (std::int64_t ix = std::max<std::int64_t>(left, 0); ix < std::min(right, width); ++ix) {
                  sum += source[iy * width + ix];
                  ++inside;
                }
              }
              const std::int64_t count = w.count_include_pad ? (bottom - top) * (right - left) : inside;
              target[i] = static_cast<float>(sum / static_cast<double>(count));
            }
          }
        },
        s.threads);
  });
}

namespace {

/// A line of outputs, from a whole image. `Inner`: the number of channels if the compiler is to know it, else
/// 0.
template <int Inner>
void max_pool_line(const float* image, std::int64_t height, std::int64_t width, std::int64_t channels,
                   const PoolAttributes& w, std::int64_t oy, std::int64_t columns, float* __restrict target) {
  const std::int64_t inner = Inner > 0 ? Inner : channels;
  const std::int64_t top = oy * w.strides[0] - w.pads[0];
  const std::int64_t bottom = std::min(top + w.kernel[0], height);
  for (std::int64_t ox = 0; ox < columns; ++ox, target += inner) {
    const std::int64_t left = ox * w.strides[1] - w.pads[1];
    const std::int64_t right = std::min(left + w.kernel[1], width);
    std::fill_n(target, inner, -std::numeric_limits<float>::infinity());
    for (std::int64_t iy = std::max<std::int64_t>(top, 0); iy < bottom; ++iy) {
      for (std::int64_t ix = std::max<std::int64_t>(left, 0); ix < right; ++ix) {
        const float* const source = image + (iy * width + ix) * inner;
        for (std::int64_t c = 0; c < inner; ++c) target[c] = std::max(target[c], source[c]);
      }
    }
  }
}

}  // namespace

std::unique_ptr<Step> make_float_max_pool_step(const std::string& kernel, std::int64_t inner,
                                               const Shape& x_shape, const Shape& y_shape,
                                               const PoolAttributes& w, BufferId x, BufferId y) {
  const std::int64_t images = x_shape[0] * ((x_shape[1] + inner - 1) / inner);
  return function_step(kernel, [inner, images, x_shape, y_shape, w, x, y](const StepArguments& s) {
    const std::int64_t height = x_shape[2];
    const std::int64_t width = x_shape[3];
    auto* const run = inner == 8 ? max_pool_line<8> : max_pool_line<0>;
    const auto lines = [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const float* const image = s.buffer<const float>(x) + i / y_shape[2] * height * width * inner;
        run(image, height, width, inner, w, i % y_shape[2], y_shape[3],
            s.buffer<float>(y) + i * y_shape[3] * inner);
      }
    };
    parallel_for(images * y_shape[2], 1, lines, s.threads);
  });
}

}  // namespace octavo
