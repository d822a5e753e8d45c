/// Cutting a batch of maps into tiles, and the transform of the input that forward and the gradient of the
/// weights share. Included only by files compiled for AVX2.
#pragma once

#include <algorithm>
#include <cstdint>

#include "conv3x3_impl.h"
#include "gemm_avx2.h"
#include "winograd_avx2.h"

namespace octavo::kernels::avx2::winograd {

static inline std::int64_t round_up(std::int64_t value, std::int64_t unit) {
  return (value + unit - 1) / unit * unit;
}

/// Distance between the 36 planes of a block: an odd number of cache lines, lest all planes share a few cache
/// sets.
static inline std::int64_t plane_stride(std::int64_t floats) { return (round_up(floats, 16) / 16 | 1) * 16; }

namespace {

struct Tiles {
  explicit Tiles(const Conv3x3Shape& s)
      : h(s.h),
        w(s.w),
        across((s.w + kTileOut - 1) / kTileOut),
        per_image((s.h + kTileOut - 1) / kTileOut * across),
        total(s.n * per_image) {}
  std::int64_t h, w, across, per_image, total;

  /// First output pixel of a tile.
  struct Place {
    std::int64_t image, y, x;
  };
  Place place(std::int64_t t) const {
    const std::int64_t in_image = t % per_image;
    return {t / per_image, in_image / across * kTileOut, in_image % across * kTileOut};
  }
};

}  // namespace

/// Pointers to the S x S pixels of `channels` floats from (y, x) of an image on; outside the map, to zeros.
template <int S>
static inline void window(const Tiles& tiles, const float* map, std::int64_t channels, const float* zero,
                          std::int64_t image, std::int64_t y, std::int64_t x, const float** pixels) {
  for (int i = 0; i < S; ++i)
    for (int j = 0; j < S; ++j) {
      const bool inside = y + i >= 0 && y + i < tiles.h && x + j >= 0 && x + j < tiles.w;
      pixels[i * S + j] = inside ? map + ((image * tiles.h + y + i) * tiles.w + x + j) * channels : zero;
    }
}

/// B^T d B of one tile, for every channel: plane p of `v` gets channel c at v[p * plane + c]. Pads with zeros
/// to a multiple of 8 channels.
static inline void input_tile(const Tiles& tiles, const float* x, std::int64_t channels, const float* zero,
                              std::int64_t tile, float* v, std::int64_t plane) {
  const auto at = tiles.place(tile);
  const float* pixels[kPoints];
  window<kTileIn>(tiles, x, channels, zero, at.image, at.y - 1, at.x - 1, pixels);
  const auto eight = [&](std::int64_t c, auto load) {
    __m256 d[kPoints];
    __m256 out[kPoints];
#pragma GCC unroll 36
    for (int p = 0; p < kPoints; ++p) d[p] = load(pixels[p] + c);
    transform_2d<kTileIn, kTileIn>(d, out, [](const __m256* in, __m256* to) { transform_input(in, to); });
#pragma GCC unroll 36
    for (int p = 0; p < kPoints; ++p) _mm256_store_ps(v + p * plane + c, out[p]);
  };
  std::int64_t c = 0;
  for (; c + 8 <= channels; c += 8) eight(c, [](const float* from) { return _mm256_loadu_ps(from); });
  if (c == channels) return;
  const __m256i mask = lane_mask(channels - c);
  eight(c, [mask](const float* from) { return _mm256_maskload_ps(from, mask); });
}

}  // namespace octavo::kernels::avx2::winograd
