// Winograd's convolutions F(2x2, 3x3) and F(4x4, 3x3) (Lavin and Gray 2015, arXiv 1509.09308), and one of
// stride 2, in integers for AVX2, part of avx2/kernels.cpp. NOLINTBEGIN(llvm-header-guard) No include guard
// on purpose.
//
// Products are exact: transformed inputs and weights, scaled to be whole (int8/winograd.h), fit int16, and
// vpmaddwd's pair sums fit int32. Sums over channels may wrap. What comes out is a known multiple of the
// convolution's sum modulo 2^32: an odd factor is divided out by its inverse, a power of two by a shift, and
// winograd_applies() made sure that the sum times that power fits.

/// 16 products instead of 36 make a 2x2 output tile. |transformed input| <= 4 * 255.
struct Winograd2x2 {
  static constexpr int kStride = 1;
  static constexpr int kOut = 2;
  static constexpr int kIn = 4;

  static void input(const __m256i d[kIn], __m256i t[kIn]) {
    t[0] = _mm256_sub_epi16(d[0], d[2]);
    t[1] = _mm256_add_epi16(d[1], d[2]);
    t[2] = _mm256_sub_epi16(d[2], d[1]);
    t[3] = _mm256_sub_epi16(d[1], d[3]);
  }
  static void output(const __m256i m[kIn], __m256i y[kOut]) {
    y[0] = _mm256_add_epi32(_mm256_add_epi32(m[0], m[1]), m[2]);
    y[1] = _mm256_sub_epi32(_mm256_sub_epi32(m[1], m[2]), m[3]);
  }
  template <int I, int J>
  static __m256i settle(__m256i sum) {
    return _mm256_srai_epi32(sum, 2);
  }
};

/// 36 products instead of 144 make a 4x4 output tile. |transformed input| <= 68 * 255.
struct Winograd4x4 {
  static constexpr int kStride = 1;
  static constexpr int kOut = 4;
  static constexpr int kIn = 6;

  static void input(const __m256i d[kIn], __m256i t[kIn]) {
    const auto four_times = [](__m256i x) { return _mm256_slli_epi16(x, 2); };
    const __m256i a = _mm256_sub_epi16(d[4], four_times(d[2]));
    const __m256i b = _mm256_sub_epi16(d[3], four_times(d[1]));
    const __m256i even = _mm256_sub_epi16(d[4], d[2]);
    const __m256i odd = _mm256_slli_epi16(_mm256_sub_epi16(d[3], d[1]), 1);
    t[0] = _mm256_add_epi16(four_times(_mm256_sub_epi16(d[0], d[2])), even);
    t[1] = _mm256_add_epi16(a, b);
    t[2] = _mm256_sub_epi16(a, b);
    t[3] = _mm256_add_epi16(even, odd);
    t[4] = _mm256_sub_epi16(even, odd);
    t[5] = _mm256_sub_epi16(_mm256_sub_epi16(d[5], d[3]), _mm256_slli_epi16(odd, 1));
  }
  /// 24, 12, 6 and 6 times the outputs of one dimension.
  static void output(const __m256i m[kIn], __m256i y[kOut]) {
    const __m256i sum12 = _mm256_add_epi32(m[1], m[2]);
    const __m256i difference12 = _mm256_sub_epi32(m[1], m[2]);
    const __m256i sum34 = _mm256_add_epi32(m[3], m[4]);
    const __m256i difference34 = _mm256_sub_epi32(m[3], m[4]);
    y[0] = _mm256_add_epi32(_mm256_add_epi32(m[0], sum34), _mm256_slli_epi32(sum12, 2));
    y[1] = _mm256_add_epi32(_mm256_slli_epi32(difference12, 1), difference34);
    y[2] = _mm256_add_epi32(sum12, sum34);
    y[3] = _mm256_add_epi32(_mm256_add_epi32(difference12, m[5]), _mm256_slli_epi32(difference34, 1));
  }
  template <int I, int J>
  static __m256i settle(__m256i sum) {
    constexpr int kTwos[kOut] = {3, 2, 1, 1};
    constexpr std::uint32_t kInverseOf9 = 0x38E38E39U;
    static_assert(9U * kInverseOf9 == 1U);
    const __m256i inverse = _mm256_set1_epi32(static_cast<std::int32_t>(kInverseOf9));
    return _mm256_srai_epi32(_mm256_mullo_epi32(sum, inverse), kTwos[I] + kTwos[J]);
  }
};

/// 25 products instead of 36 make a 2x2 output tile of stride 2. In one dimension the first and the last tap
/// meet every other input, F(2, 2) with three products, and the middle tap the inputs between them.
/// |transformed input| <= 2 * 255.
struct WinogradStride2 {
  static constexpr int kStride = 2;
  static constexpr int kOut = 2;
  static constexpr int kIn = 5;

  static void input(const __m256i d[kIn], __m256i t[kIn]) {
    t[0] = _mm256_sub_epi16(d[0], d[2]);
    t[1] = d[2];
    t[2] = _mm256_sub_epi16(d[4], d[2]);
    t[3] = d[1];
    t[4] = d[3];
  }
  static void output(const __m256i m[kIn], __m256i y[kOut]) {
    y[0] = _mm256_add_epi32(_mm256_add_epi32(m[0], m[1]), m[3]);
    y[1] = _mm256_add_epi32(_mm256_add_epi32(m[1], m[2]), m[4]);
  }
  template <int I, int J>
  static __m256i settle(__m256i sum) {
    return sum;
  }
};

/// The output tiles of an image.
struct Tiles {
  std::int64_t rows, columns;
};

template <typename Winograd>
Tiles tiles_of(const Int8Conv& conv) {
  // With pooling an odd last row or column belongs to no window.
  const std::int64_t h = conv.pool2x2 ? conv.out_h / 2 * 2 : conv.out_h;
  const std::int64_t w = conv.pool2x2 ? conv.out_w / 2 * 2 : conv.out_w;
  return {(h + Winograd::kOut - 1) / Winograd::kOut, (w + Winograd::kOut - 1) / Winograd::kOut};
}

/// Transforms the input of output tile `tile`: v[position][slot][channel], positions `plane` elements apart.
/// `padding` is a pixel of zero points.
template <typename Winograd>
void transform_input(const Int8Conv& conv, const Tiles& tiles, const std::uint8_t* x, std::int64_t tile,
                     const std::uint8_t* padding, std::int16_t* v, std::int64_t plane) {
  constexpr int kIn = Winograd::kIn;
  constexpr std::int64_t kStep = Winograd::kOut * Winograd::kStride;
  const std::int64_t n = tile / (tiles.rows * tiles.columns);
  const std::int64_t y0 = tile / tiles.columns % tiles.rows * kStep - conv.window.pads[0];
  const std::int64_t x0 = tile % tiles.columns * kStep - conv.window.pads[1];
  const std::uint8_t* taps[kIn][kIn];
  for (std::int64_t i = 0; i < kIn; ++i) {
    const bool row_inside = y0 + i >= 0 && y0 + i < conv.in_h;
    const std::int64_t first = (n * conv.in_h + y0 + i) * conv.in_w + x0;
    for (std::int64_t j = 0; j < kIn; ++j) {
      const bool inside = row_inside && x0 + j >= 0 && x0 + j < conv.in_w;
      taps[i][j] = inside ? x + (first + j) * conv.c_in : padding;
    }
  }
  for (std::int64_t c = 0; c < conv.c_in; c += 16) {
    __m256i columns[kIn][kIn];  // [column][position down]
    for (int j = 0; j < kIn; ++j) {
      __m256i d[kIn];
      for (int i = 0; i < kIn; ++i) {
        d[i] = _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(taps[i][j] + c)));
      }
      Winograd::input(d, columns[j]);
    }
    for (int i = 0; i < kIn; ++i) {
      __m256i d[kIn];
      __m256i t[kIn];
      for (int j = 0; j < kIn; ++j) d[j] = columns[j][i];
      Winograd::input(d, t);
      for (int j = 0; j < kIn; ++j) {
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(v + (i * kIn + j) * plane + c), t[j]);
      }
    }
  }
}

/// The sums of a tile's outputs, [kOut][kOut][panel], from its products, `plane` elements apart.
template <typename Winograd>
void transform_output(const std::int32_t* m, std::int64_t plane, std::int32_t* sums) {
  constexpr int kIn = Winograd::kIn;
  constexpr int kOut = Winograd::kOut;
  for (int half = 0; half < Int8Conv::kPanel; half += 8) {
    __m256i columns[kIn][kOut];  // [column][row of the output]
    for (int j = 0; j < kIn; ++j) {
      __m256i products[kIn];
      for (int i = 0; i < kIn; ++i) {
        products[i] = _mm256_load_si256(reinterpret_cast<const __m256i*>(m + (i * kIn + j) * plane + half));
      }
      Winograd::output(products, columns[j]);
    }
    [&]<int... I>(std::integer_sequence<int, I...>) {
      const auto row = [&]<int Row>() {
        __m256i across[kIn];
        __m256i y[kOut];
        for (int j = 0; j < kIn; ++j) across[j] = columns[j][Row];
        Winograd::output(across, y);
        [&]<int... J>(std::integer_sequence<int, J...>) {
          (_mm256_store_si256(reinterpret_cast<__m256i*>(sums + (Row * kOut + J) * Int8Conv::kPanel + half),
                              Winograd::template settle<Row, J>(y[J])),
           ...);
        }
        (std::make_integer_sequence<int, kOut>{});
      };
      (row.template operator()<I>(), ...);
    }
    (std::make_integer_sequence<int, kOut>{});
  }
}

/// Stores the outputs of one tile for one panel of channels from `channel` on; `m` holds its products.
template <typename Winograd, typename Finish>
void finish_tile(const Int8Conv& conv, const Tiles& tiles, std::int64_t tile, std::int64_t channel,
                 const std::int32_t* m, std::int64_t plane, const Finish& finish) {
  constexpr std::int64_t kOut = Winograd::kOut;
  constexpr std::int64_t kPanel = Int8Conv::kPanel;
  alignas(64) std::int32_t sums[kOut * kOut * kPanel];
  transform_output<Winograd>(m, plane, sums);
  std::int64_t side = kOut;  // Of what is left of the tile.
  if (conv.pool2x2) {
    side /= 2;
    for (std::int64_t i = 0; i < side; ++i) {
      for (std::int64_t j = 0; j < side; ++j) {
        const std::int32_t* top = sums + (2 * i * kOut + 2 * j) * kPanel;
        max_of_four(top, top + kPanel, top + kOut * kPanel, top + (kOut + 1) * kPanel,
                    sums + (i * kOut + j) * kPanel);
      }
    }
  }
  const std::int64_t h = conv.pool2x2 ? conv.out_h / 2 : conv.out_h;
  const std::int64_t w = conv.pool2x2 ? conv.out_w / 2 : conv.out_w;
  const std::int64_t n = tile / (tiles.rows * tiles.columns);
  const std::int64_t oy = tile / tiles.columns % tiles.rows * side;
  const std::int64_t ox = tile % tiles.columns * side;
  const std::int64_t columns = std::min(side, w - ox);
  for (std::int64_t i = 0; i < std::min(side, h - oy); ++i) {
    const std::int64_t pixel = (n * h + oy + i) * w + ox;
    finish(sums + i * kOut * kPanel, kPanel, columns, pixel * conv.c_out + channel);
  }
}

/// The products of a block of `count` transformed tiles with a panel of weights: m[position][tile][channel].
/// v, u and both kinds of terms run over positions likewise.
template <bool Crossed>
void multiply_tiles(std::int64_t positions, std::int64_t count, const std::int16_t* v, std::int64_t stride,
                    std::int64_t plane, const std::int32_t* row_terms, const std::int16_t* u,
                    const std::int32_t* column_terms, std::int64_t pairs, std::int32_t* m) {
  constexpr int kRows = Crossed ? 4 : 6;
  constexpr std::int64_t kPanel = Int8Conv::kPanel;
  const ToMemory target{m};
  for (std::int64_t position = 0; position < positions; ++position) {
    for_each_height<kRows>(count, [&](auto height, std::int64_t first, std::int64_t many) {
      RowTiles tiles{v + position * plane + first * stride, stride,        pairs, many,
                     (position * count + first) * kPanel,   kRows * kPanel};
      if constexpr (Crossed) {
        // One at a time, each with its share of the next weights: these have less time to wait for them.
        tiles.count = 1;
        const std::int64_t share = (pairs * kRows + count - 1) / count;
        for (std::int64_t i = first; i < first + many * kRows; i += kRows) {
          const auto* const next = reinterpret_cast<const char*>(u) + 64 * (pairs + i / kRows * share);
          for (std::int64_t line = 0; line < share; ++line) _mm_prefetch(next + 64 * line, _MM_HINT_T0);
          crossed_rows(height, tiles, u, row_terms + position * count + i, column_terms + position * kPanel,
                       target);
          tiles.a += kRows * stride;
          tiles.offset += kRows * kPanel;
        }
      } else {
        tile_rows<2>(height, tiles, u, target);
      }
    });
    u += pairs * 2 * kPanel;
  }
}

/// What comes of a block of tiles and a panel of weights.
template <typename Winograd>
struct ProductsOfTiles {
  static constexpr std::int64_t kPositions = Winograd::kIn * Winograd::kIn;
  /// Tiles that share one pass over the weights. More of them would push products out of the caches.
  static constexpr std::int64_t kBlock = 24;
  alignas(64) std::int32_t m[kPositions * kBlock * Int8Conv::kPanel];
  std::int32_t row_terms[kPositions * kBlock];
};

template <typename Winograd>
void run_winograd(const Int8Conv& conv, std::int64_t batch, const std::uint8_t* x, const std::uint8_t* other,
                  void* y, int threads) {
  constexpr std::int64_t kPositions = Winograd::kIn * Winograd::kIn;
  constexpr std::int64_t kPanel = Int8Conv::kPanel;
  constexpr std::int64_t kBlock = ProductsOfTiles<Winograd>::kBlock;
  const Tiles tiles = tiles_of<Winograd>(conv);
  const std::int64_t pairs = packed_steps(conv.c_in, 2);
  const std::int64_t stride = (conv.c_in + 15) / 16 * 16 + 16;
  const std::int64_t plane = kBlock * stride;
  constexpr std::int64_t kLeastCrossedTiles = 16;  // For fewer, waiting for weights is most of the time.

  const ProductPieces pieces(batch * tiles.rows * tiles.columns, 6, kBlock, conv.panels, threads);
  const auto work = [&](PieceSource& source) {
    const auto tile_bytes = static_cast<std::size_t>(kPositions * plane) * sizeof(std::int16_t);
    auto* v = reinterpret_cast<std::int16_t*>(int8_scratch(Int8Scratch::kTiles, tile_bytes));
    auto* padding = reinterpret_cast<std::uint8_t*>(
        int8_scratch(Int8Scratch::kPadding, static_cast<std::size_t>(stride)));
    std::fill_n(padding, stride, static_cast<std::uint8_t>(conv.x_zero_point));
    ProductsOfTiles<Winograd> products;
    std::int64_t held = -1;
    for (std::int64_t piece = 0; (piece = source.take()) >= 0;) {
      const std::int64_t first = pieces.first_row(piece);
      const std::int64_t count = pieces.end_row(piece) - first;
      const bool crossed = conv.crossed() && count >= kLeastCrossedTiles;
      if (held != first) {
        for (std::int64_t i = 0; i < count; ++i)
          transform_input<Winograd>(conv, tiles, x, first + i, padding, v + i * stride, plane);
        for (std::int64_t position = 0; crossed && position < kPositions; ++position)
          sum_row_terms(v + position * plane, stride, pairs, count, products.row_terms + position * count);
        held = first;
      }
      for (std::int64_t panel = pieces.first_panel(piece); panel < pieces.end_panel(piece); ++panel) {
        const auto* const u = conv.weights.data<std::int16_t>() + panel * kPositions * pairs * 2 * kPanel;
        if (crossed) {
          const auto* const column_terms =
              conv.cross_terms.data<std::int32_t>() + panel * kPositions * kPanel;
          multiply_tiles<true>(kPositions, count, v, stride, plane, products.row_terms, u, column_terms,
                               pairs, products.m);
        } else {
          multiply_tiles<false>(kPositions, count, v, stride, plane, nullptr, u, nullptr, pairs, products.m);
        }
        const PanelOutput out{&conv, panel, std::min(kPanel, conv.c_out - panel * kPanel), other, y};
        Avx2::with_finish(out, [&](const auto& finish) {
          for (std::int64_t i = 0; i < count; ++i) {
            finish_tile<Winograd>(conv, tiles, first + i, panel * kPanel, products.m + i * kPanel,
                                  count * kPanel, finish);
          }
        });
      }
    }
  };
  parallel_pieces(pieces.count(), threads, work);
}
// NOLINTEND(llvm-header-guard)
