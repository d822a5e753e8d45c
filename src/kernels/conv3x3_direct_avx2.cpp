// Convolution of images with few channels: the 9 * c_in products of an output are too few for Winograd to
// pay. Each image is copied once with its border of zeros, so that a window is 9 * c_in floats at fixed
// distances from its first.
#include <algorithm>

#include "conv3x3_impl.h"
#include "gemm_avx2.h"
#include "octavo/core/parallel.h"
#include "workspace.h"

namespace octavo::kernels::avx2::direct {
namespace {

constexpr std::int64_t kMostTerms = 9 * (kThinChannels - 1);

std::int64_t padded_size(const Conv3x3Shape& s) { return (s.h + 2) * (s.w + 2) * s.c_in; }

/// One image with a border of zeros.
void pad(const Conv3x3Shape& s, const float* image, float* padded) {
  std::fill_n(padded, padded_size(s), 0.0F);
  for (std::int64_t y = 0; y < s.h; ++y)
    std::copy_n(image + y * s.w * s.c_in, s.w * s.c_in, padded + ((y + 1) * (s.w + 2) + 1) * s.c_in);
}

/// Distance from the first float of a window to term (3 * ky + kx) * c_in + i, and where that term's weight
/// lies.
struct Terms {
  Terms(const Conv3x3Shape& s, WeightStrides strides) : count(9 * s.c_in) {
    for (std::int64_t t = 0; t < 9; ++t)
      for (std::int64_t i = 0; i < s.c_in; ++i) {
        offset[t * s.c_in + i] = (t / 3 * (s.w + 2) + t % 3) * s.c_in + i;
        weight[t * s.c_in + i] = t * strides.tap + i * strides.in;
      }
  }
  std::int64_t count;
  std::int64_t offset[kMostTerms];
  std::int64_t weight[kMostTerms];
};

/// 16 output channels of R adjacent pixels, `valid` of them stored.
template <int R>
void forward_block(const float* window, std::int64_t pixel, const Terms& terms, const float* b,
                   const float* bias, float* y, std::int64_t channels, std::int64_t valid) {
  __m256 sums[R][2];
  const __m256 bias0 = _mm256_load_ps(bias);
  const __m256 bias1 = _mm256_load_ps(bias + 8);
#pragma GCC unroll 6
  for (int r = 0; r < R; ++r) {
    sums[r][0] = bias0;
    sums[r][1] = bias1;
  }
  for (std::int64_t k = 0; k < terms.count; ++k) {
    const __m256 b0 = _mm256_load_ps(b + k * kPanel);
    const __m256 b1 = _mm256_load_ps(b + k * kPanel + 8);
    const float* from = window + terms.offset[k];
#pragma GCC unroll 6
    for (int r = 0; r < R; ++r) {
      const __m256 value = _mm256_broadcast_ss(from + r * pixel);
      sums[r][0] = _mm256_fmadd_ps(value, b0, sums[r][0]);
      sums[r][1] = _mm256_fmadd_ps(value, b1, sums[r][1]);
    }
  }
  if (valid >= kPanel) {
#pragma GCC unroll 6
    for (int r = 0; r < R; ++r) {
      _mm256_storeu_ps(y + r * channels, sums[r][0]);
      _mm256_storeu_ps(y + r * channels + 8, sums[r][1]);
    }
    return;
  }
  const __m256i mask0 = lane_mask(valid);
  const __m256i mask1 = lane_mask(valid - 8);
#pragma GCC unroll 6
  for (int r = 0; r < R; ++r) {
    _mm256_maskstore_ps(y + r * channels, mask0, sums[r][0]);
    if (valid > 8) _mm256_maskstore_ps(y + r * channels + 8, mask1, sums[r][1]);
  }
}

/// Adds window[offset[r]] * dy[0..15] for R terms over a row of pixels. `sums` is [R][16].
template <int R>
void weight_block(const float* window, std::int64_t pixel, const std::int64_t* offset, const float* dy,
                  std::int64_t channels, std::int64_t valid, std::int64_t pixels, float* sums) {
  __m256 sum[R][2];
#pragma GCC unroll 6
  for (int r = 0; r < R; ++r) {
    sum[r][0] = _mm256_load_ps(sums + r * kPanel);
    sum[r][1] = _mm256_load_ps(sums + r * kPanel + 8);
  }
  const float* term[R];
#pragma GCC unroll 6
  for (int r = 0; r < R; ++r) term[r] = window + offset[r];
  const auto add = [&](auto load0, auto load1) {
    for (std::int64_t k = 0; k < pixels; ++k) {
      const __m256 dy0 = load0(dy + k * channels);
      const __m256 dy1 = load1(dy + k * channels + 8);
#pragma GCC unroll 6
      for (int r = 0; r < R; ++r) {
        const __m256 value = _mm256_broadcast_ss(term[r] + k * pixel);
        sum[r][0] = _mm256_fmadd_ps(value, dy0, sum[r][0]);
        sum[r][1] = _mm256_fmadd_ps(value, dy1, sum[r][1]);
      }
    }
  };
  if (valid >= kPanel) {
    add([](const float* from) { return _mm256_loadu_ps(from); },
        [](const float* from) { return _mm256_loadu_ps(from); });
  } else {
    const __m256i mask0 = lane_mask(valid);
    const __m256i mask1 = lane_mask(valid - 8);
    add([mask0](const float* from) { return _mm256_maskload_ps(from, mask0); },
        [mask1](const float* from) { return _mm256_maskload_ps(from, mask1); });
  }
#pragma GCC unroll 6
  for (int r = 0; r < R; ++r) {
    _mm256_store_ps(sums + r * kPanel, sum[r][0]);
    _mm256_store_ps(sums + r * kPanel + 8, sum[r][1]);
  }
}

std::int64_t panel_count(const Conv3x3Shape& s) { return (s.c_out + kPanel - 1) / kPanel; }

}  // namespace

void forward(const Conv3x3Shape& s, const float* x, const float* weight, WeightStrides strides,
             const float* bias, float* y) {
  const Terms terms(s, strides);
  const std::int64_t panels = panel_count(s);
  // A panel is its bias, then a row of 16 weights for each term.
  const std::int64_t panel_floats = (terms.count + 1) * kPanel;
  float* packed = scratch(Scratch::kWeights, panels * panel_floats);
  std::fill_n(packed, panels * panel_floats, 0.0F);
  for (std::int64_t o = 0; o < s.c_out; ++o) {
    float* lane = packed + o / kPanel * panel_floats + o % kPanel;
    if (bias != nullptr) lane[0] = bias[o];
    for (std::int64_t k = 0; k < terms.count; ++k)
      lane[(k + 1) * kPanel] = weight[o * strides.out + terms.weight[k]];
  }
  parallel_for(s.n, 1, [&](std::int64_t begin, std::int64_t end) {
    float* padded = scratch(Scratch::kPatches, padded_size(s));
    for (std::int64_t n = begin; n < end; ++n) {
      pad(s, x + n * s.h * s.w * s.c_in, padded);
      for (std::int64_t row = 0; row < s.h; ++row) {
        const float* windows = padded + row * (s.w + 2) * s.c_in;
        float* out = y + (n * s.h + row) * s.w * s.c_out;
        for (std::int64_t column = 0; column < s.w;) {
          // Rows of 6 and 4 pixels keep the multipliers busy; fewer only where the map ends.
          const std::int64_t left = s.w - column;
          const std::int64_t take = left >= 6 && left != 8 ? 6 : left >= 4 ? 4 : 1;
          for (std::int64_t q = 0; q < panels; ++q) {
            const float* panel = packed + q * panel_floats;
            const float* window = windows + column * s.c_in;
            float* to = out + column * s.c_out + q * kPanel;
            const std::int64_t valid = s.c_out - q * kPanel;
            if (take == 6) {
              forward_block<6>(window, s.c_in, terms, panel + kPanel, panel, to, s.c_out, valid);
            } else if (take == 4) {
              forward_block<4>(window, s.c_in, terms, panel + kPanel, panel, to, s.c_out, valid);
            } else {
              forward_block<1>(window, s.c_in, terms, panel + kPanel, panel, to, s.c_out, valid);
            }
          }
          column += take;
        }
      }
    }
  });
}

void backward_weights(const Conv3x3Shape& s, const float* x, const float* dy, float* dweight,
                      WeightStrides strides, float* dbias) {
  const Terms terms(s, strides);
  const std::int64_t panels = panel_count(s);
  // Sums over fixed groups of images, added up in order at the end: the same bits for any number of threads.
  // A panel is a row of 16 for each term, then the bias.
  const std::int64_t panel_floats = (terms.count + 1) * kPanel;
  const std::int64_t group_floats = panels * panel_floats;
  constexpr std::int64_t kMostGroups = 16;
  const std::int64_t groups = std::min(s.n, kMostGroups);
  float* sums = scratch(Scratch::kSums, groups * group_floats);
  std::fill_n(sums, groups * group_floats, 0.0F);
  parallel_for(groups, 1, [&](std::int64_t begin, std::int64_t end) {
    float* padded = scratch(Scratch::kPatches, padded_size(s));
    const float one = 1.0F;
    const std::int64_t none[1] = {0};
    for (std::int64_t g = begin; g < end; ++g)
      for (std::int64_t n = s.n * g / groups; n < s.n * (g + 1) / groups; ++n) {
        pad(s, x + n * s.h * s.w * s.c_in, padded);
        for (std::int64_t row = 0; row < s.h; ++row)
          for (std::int64_t q = 0; q < panels; ++q) {
            const float* window = padded + row * (s.w + 2) * s.c_in;
            const float* from = dy + (n * s.h + row) * s.w * s.c_out + q * kPanel;
            const std::int64_t valid = s.c_out - q * kPanel;
            float* to = sums + g * group_floats + q * panel_floats;
            std::int64_t k = 0;
            for (; k + 6 <= terms.count; k += 6)
              weight_block<6>(window, s.c_in, terms.offset + k, from, s.c_out, valid, s.w, to + k * kPanel);
            for (; k + 3 <= terms.count; k += 3)
              weight_block<3>(window, s.c_in, terms.offset + k, from, s.c_out, valid, s.w, to + k * kPanel);
            if (dbias != nullptr)
              weight_block<1>(&one, 0, none, from, s.c_out, valid, s.w, to + terms.count * kPanel);
          }
      }
  });
  for (std::int64_t o = 0; o < s.c_out; ++o) {
    const float* lane = sums + o / kPanel * panel_floats + o % kPanel;
    for (std::int64_t k = 0; k <= terms.count; ++k) {
      float sum = 0.0F;
      for (std::int64_t g = 0; g < groups; ++g) sum += lane[g * group_floats + k * kPanel];
      if (k < terms.count) {
        dweight[o * strides.out + terms.weight[k]] = sum;
      } else if (dbias != nullptr) {
        dbias[o] = sum;
      }
    }
  }
}

}  // namespace octavo::kernels::avx2::direct
