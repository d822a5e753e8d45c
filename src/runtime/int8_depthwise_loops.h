// Depthwise convolution, the same for every instruction set; see int8_loops.h.
// NOLINTBEGIN(llvm-header-guard) No include guard on purpose.

/// One filter a channel: 16 channels of one output pixel at a time, over pairs of taps.
/// `Isa::depthwise(taps, pairs, channel, weights, sums)` makes their 16 int32 sums; taps outside the image
/// point to a pixel of zero points.
template <typename Isa>
void run_depthwise(const Int8Conv& conv, std::int64_t batch, const std::uint8_t* x,
                   const std::uint8_t* residual, void* y, int threads) {
  const auto& w = conv.window;
  const std::int64_t channels = conv.c_out;
  const std::int64_t taps = w.kernel[0] * w.kernel[1];
  const std::int64_t pairs = (taps + 1) / 2;
  const std::vector<std::uint8_t> padding(static_cast<std::size_t>(channels) + kReadSlack,
                                          static_cast<std::uint8_t>(conv.x_zero_point));
  parallel_for(
      batch * conv.out_h, 1,
      [&](std::int64_t begin, std::int64_t end) {
        std::vector<const std::uint8_t*> at(static_cast<std::size_t>(2 * pairs), padding.data());
        alignas(64) std::int32_t sums[Int8Conv::kPanel];
        for (std::int64_t line = begin; line < end; ++line) {
          const std::uint8_t* image = x + line / conv.out_h * (conv.in_h * conv.in_w * channels);
          const std::int64_t top = line % conv.out_h * w.strides[0] - w.pads[0];
          for (std::int64_t ox = 0; ox < conv.out_w; ++ox) {
            const std::int64_t left = ox * w.strides[1] - w.pads[1];
            auto tap = at.begin();
            for (std::int64_t ky = 0; ky < w.kernel[0]; ++ky) {
              const std::int64_t iy = top + ky * w.dilations[0];
              const bool row_inside = iy >= 0 && iy < conv.in_h;
              for (std::int64_t kx = 0; kx < w.kernel[1]; ++kx, ++tap) {
                const std::int64_t ix = left + kx * w.dilations[1];
                const bool inside = row_inside && ix >= 0 && ix < conv.in_w;
                *tap = inside ? image + (iy * conv.in_w + ix) * channels : padding.data();
              }
            }
            const std::int64_t pixel = line * conv.out_w + ox;
            const std::int16_t* weights = conv.weights.data();
            for (std::int64_t panel = 0; panel * Int8Conv::kPanel < channels; ++panel) {
              const std::int64_t channel = panel * Int8Conv::kPanel;
              Isa::depthwise(at.data(), pairs, channel, weights, sums);
              weights += pairs * 2 * Int8Conv::kPanel;
              Isa::finish(conv, panel, sums, std::min(Int8Conv::kPanel, channels - channel), residual, y,
                          pixel * channels + channel);
            }
          }
        }
      },
      threads);
}
// NOLINTEND(llvm-header-guard)
