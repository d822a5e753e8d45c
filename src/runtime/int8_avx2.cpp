// Integer kernels for AVX2 and FMA. Operands are widened to int16 and multiplied by vpmaddwd, whose pair sums
// are exact in int32: 255 * 127 * 2 is far below 2^31. The usual vpmaddubsw is no faster on the multiplier
// ports of these CPUs once its int16 sums have been widened, and it saturates.
#include <immintrin.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include "octavo/core/error.h"
#include "octavo/core/parallel.h"
#include "runtime/int8_kernels.h"

namespace octavo {
namespace {

#include "runtime/int8_loops.h"
//
#include "runtime/int8_depthwise_loops.h"
#include "runtime/int8_elementwise_loops.h"

/// 16 weights, widened where they are bytes: that costs no time, since multiplier and adder ports are busy
/// anyway.
__m256i wide(const std::int16_t* weights) {
  return _mm256_load_si256(reinterpret_cast<const __m256i*>(weights));
}
__m256i wide(const std::int8_t* weights) {
  return _mm256_cvtepi8_epi16(_mm_load_si128(reinterpret_cast<const __m128i*>(weights)));
}

/// Rows x 16 sums (of a row the first 8 alone where Halves is 1) in Halves * Rows registers; each step
/// multiplies one pair of k. Unrolled by the template: left to a loop over rows, GCC 12 keeps sums in memory.
/// On its own it has all registers: inlined, a sum ends up in memory and a step takes half as long again.
template <int Rows, int Halves, typename Weight>
[[gnu::noinline]] void tile_rows(const std::int16_t* a, std::int64_t stride, std::int64_t pairs,
                                 const Weight* b, std::int32_t* sums) {
  [&]<int... Row>(std::integer_sequence<int, Row...>) {
    __m256i low[Rows] = {(static_cast<void>(Row), _mm256_setzero_si256())...};
    __m256i high[Rows] = {(static_cast<void>(Row), _mm256_setzero_si256())...};
    for (std::int64_t p = 0; p < pairs; ++p) {
      const __m256i b0 = wide(b + p * 32);
      const __m256i b1 = Halves > 1 ? wide(b + p * 32 + 16) : b0;
      const auto step = [&](const std::int16_t* row, __m256i& first, __m256i& second) {
        std::int32_t pair = 0;
        std::memcpy(&pair, row + 2 * p, sizeof(pair));
        const __m256i x = _mm256_set1_epi32(pair);
        first = _mm256_add_epi32(first, _mm256_madd_epi16(x, b0));
        if (Halves > 1) second = _mm256_add_epi32(second, _mm256_madd_epi16(x, b1));
      };
      (step(a + Row * stride, low[Row], high[Row]), ...);
    }
    const auto store = [](std::int32_t* target, __m256i first, __m256i second) {
      _mm256_store_si256(reinterpret_cast<__m256i*>(target), first);
      _mm256_store_si256(reinterpret_cast<__m256i*>(target + 8), second);
    };
    (store(sums + Row * 16, low[Row], high[Row]), ...);
  }
  (std::make_integer_sequence<int, Rows>{});
}

template <int Halves, typename Weight>
void tile_of(const std::int16_t* a, std::int64_t stride, std::int64_t pairs, const Weight* b,
             std::int32_t* sums, std::int64_t rows) {
  switch (rows) {
    case 6:
      return tile_rows<6, Halves>(a, stride, pairs, b, sums);
    case 5:
      return tile_rows<5, Halves>(a, stride, pairs, b, sums);
    case 4:
      return tile_rows<4, Halves>(a, stride, pairs, b, sums);
    case 3:
      return tile_rows<3, Halves>(a, stride, pairs, b, sums);
    case 2:
      return tile_rows<2, Halves>(a, stride, pairs, b, sums);
    default:
      return tile_rows<1, Halves>(a, stride, pairs, b, sums);
  }
}

/// The end of requantize() for integers already rounded: zero point, saturation and the range of the output.
class Rounding {
 public:
  Rounding(std::int32_t zero_point, std::int32_t min, std::int32_t max)
      : zero_point_(_mm256_set1_epi16(static_cast<std::int16_t>(zero_point))),
        min_(_mm256_set1_epi8(static_cast<char>(min))),
        max_(_mm256_set1_epi8(static_cast<char>(max))) {}
  explicit Rounding(const Int8Conv& conv) : Rounding(conv.y_zero_point, conv.y_min, conv.y_max) {}
  __m256i words(__m256i a, __m256i b) const {
    return _mm256_adds_epi16(_mm256_packs_epi32(a, b), zero_point_);
  }
  __m256i bytes(__m256i a, __m256i b) const {
    return _mm256_min_epu8(_mm256_max_epu8(_mm256_packus_epi16(a, b), min_), max_);
  }

 private:
  __m256i zero_point_, min_, max_;
};

/// rescale() of 8 sums.
__m256 rescaled(const std::int32_t* sums, __m256 bias, __m256 multiplier) {
  const __m256 real = _mm256_cvtepi32_ps(_mm256_load_si256(reinterpret_cast<const __m256i*>(sums)));
  return _mm256_mul_ps(_mm256_add_ps(real, bias), multiplier);
}

struct Avx2 {
  using Activation = std::int16_t;
  using Weight = std::int16_t;
  static constexpr std::int64_t kDepth = 2;
  static constexpr std::int64_t kRows = 6;

  static void widen(std::int16_t* target, const std::uint8_t* source, std::int64_t count) {
    for (std::int64_t i = 0; i < count; i += 16) {
      const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(source + i));
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(target + i), _mm256_cvtepu8_epi16(bytes));
    }
  }

  template <typename Weight>
  static void tile(const std::int16_t* a, std::int64_t stride, std::int64_t pairs, const Weight* b,
                   std::int32_t* sums, std::int64_t rows, std::int64_t width) {
    if (width > Int8Conv::kPanel / 2) {
      tile_of<2>(a, stride, pairs, b, sums, rows);
    } else {
      tile_of<1>(a, stride, pairs, b, sums, rows);
    }
  }

  /// The first `width` of 16 bytes.
  static void store(std::uint8_t* target, __m128i bytes, std::int64_t width) {
    if (width == Int8Conv::kPanel) {
      _mm_storeu_si128(reinterpret_cast<__m128i*>(target), bytes);
      return;
    }
    if ((width & 8) != 0) {
      _mm_storel_epi64(reinterpret_cast<__m128i*>(target), bytes);
      bytes = _mm_srli_si128(bytes, 8);
      target += 8;
    }
    auto rest = static_cast<std::uint64_t>(_mm_cvtsi128_si64(bytes));
    for (std::int64_t i = 0; i < (width & 7); ++i, rest >>= 8U) target[i] = static_cast<std::uint8_t>(rest);
  }

  /// `rows` pixels beside each other, their sums `sum_stride` apart. Padding behind the last channel holds
  /// zeros.
  static void finish(const Int8Conv& conv, std::int64_t index, const std::int32_t* sums,
                     std::int64_t sum_stride, std::int64_t rows, std::int64_t width,
                     const std::uint8_t* other, void* y, std::int64_t offset) {
    if (conv.output_is_float || !conv.rounds_in_int32) {
      for (std::int64_t r = 0; r < rows; ++r)
        finish_scalar(conv, index, sums + r * sum_stride, width, other, y, offset + r * conv.c_out);
      return;
    }
    if (!conv.addition) {
      const auto rounded = [](__m256 v, std::int64_t) { return _mm256_cvtps_epi32(v); };
      finish_rows(conv, Rounding(conv), index, sums, sum_stride, rows, width, y, offset, rounded);
    } else if (conv.addition->conv_is_first) {
      finish_sums<true>(conv, index, sums, sum_stride, rows, width, other, y, offset);
    } else {
      finish_sums<false>(conv, index, sums, sum_stride, rows, width, other, y, offset);
    }
  }

  /// The convolution's output in float, rounded and saturated, then quantized_sum().
  template <bool ConvIsFirst>
  static void finish_sums(const Int8Conv& conv, std::int64_t index, const std::int32_t* sums,
                          std::int64_t sum_stride, std::int64_t rows, std::int64_t width,
                          const std::uint8_t* other, void* y, std::int64_t offset) {
    const IntegerBinary& sum = conv.addition->sum;
    const __m256 a_multiplier = _mm256_set1_ps(sum.a_multiplier);
    const __m256 b_multiplier = _mm256_set1_ps(sum.b_multiplier);
    const __m256 sum_offset = _mm256_set1_ps(sum.offset);
    const __m256 zero_point = _mm256_set1_ps(static_cast<float>(conv.y_zero_point));
    const __m256 low = _mm256_set1_ps(static_cast<float>(conv.y_min - conv.y_zero_point));
    const __m256 high = _mm256_set1_ps(static_cast<float>(conv.y_max - conv.y_zero_point));
    const auto added = [=](__m256 v, std::int64_t at) {
      constexpr int kNearest = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
      v = _mm256_round_ps(_mm256_min_ps(_mm256_max_ps(v, low), high), kNearest);
      v = _mm256_add_ps(v, zero_point);
      const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(other + at));
      const __m256 q = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes));
      const __m256 inner = _mm256_fmadd_ps(ConvIsFirst ? q : v, b_multiplier, sum_offset);
      return _mm256_cvtps_epi32(_mm256_fmadd_ps(ConvIsFirst ? v : q, a_multiplier, inner));
    };
    finish_rows(conv, Rounding(0, sum.y_min, sum.y_max), index, sums, sum_stride, rows, width, y, offset,
                added);
  }

  /// Two rows at a time fill a register of bytes. Saturation comes before the clamp to the rounding's range,
  /// which lies within a byte's, so the order changes nothing. `to_integers` is given 8 rescaled sums and
  /// where in y they belong.
  template <typename ToIntegers>
  static void finish_rows(const Int8Conv& conv, const Rounding& rounding, std::int64_t index,
                          const std::int32_t* sums, std::int64_t sum_stride, std::int64_t rows,
                          std::int64_t width, void* y, std::int64_t offset, const ToIntegers& to_integers) {
    // Bytes stored may alias anything, so what stays the same is read here.
    const float* const bias = conv.bias.data() + index * Int8Conv::kPanel;
    const float* const multiplier = conv.multiplier.data() + index * Int8Conv::kPanel;
    const __m256 biases[2] = {_mm256_loadu_ps(bias), _mm256_loadu_ps(bias + 8)};
    const __m256 multipliers[2] = {_mm256_loadu_ps(multiplier), _mm256_loadu_ps(multiplier + 8)};
    const std::int64_t step = conv.c_out;
    const auto words = [&](const std::int32_t* row, std::int64_t at) {
      __m256i halves[2];
      for (int half = 0; half < 2; ++half) {
        const __m256 v = rescaled(row + half * 8, biases[half], multipliers[half]);
        halves[half] = to_integers(v, at + half * 8);
      }
      return rounding.words(halves[0], halves[1]);
    };
    // 32-bit pieces of both rows' bytes to where they belong: rows one after the other.
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    for (; rows > 0; rows -= 2, sums += 2 * sum_stride, offset += 2 * step) {
      const bool both = rows > 1;
      auto* target = static_cast<std::uint8_t*>(y) + offset;
      const __m256i first = words(sums, offset);
      const __m256i second = both ? words(sums + sum_stride, offset + step) : first;
      const __m256i bytes = _mm256_permutevar8x32_epi32(rounding.bytes(first, second), order);
      store(target, _mm256_castsi256_si128(bytes), width);
      if (both) store(target + step, _mm256_extracti128_si256(bytes, 1), width);
    }
  }
};

struct Avx2Narrow : Avx2 {
  using Weight = std::int8_t;
};

#include "runtime/int8_depthwise_avx2.h"
#include "runtime/int8_winograd_avx2.h"

void conv(const Int8Conv& conv, std::int64_t batch, const std::uint8_t* x, const std::uint8_t* other, void* y,
          int threads) {
  switch (conv.algorithm) {
    case Int8Conv::Algorithm::kWinograd2x2:
      return run_winograd<Winograd2x2>(conv, batch, x, other, y, threads);
    case Int8Conv::Algorithm::kWinograd4x4:
      return run_winograd<Winograd4x4>(conv, batch, x, other, y, threads);
    case Int8Conv::Algorithm::kDepthwise:
      return run_depthwise(conv, batch, x, y, threads);
    case Int8Conv::Algorithm::kDirectPairs:
      return run_conv<Avx2>(conv, batch, x, other, y, threads);
    case Int8Conv::Algorithm::kDirectNarrowPairs:
      return run_conv<Avx2Narrow>(conv, batch, x, other, y, threads);
    case Int8Conv::Algorithm::kDirectQuads:
      throw Error(ErrorCode::kInternal, "int8 avx2", "weights are packed for vpdpbusd");
  }
}

}  // namespace

const Int8Kernels& int8_kernels_avx2() {
  static constexpr Int8Kernels kTable{.isa = "avx2",
                                      .direct = Int8Conv::Algorithm::kDirectPairs,
                                      .direct_few = Int8Conv::Algorithm::kDirectNarrowPairs,
                                      .direct_products_per_cycle = 32,  // Two vpmaddwd.
                                      .winograd = true,
                                      .conv = conv,
                                      .max_pool = max_pool,
                                      .average_pool = average_pool,
                                      .binary = binary,
                                      .affine = affine,
                                      .map = map,
                                      .quantize = quantize_nchw,
                                      .dequantize = dequantize_flat};
  return kTable;
}

}  // namespace octavo
