// Tiles of a matrix product for AVX2, part of avx2/kernels.cpp. NOLINTBEGIN(llvm-header-guard) No include
// guard on purpose.
//
// A tile holds up to 6 x 16 int32 sums in registers, two per row, and hands all of them to `output`. Unrolled
// by the template: left to a loop over rows, GCC 12 keeps sums in memory. On its own it has all registers:
// inlined, a sum ends up in memory and a step takes half as long again.

/// 16 weights, widened where they are bytes: that costs no time, since multiplier and adder ports are busy
/// anyway.
__m256i wide(const std::int16_t* weights) {
  return _mm256_load_si256(reinterpret_cast<const __m256i*>(weights));
}
__m256i wide(const std::int8_t* weights) {
  return _mm256_cvtepi8_epi16(_mm_load_si128(reinterpret_cast<const __m128i*>(weights)));
}

/// A pair of numbers, in each lane.
__m256i all_lanes(const std::int16_t* pair) {
  std::int32_t lane = 0;
  std::memcpy(&lane, pair, sizeof(lane));
  return _mm256_set1_epi32(lane);
}

/// Sums to memory, 16 of a row after those of the row before.
struct ToMemory {
  template <int... Row>
  void operator()(std::integer_sequence<int, Row...>, const __m256i* low, const __m256i* high,
                  std::int64_t offset) const {
    std::int32_t* const target = sums + offset;  // Once: what is stored may alias it.
    const auto store = [&](int row) {
      _mm256_store_si256(reinterpret_cast<__m256i*>(target + row * 16), low[row]);
      _mm256_store_si256(reinterpret_cast<__m256i*>(target + row * 16 + 8), high[row]);
    };
    (store(Row), ...);
  }
  std::int32_t* sums;
};

/// Tiles below each other: rows of packed input, and where the outputs belong.
struct RowTiles {
  const std::int16_t* a;
  std::int64_t stride, pairs, count;
  std::int64_t offset, offset_step;  ///< Of the first tile, from a tile to the next.
};

/// Of a row the first 8 sums alone where Halves is 1. Each step multiplies one pair of k.
template <int Halves, typename Weight, typename Output, int... Row>
[[gnu::noinline]] void tile_rows(std::integer_sequence<int, Row...> rows, const RowTiles& given,
                                 const Weight* b, const Output& output) {
  constexpr int kRows = sizeof...(Row);
  RowTiles tiles = given;
  for (; tiles.count > 0; --tiles.count, tiles.a += kRows * tiles.stride, tiles.offset += tiles.offset_step) {
    __m256i low[kRows] = {(static_cast<void>(Row), _mm256_setzero_si256())...};
    __m256i high[kRows] = {(static_cast<void>(Row), _mm256_setzero_si256())...};
    for (std::int64_t p = 0; p < tiles.pairs; ++p) {
      const __m256i b0 = wide(b + p * 32);
      const __m256i b1 = Halves > 1 ? wide(b + p * 32 + 16) : b0;
      const auto step = [&](const std::int16_t* row, __m256i& first, __m256i& second) {
        const __m256i x = all_lanes(row + 2 * p);
        first = _mm256_add_epi32(first, _mm256_madd_epi16(x, b0));
        if (Halves > 1) second = _mm256_add_epi32(second, _mm256_madd_epi16(x, b1));
      };
      (step(tiles.a + Row * tiles.stride, low[Row], high[Row]), ...);
    }
    output(rows, low, high, tiles.offset);
  }
}

/// The same with half as many multiplications, by Winograd's inner product (1968, IEEE Transactions on
/// Computers C-17): x0 w0 + x2 w2 = (x0 + w2)(x2 + w0) - x0 x2 - w0 w2. The first of the terms taken off is a
/// row's, the second a column's, negative already. All fit: int16 the sums of an input and a weight, int32
/// what vpmaddwd makes of them; sums over k may wrap and come back. Zen 3 takes three additions and one
/// multiplication in less time than two of each.
template <typename Weight, typename Output, int... Row>
[[gnu::noinline]] void crossed_rows(std::integer_sequence<int, Row...> rows, const RowTiles& given,
                                    const Weight* b, const std::int32_t* row_terms,
                                    const std::int32_t* column_terms, const Output& output) {
  constexpr int kRows = sizeof...(Row);
  RowTiles tiles = given;
  for (; tiles.count > 0; --tiles.count, tiles.a += kRows * tiles.stride, tiles.offset += tiles.offset_step,
                          row_terms += kRows) {
    const auto start = [&](int row, int half) {
      const __m256i column = _mm256_load_si256(reinterpret_cast<const __m256i*>(column_terms + 8 * half));
      return _mm256_sub_epi32(column, _mm256_set1_epi32(row_terms[row]));
    };
    __m256i low[kRows] = {start(Row, 0)...};
    __m256i high[kRows] = {start(Row, 1)...};
    const std::int16_t* a = tiles.a;
    const Weight* w = b;
    for (std::int64_t p = 0; p < tiles.pairs; p += 2, a += 4, w += 64) {
      const __m256i w0_low = wide(w);
      const __m256i w0_high = wide(w + 16);
      const __m256i w2_low = wide(w + 32);
      const __m256i w2_high = wide(w + 48);
      const auto step = [&](const std::int16_t* row, __m256i& first, __m256i& second) {
        const __m256i x0 = all_lanes(row);
        const __m256i x2 = all_lanes(row + 2);
        const auto product = [&](__m256i w0, __m256i w2) {
          return _mm256_madd_epi16(_mm256_add_epi16(x0, w2), _mm256_add_epi16(x2, w0));
        };
        first = _mm256_add_epi32(first, product(w0_low, w2_low));
        second = _mm256_add_epi32(second, product(w0_high, w2_high));
      };
      (step(a + Row * tiles.stride, low[Row], high[Row]), ...);
    }
    output(rows, low, high, tiles.offset);
  }
}

/// What a row of packed numbers takes off each of its crossed sums: the sum over quads of x0 * x2 + x1 * x3.
/// What lies behind k in the last quad counts too: against weights of 0 it makes just what is taken off here.
/// (It is a number of another row or layer, so it fits like all others.)
void sum_row_terms(const std::int16_t* a, std::int64_t stride, std::int64_t pairs, std::int64_t rows,
                   std::int32_t* terms) {
  for (std::int64_t r = 0; r < rows; ++r, a += stride) {
    __m256i sum = _mm256_setzero_si256();
    for (std::int64_t i = 0; i < 2 * pairs; i += 16) {
      __m256i x = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(a + i));
      if (i + 16 > 2 * pairs) {  // The last quads may be nobody's.
        const __m256i left = _mm256_set1_epi64x((2 * pairs - i) / 4);
        x = _mm256_and_si256(x, _mm256_cmpgt_epi64(left, _mm256_setr_epi64x(0, 1, 2, 3)));
      }
      // Both pairs of a quad give the same.
      constexpr int kSwapPairs = 0b10110001;
      sum = _mm256_add_epi32(sum, _mm256_madd_epi16(x, _mm256_shuffle_epi32(x, kSwapPairs)));
    }
    const __m128i half = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
    terms[r] = _mm_cvtsi128_si32(_mm_add_epi32(half, _mm_unpackhi_epi64(half, half)));
  }
}

/// Calls f(indices of a tile's rows, first row, how many such tiles) for all rows: as many tiles of Most as
/// there are, then one of the rest.
template <int Most, typename F>
[[gnu::always_inline]] inline void for_each_height(std::int64_t rows, const F& f) {
  const std::int64_t whole = rows / Most;
  if (whole > 0) f(std::make_integer_sequence<int, Most>{}, 0, whole);
  [&]<int... Less>(std::integer_sequence<int, Less...>) {
    const auto rest = [&]<int Rows>() {
      if (rows - whole * Most == Rows) f(std::make_integer_sequence<int, Rows>{}, whole * Most, 1);
    };
    (rest.template operator()<Less + 1>(), ...);
  }
  (std::make_integer_sequence<int, Most - 1>{});
}
// NOLINTEND(llvm-header-guard)
