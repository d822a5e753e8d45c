// Depthwise convolution, the same for every instruction set; see loops.h.
// NOLINTBEGIN(llvm-header-guard) No include guard on purpose.

/// Calls body(line, rows) for each line of outputs (of all images). rows[ky] is the row of the input that the
/// taps of row ky meet, padded with zero points: tap (ky, kx) of output column ox reads the channels of pixel
/// ox * stride + kx * dilation of rows[ky]. kReadSlack bytes behind a row may be read too.
template <typename Body>
void for_each_padded_line(const Int8Conv& conv, std::int64_t batch, const std::uint8_t* x, int threads,
                          const Body& body) {
  const auto& w = conv.window;
  const std::int64_t channels = conv.c_in;
  const std::int64_t width = (conv.out_w - 1) * w.strides[1] + (w.kernel[1] - 1) * w.dilations[1] + 1;
  const std::int64_t copied = std::min(conv.in_w, width - w.pads[1]) * channels;
  const std::int64_t row_bytes = width * channels + static_cast<std::int64_t>(kReadSlack);
  // A window's rows keep their slots while it moves down; behind them one row of padding.
  const std::int64_t slots = (w.kernel[0] - 1) * w.dilations[0] + 1;
  const std::int64_t lines = batch * conv.out_h;
  const std::int64_t pieces = std::min<std::int64_t>(lines, threads > 1 ? kPiecesOfThread * threads : 1);
  const auto work = [&](PieceSource& source) {
    const auto space = [](Int8Scratch use, std::int64_t count, std::size_t size) {
      return int8_scratch(use, static_cast<std::size_t>(count) * size);
    };
    auto* padded = reinterpret_cast<std::uint8_t*>(space(Int8Scratch::kLines, (slots + 1) * row_bytes, 1));
    // Which row of all images a slot holds.
    auto* held = reinterpret_cast<std::int64_t*>(space(Int8Scratch::kHeldLines, slots, sizeof(std::int64_t)));
    auto* rows = reinterpret_cast<const std::uint8_t**>(
        space(Int8Scratch::kLinePointers, w.kernel[0], sizeof(const std::uint8_t*)));
    std::fill_n(padded, (slots + 1) * row_bytes, static_cast<std::uint8_t>(conv.x_zero_point));
    std::fill_n(held, slots, std::int64_t{-1});
    for (std::int64_t piece = 0; (piece = source.take()) >= 0;) {
      for (std::int64_t line = lines * piece / pieces; line < lines * (piece + 1) / pieces; ++line) {
        for (std::int64_t ky = 0; ky < w.kernel[0]; ++ky) {
          const std::int64_t iy = line % conv.out_h * w.strides[0] - w.pads[0] + ky * w.dilations[0];
          const bool inside = iy >= 0 && iy < conv.in_h;
          const std::int64_t slot = inside ? iy % slots : slots;
          std::uint8_t* row = padded + slot * row_bytes;
          rows[ky] = row;
          const std::int64_t wanted = line / conv.out_h * conv.in_h + iy;
          if (!inside || held[slot] == wanted) continue;
          held[slot] = wanted;
          if (copied > 0) std::copy_n(x + wanted * conv.in_w * channels, copied, row + w.pads[1] * channels);
        }
        body(line, rows);
      }
    }
  };
  parallel_pieces(pieces, threads, work);
}
// NOLINTEND(llvm-header-guard)
