/// The one-dimensional transforms of Winograd's F(4, 3) on eight channels at a time, at the points 0, +-a,
/// +-b and infinity. For one channel and one dimension, y = A^T ((G g) * (B^T d)) turns 6 inputs d and 3
/// weights g into 4 outputs y. Applying each to rows and then to columns gives F(4x4, 3x3). Included only by
/// files compiled for AVX2.
#pragma once

#include <immintrin.h>

namespace octavo::kernels::avx2 {

/// Outputs along a side of a tile, inputs along a side, and products of a tile.
inline constexpr int kTileOut = 4;
inline constexpr int kTileIn = 6;
inline constexpr int kPoints = 36;

/// These two points give a third of the error of the textbook's 1 and 2, and every constant of B and A is
/// exact.
inline constexpr float kA = 0.625F;
inline constexpr float kB = 1.5F;
inline constexpr float kA2 = kA * kA;
inline constexpr float kB2 = kB * kB;

static inline __m256 constant(float value) { return _mm256_set1_ps(value); }

/// B^T d, 6 to 6.
static inline void transform_input(const __m256 d[6], __m256 out[6]) {
  out[0] = _mm256_fmadd_ps(constant(kA2 * kB2), d[0], _mm256_fnmadd_ps(constant(kA2 + kB2), d[2], d[4]));
  const __m256 even_a = _mm256_fnmadd_ps(constant(kB2), d[2], d[4]);
  const __m256 odd_a = _mm256_fnmadd_ps(constant(kB2), d[1], d[3]);
  out[1] = _mm256_fmadd_ps(constant(kA), odd_a, even_a);
  out[2] = _mm256_fnmadd_ps(constant(kA), odd_a, even_a);
  const __m256 even_b = _mm256_fnmadd_ps(constant(kA2), d[2], d[4]);
  const __m256 odd_b = _mm256_fnmadd_ps(constant(kA2), d[1], d[3]);
  out[3] = _mm256_fmadd_ps(constant(kB), odd_b, even_b);
  out[4] = _mm256_fnmadd_ps(constant(kB), odd_b, even_b);
  out[5] = _mm256_fmadd_ps(constant(kA2 * kB2), d[1], _mm256_fnmadd_ps(constant(kA2 + kB2), d[3], d[5]));
}

/// A^T m, 6 to 4.
static inline void transform_output(const __m256 m[6], __m256 out[4]) {
  const __m256 sum_a = _mm256_add_ps(m[1], m[2]);
  const __m256 difference_a = _mm256_sub_ps(m[1], m[2]);
  const __m256 sum_b = _mm256_add_ps(m[3], m[4]);
  const __m256 difference_b = _mm256_sub_ps(m[3], m[4]);
  out[0] = _mm256_add_ps(m[0], _mm256_add_ps(sum_a, sum_b));
  out[1] = _mm256_fmadd_ps(constant(kA), difference_a, _mm256_mul_ps(constant(kB), difference_b));
  out[2] = _mm256_fmadd_ps(constant(kA2), sum_a, _mm256_mul_ps(constant(kB2), sum_b));
  out[3] = _mm256_fmadd_ps(constant(kA2 * kA), difference_a,
                           _mm256_fmadd_ps(constant(kB2 * kB), difference_b, m[5]));
}

/// G g, 3 to 6.
static inline void transform_weight(const __m256 g[3], __m256 out[6]) {
  constexpr float at_a = 1.0F / (2 * kA2 * (kA2 - kB2));
  constexpr float at_b = 1.0F / (2 * kB2 * (kB2 - kA2));
  out[0] = _mm256_mul_ps(constant(1.0F / (kA2 * kB2)), g[0]);
  const __m256 even_a = _mm256_mul_ps(constant(at_a), _mm256_fmadd_ps(constant(kA2), g[2], g[0]));
  const __m256 odd_a = _mm256_mul_ps(constant(at_a * kA), g[1]);
  out[1] = _mm256_add_ps(even_a, odd_a);
  out[2] = _mm256_sub_ps(even_a, odd_a);
  const __m256 even_b = _mm256_mul_ps(constant(at_b), _mm256_fmadd_ps(constant(kB2), g[2], g[0]));
  const __m256 odd_b = _mm256_mul_ps(constant(at_b * kB), g[1]);
  out[3] = _mm256_add_ps(even_b, odd_b);
  out[4] = _mm256_sub_ps(even_b, odd_b);
  out[5] = g[2];
}

/// A y, 4 to 6: the transpose of transform_output, which the gradient of the output goes through.
static inline void transform_output_gradient(const __m256 y[4], __m256 out[6]) {
  out[0] = y[0];
  const __m256 even_a = _mm256_fmadd_ps(constant(kA2), y[2], y[0]);
  const __m256 odd_a = _mm256_fmadd_ps(constant(kA2), y[3], y[1]);
  out[1] = _mm256_fmadd_ps(constant(kA), odd_a, even_a);
  out[2] = _mm256_fnmadd_ps(constant(kA), odd_a, even_a);
  const __m256 even_b = _mm256_fmadd_ps(constant(kB2), y[2], y[0]);
  const __m256 odd_b = _mm256_fmadd_ps(constant(kB2), y[3], y[1]);
  out[3] = _mm256_fmadd_ps(constant(kB), odd_b, even_b);
  out[4] = _mm256_fnmadd_ps(constant(kB), odd_b, even_b);
  out[5] = y[3];
}

/// G^T u, 6 to 3: the transpose of transform_weight, from which the gradient of the weights comes.
static inline void transform_weight_gradient(const __m256 u[6], __m256 out[3]) {
  constexpr float at_a = 1.0F / (2 * kA2 * (kA2 - kB2));
  constexpr float at_b = 1.0F / (2 * kB2 * (kB2 - kA2));
  const __m256 sum_a = _mm256_mul_ps(constant(at_a), _mm256_add_ps(u[1], u[2]));
  const __m256 difference_a = _mm256_mul_ps(constant(at_a * kA), _mm256_sub_ps(u[1], u[2]));
  const __m256 sum_b = _mm256_mul_ps(constant(at_b), _mm256_add_ps(u[3], u[4]));
  const __m256 difference_b = _mm256_mul_ps(constant(at_b * kB), _mm256_sub_ps(u[3], u[4]));
  out[0] = _mm256_fmadd_ps(constant(1.0F / (kA2 * kB2)), u[0], _mm256_add_ps(sum_a, sum_b));
  out[1] = _mm256_add_ps(difference_a, difference_b);
  out[2] = _mm256_fmadd_ps(constant(kA2), sum_a, _mm256_fmadd_ps(constant(kB2), sum_b, u[5]));
}

/// `transform` along columns, then along rows: in[I * I] to out[O * O], row-major.
template <int I, int O, typename Transform>
static inline void transform_2d(const __m256* in, __m256* out, const Transform& transform) {
  __m256 half[O][I];
#pragma GCC unroll 6
  for (int column = 0; column < I; ++column) {
    __m256 line[I];
    __m256 result[O];
#pragma GCC unroll 6
    for (int row = 0; row < I; ++row) line[row] = in[row * I + column];
    transform(line, result);
#pragma GCC unroll 6
    for (int row = 0; row < O; ++row) half[row][column] = result[row];
  }
#pragma GCC unroll 6
  for (int row = 0; row < O; ++row) transform(half[row], out + row * O);
}

}  // namespace octavo::kernels::avx2
