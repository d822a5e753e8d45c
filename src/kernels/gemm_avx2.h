/// The matrix product at the bottom of the convolutions: up to 6 x 16 sums in registers. AVX2 and FMA;
/// included only by files compiled for them, hence everything here is `static`.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace octavo::kernels::avx2 {

/// Columns of a packed panel of B.
inline constexpr std::int64_t kPanel = 16;
/// Rows of A that share one pass over a panel: 12 sums, 2 columns of B and one broadcast fill 15 of 16
/// registers.
inline constexpr int kRows = 6;

/// c[r * ldc + 0..15] (+)= sum over k of a(r, k) * b[k][0..15], where a(r, k) is a[r * lda + k], or a[k * lda
/// + r] if kByColumn.
template <int R, bool kByColumn, bool kAccumulate>
static inline void gemm_block(const float* a, std::int64_t lda, const float* b, std::int64_t depth, float* c,
                              std::int64_t ldc) {
  __m256 sums[R][2];
#pragma GCC unroll 6
  for (int r = 0; r < R; ++r) {
    sums[r][0] = kAccumulate ? _mm256_load_ps(c + r * ldc) : _mm256_setzero_ps();
    sums[r][1] = kAccumulate ? _mm256_load_ps(c + r * ldc + 8) : _mm256_setzero_ps();
  }
  const std::int64_t row = kByColumn ? 1 : lda;
  const std::int64_t step = kByColumn ? lda : 1;
#pragma GCC unroll 4
  for (std::int64_t k = 0; k < depth; ++k) {
    const __m256 b0 = _mm256_load_ps(b + k * kPanel);
    const __m256 b1 = _mm256_load_ps(b + k * kPanel + 8);
#pragma GCC unroll 6
    for (int r = 0; r < R; ++r) {
      const __m256 value = _mm256_broadcast_ss(a + r * row);
      sums[r][0] = _mm256_fmadd_ps(value, b0, sums[r][0]);
      sums[r][1] = _mm256_fmadd_ps(value, b1, sums[r][1]);
    }
    a += step;
  }
#pragma GCC unroll 6
  for (int r = 0; r < R; ++r) {
    _mm256_store_ps(c + r * ldc, sums[r][0]);
    _mm256_store_ps(c + r * ldc + 8, sums[r][1]);
  }
}

/// gemm_block over any number of rows.
template <bool kByColumn, bool kAccumulate>
static inline void gemm_panel(std::int64_t rows, const float* a, std::int64_t lda, const float* b,
                              std::int64_t depth, float* c, std::int64_t ldc) {
  const std::int64_t advance = kByColumn ? 1 : lda;
  for (; rows >= kRows; rows -= kRows, a += kRows * advance, c += kRows * ldc)
    gemm_block<kRows, kByColumn, kAccumulate>(a, lda, b, depth, c, ldc);
  switch (rows) {
    case 5:
      return gemm_block<5, kByColumn, kAccumulate>(a, lda, b, depth, c, ldc);
    case 4:
      return gemm_block<4, kByColumn, kAccumulate>(a, lda, b, depth, c, ldc);
    case 3:
      return gemm_block<3, kByColumn, kAccumulate>(a, lda, b, depth, c, ldc);
    case 2:
      return gemm_block<2, kByColumn, kAccumulate>(a, lda, b, depth, c, ldc);
    case 1:
      return gemm_block<1, kByColumn, kAccumulate>(a, lda, b, depth, c, ldc);
    default:
      return;
  }
}

/// For the first `count` of 8 lanes (0 to 8; more is all of them).
static inline __m256i lane_mask(std::int64_t count) {
  const int lanes = count < 0 ? 0 : count > 8 ? 8 : static_cast<int>(count);
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(lanes), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

}  // namespace octavo::kernels::avx2
