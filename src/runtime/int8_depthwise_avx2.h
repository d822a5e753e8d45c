// Depthwise convolution for AVX2, part of int8_avx2.cpp: 32 channels of a pixel at a time.
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

template <int Pairs>
void depthwise_sums(const DepthwiseBlock& block, std::int64_t offset, __m256i sums[4]) {
  const __m256i zero = _mm256_setzero_si256();
  for (int i = 0; i < 4; ++i) sums[i] = zero;
  const std::int64_t count = Pairs > 0 ? Pairs : block.pairs;
  const std::int16_t* weights = block.weights;
  for (std::int64_t p = 0; p < count; ++p, weights += 64) {
    const auto load = [&](std::int64_t tap) {
      return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(block.taps[tap] + offset));
    };
    const __m256i a = load(2 * p);
    const __m256i b = load(2 * p + 1);
    const __m256i low = _mm256_unpacklo_epi8(a, b);
    const __m256i high = _mm256_unpackhi_epi8(a, b);
    const auto add = [&](int i, __m256i x) {
      const __m256i w = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(weights + i * 16));
      sums[i] = _mm256_add_epi32(sums[i], _mm256_madd_epi16(x, w));
    };
    add(0, _mm256_unpacklo_epi8(low, zero));
    add(1, _mm256_unpackhi_epi8(low, zero));
    add(2, _mm256_unpacklo_epi8(high, zero));
    add(3, _mm256_unpackhi_epi8(high, zero));
  }
}

/// `width` channels of a line of outputs from `y` on.
template <int Pairs>
void depthwise_line(const Int8Conv& conv, const DepthwiseBlock& block, std::int64_t width, std::uint8_t* y) {
  const Rounding rounding(conv);
  for (std::int64_t ox = 0; ox < conv.out_w; ++ox, y += conv.c_out) {
    __m256i sums[4];
    depthwise_sums<Pairs>(block, ox * block.step, sums);
    for (int i = 0; i < 4; ++i) {
      const __m256 real = _mm256_add_ps(_mm256_cvtepi32_ps(sums[i]), block.bias[i]);
      sums[i] = _mm256_cvtps_epi32(_mm256_mul_ps(real, block.multiplier[i]));
    }
    const __m256i bytes = rounding.bytes(rounding.words(sums[0], sums[1]), rounding.words(sums[2], sums[3]));
    if (width == kDepthwiseBlock) {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(y), bytes);
      continue;
    }
    Avx2::store(y, _mm256_castsi256_si128(bytes), std::min(width, Int8Conv::kPanel));
    if (width > Int8Conv::kPanel)
      Avx2::store(y + Int8Conv::kPanel, _mm256_extracti128_si256(bytes, 1), width - Int8Conv::kPanel);
  }
}

/// As depthwise_line(), with what it lacks: float outputs, outputs beyond int32.
void depthwise_line_slow(const Int8Conv& conv, const DepthwiseBlock& block, std::int64_t channel,
                         std::int64_t width, void* y, std::int64_t offset) {
  constexpr std::int64_t kPanel = Int8Conv::kPanel;
  alignas(64) std::int32_t ordered[2 * kPanel];
  for (std::int64_t ox = 0; ox < conv.out_w; ++ox, offset += conv.c_out) {
    __m256i sums[4];
    depthwise_sums<0>(block, ox * block.step, sums);
    for (int i = 0; i < 4; ++i) {
      _mm_store_si128(reinterpret_cast<__m128i*>(ordered + i * 4), _mm256_castsi256_si128(sums[i]));
      _mm_store_si128(reinterpret_cast<__m128i*>(ordered + kPanel + i * 4),
                      _mm256_extracti128_si256(sums[i], 1));
    }
    for (std::int64_t done = 0; done < width; done += kPanel) {
      Avx2::finish(conv, (channel + done) / kPanel, ordered + done, 0, 1, std::min(kPanel, width - done),
                   nullptr, y, offset + done);
    }
  }
}

void run_depthwise(const Int8Conv& conv, std::int64_t batch, const std::uint8_t* x, void* y, int threads) {
  const auto& w = conv.window;
  const std::int64_t channels = conv.c_out;
  const std::int64_t count = w.kernel[0] * w.kernel[1];
  const bool slow = conv.output_is_float || !conv.rounds_in_int32;
  for_each_padded_line(conv, batch, x, threads, [&](std::int64_t line, const std::uint8_t* const* rows) {
    thread_local std::vector<const std::uint8_t*> taps;
    taps.resize(static_cast<std::size_t>(count + 1));
    DepthwiseBlock block{.taps = taps.data(),
                         .pairs = (count + 1) / 2,
                         .step = w.strides[1] * channels,
                         .weights = conv.weights.data<std::int16_t>(),
                         .bias = {},
                         .multiplier = {}};
    for (std::int64_t channel = 0; channel < channels; channel += kDepthwiseBlock) {
      for (std::int64_t tap = 0; tap < count; ++tap) {
        const std::int64_t column = tap % w.kernel[1] * w.dilations[1];
        taps[static_cast<std::size_t>(tap)] = rows[tap / w.kernel[1]] + column * channels + channel;
      }
      taps.back() = taps.front();  // The other half of an odd tap's pair; its weights are 0.
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
      } else if (block.pairs == 5) {
        depthwise_line<5>(conv, block, width, target);
      } else if (block.pairs == 13) {
        depthwise_line<13>(conv, block, width, target);
      } else {
        depthwise_line<0>(conv, block, width, target);
      }
      block.weights += block.pairs * 2 * kDepthwiseBlock;
    }
  });
}
// NOLINTEND(llvm-header-guard)
