// Kernels of what transformers add, the same for every instruction set; see loops.h.
// NOLINTBEGIN(llvm-header-guard) No include guard on purpose.

/// sum_of_parts()
inline float sum_of_lanes(const Lanes& lanes) {
  alignas(64) float left[kPartialSums];
  lanes.store(left);
  for (std::int64_t half = kPartialSums / 2; half > 0; half /= 2) {
    for (std::int64_t j = 0; j < half; ++j) left[j] += left[j + half];
  }
  return left[0];
}

/// As the reference has it.
[[gnu::always_inline]] inline Lanes exponential_of(Lanes x) {
  using namespace exponential;
  x = Lanes::larger(x, Lanes::all(kLowest));
  const Lanes n = (x * Lanes::all(kLog2E)).rounded();
  Lanes r = Lanes::fused(n, Lanes::all(-kLn2High), x);
  r = Lanes::fused(n, Lanes::all(-kLn2Low), r);
  Lanes series = Lanes::all(kSeries[0]);
  for (std::size_t i = 1; i < std::size(kSeries); ++i)
    series = Lanes::fused(series, r, Lanes::all(kSeries[i]));
  series = Lanes::fused(series, r, Lanes::all(1.0F));
  return series * n.power_of_two();
}

/// Rows of float32 in whole Lanes, those behind the last number filled with something.
class RowReader {
 public:
  static constexpr std::int64_t padded(std::int64_t length) {
    return (length + kPartialSums - 1) / kPartialSums * kPartialSums;
  }

  RowReader(const IntegerRows& rows, const void* x)
      : length_(rows.length),
        is_float_(rows.input_is_float),
        scale_(rows.x_scale),
        zero_point_(static_cast<float>(rows.x_zero_point)),
        x_(x) {}

  /// In `held`, which has room for whole Lanes.
  void read(std::int64_t index, float fill, float* held) const {
    if (is_float_) {
      std::memcpy(held, static_cast<const float*>(x_) + index * length_,
                  static_cast<std::size_t>(length_) * sizeof(float));
    } else {
      // What is read behind the row is another row, or kReadSlack.
      const std::uint8_t* bytes = static_cast<const std::uint8_t*>(x_) + index * length_;
      const Lanes scale = Lanes::all(scale_);
      const Lanes zero_point = Lanes::all(zero_point_);
      for (std::int64_t i = 0; i < length_; i += kPartialSums)
        ((Lanes::load(bytes + i) - zero_point) * scale).store(held + i);
    }
    for (std::int64_t i = length_; i < padded(length_); ++i) held[i] = fill;
  }

 private:
  std::int64_t length_;
  bool is_float_;
  float scale_, zero_point_;
  const void* x_;
};

/// Calls body(row, memory for it in float32) in parallel.
template <typename Body>
void for_each_row(std::int64_t rows, std::int64_t length, int threads, const Body& body) {
  const std::int64_t grain = std::max<std::int64_t>(1, 4096 / length);
  const auto bytes = static_cast<std::size_t>(RowReader::padded(length)) * sizeof(float);
  parallel_for(
      rows, grain,
      [&](std::int64_t begin, std::int64_t end) {
        auto* const held = reinterpret_cast<float*>(int8_scratch(Int8Scratch::kLines, bytes));
        for (std::int64_t row = begin; row < end; ++row) body(row, held);
      },
      threads);
}

/// Rounds numbers(i), Lanes of the row from i on, to y.
template <typename Numbers>
[[gnu::always_inline]] inline void store_row(std::int64_t length, const RowRange& range, std::uint8_t* y,
                                             const Numbers& numbers) {
  std::int64_t i = 0;
  for (; i + kPartialSums <= length; i += kPartialSums) numbers(i).store(range, y + i);
  if (i == length) return;
  std::uint8_t last[kPartialSums];
  numbers(i).store(range, last);
  for (std::int64_t j = 0; i + j < length; ++j) y[i + j] = last[j];
}

void run_layer_norm(const IntegerLayerNorm& p, std::int64_t rows, const void* x, std::uint8_t* y,
                    int threads) {
  const std::int64_t length = p.rows.length;
  const std::int64_t padded = RowReader::padded(length);
  const float share = 1.0F / static_cast<float>(length);
  const RowReader reader(p.rows, x);
  const RowRange range(p.rows);
  const float* const scale = p.scale.data();
  const float* const bias = p.bias.data();
  const float epsilon = p.epsilon;
  const Lanes y_scale = Lanes::all(p.rows.y_scale);
  for_each_row(rows, length, threads, [=](std::int64_t index, float* held) {
    reader.read(index, 0.0F, held);
    Lanes sum = Lanes::all(0.0F);
    for (std::int64_t i = 0; i < padded; i += kPartialSums) sum = sum + Lanes::load(held + i);
    const Lanes mean = Lanes::all(sum_of_lanes(sum) * share);
    for (std::int64_t i = 0; i < padded; i += kPartialSums) (Lanes::load(held + i) - mean).store(held + i);
    for (std::int64_t i = length; i < padded; ++i) held[i] = 0.0F;
    Lanes squares = Lanes::all(0.0F);
    for (std::int64_t i = 0; i < padded; i += kPartialSums) {
      const Lanes centred = Lanes::load(held + i);
      squares = Lanes::fused(centred, centred, squares);
    }
    const Lanes factor = Lanes::all(1.0F / __builtin_sqrtf(sum_of_lanes(squares) * share + epsilon));
    store_row(length, range, y + index * length, [&](std::int64_t i) {
      return Lanes::fused(Lanes::load(held + i) * factor, Lanes::load(scale + i), Lanes::load(bias + i)) /
             y_scale;
    });
  });
}

/// Makes of a row of numbers, filled with one of its own, a row of probabilities, rounded.
[[gnu::always_inline]] inline void softmax_row(float* row, std::int64_t length, float y_scale,
                                               const RowRange& range, std::uint8_t* y) {
  const std::int64_t padded = RowReader::padded(length);
  Lanes largest = Lanes::load(row);
  for (std::int64_t i = kPartialSums; i < padded; i += kPartialSums)
    largest = Lanes::larger(largest, Lanes::load(row + i));
  alignas(64) float each[kPartialSums];
  largest.store(each);
  float most = each[0];
  for (const float one : each) most = one > most ? one : most;
  const Lanes top = Lanes::all(most);
  for (std::int64_t i = 0; i < padded; i += kPartialSums)
    exponential_of(Lanes::load(row + i) - top).store(row + i);
  for (std::int64_t i = length; i < padded; ++i) row[i] = 0.0F;
  Lanes sum = Lanes::all(0.0F);
  for (std::int64_t i = 0; i < padded; i += kPartialSums) sum = sum + Lanes::load(row + i);
  const Lanes factor = Lanes::all(1.0F / sum_of_lanes(sum) / y_scale);
  store_row(length, range, y, [&](std::int64_t i) { return Lanes::load(row + i) * factor; });
}

void run_softmax(const IntegerRows& p, std::int64_t rows, const void* x, std::uint8_t* y, int threads) {
  const std::int64_t length = p.length;
  const RowReader reader(p, x);
  const RowRange range(p);
  const float y_scale = p.y_scale;
  for_each_row(rows, length, threads, [=](std::int64_t index, float* held) {
    reader.read(index, -__builtin_inff(), held);
    softmax_row(held, length, y_scale, range, y + index * length);
  });
}

/// The first operand's rows, less its zero point.
inline void centre_row(const std::uint8_t* source, std::int64_t step, std::int64_t count,
                       std::int16_t zero_point, std::int16_t* __restrict target) {
  if (step == 1) {
    for (std::int64_t i = 0; i < count; ++i) target[i] = static_cast<std::int16_t>(source[i] - zero_point);
  } else {
    for (std::int64_t i = 0; i < count; ++i)
      target[i] = static_cast<std::int16_t>(source[i * step] - zero_point);
  }
}

/// One panel of the second operand, less its zero point, in pairs of k: packed_offset().
inline void centre_panel(const Int8Product& p, const std::uint8_t* b, std::int64_t first, std::int64_t steps,
                         std::int16_t* __restrict panel) {
  constexpr std::int64_t kPanel = Int8Conv::kPanel;
  const std::int64_t k = p.sums.k;
  const auto zero_point = static_cast<std::int16_t>(p.sums.b_zero_point);
  const std::int64_t width = std::min(kPanel, p.sums.p - first);
  const std::int64_t k_step = p.b_strides[0];
  const std::int64_t column_step = p.b_strides[1];
  const std::uint8_t* source = b + first * column_step;
  const auto put = [&](std::int64_t j, std::int64_t i, std::uint8_t q) {
    panel[((i / 2) * kPanel + j) * 2 + i % 2] = static_cast<std::int16_t>(q - zero_point);
  };
  if (width < kPanel || k % 2 != 0 || steps * 2 > k) std::fill_n(panel, steps * kPanel * 2, std::int16_t{0});
  if (column_step == 1 && width == kPanel) {
    for (std::int64_t i = 0; i + 1 < k; i += 2) {
      const std::uint8_t* even = source + i * k_step;
      const std::uint8_t* odd = even + k_step;
      std::int16_t* row = panel + i * kPanel;
      for (std::int64_t j = 0; j < kPanel; ++j) {
        row[2 * j] = static_cast<std::int16_t>(even[j] - zero_point);
        row[2 * j + 1] = static_cast<std::int16_t>(odd[j] - zero_point);
      }
    }
    for (std::int64_t j = 0; k % 2 != 0 && j < kPanel; ++j) put(j, k - 1, source[(k - 1) * k_step + j]);
    return;
  }
  for (std::int64_t j = 0; j < width; ++j) {
    const std::uint8_t* const column = source + j * column_step;
    for (std::int64_t i = 0; i + 1 < k; i += 2) {  // A pair is one store.
      const auto even = static_cast<std::uint16_t>(column[i * k_step] - zero_point);
      const auto odd = static_cast<std::uint16_t>(column[(i + 1) * k_step] - zero_point);
      const std::uint32_t pair = even | static_cast<std::uint32_t>(odd) << 16U;
      std::memcpy(panel + (i / 2 * kPanel + j) * 2, &pair, sizeof(pair));
    }
    if (k % 2 != 0) put(j, k - 1, column[(k - 1) * k_step]);
  }
}

/// Matrices are multiplied one after the other, in chunks of rows: the second operand is packed once for all
/// chunks that a thread has of it.
template <RowKernels Kernel>
void run_product(const Int8Product& p, std::int64_t matrices, const std::uint8_t* a, const std::uint8_t* b,
                 void* y, int threads) {
  static_assert(std::is_same_v<typename Kernel::Activation, std::int16_t> &&
                std::is_same_v<typename Kernel::Weight, std::int16_t> && Kernel::kDepth == 2 &&
                !Kernel::kCrossed);
  constexpr std::int64_t kPanel = Int8Conv::kPanel;
  constexpr std::int64_t kChunk = Kernel::kRows * 16;
  const std::int64_t m = p.sums.m;
  const std::int64_t k = p.sums.k;
  const std::int64_t steps = packed_steps(k, 2);
  const std::int64_t stride = (steps * 2 + 15) / 16 * 16 + 16;
  const std::int64_t panels = (p.sums.p + kPanel - 1) / kPanel;
  const std::int64_t chunks = (m + kChunk - 1) / kChunk;
  const auto a_zero_point = static_cast<std::int16_t>(p.sums.a_zero_point);
  parallel_for(
      matrices * chunks, 1,
      [&](std::int64_t begin, std::int64_t end) {
        const auto words = [](Int8Scratch use, std::int64_t count) {
          return reinterpret_cast<std::int16_t*>(int8_scratch(use, static_cast<std::size_t>(count) * 2));
        };
        std::int16_t* const rows = words(Int8Scratch::kRowsOfWords, kChunk * stride + 32);
        std::int16_t* const packed = words(Int8Scratch::kTiles, panels * steps * 2 * kPanel);
        std::int64_t held = -1;
        for (std::int64_t unit = begin; unit < end; ++unit) {
          const std::int64_t matrix = unit / chunks;
          const std::int64_t first = unit % chunks * kChunk;
          const std::int64_t count = std::min(kChunk, m - first);
          const auto [a_at, b_at] = p.matrix(matrix);
          if (held != matrix) {
            for (std::int64_t panel = 0; panel < panels; ++panel)
              centre_panel(p, b + b_at, panel * kPanel, steps, packed + panel * steps * 2 * kPanel);
            held = matrix;
          }
          for (std::int64_t r = 0; r < count; ++r) {
            centre_row(a + a_at + (first + r) * p.a_strides[0], p.a_strides[1], k, a_zero_point,
                       rows + r * stride);
            std::fill_n(rows + r * stride + k, steps * 2 - k, std::int16_t{0});
          }
          for (std::int64_t panel = 0; panel < panels; ++panel) {
            PanelOfRows<Kernel> part;
            part.a = rows;
            part.stride = stride;
            part.steps = steps;
            part.b = packed + panel * steps * 2 * kPanel;
            part.rows = count;
            part.out = {&p.epilogue, panel, std::min(kPanel, p.sums.p - panel * kPanel), nullptr, y};
            part.offset = (matrix * m + first) * p.sums.p + panel * kPanel;
            Kernel::run(part);
          }
        }
      },
      threads);
}

/// What a set of kernels (kernel_set.h) has from here, from loops.h and from elementwise_loops.h; its own
/// functions hide these.
struct SharedKernels {
  static constexpr auto* max_pool = run_max_pool;
  static constexpr auto* average_pool = run_average_pool;
  static constexpr auto* binary = run_binary;
  static constexpr auto* affine = run_affine;
  static constexpr auto* map = run_map;
  static constexpr auto* quantize = quantize_nchw;
  static constexpr auto* dequantize = dequantize_flat;
  static constexpr auto* layer_norm = run_layer_norm;
  static constexpr auto* softmax = run_softmax;
};
// NOLINTEND(llvm-header-guard)
