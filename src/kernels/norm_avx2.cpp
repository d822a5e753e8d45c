// Fused batch norm, ReLU and pooling. All of it waits for memory, so the aim is few passes: forward reads x
// twice; backward reads dy and what forward kept of the winners for the sums, then x once more for dx.
#include <immintrin.h>

#include <algorithm>
#include <cmath>

#include "gemm_avx2.h"
#include "norm_impl.h"
#include "octavo/core/parallel.h"
#include "workspace.h"

namespace octavo::kernels::avx2 {
namespace {

/// Pixels summed in float before a sum goes on in double. A chunk stays in the L1 or L2 cache between two
/// sweeps.
std::int64_t chunk_pixels(std::int64_t channels) {
  return std::clamp<std::int64_t>(16384 / channels, 16, 1024);
}

/// body(c, load, store) for each group of 8 channels; load and store touch only channels that exist.
template <typename Body>
void for_each_eight(std::int64_t begin, std::int64_t end, const Body& body) {
  std::int64_t c = begin;
  for (; c + 8 <= end; c += 8)
    body(
        c, [](const float* from) { return _mm256_loadu_ps(from); },
        [](float* to, __m256 value) { _mm256_storeu_ps(to, value); });
  if (c >= end) return;
  const __m256i mask = lane_mask(end - c);
  body(
      c, [mask](const float* from) { return _mm256_maskload_ps(from, mask); },
      [mask](float* to, __m256 value) { _mm256_maskstore_ps(to, mask, value); });
}

/// Runs body(chunk, first pixel, end pixel) over `pixels` in chunks.
template <typename Body>
void for_each_chunk(std::int64_t pixels, std::int64_t chunk, const Body& body) {
  parallel_for((pixels + chunk - 1) / chunk, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t k = begin; k < end; ++k) body(k, k * chunk, std::min(pixels, (k + 1) * chunk));
  });
}

/// Channels summed in registers side by side.
constexpr std::int64_t kSide = 4;

/// sums[0..c) = sum over pixels of f(pixel, channel group): `term(offset, load)` gives 8 channels' worth at
/// an offset into the maps.
template <int kSums, typename Term>
void sum_pixels(std::int64_t first, std::int64_t last, std::int64_t channels, const Term& term, float* sums) {
  std::int64_t c = 0;
  const auto plain_load = [](const float* from) { return _mm256_loadu_ps(from); };
  for (; c + 8 * kSide <= channels; c += 8 * kSide) {
    __m256 sum[kSums][kSide];
    for (auto& row : sum)
      for (__m256& value : row) value = _mm256_setzero_ps();
    for (std::int64_t i = first; i < last; ++i)
#pragma GCC unroll 4
      for (int k = 0; k < kSide; ++k) {
        __m256 terms[kSums];
        term(i * channels, c + 8 * k, plain_load, terms);
#pragma GCC unroll 2
        for (int s = 0; s < kSums; ++s) sum[s][k] = _mm256_add_ps(sum[s][k], terms[s]);
      }
    for (int s = 0; s < kSums; ++s)
      for (int k = 0; k < kSide; ++k) _mm256_storeu_ps(sums + s * channels + c + 8 * k, sum[s][k]);
  }
  for_each_eight(c, channels, [&](std::int64_t at, auto load, auto store) {
    __m256 sum[kSums];
    for (__m256& value : sum) value = _mm256_setzero_ps();
    for (std::int64_t i = first; i < last; ++i) {
      __m256 terms[kSums];
      term(i * channels, at, load, terms);
      for (int s = 0; s < kSums; ++s) sum[s] = _mm256_add_ps(sum[s], terms[s]);
    }
    for (int s = 0; s < kSums; ++s) store(sums + s * channels + at, sum[s]);
  });
}

/// `count` sums to add to.
double* zero_totals(std::int64_t count) {
  auto* totals = reinterpret_cast<double*>(scratch(Scratch::kTotals, 2 * count));
  std::fill_n(totals, count, 0.0);
  return totals;
}

/// Mean and biased variance: both exact sweeps over a chunk while it is in the cache, then chunks merged as
/// in Chan, Golub and LeVeque, "Updating Formulae and a Pairwise Algorithm for Computing Sample Variances",
/// 1979.
void statistics(const BatchNormShape& s, const float* x, float* mean, float* variance) {
  const std::int64_t pixels = s.n * s.h * s.w;
  const std::int64_t chunk = chunk_pixels(s.c);
  const std::int64_t chunks = (pixels + chunk - 1) / chunk;
  float* parts = scratch(Scratch::kSums, chunks * 3 * s.c);  // a chunk: means, rests, squares
  for_each_chunk(pixels, chunk, [&](std::int64_t k, std::int64_t first, std::int64_t last) {
    float* means = parts + k * 3 * s.c;
    sum_pixels<1>(
        first, last, s.c,
        [&](std::int64_t offset, std::int64_t c, auto load, __m256* terms) {
          terms[0] = load(x + offset + c);
        },
        means);
    const float weight = 1.0F / static_cast<float>(last - first);
    for (std::int64_t c = 0; c < s.c; ++c) means[c] *= weight;
    // The mean of up to 1,024 floats is off by a few roundings of its size; what the differences still sum to
    // says by how much (the corrected two-pass algorithm of the same paper).
    sum_pixels<2>(
        first, last, s.c,
        [&](std::int64_t offset, std::int64_t c, auto load, __m256* terms) {
          terms[0] = _mm256_sub_ps(load(x + offset + c), load(means + c));
          terms[1] = _mm256_mul_ps(terms[0], terms[0]);
        },
        means + s.c);
    for (std::int64_t c = 0; c < s.c; ++c) {
      const float rest = means[s.c + c];
      means[c] += rest * weight;
      means[2 * s.c + c] -= rest * rest * weight;
    }
  });
  double* means = zero_totals(2 * s.c);
  double* squares = means + s.c;
  for (std::int64_t k = 0; k < chunks; ++k) {
    const auto before = static_cast<double>(k * chunk);
    const auto added = static_cast<double>(std::min(pixels, (k + 1) * chunk) - k * chunk);
    const float* part = parts + k * 3 * s.c;
    for (std::int64_t c = 0; c < s.c; ++c) {
      const double difference = part[c] - means[c];
      means[c] += difference * (added / (before + added));
      squares[c] += part[2 * s.c + c] + difference * difference * (before * added / (before + added));
    }
  }
  for (std::int64_t c = 0; c < s.c; ++c) {
    mean[c] = static_cast<float>(means[c]);
    variance[c] = static_cast<float>(squares[c] / static_cast<double>(pixels));
  }
}

/// 1 / sqrt(variance + epsilon) and gamma times that.
void scales(const BatchNormShape& s, const float* variance, const float* gamma, float* inverse_std,
            float* scale) {
  for (std::int64_t c = 0; c < s.c; ++c) {
    inverse_std[c] = 1.0F / std::sqrt(variance[c] + s.epsilon);
    scale[c] = gamma[c] * inverse_std[c];
  }
}

/// Forward and backward must agree to the bit on this value, for ReLU's sake.
__m256 normalized(__m256 x, __m256 mean, __m256 scale, __m256 beta) {
  return _mm256_fmadd_ps(_mm256_sub_ps(x, mean), scale, beta);
}

/// The 8 integers of 0 to 255 as bytes, the first `count` stored.
void store_bytes(std::uint8_t* to, __m256i values, std::int64_t count) {
  const __m128i halves =
      _mm_packus_epi32(_mm256_castsi256_si128(values), _mm256_extracti128_si256(values, 1));
  const __m128i bytes = _mm_packus_epi16(halves, halves);
  if (count >= 8) {
    _mm_storel_epi64(reinterpret_cast<__m128i*>(to), bytes);
    return;
  }
  alignas(16) std::uint8_t all[16];
  _mm_store_si128(reinterpret_cast<__m128i*>(all), bytes);
  std::copy_n(all, count, to);
}

__m256i load_bytes(const std::uint8_t* from, std::int64_t count) {
  if (count >= 8) return _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from)));
  alignas(16) std::uint8_t all[16] = {};
  std::copy_n(from, count, all);
  return _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(all)));
}

constexpr int kBlocked = 4;  ///< The argmax code for a window that ReLU closed.

/// dy where `code` equals `wanted`, else 0.
__m256 where_equal(__m256i code, int wanted, __m256 dy) {
  return _mm256_and_ps(_mm256_castsi256_ps(_mm256_cmpeq_epi32(code, _mm256_set1_epi32(wanted))), dy);
}

/// The greatest of each window's normalized values, after ReLU if asked for. `x_max` may be null.
void pool_windows(const BatchNormShape& s, const float* x, const float* mean, const float* scale,
                  const float* beta, float* y, float* x_max, std::uint8_t* argmax) {
  const __m256 zero = _mm256_setzero_ps();
  const std::int64_t height = s.h / 2;
  const std::int64_t width = s.w / 2;
  parallel_for(s.n * height, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row)
      for (std::int64_t column = 0; column < width; ++column) {
        const float* window = x + ((row / height * s.h + row % height * 2) * s.w + column * 2) * s.c;
        const std::int64_t out = (row * width + column) * s.c;
        for_each_eight(0, s.c, [&](std::int64_t c, auto load, auto store) {
          const __m256 m = load(mean + c);
          const __m256 k = load(scale + c);
          const __m256 b = load(beta + c);
          __m256 winner = load(window + c);
          __m256 most = normalized(winner, m, k, b);
          __m256i code = _mm256_setzero_si256();
#pragma GCC unroll 3
          for (int other = 1; other < 4; ++other) {
            const __m256 candidate = load(window + (other / 2 * s.w + other % 2) * s.c + c);
            const __m256 value = normalized(candidate, m, k, b);
            const __m256 more = _mm256_cmp_ps(value, most, _CMP_GT_OQ);
            most = _mm256_blendv_ps(most, value, more);
            winner = _mm256_blendv_ps(winner, candidate, more);
            code = _mm256_blendv_epi8(code, _mm256_set1_epi32(other), _mm256_castps_si256(more));
          }
          if (s.relu) {
            const __m256 open = _mm256_cmp_ps(most, zero, _CMP_GT_OQ);
            code = _mm256_blendv_epi8(_mm256_set1_epi32(kBlocked), code, _mm256_castps_si256(open));
            most = _mm256_max_ps(zero, most);  // NaN passes: max returns its second operand then
          }
          store(y + out + c, most);
          if (x_max != nullptr) store(x_max + out + c, winner);
          store_bytes(argmax + out + c, code, s.c - c);
        });
      }
  });
}

/// dx of pooled windows: input_gradient(offset, channel, dy or 0, load) for each pixel of x.
template <typename Gradient>
void scatter_windows(const BatchNormShape& s, const std::uint8_t* argmax, const float* dy, float* dx,
                     const Gradient& input_gradient) {
  const __m256 zero = _mm256_setzero_ps();
  const std::int64_t height = s.h / 2;
  const std::int64_t width = s.w / 2;
  const auto closed = [&](std::int64_t pixel) {
    for_each_eight(0, s.c, [&](std::int64_t c, auto load, auto store) {
      store(dx + pixel * s.c + c, input_gradient(pixel * s.c, c, zero, load));
    });
  };
  const std::int64_t bands = (s.h + 1) / 2;  // pairs of rows, and the odd one
  parallel_for(s.n * bands, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t band = begin; band < end; ++band) {
      const std::int64_t image = band / bands;
      const std::int64_t row = band % bands;
      const std::int64_t first = (image * s.h + row * 2) * s.w;
      if (row == height) {
        for (std::int64_t column = 0; column < s.w; ++column) closed(first + column);
        continue;
      }
      for (std::int64_t column = 0; column < width; ++column) {
        const std::int64_t pooled = ((image * height + row) * width + column) * s.c;
        for_each_eight(0, s.c, [&](std::int64_t c, auto load, auto store) {
          const __m256i code = load_bytes(argmax + pooled + c, s.c - c);
          const __m256 g = load(dy + pooled + c);
#pragma GCC unroll 4
          for (int k = 0; k < 4; ++k) {
            const std::int64_t i = (first + column * 2 + k / 2 * s.w + k % 2) * s.c;
            store(dx + i + c, input_gradient(i, c, where_equal(code, k, g), load));
          }
        });
      }
      if (s.w % 2 == 1) {
        closed(first + s.w - 1);
        closed(first + 2 * s.w - 1);
      }
    }
  });
}

}  // namespace

void batch_norm_forward(const BatchNormShape& s, const float* x, const float* gamma, const float* beta,
                        float* y, const BatchNormSaved& saved) {
  statistics(s, x, saved.mean, saved.variance);
  const float* mean = saved.mean;
  float* inverse_std = scratch(Scratch::kConstants, 2 * s.c);
  float* scale = inverse_std + s.c;
  scales(s, saved.variance, gamma, inverse_std, scale);
  const __m256 zero = _mm256_setzero_ps();

  if (!s.pool) {
    for_each_chunk(
        s.n * s.h * s.w, chunk_pixels(s.c), [&](std::int64_t, std::int64_t first, std::int64_t last) {
          for (std::int64_t i = first; i < last; ++i)
            for_each_eight(0, s.c, [&](std::int64_t c, auto load, auto store) {
              const __m256 value =
                  normalized(load(x + i * s.c + c), load(mean + c), load(scale + c), load(beta + c));
              store(y + i * s.c + c, s.relu ? _mm256_max_ps(zero, value) : value);
            });
        });
    return;
  }
  pool_windows(s, x, mean, scale, beta, y, saved.x_max, saved.argmax);
}

void batch_norm_backward(const BatchNormShape& s, const float* x, const float* gamma, const float* beta,
                         const BatchNormSaved& saved, const float* dy, float* dx, float* dgamma,
                         float* dbeta) {
  const float* mean = saved.mean;
  float* inverse_std = scratch(Scratch::kConstants, 4 * s.c);
  float* scale = inverse_std + s.c;
  float* offset = scale + s.c;
  float* slope = offset + s.c;
  scales(s, saved.variance, gamma, inverse_std, scale);
  const __m256 zero = _mm256_setzero_ps();

  // What reaches the normalized value: dy where ReLU let it through.
  const auto gradient = [&](std::int64_t i, std::int64_t c, auto load) {
    const __m256 value = load(dy + i + c);
    if (!s.relu) return value;
    const __m256 forward = normalized(load(x + i + c), load(mean + c), load(scale + c), load(beta + c));
    return _mm256_and_ps(value, _mm256_cmp_ps(forward, zero, _CMP_GT_OQ));
  };

  const std::int64_t pixels = s.n * s.h * s.w;
  const std::int64_t summed = s.pool ? s.n * (s.h / 2) * (s.w / 2) : pixels;
  const std::int64_t chunk = chunk_pixels(s.c);
  const std::int64_t chunks = (summed + chunk - 1) / chunk;
  float* parts = scratch(Scratch::kSums, chunks * 2 * s.c);
  for_each_chunk(summed, chunk, [&](std::int64_t k, std::int64_t first, std::int64_t last) {
    sum_pixels<2>(
        first, last, s.c,
        [&](std::int64_t i, std::int64_t c, auto load, __m256* terms) {
          if (s.pool) {
            const __m256i code = load_bytes(saved.argmax + i + c, s.c - c);
            const __m256i blocked = _mm256_cmpeq_epi32(code, _mm256_set1_epi32(kBlocked));
            terms[0] = _mm256_andnot_ps(_mm256_castsi256_ps(blocked), load(dy + i + c));
            terms[1] = _mm256_mul_ps(terms[0], _mm256_sub_ps(load(saved.x_max + i + c), load(mean + c)));
          } else {
            terms[0] = gradient(i, c, load);
            terms[1] = _mm256_mul_ps(terms[0], _mm256_sub_ps(load(x + i + c), load(mean + c)));
          }
        },
        parts + k * 2 * s.c);
  });
  double* total = zero_totals(2 * s.c);
  for (std::int64_t k = 0; k < chunks; ++k)
    for (std::int64_t c = 0; c < 2 * s.c; ++c) total[c] += parts[k * 2 * s.c + c];
  const auto count = static_cast<double>(pixels);
  for (std::int64_t c = 0; c < s.c; ++c) {
    const double sum = total[c];
    const double product = total[s.c + c] * inverse_std[c];
    dbeta[c] = static_cast<float>(sum);
    dgamma[c] = static_cast<float>(product);
    // dx = scale * (g - mean(g) - x_hat * mean(g * x_hat)) = scale * g - (offset + (x - mean) * slope).
    offset[c] = static_cast<float>(scale[c] * sum / count);
    slope[c] = static_cast<float>(static_cast<double>(scale[c]) * inverse_std[c] * product / count);
  }
  const auto input_gradient = [&](std::int64_t i, std::int64_t c, __m256 g, auto load) {
    const __m256 common =
        _mm256_fmadd_ps(_mm256_sub_ps(load(x + i + c), load(mean + c)), load(slope + c), load(offset + c));
    return _mm256_fmsub_ps(load(scale + c), g, common);
  };

  if (!s.pool) {
    for_each_chunk(pixels, chunk, [&](std::int64_t, std::int64_t first, std::int64_t last) {
      for (std::int64_t i = first * s.c; i < last * s.c; i += s.c)
        for_each_eight(0, s.c, [&](std::int64_t c, auto load, auto store) {
          store(dx + i + c, input_gradient(i, c, gradient(i, c, load), load));
        });
    });
    return;
  }
  scatter_windows(s, saved.argmax, dy, dx, input_gradient);
}

void relu_pool_forward(const BatchNormShape& s, const float* x, float* y, std::uint8_t* argmax) {
  const float* none = zeros(s.c);
  float* ones = scratch(Scratch::kConstants, s.c);
  std::fill_n(ones, s.c, 1.0F);
  pool_windows(s, x, none, ones, none, y, nullptr, argmax);
}

void relu_pool_backward(const BatchNormShape& s, const std::uint8_t* argmax, const float* dy, float* dx) {
  scatter_windows(s, argmax, dy, dx, [](std::int64_t, std::int64_t, __m256 g, auto) { return g; });
}

}  // namespace octavo::kernels::avx2
