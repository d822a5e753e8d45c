// Integer kernels that work element by element, the same for every instruction set; see loops.h.
// NOLINTBEGIN(llvm-header-guard) No include guard on purpose.

/// requantize() without branches, for the vectorizer; `lo` and `hi` are less the zero point.
inline std::uint8_t requantize_line(float value, float lo, float hi, std::int32_t zero_point) {
  float q = value > lo ? value : lo;
  q = q < hi ? q : hi;
  return static_cast<std::uint8_t>(static_cast<std::int32_t>(__builtin_rintf(q)) + zero_point);
}

/// Lines of `combine(a, b)`, rounded, plus `zero_point`; operands that stand still along the line are read
/// once.
template <typename Combine>
void binary_lines(const IntegerBinary& p, std::int32_t zero_point, const Walk& walk, const std::uint8_t* a,
                  const std::uint8_t* b, std::uint8_t* y, int threads, const Combine& combine) {
  const auto lo = static_cast<float>(p.y_min - zero_point);
  const auto hi = static_cast<float>(p.y_max - zero_point);
  const std::int64_t y_step = walk.strides[0].back();
  const std::int64_t a_step = walk.strides[1].back();
  const std::int64_t b_step = walk.strides[2].back();
  for_each_line(walk, threads, [&](const std::int64_t* at, std::int64_t count) {
    std::uint8_t* __restrict target = y + at[0];
    const std::uint8_t* first = a + at[1];
    const std::uint8_t* second = b + at[2];
    const auto store = [&](std::int32_t qa, std::int32_t qb) {
      return requantize_line(combine(qa, qb), lo, hi, zero_point);
    };
    if (y_step == 1 && a_step == 1 && b_step == 1) {
      for (std::int64_t i = 0; i < count; ++i) target[i] = store(first[i], second[i]);
    } else if (y_step == 1 && a_step == 1 && b_step == 0) {
      for (std::int64_t i = 0; i < count; ++i) target[i] = store(first[i], second[0]);
    } else {
      for (std::int64_t i = 0; i < count; ++i)
        target[i * y_step] = store(first[i * a_step], second[i * b_step]);
    }
  });
}

void run_binary(const IntegerBinary& p, const Walk& walk, const std::uint8_t* a, const std::uint8_t* b,
                std::uint8_t* y, int threads) {
  const float a_multiplier = p.a_multiplier;
  const float b_multiplier = p.b_multiplier;
  if (p.product) {
    const std::int32_t a_zero_point = p.a_zero_point;
    const std::int32_t b_zero_point = p.b_zero_point;
    binary_lines(p, p.y_zero_point, walk, a, b, y, threads, [=](std::int32_t first, std::int32_t second) {
      return static_cast<float>((first - a_zero_point) * (second - b_zero_point)) * a_multiplier;
    });
  } else {
    const float offset = p.offset;  // Holds all three zero points.
    binary_lines(p, 0, walk, a, b, y, threads, [=](std::int32_t first, std::int32_t second) {
      return __builtin_fmaf(static_cast<float>(first), a_multiplier,
                            __builtin_fmaf(static_cast<float>(second), b_multiplier, offset));
    });
  }
}

void run_affine(const IntegerAffine& p, const Walk& walk, const std::uint8_t* x, std::uint8_t* y,
                int threads) {
  const auto lo = static_cast<float>(p.y_min - p.y_zero_point);
  const auto hi = static_cast<float>(p.y_max - p.y_zero_point);
  const std::int32_t x_zero_point = p.x_zero_point;
  const float x_scale = p.x_scale;
  const float y_scale = p.y_scale;
  const std::int32_t y_zero_point = p.y_zero_point;
  const std::int64_t y_step = walk.strides[0].back();
  const std::int64_t x_step = walk.strides[1].back();
  const std::int64_t c_step = walk.strides[2].back();
  for_each_line(walk, threads, [&](const std::int64_t* at, std::int64_t count) {
    std::uint8_t* __restrict target = y + at[0];
    const std::uint8_t* source = x + at[1];
    const float* factor = p.factor.data() + at[2];
    const float* offset = p.offset.data() + at[2];
    const auto one = [&](std::int32_t q, std::int64_t c) {
      return requantize_line(batch_norm(q, x_zero_point, x_scale, factor[c], offset[c], y_scale), lo, hi,
                             y_zero_point);
    };
    if (y_step == 1 && x_step == 1 && c_step == 1) {
      for (std::int64_t i = 0; i < count; ++i) target[i] = one(source[i], i);
    } else {
      for (std::int64_t i = 0; i < count; ++i) target[i * y_step] = one(source[i * x_step], i * c_step);
    }
  });
}

/// True if along the last two dimensions two runs of x become every other element of y: a channel shuffle.
inline bool interleaves(const Walk& walk) {
  const std::size_t last = walk.dims.size() - 1;
  return last > 0 && walk.dims[last - 1] == 2 && walk.strides[0][last - 1] == 1 &&
         walk.strides[0][last] == 2 && walk.strides[1][last] == 1;
}

void interleave(const Walk& walk, const std::uint8_t* x, std::uint8_t* y, int threads) {
  const std::size_t last = walk.dims.size() - 1;
  const std::int64_t apart = walk.strides[1][last - 1];
  Lines lines(walk);
  lines.drop(last - 1);
  for_each_line(lines, threads, [&](const std::int64_t* at, std::int64_t count) {
    std::uint8_t* __restrict target = y + at[0];
    const std::uint8_t* first = x + at[1];
    const std::uint8_t* second = first + apart;
    for (std::int64_t i = 0; i < count; ++i) {
      target[2 * i] = first[i];
      target[2 * i + 1] = second[i];
    }
  });
}

void run_map(const Walk& walk, const std::uint8_t* tables, const std::uint8_t* x, std::uint8_t* y,
             int threads) {
  if (tables == nullptr && interleaves(walk)) {
    interleave(walk, x, y, threads);
    return;
  }
  const std::int64_t y_step = walk.strides[0].back();
  const std::int64_t x_step = walk.strides[1].back();
  const std::int64_t row_step = walk.strides.size() > 2 ? walk.strides[2].back() * IntegerTable::kEntries : 0;
  for_each_line(walk, threads, [&](const std::int64_t* at, std::int64_t count) {
    std::uint8_t* __restrict target = y + at[0];
    const std::uint8_t* __restrict source = x + at[1];
    if (tables == nullptr) {
      if (y_step == 1 && x_step == 1) {
        std::memcpy(target, source, static_cast<std::size_t>(count));
      } else {
        for (std::int64_t i = 0; i < count; ++i) target[i * y_step] = source[i * x_step];
      }
      return;
    }
    const std::uint8_t* row = tables + (walk.strides.size() > 2 ? at[2] * IntegerTable::kEntries : 0);
    if (row_step == 0 && y_step == 1 && x_step == 1) {
      for (std::int64_t i = 0; i < count; ++i) target[i] = row[source[i]];
    } else {
      for (std::int64_t i = 0; i < count; ++i) target[i * y_step] = row[i * row_step + source[i * x_step]];
    }
  });
}

/// A range and scale of quantize(), passed by value: bytes stored may alias what is captured.
struct QuantizeLine {
  explicit QuantizeLine(const QuantParams& params)
      : scale(params.scale()),
        lo(static_cast<float>(params.qmin - params.zero_point())),
        hi(static_cast<float>(params.qmax - params.zero_point())),
        zero_point(params.zero_point()) {}
  float scale, lo, hi;
  std::int32_t zero_point;
};

inline void quantize_line(QuantizeLine p, const float* x, std::int64_t count, std::uint8_t* y) {
  for (std::int64_t i = 0; i < count; ++i) y[i] = requantize_line(x[i] / p.scale, p.lo, p.hi, p.zero_point);
}

void quantize_flat(const QuantParams& params, std::int64_t count, const float* x, std::uint8_t* y,
                   int threads) {
  parallel_for(
      count, 4096,
      [&](std::int64_t begin, std::int64_t end) {
        quantize_line(QuantizeLine(params), x + begin, end - begin, y + begin);
      },
      threads);
}

/// quantize() of core/quant.h.
void quantize_nchw(const QuantParams& params, std::int64_t batch, std::int64_t channels, std::int64_t plane,
                   const float* x, std::uint8_t* y, int threads) {
  if (channels == 1 || plane == 1) {
    quantize_flat(params, batch * channels * plane, x, y, threads);
    return;
  }
  constexpr std::int64_t kChunk = 512;
  const std::int64_t chunks = (plane + kChunk - 1) / kChunk;
  const auto spread = [](const std::uint8_t* line, std::int64_t count, std::int64_t step,
                         std::uint8_t* target) {
    for (std::int64_t i = 0; i < count; ++i) target[i * step] = line[i];
  };
  parallel_for(
      batch * chunks, 1,
      [&](std::int64_t begin, std::int64_t end) {
        std::uint8_t line[kChunk];
        for (std::int64_t unit = begin; unit < end; ++unit) {
          const std::int64_t n = unit / chunks;
          const std::int64_t p0 = unit % chunks * kChunk;
          const std::int64_t width = std::min(kChunk, plane - p0);
          for (std::int64_t c = 0; c < channels; ++c) {
            quantize_line(QuantizeLine(params), x + (n * channels + c) * plane + p0, width, line);
            spread(line, width, channels, y + (n * plane + p0) * channels + c);
          }
        }
      },
      threads);
}

void dequantize_flat(const QuantParams& params, std::int64_t count, const std::uint8_t* x, float* y,
                     int threads) {
  const float scale = params.scale();
  const std::int32_t zero_point = params.zero_point();
  parallel_for(
      count, 4096,
      [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) y[i] = octavo::dequantize(x[i], scale, zero_point);
      },
      threads);
}

// NOLINTEND(llvm-header-guard)
