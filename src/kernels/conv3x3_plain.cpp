// Plain loops for CPUs without AVX2: right, and vectorized as far as the compiler's baseline goes.
#include <algorithm>
#include <vector>

#include "conv3x3_impl.h"
#include "octavo/core/parallel.h"

namespace octavo::kernels::plain {
namespace {

/// weight as [tap][i][o], so that the innermost loops run over adjacent floats.
std::vector<float> taps_in_out(const Conv3x3Shape& s, const float* weight, WeightStrides strides) {
  std::vector<float> taps(static_cast<std::size_t>(9 * s.c_in * s.c_out));
  for (std::int64_t t = 0; t < 9; ++t)
    for (std::int64_t i = 0; i < s.c_in; ++i)
      for (std::int64_t o = 0; o < s.c_out; ++o)
        taps[static_cast<std::size_t>((t * s.c_in + i) * s.c_out + o)] =
            weight[o * strides.out + i * strides.in + t * strides.tap];
  return taps;
}

/// body(tap, input pixel, output pixel) for every pair that a window of image `n` joins; pixels count from
/// the first image on.
template <typename Body>
void for_each_pair(const Conv3x3Shape& s, std::int64_t n, const Body& body) {
  for (std::int64_t oy = 0; oy < s.h; ++oy)
    for (std::int64_t ox = 0; ox < s.w; ++ox)
      for (std::int64_t t = 0; t < 9; ++t) {
        const std::int64_t iy = oy + t / 3 - 1;
        const std::int64_t ix = ox + t % 3 - 1;
        if (iy < 0 || iy >= s.h || ix < 0 || ix >= s.w) continue;
        body(t, (n * s.h + iy) * s.w + ix, (n * s.h + oy) * s.w + ox);
      }
}

}  // namespace

void forward(const Conv3x3Shape& s, const float* x, const float* weight, WeightStrides strides,
             const float* bias, float* y) {
  const std::vector<float> taps = taps_in_out(s, weight, strides);
  parallel_for(s.n, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t n = begin; n < end; ++n) {
      for (std::int64_t pixel = n * s.h * s.w; pixel < (n + 1) * s.h * s.w; ++pixel)
        for (std::int64_t o = 0; o < s.c_out; ++o) y[pixel * s.c_out + o] = bias != nullptr ? bias[o] : 0.0F;
      for_each_pair(s, n, [&](std::int64_t t, std::int64_t in, std::int64_t out) {
        for (std::int64_t i = 0; i < s.c_in; ++i) {
          const float value = x[in * s.c_in + i];
          const float* row = taps.data() + (t * s.c_in + i) * s.c_out;
          for (std::int64_t o = 0; o < s.c_out; ++o) y[out * s.c_out + o] += value * row[o];
        }
      });
    }
  });
}

void backward_data(const Conv3x3Shape& s, const float* dy, const float* weight, WeightStrides strides,
                   float* dx) {
  const std::vector<float> taps = taps_in_out(s, weight, strides);
  parallel_for(s.n, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t n = begin; n < end; ++n) {
      std::fill_n(dx + n * s.h * s.w * s.c_in, s.h * s.w * s.c_in, 0.0F);
      for_each_pair(s, n, [&](std::int64_t t, std::int64_t in, std::int64_t out) {
        for (std::int64_t i = 0; i < s.c_in; ++i) {
          const float* row = taps.data() + (t * s.c_in + i) * s.c_out;
          float sum = 0.0F;
          for (std::int64_t o = 0; o < s.c_out; ++o) sum += dy[out * s.c_out + o] * row[o];
          dx[in * s.c_in + i] += sum;
        }
      });
    }
  });
}

void backward_weights(const Conv3x3Shape& s, const float* x, const float* dy, float* dweight,
                      WeightStrides strides, float* dbias) {
  // Split over output channels: no two threads add to the same sum, and the order of each sum is fixed.
  parallel_for(s.c_out, 1, [&](std::int64_t begin, std::int64_t end) {
    const std::int64_t width = end - begin;
    std::vector<float> sums(static_cast<std::size_t>(9 * s.c_in * width), 0.0F);
    for (std::int64_t n = 0; n < s.n; ++n)
      for_each_pair(s, n, [&](std::int64_t t, std::int64_t in, std::int64_t out) {
        for (std::int64_t i = 0; i < s.c_in; ++i) {
          const float value = x[in * s.c_in + i];
          float* row = sums.data() + (t * s.c_in + i) * width;
          for (std::int64_t o = 0; o < width; ++o) row[o] += value * dy[out * s.c_out + begin + o];
        }
      });
    for (std::int64_t t = 0; t < 9; ++t)
      for (std::int64_t i = 0; i < s.c_in; ++i)
        for (std::int64_t o = 0; o < width; ++o)
          dweight[(begin + o) * strides.out + i * strides.in + t * strides.tap] =
              sums[static_cast<std::size_t>((t * s.c_in + i) * width + o)];
    if (dbias == nullptr) return;
    std::fill(dbias + begin, dbias + end, 0.0F);
    for (std::int64_t pixel = 0; pixel < s.n * s.h * s.w; ++pixel)
      for (std::int64_t o = begin; o < end; ++o) dbias[o] += dy[pixel * s.c_out + o];
  });
}

}  // namespace octavo::kernels::plain
