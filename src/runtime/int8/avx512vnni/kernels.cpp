// Integer kernels for AVX-512 with VNNI. vpdpbusd multiplies four uint8 of the activations by four int8 of
// the weights and adds the products to an int32, exactly: neither operand is widened, no sum saturates.
// Depthwise and Winograd convolutions are those of AVX2: what vpdpbusd saves there is less than its operands'
// order costs, and Winograd's do not fit bytes.
#include <immintrin.h>

#include <algorithm>
#include <array>
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
#include "runtime/int8/elementwise_loops.h"
//
#include "runtime/int8/row_range.h"
//
#include "runtime/int8/avx512vnni/lanes.h"
//
#include "runtime/int8/row_loops.h"

/// Rows x 16 sums, a register a row; each step multiplies one quad of k. Unrolled by the template, as in
/// avx2/kernels.cpp. A pointer for every five rows: with one alone GCC 12 keeps the offsets of some rows in
/// vector registers, and moving them back takes a multiplier port.
template <int Rows>
void tile_rows(const std::uint8_t* a, std::int64_t stride, std::int64_t quads, const std::int8_t* b,
               std::int32_t* sums) {
  [&]<int... Row>(std::integer_sequence<int, Row...>) {
    __m512i sum[Rows] = {(static_cast<void>(Row), _mm512_setzero_si512())...};
    const std::uint8_t* fifth[] = {a, a + (Rows > 5 ? 5 * stride : 0), a + (Rows > 10 ? 10 * stride : 0)};
    for (const std::int8_t* const end = b + quads * 64; b != end; b += 64) {
      const __m512i weights = _mm512_load_si512(b);
      const auto step = [&](const std::uint8_t* row, __m512i& target) {
        std::int32_t quad = 0;
        std::memcpy(&quad, row, sizeof(quad));
        target = _mm512_dpbusd_epi32(target, _mm512_set1_epi32(quad), weights);
      };
      (step(fifth[Row / 5] + Row % 5 * stride, sum[Row]), ...);
      for (const std::uint8_t*& pointer : fifth) pointer += 4;
    }
    (_mm512_store_si512(sums + Row * 16, sum[Row]), ...);
  }
  (std::make_integer_sequence<int, Rows>{});
}

/// The first `count` of 16 or 64 lanes.
__mmask16 first_16(std::int64_t count) { return static_cast<__mmask16>((1U << count) - 1U); }
__mmask64 first_64(std::int64_t count) { return count >= 64 ? ~__mmask64{0} : (__mmask64{1} << count) - 1; }

/// Clamps as std::min(std::max(v, low), high) does.
__m512 clamped(__m512 v, __m512 low, __m512 high) { return _mm512_min_ps(high, _mm512_max_ps(low, v)); }

/// What turns a row of sums into a row of outputs.
struct Epilogue {
  explicit Epilogue(const PanelOutput& out)
      : bias(_mm512_loadu_ps(out.bias())), multiplier(_mm512_loadu_ps(out.multiplier())) {}
  /// rescale() of 16 sums.
  __m512 rescaled(const std::int32_t* sums) const {
    return _mm512_mul_ps(_mm512_add_ps(_mm512_cvtepi32_ps(_mm512_load_si512(sums)), bias), multiplier);
  }
  __m512 bias, multiplier;
};

/// The real numbers that round to [min, max], less the zero point.
struct Range {
  Range(std::int32_t min, std::int32_t max, std::int32_t zero_point)
      : low(_mm512_set1_ps(static_cast<float>(min - zero_point))),
        high(_mm512_set1_ps(static_cast<float>(max - zero_point))) {}
  __m512 low, high;
};

struct Avx512Vnni {
  using Activation = std::uint8_t;
  using Weight = std::int8_t;
  static constexpr std::int64_t kDepth = 4;
  static constexpr bool kCrossed = false;
  // Chains enough to hide five cycles of latency on two ports; divides the rows of 224, 112, ..., 14 pixels.
  static constexpr std::int64_t kRows = 14;

  static void widen(std::uint8_t* target, const std::uint8_t* source, std::int64_t count) {
    for (std::int64_t i = 0; i < count; i += 64) {
      const __mmask64 mask = first_64(count - i);
      _mm512_mask_storeu_epi8(target + i, mask, _mm512_maskz_loadu_epi8(mask, source + i));
    }
  }

  static void run(const PanelOfRows<Avx512Vnni>& panel) { run_panel(panel); }

  static void sum(const PanelOfRows<Avx512Vnni>& panel, std::int64_t row, std::int64_t rows,
                  std::int32_t* sums) {
    static constexpr auto kTiles = []<int... Row>(std::integer_sequence<int, Row...>) {
      return std::array{tile_rows<Row + 1>...};
    }
    (std::make_integer_sequence<int, kRows>{});
    for (std::int64_t i = 0; i < rows; i += kRows) {
      kTiles[static_cast<std::size_t>(std::min(kRows, rows - i) - 1)](panel.a + (row + i) * panel.stride,
                                                                      panel.stride, panel.steps, panel.b,
                                                                      sums + i * Int8Conv::kPanel);
    }
  }

  template <typename F>
  static void with_finish(const PanelOutput& out, const F& f) {
    f([&](const std::int32_t* sums, std::int64_t sum_stride, std::int64_t rows, std::int64_t offset) {
      finish(out, sums, sum_stride, rows, offset);
    });
  }

  static void finish(const PanelOutput& out, const std::int32_t* sums, std::int64_t sum_stride,
                     std::int64_t rows, std::int64_t offset) {
    const Int8Conv& conv = *out.conv;
    const Epilogue epilogue(out);
    const __mmask16 mask = first_16(out.width);
    const auto each_row = [&](const auto& store) {
      for (std::int64_t r = 0; r < rows; ++r)
        store(epilogue.rescaled(sums + r * sum_stride), offset + r * conv.c_out);
    };
    if (conv.output_is_float) {
      const __m512 low = _mm512_set1_ps(conv.float_min);
      const __m512 high = _mm512_set1_ps(conv.float_max);
      each_row([&](__m512 v, std::int64_t at) {
        _mm512_mask_storeu_ps(static_cast<float*>(out.y) + at, mask, clamped(v, low, high));
      });
      return;
    }
    // Both bounds are integers, so they may be applied before rounding: nothing overflows.
    const Range range(conv.y_min, conv.y_max, conv.y_zero_point);
    const auto store_bytes = [&](std::int64_t at, __m512i integers) {
      _mm_mask_storeu_epi8(static_cast<std::uint8_t*>(out.y) + at, mask, _mm512_cvtepi32_epi8(integers));
    };
    if (!conv.addition) {
      const __m512i zero_point = _mm512_set1_epi32(conv.y_zero_point);
      each_row([&](__m512 v, std::int64_t at) {
        const __m512i rounded = _mm512_cvtps_epi32(clamped(v, range.low, range.high));
        store_bytes(at, _mm512_add_epi32(rounded, zero_point));
      });
      return;
    }
    // The convolution's output in float, rounded and saturated, then quantized_sum().
    const IntegerBinary& sum = conv.addition->sum;
    const bool first = conv.addition->conv_is_first;
    const __m512 own_multiplier = _mm512_set1_ps(first ? sum.a_multiplier : sum.b_multiplier);
    const __m512 other_multiplier = _mm512_set1_ps(first ? sum.b_multiplier : sum.a_multiplier);
    const __m512 sum_offset = _mm512_set1_ps(sum.offset);
    const __m512 zero_point = _mm512_set1_ps(static_cast<float>(conv.y_zero_point));
    const Range sum_range(sum.y_min, sum.y_max, 0);
    each_row([&](__m512 v, std::int64_t at) {
      constexpr int kNearest = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
      const __m512 rounded = _mm512_roundscale_ps(clamped(v, range.low, range.high), kNearest);
      const __m512 own = _mm512_add_ps(rounded, zero_point);
      const __m512 q = _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(mask, out.other + at)));
      const __m512 total =
          first ? _mm512_fmadd_ps(own, own_multiplier, _mm512_fmadd_ps(q, other_multiplier, sum_offset))
                : _mm512_fmadd_ps(q, other_multiplier, _mm512_fmadd_ps(own, own_multiplier, sum_offset));
      store_bytes(at, _mm512_cvtps_epi32(clamped(total, sum_range.low, sum_range.high)));
    });
  }
};

void run(const Int8Conv& conv, std::int64_t batch, const std::uint8_t* x, const std::uint8_t* other, void* y,
         int threads) {
  if (conv.algorithm == Int8Conv::Algorithm::kDirectQuads) {
    run_conv<Avx512Vnni>(conv, batch, x, other, y, threads);
  } else {
    int8_kernels_avx2().conv(conv, batch, x, other, y, threads);
  }
}

/// Both operands less their zero points do not fit bytes.
void run_product_of_words(const Int8Product& product, std::int64_t matrices, const std::uint8_t* a,
                          const std::uint8_t* b, void* y, int threads) {
  int8_kernels_avx2().product(product, matrices, a, b, y, threads);
}

struct Avx512VnniKernels : SharedKernels {
  static constexpr Isa kIsa = Isa::kAvx512Vnni;
  static constexpr auto kDirect = Int8Conv::Algorithm::kDirectQuads;
  static constexpr auto kDirectFew = Int8Conv::Algorithm::kDirectQuads;
  // Two vpdpbusd of 64 bytes. Some CPUs do one per cycle, half as much: what Winograd on AVX2 reaches in
  // practice, its transforms included, is no more.
  static constexpr double kDirectProductsPerCycle = 128;
  static constexpr bool kWinograd = true;
  static constexpr auto* conv = run;
  static constexpr auto* product = run_product_of_words;
};
static_assert(Int8KernelSet<Avx512VnniKernels>);

}  // namespace

const Int8Kernels& int8_kernels_avx512vnni() {
  static constexpr Int8Kernels kTable = table_of<Avx512VnniKernels>();
  return kTable;
}

}  // namespace octavo
