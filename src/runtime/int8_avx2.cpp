// Integer kernels for AVX2 and FMA. Operands are widened to int16 and multiplied by vpmaddwd, whose pair sums
// are exact in int32: 255 * 127 * 2 is far below 2^31. The usual vpmaddubsw is no faster on the multiplier
// ports of these CPUs once its int16 sums have been widened, and it saturates.
#include <immintrin.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#include "octavo/core/parallel.h"
#include "runtime/int8_kernels.h"

namespace octavo {
namespace {

#include "runtime/int8_loops.h"

/// Rows x 16 sums in 2 * Rows registers; each step multiplies one pair of k.
template <int Rows>
void tile_rows(const std::int16_t* a, std::int64_t stride, std::int64_t pairs, const std::int16_t* b,
               std::int32_t* sums) {
  __m256i acc[Rows][2];
  for (int r = 0; r < Rows; ++r) acc[r][0] = acc[r][1] = _mm256_setzero_si256();
  for (std::int64_t p = 0; p < pairs; ++p) {
    const __m256i b0 = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(b + p * 32));
    const __m256i b1 = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(b + p * 32 + 16));
#pragma GCC unroll 6
    for (int r = 0; r < Rows; ++r) {
      std::int32_t pair = 0;
      std::memcpy(&pair, a + r * stride + 2 * p, sizeof(pair));
      const __m256i x = _mm256_set1_epi32(pair);
      acc[r][0] = _mm256_add_epi32(acc[r][0], _mm256_madd_epi16(x, b0));
      acc[r][1] = _mm256_add_epi32(acc[r][1], _mm256_madd_epi16(x, b1));
    }
  }
  for (int r = 0; r < Rows; ++r) {
    _mm256_store_si256(reinterpret_cast<__m256i*>(sums + r * 16), acc[r][0]);
    _mm256_store_si256(reinterpret_cast<__m256i*>(sums + r * 16 + 8), acc[r][1]);
  }
}

struct Avx2 {
  static constexpr std::int64_t kRows = 6;

  static void widen(std::int16_t* target, const std::uint8_t* source, std::int64_t count) {
    for (std::int64_t i = 0; i < count; i += 16) {
      const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(source + i));
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(target + i), _mm256_cvtepu8_epi16(bytes));
    }
  }

  static void tile(const std::int16_t* a, std::int64_t stride, std::int64_t pairs, const std::int16_t* b,
                   std::int32_t* sums, std::int64_t rows) {
    switch (rows) {
      case 6:
        return tile_rows<6>(a, stride, pairs, b, sums);
      case 5:
        return tile_rows<5>(a, stride, pairs, b, sums);
      case 4:
        return tile_rows<4>(a, stride, pairs, b, sums);
      case 3:
        return tile_rows<3>(a, stride, pairs, b, sums);
      case 2:
        return tile_rows<2>(a, stride, pairs, b, sums);
      default:
        return tile_rows<1>(a, stride, pairs, b, sums);
    }
  }

  /// Eight sums to integers of the output, before the zero point.
  static __m256i requantize8(const Int8Conv& conv, std::int64_t c, const std::int32_t* sums,
                             const std::uint8_t* residual) {
    __m256 v = _mm256_cvtepi32_ps(_mm256_load_si256(reinterpret_cast<const __m256i*>(sums)));
    v = _mm256_mul_ps(_mm256_add_ps(v, _mm256_loadu_ps(conv.bias.data() + c)),
                      _mm256_loadu_ps(conv.multiplier.data() + c));
    if (conv.has_residual) {
      const __m256i q =
          _mm256_sub_epi32(_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(residual))),
                           _mm256_set1_epi32(conv.residual_zero_point));
      v = _mm256_fmadd_ps(_mm256_cvtepi32_ps(q), _mm256_set1_ps(conv.residual_multiplier), v);
    }
    v = _mm256_max_ps(v, _mm256_set1_ps(static_cast<float>(conv.y_min - conv.y_zero_point)));
    v = _mm256_min_ps(v, _mm256_set1_ps(static_cast<float>(conv.y_max - conv.y_zero_point)));
    return _mm256_add_epi32(_mm256_cvtps_epi32(v), _mm256_set1_epi32(conv.y_zero_point));
  }

  static void finish(const Int8Conv& conv, std::int64_t index, const std::int32_t* sums, std::int64_t width,
                     const std::uint8_t* residual, void* y, std::int64_t offset) {
    if (conv.output_is_float || width < Int8Conv::kPanel) {
      finish_scalar(conv, index, sums, width, residual, y, offset);
      return;
    }
    const std::int64_t c = index * Int8Conv::kPanel;
    const std::uint8_t* other = conv.has_residual ? residual + offset : nullptr;
    const __m256i low = requantize8(conv, c, sums, other);
    const __m256i high = requantize8(conv, c + 8, sums + 8, conv.has_residual ? other + 8 : nullptr);
    const __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(low, high), 0b11011000);
    const __m128i bytes = _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(static_cast<std::uint8_t*>(y) + offset), bytes);
  }
};

}  // namespace

const Int8Kernels& int8_kernels_avx2() {
  static constexpr Int8Kernels kTable{"avx2", run_conv<Avx2>, max_pool,       average_pool,
                                      add,    quantize_nchw,  dequantize_nhwc};
  return kTable;
}

}  // namespace octavo
