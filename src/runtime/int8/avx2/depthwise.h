// Depthwise convolution for AVX2, part of avx2/kernels.cpp: 32 channels of a pixel at a time.
// NOLINTBEGIN(llvm-header-guard) No include guard on purpose.
//
// Bytes of two taps are interleaved and widened within each half of a register, so sums, and what is left of
// them after packing, need no permutation: register i holds channels 4i..4i+3 and 16+4i..16+4i+3. Weights lie
// in that order (depthwise_offset()).

/// 32 channels of one line: what their outputs are made of.
struct DepthwiseBlock {
  const std::uint8_t* const* taps;  ///< Of output column 0; an even number.
  std::int64_t pairs;
  std::int64_t step;  ///< Bytes from a column's taps to the next one's.
  const std::int16_t* weights;
  __m256 bias[4];
  __m256 multiplier[4];
};

/// Sums of 32 channels. Named and passed as values: elements of an array GCC 12 keeps in memory.
struct DepthwiseSums {
  __m256i a, b, c, d;
};

__m256i bytes_at(const std::uint8_t* source) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(source));
}

/// The products of two taps, `x` and `y`, with a pair of weights.
DepthwiseSums pair_products(__m256i x, __m256i y, const std::int16_t* weights) {
  const __m256i zero = _mm256_setzero_si256();
  const auto products = [&](int i, __m256i values) {
    const auto* w = reinterpret_cast<const __m256i*>(weights) + i;
    return _mm256_madd_epi16(values, _mm256_loadu_si256(w));
  };
  const __m256i low = _mm256_unpacklo_epi8(x, y);
  const __m256i high = _mm256_unpackhi_epi8(x, y);
  return {products(0, _mm256_unpacklo_epi8(low, zero)), products(1, _mm256_unpackhi_epi8(low, zero)),
          products(2, _mm256_unpacklo_epi8(high, zero)), products(3, _mm256_unpackhi_epi8(high, zero))};
}

DepthwiseSums operator+(const DepthwiseSums& x, const DepthwiseSums& y) {
  return {_mm256_add_epi32(x.a, y.a), _mm256_add_epi32(x.b, y.b), _mm256_add_epi32(x.c, y.c),
          _mm256_add_epi32(x.d, y.d)};
}

/// The sums of the column whose taps are `offset` bytes from the first one's; windows of any size.
DepthwiseSums window_sums(const DepthwiseBlock& block, std::int64_t offset) {
  const auto pair = [&](std::int64_t p) {
    return pair_products(bytes_at(block.taps[2 * p] + offset), bytes_at(block.taps[2 * p + 1] + offset),
                         block.weights + p * 64);
  };
  DepthwiseSums sums = pair(0);
  for (std::int64_t p = 1; p < block.pairs; ++p) sums = sums + pair(p);
  return sums;
}

/// `width` channels of a line of outputs from `y` on. `window` is called with a column's offset.
template <typename Window>
void depthwise_line(const Int8Conv& conv, const DepthwiseBlock& block, std::int64_t width, std::uint8_t* y,
                    const Window& window) {
  const Rounding rounding(conv.y_zero_point, conv.y_min, conv.y_max);
  for (std::int64_t ox = 0; ox < conv.out_w; ++ox, y += conv.c_out) {
    const DepthwiseSums sums = window(ox * block.step);
    const auto integers = [&](int i, __m256i sum) {
      const __m256 real = _mm256_add_ps(_mm256_cvtepi32_ps(sum), block.bias[i]);
      return _mm256_cvtps_epi32(_mm256_mul_ps(real, block.multiplier[i]));
    };
    const __m256i bytes = rounding.bytes(rounding.words(integers(0, sums.a), integers(1, sums.b)),
                                         rounding.words(integers(2, sums.c), integers(3, sums.d)));
    if (width == kDepthwiseBlock) {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(y), bytes);
      continue;
    }
    store_bytes(y, _mm256_castsi256_si128(bytes), std::min(width, Int8Conv::kPanel));
    if (width > Int8Conv::kPanel)
      store_bytes(y + Int8Conv::kPanel, _mm256_extracti128_si256(bytes, 1), width - Int8Conv::kPanel);
  }
}

/// For 3x3 windows: unrolled, and three rows to point at instead of nine taps.
void depthwise_line_3x3(const Int8Conv& conv, const DepthwiseBlock& block, std::int64_t width,
                        std::uint8_t* y) {
  const std::uint8_t* const top = block.taps[0];
  const std::uint8_t* const middle = block.taps[3];
  const std::uint8_t* const bottom = block.taps[6];
  const std::int64_t column = block.taps[1] - top;
  const std::int16_t* const w = block.weights;
  depthwise_line(conv, block, width, y, [=](std::int64_t offset) {
    const std::uint8_t* const a = top + offset;
    const std::uint8_t* const b = middle + offset;
    const std::uint8_t* const c = bottom + offset;
    DepthwiseSums sums = pair_products(bytes_at(a), bytes_at(a + column), w);
    sums = sums + pair_products(bytes_at(a + 2 * column), bytes_at(b), w + 64);
    sums = sums + pair_products(bytes_at(b + column), bytes_at(b + 2 * column), w + 128);
    sums = sums + pair_products(bytes_at(c), bytes_at(c + column), w + 192);
    return sums + pair_products(bytes_at(c + 2 * column), _mm256_setzero_si256(), w + 256);
  });
}

/// As depthwise_line(), with what it lacks: float outputs, outputs beyond int32.
void depthwise_line_slow(const Int8Conv& conv, const DepthwiseBlock& block, std::int64_t channel,
                         std::int64_t width, void* y, std::int64_t offset) {
  constexpr std::int64_t kPanel = Int8Conv::kPanel;
  alignas(64) std::int32_t ordered[2 * kPanel];
  for (std::int64_t ox = 0; ox < conv.out_w; ++ox, offset += conv.c_out) {
    const auto put = [&](int i, __m256i sum) {
      _mm_store_si128(reinterpret_cast<__m128i*>(ordered + i * 4), _mm256_castsi256_si128(sum));
      _mm_store_si128(reinterpret_cast<__m128i*>(ordered + kPanel + i * 4), _mm256_extracti128_si256(sum, 1));
    };
    const DepthwiseSums sums = window_sums(block, ox * block.step);
    put(0, sums.a);
    put(1, sums.b);
    put(2, sums.c);
    put(3, sums.d);
    for (std::int64_t done = 0; done < width; done += kPanel) {
      const PanelOutput out{&conv, (channel + done) / kPanel, std::min(kPanel, width - done), nullptr, y};
      ScalarFinish{out}.row(ordered + done, offset + done);
    }
  }
}

void run_depthwise(const Int8Conv& conv, std::int64_t batch, const std::uint8_t* x, void* y, int threads) {
  const auto& w = conv.window;
  const std::int64_t channels = conv.c_out;
  const std::int64_t count = w.kernel[0] * w.kernel[1];
  const bool slow = conv.output_is_float || !conv.rounds_in_int32;
  for_each_padded_line(conv, batch, x, threads, [&](std::int64_t line, const std::uint8_t* const* rows) {
    const auto bytes = static_cast<std::size_t>(count + 1) * sizeof(const std::uint8_t*);
    auto* taps = reinterpret_cast<const std::uint8_t**>(int8_scratch(Int8Scratch::kTaps, bytes));
    DepthwiseBlock block{.taps = taps,
                         .pairs = (count + 1) / 2,
                         .step = w.strides[1] * channels,
                         .weights = conv.weights.data<std::int16_t>(),
                         .bias = {},
                         .multiplier = {}};
    for (std::int64_t channel = 0; channel < channels; channel += kDepthwiseBlock) {
      for (std::int64_t tap = 0; tap < count; ++tap) {
        const std::int64_t column = tap % w.kernel[1] * w.dilations[1];
        taps[tap] = rows[tap / w.kernel[1]] + column * channels + channel;
      }
      taps[count] = taps[0];  // The other half of an odd tap's pair; its weights are 0.
      for (int i = 0; i < 4; ++i) {
        const auto quarters = [&](const std::vector<float>& all) {
          const float* from = all.data() + channel + i * 4;
          return _mm256_setr_m128(_mm_loadu_ps(from), _mm_loadu_ps(from + Int8Conv::kPanel));
        };
        block.bias[i] = quarters(conv.bias);
        block.multiplier[i] = quarters(conv.multiplier);
      }
      const std::int64_t width = std::min(kDepthwiseBlock, channels - channel);
      const std::int64_t offset = line * conv.out_w * channels + channel;
      auto* target = static_cast<std::uint8_t*>(y) + offset;
      if (slow) {
        depthwise_line_slow(conv, block, channel, width, y, offset);
      } else if (w.kernel[0] == 3 && w.kernel[1] == 3) {
        depthwise_line_3x3(conv, block, width, target);
      } else {
        depthwise_line(conv, block, width, target,
                       [&](std::int64_t from) { return window_sums(block, from); });
      }
      block.weights += block.pairs * 2 * kDepthwiseBlock;
    }
  });
}
// NOLINTEND(llvm-header-guard)
