// Integer kernels for AVX2 and FMA. Operands are widened to int16 and multiplied by vpmaddwd, whose pair sums
// are exact in int32: 255 * 127 * 2 is far below 2^31. The usual vpmaddubsw is no faster on the multiplier
// ports of these CPUs once its int16 sums have been widened, and it saturates.
#include <immintrin.h>

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <type_traits>
#include <utility>

#include "octavo/core/parallel.h"
#include "runtime/int8/kernel_set.h"
#include "runtime/int8/kernels.h"
#include "runtime/int8/scratch.h"
#include "runtime/program/pieces.h"

namespace octavo {
namespace {

#include "runtime/int8/loops.h"
//
#include "runtime/int8/avx2/tiles.h"
#include "runtime/int8/depthwise_loops.h"
#include "runtime/int8/elementwise_loops.h"
//
#include "runtime/int8/row_range.h"
//
#include "runtime/int8/avx2/lanes.h"
//
#include "runtime/int8/row_loops.h"

/// The end of requantize() for integers already rounded: zero point, saturation and the range of the output.
class Rounding {
 public:
  Rounding(std::int32_t zero_point, std::int32_t min, std::int32_t max)
      : zero_point_(_mm256_set1_epi16(static_cast<std::int16_t>(zero_point))),
        min_(_mm256_set1_epi8(static_cast<char>(min))),
        max_(_mm256_set1_epi8(static_cast<char>(max))) {}
  __m256i words(__m256i a, __m256i b) const {
    return _mm256_adds_epi16(_mm256_packs_epi32(a, b), zero_point_);
  }
  __m256i bytes(__m256i a, __m256i b) const {
    return _mm256_min_epu8(_mm256_max_epu8(_mm256_packus_epi16(a, b), min_), max_);
  }

 private:
  __m256i zero_point_, min_, max_;
};

/// The first `width` of 16 bytes.
void store_bytes(std::uint8_t* target, __m128i bytes, std::int64_t width) {
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

/// Sums of a panel's channels to rows of bytes, which lie c_out apart in y. Saturation comes before the clamp
/// to the rounding's range, which lies within a byte's, so the order changes nothing. `to_integers` is given
/// 8 rescaled sums and where in y they belong.
template <typename ToIntegers>
class ToBytes {
 public:
  ToBytes(const PanelOutput& out, const Rounding& rounding, const ToIntegers& to_integers)
      : same_{_mm256_loadu_ps(out.bias()),
              _mm256_loadu_ps(out.bias() + 8),
              _mm256_loadu_ps(out.multiplier()),
              _mm256_loadu_ps(out.multiplier() + 8),
              rounding,
              static_cast<std::uint8_t*>(out.y),
              out.conv->c_out,
              out.width},
        to_integers_(to_integers) {}

  /// The rows of a tile, the first at `offset`.
  template <int First, int Second, int... Rest>
  [[gnu::always_inline]] void operator()(std::integer_sequence<int, First, Second, Rest...>,
                                         const __m256i* low, const __m256i* high, std::int64_t offset) const {
    two_rows(same_, low[First], high[First], low[Second], high[Second], offset);
    if constexpr (sizeof...(Rest) > 0)
      (*this)(std::integer_sequence<int, Rest...>{}, low, high, offset + 2 * same_.row);
  }

  /// Rows of sums in memory.
  void operator()(const std::int32_t* sums, std::int64_t sum_stride, std::int64_t rows,
                  std::int64_t offset) const {
    const Same same = same_;  // A value: bytes stored may alias what this points to.
    const auto load = [](const std::int32_t* at) {
      return _mm256_load_si256(reinterpret_cast<const __m256i*>(at));
    };
    for (; rows > 1; rows -= 2, sums += 2 * sum_stride, offset += 2 * same.row) {
      const std::int32_t* const second = sums + sum_stride;
      two_rows(same, load(sums), load(sums + 8), load(second), load(second + 8), offset);
    }
    if (rows > 0) {
      const __m256i first = words(same, load(sums), load(sums + 8), offset);
      store_bytes(same.y + offset, _mm256_castsi256_si128(bytes(same, first, first)), same.width);
    }
  }

 private:
  /// What all rows have in common.
  struct Same {
    __m256 low_bias, high_bias, low_multiplier, high_multiplier;
    Rounding rounding;
    std::uint8_t* y;
    std::int64_t row, width;
  };

  __m256i words(const Same& same, __m256i low, __m256i high, std::int64_t at) const {
    const auto rescaled = [](__m256i sums, __m256 bias, __m256 multiplier) {
      return _mm256_mul_ps(_mm256_add_ps(_mm256_cvtepi32_ps(sums), bias), multiplier);
    };
    return same.rounding.words(to_integers_(rescaled(low, same.low_bias, same.low_multiplier), at),
                               to_integers_(rescaled(high, same.high_bias, same.high_multiplier), at + 8));
  }
  /// Those of both rows, one row after the other.
  __m256i bytes(const Same& same, __m256i first, __m256i second) const {
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    return _mm256_permutevar8x32_epi32(same.rounding.bytes(first, second), order);
  }
  [[gnu::always_inline]] void two_rows(const Same& same, __m256i low0, __m256i high0, __m256i low1,
                                       __m256i high1, std::int64_t offset) const {
    const __m256i both =
        bytes(same, words(same, low0, high0, offset), words(same, low1, high1, offset + same.row));
    store_bytes(same.y + offset, _mm256_castsi256_si128(both), same.width);
    store_bytes(same.y + offset + same.row, _mm256_extracti128_si256(both, 1), same.width);
  }

  Same same_;
  ToIntegers to_integers_;
};

/// The convolution's output in float, rounded and saturated, then quantized_sum().
template <bool ConvIsFirst>
auto sum_with(const Int8Conv& conv, const std::uint8_t* other) {
  const IntegerBinary& sum = conv.addition->sum;
  const __m256 a_multiplier = _mm256_set1_ps(sum.a_multiplier);
  const __m256 b_multiplier = _mm256_set1_ps(sum.b_multiplier);
  const __m256 sum_offset = _mm256_set1_ps(sum.offset);
  const __m256 zero_point = _mm256_set1_ps(static_cast<float>(conv.y_zero_point));
  const __m256 low = _mm256_set1_ps(static_cast<float>(conv.y_min - conv.y_zero_point));
  const __m256 high = _mm256_set1_ps(static_cast<float>(conv.y_max - conv.y_zero_point));
  const std::int64_t ahead = 24 * conv.c_out;
  return [=](__m256 v, std::int64_t at) {
    constexpr int kNearest = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
    v = _mm256_round_ps(_mm256_min_ps(_mm256_max_ps(v, low), high), kNearest);
    v = _mm256_add_ps(v, zero_point);
    // Rows lie too far apart for the hardware to foresee.
    _mm_prefetch(reinterpret_cast<const char*>(other + at + ahead), _MM_HINT_T0);
    const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(other + at));
    const __m256 q = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes));
    const __m256 inner = _mm256_fmadd_ps(ConvIsFirst ? q : v, b_multiplier, sum_offset);
    return _mm256_cvtps_epi32(_mm256_fmadd_ps(ConvIsFirst ? v : q, a_multiplier, inner));
  };
}

/// Calls f with the ToBytes of a convolution that rounds in int32.
template <typename F>
void with_to_bytes(const PanelOutput& out, const F& f) {
  const Int8Conv& conv = *out.conv;
  if (!conv.addition) {
    const Rounding rounding(conv.y_zero_point, conv.y_min, conv.y_max);
    return f(ToBytes(out, rounding, [](__m256 v, std::int64_t) { return _mm256_cvtps_epi32(v); }));
  }
  const Rounding rounding(0, conv.addition->sum.y_min, conv.addition->sum.y_max);
  if (conv.addition->conv_is_first) {
    f(ToBytes(out, rounding, sum_with<true>(conv, out.other)));
  } else {
    f(ToBytes(out, rounding, sum_with<false>(conv, out.other)));
  }
}

bool makes_bytes(const Int8Conv& conv) { return !conv.output_is_float && conv.rounds_in_int32; }

/// Sums to rows of float32.
class ToFloats {
 public:
  explicit ToFloats(const PanelOutput& out)
      : low_bias_(_mm256_loadu_ps(out.bias())),
        high_bias_(_mm256_loadu_ps(out.bias() + 8)),
        low_multiplier_(_mm256_loadu_ps(out.multiplier())),
        high_multiplier_(_mm256_loadu_ps(out.multiplier() + 8)),
        min_(_mm256_set1_ps(out.conv->float_min)),
        max_(_mm256_set1_ps(out.conv->float_max)),
        y_(static_cast<float*>(out.y)),
        row_(out.conv->c_out),
        width_(out.width) {}

  void operator()(const std::int32_t* sums, std::int64_t sum_stride, std::int64_t rows,
                  std::int64_t offset) const {
    for (std::int64_t r = 0; r < rows; ++r, sums += sum_stride, offset += row_) {
      const __m256 low = rescaled(sums, low_bias_, low_multiplier_);
      const __m256 high = rescaled(sums + 8, high_bias_, high_multiplier_);
      float* const target = y_ + offset;
      if (width_ == Int8Conv::kPanel) {
        _mm256_storeu_ps(target, low);
        _mm256_storeu_ps(target + 8, high);
        continue;
      }
      alignas(32) float all[Int8Conv::kPanel];
      _mm256_store_ps(all, low);
      _mm256_store_ps(all + 8, high);
      for (std::int64_t j = 0; j < width_; ++j) target[j] = all[j];
    }
  }

 private:
  /// As std::min(std::max(v, min), max) does.
  __m256 rescaled(const std::int32_t* sums, __m256 bias, __m256 multiplier) const {
    const __m256 sum = _mm256_cvtepi32_ps(_mm256_load_si256(reinterpret_cast<const __m256i*>(sums)));
    const __m256 v = _mm256_mul_ps(_mm256_add_ps(sum, bias), multiplier);
    return _mm256_min_ps(max_, _mm256_max_ps(min_, v));
  }

  __m256 low_bias_, high_bias_, low_multiplier_, high_multiplier_, min_, max_;
  float* y_;
  std::int64_t row_, width_;
};

struct Avx2 {
  using Activation = std::int16_t;
  static constexpr std::int64_t kDepth = 2;

  static void widen(std::int16_t* target, const std::uint8_t* source, std::int64_t count) {
    for (std::int64_t i = 0; i < count; i += 16) {
      const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(source + i));
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(target + i), _mm256_cvtepu8_epi16(bytes));
    }
  }

  template <typename F>
  static void with_finish(const PanelOutput& out, const F& f) {
    if (makes_bytes(*out.conv)) {
      with_to_bytes(out, f);
    } else if (out.conv->output_is_float) {
      f(ToFloats(out));
    } else {
      f(ScalarFinish{out});
    }
  }
};

/// Rows of int16 against panels of weights; Crossed: crossed_rows().
template <typename WeightType, bool Crossed>
struct Avx2Rows : Avx2 {
  using Weight = WeightType;
  using Panel = PanelOfRows<Avx2Rows>;
  static constexpr bool kCrossed = Crossed;
  static constexpr std::int64_t kRows = Crossed ? 4 : 6;

  static void row_terms(const std::int16_t* a, std::int64_t stride, std::int64_t pairs, std::int64_t rows,
                        std::int32_t* terms) {
    sum_row_terms(a, stride, pairs, rows, terms);
  }

  /// `count` tiles from `row` on; an output's rows are `row_size` apart.
  template <typename Output, int... Row>
  static void tiles(std::integer_sequence<int, Row...> rows, const Panel& panel, std::int64_t row,
                    std::int64_t count, const Output& output, std::int64_t offset, std::int64_t row_size) {
    const RowTiles tiles{panel.a + row * panel.stride,
                         panel.stride,
                         panel.steps,
                         count,
                         offset,
                         static_cast<std::int64_t>(sizeof...(Row)) * row_size};
    if constexpr (Crossed) {
      const auto* const column_terms =
          panel.out.conv->cross_terms.template data<std::int32_t>() + panel.out.index * Int8Conv::kPanel;
      crossed_rows(rows, tiles, panel.b, panel.row_terms + row, column_terms, output);
    } else if (panel.out.width > Int8Conv::kPanel / 2) {
      tile_rows<2>(rows, tiles, panel.b, output);
    } else {
      tile_rows<1>(rows, tiles, panel.b, output);
    }
  }

  static void sum(const Panel& panel, std::int64_t row, std::int64_t rows, std::int32_t* sums) {
    constexpr std::int64_t kRow = Int8Conv::kPanel;
    for_each_height<kRows>(rows, [&](auto height, std::int64_t first, std::int64_t count) {
      tiles(height, panel, row + first, count, ToMemory{sums}, first * kRow, kRow);
    });
  }

  /// Whole crossed tiles go to bytes from registers. (With 12 sums in registers GCC 12 spills some of them in
  /// the loop over k.)
  static void run(const Panel& panel) {
    const Int8Conv& conv = *panel.out.conv;
    std::int64_t whole = 0;
    if constexpr (Crossed) whole = makes_bytes(conv) && !conv.pool2x2 ? panel.rows / kRows : 0;
    if (whole > 0) {
      with_to_bytes(panel.out, [&](const auto& output) {
        tiles(std::make_integer_sequence<int, kRows>{}, panel, 0, whole, output, panel.offset, conv.c_out);
      });
    }
    run_panel(panel.behind(whole * kRows, conv.c_out));
  }
};

#include "runtime/int8/avx2/depthwise.h"
#include "runtime/int8/avx2/winograd.h"

void run(const Int8Conv& conv, std::int64_t batch, const std::uint8_t* x, const std::uint8_t* other, void* y,
         int threads) {
  switch (conv.algorithm) {
    case Int8Conv::Algorithm::kWinograd2x2:
      return run_winograd<Winograd2x2>(conv, batch, x, other, y, threads);
    case Int8Conv::Algorithm::kWinograd4x4:
      return run_winograd<Winograd4x4>(conv, batch, x, other, y, threads);
    case Int8Conv::Algorithm::kWinogradStride2:
      return run_winograd<WinogradStride2>(conv, batch, x, other, y, threads);
    case Int8Conv::Algorithm::kDepthwise:
      return run_depthwise(conv, batch, x, y, threads);
    case Int8Conv::Algorithm::kDirectPairs:
      return conv.crossed() ? run_conv<Avx2Rows<std::int16_t, true>>(conv, batch, x, other, y, threads)
                            : run_conv<Avx2Rows<std::int16_t, false>>(conv, batch, x, other, y, threads);
    case Int8Conv::Algorithm::kDirectNarrowPairs:
      return conv.crossed() ? run_conv<Avx2Rows<std::int8_t, true>>(conv, batch, x, other, y, threads)
                            : run_conv<Avx2Rows<std::int8_t, false>>(conv, batch, x, other, y, threads);
    case Int8Conv::Algorithm::kDirectQuads:
      return refuse_algorithm(conv.algorithm, Isa::kAvx2);
  }
}

struct Avx2Kernels : SharedKernels {
  static constexpr Isa kIsa = Isa::kAvx2;
  static constexpr auto kDirect = Int8Conv::Algorithm::kDirectPairs;
  static constexpr auto kDirectFew = Int8Conv::Algorithm::kDirectNarrowPairs;
  static constexpr double kDirectProductsPerCycle = 32;  // Two vpmaddwd.
  static constexpr bool kWinograd = true;
  static constexpr auto* conv = run;
  static constexpr auto* product = run_product<Avx2Rows<std::int16_t, false>>;
};
static_assert(Int8KernelSet<Avx2Kernels>);

}  // namespace

const Int8Kernels& int8_kernels_avx2() {
  static constexpr Int8Kernels kTable = table_of<Avx2Kernels>();
  return kTable;
}

}  // namespace octavo
