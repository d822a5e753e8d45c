// The parts of the integer kernels that are the same for every instruction set. Each kernel file includes
// this in its own anonymous namespace and is compiled for its own set, so the compiler vectorizes these loops
// for it. NOLINTBEGIN(llvm-header-guard) No include guard on purpose: see above.

/// True if the input's pixels are the rows as they lie.
inline bool pointwise(const Int8Conv& conv) {
  const auto& w = conv.window;
  const bool one = w.kernel[0] * w.kernel[1] * w.group * w.strides[0] * w.strides[1] == 1;
  return one && !conv.pool2x2 && conv.out_h == conv.in_h && conv.out_w == conv.in_w;
}

/// The input under windows, k numbers each, padding written out. Numbers and not references: what is stored
/// may alias anything.
template <typename Kernel>
class WindowReader {
 public:
  using Activation = typename Kernel::Activation;

  WindowReader(const Int8Conv& conv, std::int64_t group)
      : rows_(conv.window.kernel[0]),
        columns_(conv.window.kernel[1]),
        stride_y_(conv.window.strides[0]),
        stride_x_(conv.window.strides[1]),
        dilation_y_(conv.window.dilations[0]),
        dilation_x_(conv.window.dilations[1]),
        top_(conv.window.pads[0]),
        left_(conv.window.pads[1]),
        in_h_(conv.in_h),
        in_w_(conv.in_w),
        pixel_(conv.c_in),
        channels_(conv.c_in / conv.window.group),
        first_(group * channels_),
        contiguous_(dilation_x_ == 1 && conv.window.group == 1),
        padding_(static_cast<Activation>(conv.x_zero_point)) {}

  void read(const std::uint8_t* image, std::int64_t oy, std::int64_t ox, Activation* target) const {
    const std::int64_t x0 = ox * stride_x_ - left_;
    const std::int64_t size = columns_ * channels_;
    // Taps beside each other are beside each other in memory too: copy a whole row of the window at once.
    const bool inside = contiguous_ && x0 >= 0 && x0 + columns_ <= in_w_;
    for (std::int64_t ky = 0; ky < rows_; ++ky, target += size) {
      const std::int64_t iy = oy * stride_y_ - top_ + ky * dilation_y_;
      if (iy < 0 || iy >= in_h_) {
        std::fill_n(target, size, padding_);
        continue;
      }
      const std::uint8_t* line = image + iy * in_w_ * pixel_ + first_;
      if (inside) {
        Kernel::widen(target, line + x0 * pixel_, size);
      } else {
        read_taps(line, x0, target);
      }
    }
  }

 private:
  void read_taps(const std::uint8_t* line, std::int64_t x0, Activation* target) const {
    for (std::int64_t kx = 0; kx < columns_; ++kx, target += channels_) {
      const std::int64_t ix = x0 + kx * dilation_x_;
      if (ix < 0 || ix >= in_w_) {
        std::fill_n(target, channels_, padding_);
      } else {
        Kernel::widen(target, line + ix * pixel_, channels_);
      }
    }
  }

  std::int64_t rows_, columns_, stride_y_, stride_x_, dilation_y_, dilation_x_, top_, left_, in_h_, in_w_;
  std::int64_t pixel_, channels_, first_;
  bool contiguous_;
  Activation padding_;
};

/// Rows of the convolution seen as a matrix product: one row per output pixel, k columns. With pooling the
/// four pixels of a window are four consecutive rows, and rows come by whole windows. `Kernel::widen(dst,
/// src, n)` copies n bytes as Activation and may write up to 15 elements and read 15 bytes too far.
template <typename Kernel>
void pack_rows(const Int8Conv& conv, std::int64_t group, const std::uint8_t* x, std::int64_t first_row,
               std::int64_t rows, typename Kernel::Activation* packed, std::int64_t stride) {
  const std::int64_t channels = conv.c_in;
  if (pointwise(conv)) {
    for (std::int64_t r = 0; r < rows; ++r)
      Kernel::widen(packed + r * stride, x + (first_row + r) * channels, channels);
    return;
  }
  const WindowReader<Kernel> reader(conv, group);
  const std::int64_t side = conv.pool2x2 ? 2 : 1;
  const std::int64_t w = conv.out_w / side;
  const std::int64_t h = conv.out_h / side;
  const std::int64_t image_size = conv.in_h * conv.in_w * channels;
  std::int64_t at = first_row / (side * side);  // In units of one or four rows.
  std::int64_t ox = at % w;
  std::int64_t oy = at / w % h;
  const std::uint8_t* image = x + at / w / h * image_size;
  for (const std::int64_t end = at + rows / (side * side); at < end; ++at) {
    for (std::int64_t dy = 0; dy < side; ++dy) {
      for (std::int64_t dx = 0; dx < side; ++dx, packed += stride)
        reader.read(image, oy * side + dy, ox * side + dx, packed);
    }
    if (++ox < w) continue;
    ox = 0;
    if (++oy < h) continue;
    oy = 0;
    image += image_size;
  }
}

/// For each of 16 channels the largest of four sums; `target` may be one of them.
inline void max_of_four(const std::int32_t* a, const std::int32_t* b, const std::int32_t* c,
                        const std::int32_t* d, std::int32_t* target) {
  for (std::int64_t j = 0; j < Int8Conv::kPanel; ++j)
    target[j] = std::max(std::max(a[j], b[j]), std::max(c[j], d[j]));
}

/// Where the sums of one panel of weights go.
struct PanelOutput {
  const Int8Conv* conv = nullptr;
  std::int64_t index = 0, width = 0;    ///< The panel and how many of its channels matter.
  const std::uint8_t* other = nullptr;  ///< The addition's other operand.
  void* y = nullptr;

  const float* bias() const { return conv->bias.data() + index * Int8Conv::kPanel; }
  const float* multiplier() const { return conv->multiplier.data() + index * Int8Conv::kPanel; }
};

/// Stores rows of outputs one channel at a time: the contract as it is written.
struct ScalarFinish {
  PanelOutput out;

  /// `rows` pixels beside each other from `offset` of y on, their sums `sum_stride` apart.
  void operator()(const std::int32_t* sums, std::int64_t sum_stride, std::int64_t rows,
                  std::int64_t offset) const {
    for (std::int64_t r = 0; r < rows; ++r) row(sums + r * sum_stride, offset + r * out.conv->c_out);
  }

  void row(const std::int32_t* sums, std::int64_t offset) const {
    const Int8Conv& conv = *out.conv;
    for (std::int64_t j = 0; j < out.width; ++j) {
      const float value = (static_cast<float>(sums[j]) + out.bias()[j]) * out.multiplier()[j];
      if (conv.output_is_float) {
        static_cast<float*>(out.y)[offset + j] = std::min(std::max(value, conv.float_min), conv.float_max);
        continue;
      }
      std::int32_t q = requantize(value, conv.y_zero_point, conv.y_min, conv.y_max);
      if (conv.addition) {
        const IntegerBinary& sum = conv.addition->sum;
        const std::int32_t a = conv.addition->conv_is_first ? q : out.other[offset + j];
        const std::int32_t b = conv.addition->conv_is_first ? out.other[offset + j] : q;
        q = requantize(quantized_sum(a, sum.a_multiplier, b, sum.b_multiplier, sum.offset), 0, sum.y_min,
                       sum.y_max);
      }
      static_cast<std::uint8_t*>(out.y)[offset + j] = static_cast<std::uint8_t>(q);
    }
  }
};

/// A block of packed rows against one panel of weights.
template <typename Kernel>
struct PanelOfRows {
  const typename Kernel::Activation* a = nullptr;
  std::int64_t stride = 0, steps = 0;
  const std::int32_t* row_terms = nullptr;  ///< Of crossed products alone.
  const typename Kernel::Weight* b = nullptr;
  std::int64_t rows = 0;  ///< Whole pooling windows.
  PanelOutput out;
  std::int64_t offset = 0;  ///< Where in y the first row's outputs belong.

  /// What is left of it behind the first `done` rows. Without pooling.
  PanelOfRows behind(std::int64_t done, std::int64_t row_size) const {
    PanelOfRows rest = *this;
    rest.a += done * stride;
    if (rest.row_terms != nullptr) rest.row_terms += done;
    rest.rows -= done;
    rest.offset += done * row_size;
    return rest;
  }
};

/// Runs it by way of sums in memory: `Kernel::sum` makes those of some rows, 16 a row, of which the first
/// `width` matter; `Kernel::with_finish` hands over what stores rows of outputs, as ScalarFinish does.
template <typename Kernel>
void run_panel(const PanelOfRows<Kernel>& panel) {
  const Int8Conv& conv = *panel.out.conv;
  constexpr std::int64_t kPanel = Int8Conv::kPanel;
  constexpr std::int64_t kGroup = Kernel::kRows * 4;  // Whole pooling windows, whole tiles.
  const std::int64_t window = conv.pool2x2 ? 4 : 1;
  alignas(64) std::int32_t sums[kGroup * kPanel];
  Kernel::with_finish(panel.out, [&](const auto& finish) {
    for (std::int64_t r = 0; r < panel.rows; r += kGroup) {
      const std::int64_t height = std::min(kGroup, panel.rows - r);
      Kernel::sum(panel, r, height, sums);
      for (std::int64_t i = 0; conv.pool2x2 && i < height; i += window) {
        std::int32_t* top = sums + i * kPanel;
        max_of_four(top, top + kPanel, top + 2 * kPanel, top + 3 * kPanel, top);
      }
      finish(sums, window * kPanel, height / window, panel.offset + r / window * conv.c_out);
    }
  });
}

/// How an instruction set multiplies a block of rows by a panel of weights: what its numbers are, how many of
/// k a step takes, how many rows a tile has, whether products are crossed (then also what they take off a
/// row), the copy that pack_rows() needs, and what run_panel() needs.
template <typename Kernel>
concept RowKernels = requires(const PanelOfRows<Kernel>& panel, std::int64_t row, std::int32_t* sums,
                              typename Kernel::Activation* packed, const std::uint8_t* bytes) {
  requires sizeof(typename Kernel::Weight) <= sizeof(std::int16_t);
  { Kernel::kDepth } -> std::convertible_to<std::int64_t>;
  { Kernel::kRows } -> std::convertible_to<std::int64_t>;
  { Kernel::kCrossed } -> std::convertible_to<bool>;
  requires !Kernel::kCrossed || requires { Kernel::row_terms(packed, row, row, row, sums); };
  Kernel::widen(packed, bytes, row);
  Kernel::run(panel);
  Kernel::sum(panel, row, row, sums);
  Kernel::with_finish(panel.out, ScalarFinish{panel.out});
};

/// Runs the convolution as a matrix product in blocks: pack a block of rows, then every panel of output
/// channels over it, each step of a tile taking kDepth of k.
template <RowKernels Kernel>
void run_conv(const Int8Conv& conv, std::int64_t batch, const std::uint8_t* x, const std::uint8_t* other,
              void* y, int threads) {
  using Activation = typename Kernel::Activation;
  using Weight = typename Kernel::Weight;
  constexpr std::int64_t kDepth = Kernel::kDepth;
  constexpr std::int64_t kPanel = Int8Conv::kPanel;
  constexpr std::int64_t kGroup = Kernel::kRows * 4;
  const std::int64_t window = conv.pool2x2 ? 4 : 1;
  const std::int64_t rows =
      conv.pool2x2 ? batch * (conv.out_h / 2) * (conv.out_w / 2) * 4 : batch * conv.out_h * conv.out_w;
  const std::int64_t steps = packed_steps(conv.k, kDepth);
  // Rows of bytes that lie in the input one after the other are read there.
  const bool in_place = sizeof(Activation) == 1 && pointwise(conv);
  const std::int64_t stride = in_place ? conv.c_in : (steps * kDepth + 15) / 16 * 16 + 16;
  // A block of packed rows takes part of the L2 cache and leaves room for a panel of weights. A second block
  // would read all weights again, so a few rows may take more.
  constexpr std::int64_t kBlockBytes = 160 * 1024;
  constexpr std::int64_t kMostBlockBytes = 256 * 1024;
  constexpr std::int64_t kMostRows = 576;
  const std::int64_t row_bytes = stride * static_cast<std::int64_t>(sizeof(Activation));
  const bool all_fit = rows <= kMostRows && rows * row_bytes <= kMostBlockBytes;
  const std::int64_t groups = all_fit ? (rows + kGroup - 1) / kGroup : kBlockBytes / row_bytes / kGroup;
  const std::int64_t most = std::clamp<std::int64_t>(groups, 1, kMostRows / kGroup) * kGroup;
  const std::int64_t out_group = conv.c_out / conv.window.group;
  // Whole pooling windows are whole quads of rows.
  const ProductPieces pieces(rows, window == 4 ? 4 * Kernel::kRows : Kernel::kRows, most,
                             conv.window.group * conv.panels, threads);

  const auto work = [&](PieceSource& source) {
    constexpr auto kUse = sizeof(Activation) == 1 ? Int8Scratch::kRowsOfBytes : Int8Scratch::kRowsOfWords;
    Activation* packed = nullptr;
    if (!in_place) {
      const auto bytes = static_cast<std::size_t>(most * stride + 32) * sizeof(Activation);
      packed = reinterpret_cast<Activation*>(int8_scratch(kUse, bytes));
    }
    [[maybe_unused]] std::int32_t row_terms[kMostRows];
    std::int64_t held_row = -1;
    std::int64_t held_group = -1;
    for (std::int64_t piece = 0; (piece = source.take()) >= 0;) {
      const std::int64_t first = pieces.first_row(piece);
      const std::int64_t count = pieces.end_row(piece) - first;
      for (std::int64_t index = pieces.first_panel(piece); index < pieces.end_panel(piece); ++index) {
        const std::int64_t group = index / conv.panels;
        const Activation* a = packed;
        if constexpr (sizeof(Activation) == 1) {
          if (in_place) a = x + first * stride;
        }
        if (held_row != first || held_group != group) {
          if (!in_place) pack_rows<Kernel>(conv, group, x, first, count, packed, stride);
          if constexpr (Kernel::kCrossed) Kernel::row_terms(a, stride, steps, count, row_terms);
          held_row = first;
          held_group = group;
        }
        const std::int64_t in_group = index % conv.panels * kPanel;
        PanelOfRows<Kernel> rows_of_panel;
        rows_of_panel.a = a;
        rows_of_panel.stride = stride;
        rows_of_panel.steps = steps;
        rows_of_panel.row_terms = row_terms;
        rows_of_panel.b = conv.weights.template data<Weight>() + index * steps * kDepth * kPanel;
        rows_of_panel.rows = count;
        rows_of_panel.out = {&conv, index, std::min(kPanel, out_group - in_group), other, y};
        rows_of_panel.offset = first / window * conv.c_out + group * out_group + in_group;
        Kernel::run(rows_of_panel);
      }
    }
  };
  parallel_pieces(pieces.count(), threads, work);
}

/// Calls body(n, oy, ox, first tap row, end, first tap column, end) for each output pixel; taps are clipped
/// to the image.
template <typename Body>
void for_each_window(const Int8Pool& pool, std::int64_t batch, int threads, const Body& body) {
  const auto& w = pool.parameters.window;
  parallel_for(
      batch * pool.out_h, 1,
      [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t line = begin; line < end; ++line) {
          const std::int64_t oy = line % pool.out_h;
          const std::int64_t top = oy * w.strides[0] - w.pads[0];
          for (std::int64_t ox = 0; ox < pool.out_w; ++ox) {
            const std::int64_t left = ox * w.strides[1] - w.pads[1];
            body(line / pool.out_h, oy, ox, top, left);
          }
        }
      },
      threads);
}

/// By value: GCC 12 does not vectorize std::max(), which is by reference.
template <std::int64_t Count>
void take_larger(std::uint8_t* __restrict best, const std::uint8_t* __restrict x) {
  for (std::int64_t i = 0; i < Count; ++i) best[i] = x[i] > best[i] ? x[i] : best[i];
}

void run_max_pool(const Int8Pool& pool, std::int64_t batch, const std::uint8_t* x, std::uint8_t* y,
                  int threads) {
  const auto& w = pool.parameters.window;
  const std::int64_t channels = pool.channels;
  constexpr std::int64_t kChunk = 64;
  static_assert(kChunk <= kReadSlack);
  for_each_window(pool, batch, threads, [&](auto n, auto oy, auto ox, auto top, auto left) {
    std::uint8_t* const target = y + ((n * pool.out_h + oy) * pool.out_w + ox) * channels;
    const auto end_y = std::min(top + w.kernel[0], pool.in_h);
    const auto end_x = std::min(left + w.kernel[1], pool.in_w);
    for (std::int64_t c0 = 0; c0 < channels; c0 += kChunk) {
      std::uint8_t best[kChunk] = {};
      for (auto iy = std::max<std::int64_t>(top, 0); iy < end_y; ++iy) {
        for (auto ix = std::max<std::int64_t>(left, 0); ix < end_x; ++ix) {
          const std::uint8_t* const source = x + ((n * pool.in_h + iy) * pool.in_w + ix) * channels + c0;
          take_larger<kChunk>(best, source);
        }
      }
      std::copy_n(best, std::min(kChunk, channels - c0), target + c0);
    }
  });
}

void run_average_pool(const Int8Pool& pool, std::int64_t batch, const std::uint8_t* x, void* y, int threads) {
  const IntegerAverage& p = pool.parameters;
  const auto& w = p.window;
  for_each_window(pool, batch, threads, [&](auto n, auto oy, auto ox, auto top, auto left) {
    const auto top_in = std::max<std::int64_t>(top, 0);
    const auto left_in = std::max<std::int64_t>(left, 0);
    const auto bottom_in = std::min(top + w.kernel[0], pool.in_h);
    const auto right_in = std::min(left + w.kernel[1], pool.in_w);
    const auto inside = static_cast<std::int32_t>((bottom_in - top_in) * (right_in - left_in));
    std::int32_t count = inside;
    if (w.count_include_pad) {
      const auto bottom = std::min(top + w.kernel[0], pool.in_h + w.pads[2]);
      const auto right = std::min(left + w.kernel[1], pool.in_w + w.pads[3]);
      count = static_cast<std::int32_t>((bottom - top) * (right - left));
    }
    constexpr std::int64_t kChunk = 256;
    for (std::int64_t c0 = 0; c0 < pool.channels; c0 += kChunk) {
      const std::int64_t width = std::min(kChunk, pool.channels - c0);
      const auto add = [&](auto* sums, const auto& term) {
        for (auto iy = top_in; iy < bottom_in; ++iy) {
          for (auto ix = left_in; ix < right_in; ++ix) {
            const std::uint8_t* source = x + ((n * pool.in_h + iy) * pool.in_w + ix) * pool.channels + c0;
            for (std::int64_t c = 0; c < width; ++c) sums[c] += term(source[c]);
          }
        }
      };
      const std::int64_t offset = ((n * pool.out_h + oy) * pool.out_w + ox) * pool.channels + c0;
      const auto store = [&](std::int32_t zero_point, const auto& mean) {
        for (std::int64_t c = 0; c < width; ++c) {
          if (p.output_is_float) {
            static_cast<float*>(y)[offset + c] = mean(c);
          } else {
            static_cast<std::uint8_t*>(y)[offset + c] =
                static_cast<std::uint8_t>(requantize(mean(c), zero_point, p.y_min, p.y_max));
          }
        }
      };
      if (p.global) {
        std::int32_t sums[kChunk] = {};
        add(sums, [](std::uint8_t q) { return static_cast<std::int32_t>(q); });
        store(p.y_zero_point, [&](std::int64_t c) {
          return global_average(sums[c] - inside * p.x_zero_point, count, p.x_scale, p.y_scale);
        });
      } else {
        float sums[kChunk] = {};
        add(sums, [&](std::uint8_t q) { return dequantize(q, p.x_scale, p.x_zero_point); });
        store(0, [&](std::int64_t c) { return window_average(sums[c], count, p.y_scale, p.y_zero_point); });
      }
    }
  });
}
// NOLINTEND(llvm-header-guard)
