// Depthwise convolution, the same for every instruction set; see int8_loops.h.
// NOLINTBEGIN(llvm-header-guard) No include guard on purpose.

/// Where the taps of each output pixel of a line lie; those outside the image at a pixel of zero points.
/// `at` holds an even number of taps a pixel.
inline void find_taps(const Int8Conv& conv, const std::uint8_t* image, std::int64_t oy,
                      const std::uint8_t* padding, std::vector<const std::uint8_t*>& at) {
  const auto& w = conv.window;
  const std::int64_t taps = w.kernel[0] * w.kernel[1];
  const std::int64_t top = oy * w.strides[0] - w.pads[0];
  auto tap = at.begin();
  for (std::int64_t ox = 0; ox < conv.out_w; ++ox) {
    const std::int64_t left = ox * w.strides[1] - w.pads[1];
    for (std::int64_t ky = 0; ky < w.kernel[0]; ++ky) {
      const std::int64_t iy = top + ky * w.dilations[0];
      const bool row_inside = iy >= 0 && iy < conv.in_h;
      for (std::int64_t kx = 0; kx < w.kernel[1]; ++kx, ++tap) {
        const std::int64_t ix = left + kx * w.dilations[1];
        const bool inside = row_inside && ix >= 0 && ix < conv.in_w;
        *tap = inside ? image + (iy * conv.in_w + ix) * conv.c_in : padding;
      }
    }
    if (taps % 2 != 0) *tap++ = padding;
  }
}

/// One filter a channel: 16 channels of a few output pixels at a time, over pairs of taps.
/// `Isa::depthwise(taps, pairs, channel, weights, pixels, sums)` makes their int32 sums.
template <typename Isa>
void run_depthwise(const Int8Conv& conv, std::int64_t batch, const std::uint8_t* x,
                   const std::uint8_t* residual, void* y, int threads) {
  constexpr std::int64_t kPixels = 16;
  const std::int64_t channels = conv.c_out;
  const std::int64_t pairs = (conv.window.kernel[0] * conv.window.kernel[1] + 1) / 2;
  const std::vector<std::uint8_t> padding(static_cast<std::size_t>(channels) + kReadSlack,
                                          static_cast<std::uint8_t>(conv.x_zero_point));
  parallel_for(
      batch * conv.out_h, 1,
      [&](std::int64_t begin, std::int64_t end) {
        std::vector<const std::uint8_t*> at(static_cast<std::size_t>(2 * pairs * conv.out_w));
        alignas(64) std::int32_t sums[kPixels * Int8Conv::kPanel];
        for (std::int64_t line = begin; line < end; ++line) {
          const std::uint8_t* image = x + line / conv.out_h * (conv.in_h * conv.in_w * channels);
          find_taps(conv, image, line % conv.out_h, padding.data(), at);
          const std::int16_t* weights = conv.weights.data();
          for (std::int64_t panel = 0; panel * Int8Conv::kPanel < channels; ++panel) {
            const std::int64_t channel = panel * Int8Conv::kPanel;
            const std::int64_t width = std::min(Int8Conv::kPanel, channels - channel);
            for (std::int64_t ox = 0; ox < conv.out_w; ox += kPixels) {
              const std::int64_t pixels = std::min(kPixels, conv.out_w - ox);
              Isa::depthwise(at.data() + ox * 2 * pairs, pairs, channel, weights, pixels, sums);
              Isa::finish(conv, panel, sums, Int8Conv::kPanel, pixels, width, residual, y,
                          (line * conv.out_w + ox) * channels + channel);
            }
            weights += pairs * 2 * Int8Conv::kPanel;
          }
        }
      },
      threads);
}
// NOLINTEND(llvm-header-guard)
