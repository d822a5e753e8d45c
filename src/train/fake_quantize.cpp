#include "fake_quantize.h"

#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <vector>

#include "octavo/core/parallel.h"

namespace octavo::train_detail {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Elements a block: the unit of threads and of partial sums, which makes sums the same for any number of
// threads.
constexpr std::int64_t kBlock = 1 << 14;

/// Clipping bounds in units of the scale.
struct Bounds {
  float lo, hi;
};

/// Adding and subtracting 1.5 * 2^23 rounds half to even where |x| < 2^22, and compilers vectorize it. The
/// bounds of eight-bit grids are far smaller.
float round_half_even(float x) {
  constexpr float kMagic = 12582912.0F;
  return (x + kMagic) - kMagic;
}

/// NaN becomes lo, as in round_saturate().
float clip(float x, Bounds bounds) {
  const float above = x > bounds.lo ? x : bounds.lo;
  return above < bounds.hi ? above : bounds.hi;
}

void quantize_block(const float* x, float* y, std::int64_t count, float scale, Bounds bounds) {
  for (std::int64_t i = 0; i < count; ++i) y[i] = round_half_even(clip(x[i] / scale, bounds)) * scale;
}

void gradient_block(const float* x, const float* dy, float* dx, std::int64_t count, float scale,
                    Bounds bounds) {
  const float lo = bounds.lo - 0.5F;
  const float hi = bounds.hi + 0.5F;
  for (std::int64_t i = 0; i < count; ++i) {
    const float v = x[i] / scale;
    dx[i] = v >= lo && v <= hi ? dy[i] : 0.0F;
  }
}

double scale_gradient_block(const float* x, const float* dy, std::int64_t count, float scale, Bounds bounds) {
  double sum = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    const float v = x[i] / scale;
    const float clipped = clip(v, bounds);
    const float slope = clipped == v ? round_half_even(v) - v : clipped;
    sum += static_cast<double>(dy[i]) * static_cast<double>(slope);
  }
  return sum;
}

/// Calls body(first element, count, channel, block) for blocks that cover all elements, none across two
/// channels.
template <typename Body>
void for_each_block(std::int64_t elements, std::int64_t channels, const Body& body) {
  const std::int64_t inner = elements / channels;
  const std::int64_t per_channel = (inner + kBlock - 1) / kBlock;
  const std::int64_t grain = std::max<std::int64_t>(1, kBlock / std::max<std::int64_t>(inner, 1));
  parallel_for(channels * per_channel, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t block = begin; block < end; ++block) {
      const std::int64_t channel = block / per_channel;
      const std::int64_t offset = block % per_channel * kBlock;
      body(channel * inner + offset, std::min(kBlock, inner - offset), channel, block);
    }
  });
}

/// The tensor with dense memory: as it is, or in channels-last or row-major order.
at::Tensor dense(const at::Tensor& x) { return x.contiguous(x.suggest_memory_format()); }

struct FakeQuantize : torch::autograd::Function<FakeQuantize> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& input, const at::Tensor& scale,
                            std::int64_t lowest, std::int64_t highest, double scale_gradient) {
    const at::Tensor x = dense(input);
    at::Tensor y = at::empty_like(x);
    const Bounds bounds{static_cast<float>(lowest), static_cast<float>(highest)};
    const auto* from = x.data_ptr<float>();
    auto* to = y.data_ptr<float>();
    const auto* scales = scale.data_ptr<float>();
    for_each_block(x.numel(), scale.numel(),
                   [&](std::int64_t first, std::int64_t count, std::int64_t channel, std::int64_t) {
                     quantize_block(from + first, to + first, count, scales[channel], bounds);
                   });
    context->save_for_backward({x, scale});
    context->saved_data["lowest"] = lowest;
    context->saved_data["highest"] = highest;
    context->saved_data["scale_gradient"] = scale_gradient;
    context->saved_data["learned"] = scale.requires_grad();
    return y;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor& x = saved[0];
    const at::Tensor& scale = saved[1];
    const at::Tensor dy = gradients[0].contiguous(x.suggest_memory_format());
    const Bounds bounds{static_cast<float>(context->saved_data["lowest"].toInt()),
                        static_cast<float>(context->saved_data["highest"].toInt())};
    at::Tensor dx = at::empty_like(x);
    const auto* from = x.data_ptr<float>();
    const auto* slopes = dy.data_ptr<float>();
    auto* to = dx.data_ptr<float>();
    const auto* scales = scale.data_ptr<float>();
    for_each_block(x.numel(), scale.numel(),
                   [&](std::int64_t first, std::int64_t count, std::int64_t channel, std::int64_t) {
                     gradient_block(from + first, slopes + first, to + first, count, scales[channel], bounds);
                   });
    at::Tensor dscale;
    if (context->saved_data["learned"].toBool()) {
      const std::int64_t channels = scale.numel();
      const std::int64_t per_channel = (x.numel() / channels + kBlock - 1) / kBlock;
      std::vector<double> sums(static_cast<std::size_t>(channels * per_channel));
      for_each_block(x.numel(), channels,
                     [&](std::int64_t first, std::int64_t count, std::int64_t channel, std::int64_t block) {
                       sums[static_cast<std::size_t>(block)] =
                           scale_gradient_block(from + first, slopes + first, count, scales[channel], bounds);
                     });
      dscale = at::empty_like(scale);
      for (std::int64_t c = 0; c < channels; ++c) {
        const auto first = sums.begin() + c * per_channel;
        double sum = 0;
        for (auto part = first; part != first + per_channel; ++part) sum += *part;
        dscale.data_ptr<float>()[c] =
            static_cast<float>(sum * context->saved_data["scale_gradient"].toDouble());
      }
    }
    return {dx, dscale, {}, {}, {}};
  }
};

}  // namespace

at::Tensor fake_quantize(const at::Tensor& x, const at::Tensor& scale, const QuantGrid& grid,
                         double scale_gradient) {
  // Autocast may hand over bfloat16; the grid is float32's.
  return FakeQuantize::apply(x.to(at::kFloat), scale, static_cast<std::int64_t>(grid.qmin - grid.zero_point),
                             static_cast<std::int64_t>(grid.qmax - grid.zero_point), scale_gradient);
}

}  // namespace octavo::train_detail
