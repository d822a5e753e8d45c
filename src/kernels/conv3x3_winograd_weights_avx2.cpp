// The gradient of the weights through Winograd's F(4x4, 3x3). Forward is y = A^T [(G g G^T) * (B^T d B)] A,
// linear in g, so dg = G^T [sum over tiles of (A dy A^T) * (B^T d B)] G: 36 matrix products over tiles, then
// one small transform.
#include <algorithm>

#include "octavo/core/parallel.h"
#include "winograd_tiles_avx2.h"
#include "workspace.h"

namespace octavo::kernels::avx2::winograd {
namespace {

/// A dy A^T of one tile for 8 output channels, of which `valid` exist, to plane p at d[p * plane]. Returns
/// the sum of the tile, for the bias.
__m256 output_gradient_tile(const float* const* pixels, std::int64_t valid, float* d, std::int64_t plane) {
  __m256 dy[kTileOut * kTileOut];
  if (valid >= 8) {
#pragma GCC unroll 16
    for (int i = 0; i < kTileOut * kTileOut; ++i) dy[i] = _mm256_loadu_ps(pixels[i]);
  } else {
    const __m256i mask = lane_mask(valid);
    for (int i = 0; i < kTileOut * kTileOut; ++i) dy[i] = _mm256_maskload_ps(pixels[i], mask);
  }
  __m256 sum = dy[0];
#pragma GCC unroll 16
  for (int i = 1; i < kTileOut * kTileOut; ++i) sum = _mm256_add_ps(sum, dy[i]);
  __m256 out[kPoints];
  transform_2d<kTileOut, kTileIn>(dy, out,
                                  [](const __m256* in, __m256* to) { transform_output_gradient(in, to); });
#pragma GCC unroll 36
  for (int p = 0; p < kPoints; ++p) _mm256_store_ps(d + p * plane, out[p]);
  return sum;
}

/// G^T u G of the accumulated products u[panel][p][depth][16], stored as the weights lie.
void store_weight_gradient(const Conv3x3Shape& s, const float* u, std::int64_t depth, std::int64_t panels,
                           WeightStrides strides, float* dweight) {
  parallel_for(panels, 1, [&](std::int64_t begin, std::int64_t end) {
    alignas(32) float taps[9][8];
    for (std::int64_t o = begin * kPanel; o < std::min(end * kPanel, s.c_out); o += 8)
      for (std::int64_t i = 0; i < s.c_in; ++i) {
        const float* from = u + (o / kPanel * kPoints * depth + i) * kPanel + o % kPanel;
        __m256 in[kPoints];
        __m256 out[9];
#pragma GCC unroll 36
        for (int p = 0; p < kPoints; ++p) in[p] = _mm256_load_ps(from + p * depth * kPanel);
        transform_2d<kTileIn, 3>(in, out,
                                 [](const __m256* a, __m256* b) { transform_weight_gradient(a, b); });
#pragma GCC unroll 9
        for (int t = 0; t < 9; ++t) _mm256_store_ps(taps[t], out[t]);
        for (std::int64_t lane = 0; lane < std::min<std::int64_t>(8, s.c_out - o); ++lane) {
          float* to = dweight + (o + lane) * strides.out + i * strides.in;
          for (std::int64_t t = 0; t < 9; ++t) to[t * strides.tap] = taps[t][lane];
        }
      }
  });
}

/// Tiles whose transforms are kept at a time: all of them within the last cache, and few enough that a panel
/// and six columns of the other operand, a cache line of each for every tile, stay in the first (L1) one.
std::int64_t chunk_tiles(std::int64_t channels) {
  constexpr std::int64_t kCacheFloats = 2'000'000;
  return std::clamp<std::int64_t>(kCacheFloats / (kPoints * channels) / 8 * 8, 64, 128);
}

}  // namespace

void backward_weights(const Conv3x3Shape& s, const float* x, const float* dy, float* dweight,
                      WeightStrides strides, float* dbias) {
  const Tiles tiles(s);
  const std::int64_t depth = round_up(s.c_in, 8);
  const std::int64_t panels = round_up(s.c_out, kPanel) / kPanel;
  const std::int64_t chunk = std::min(tiles.total, chunk_tiles(depth + panels * kPanel));
  const std::int64_t v_plane = plane_stride(chunk * depth);
  const std::int64_t d_plane = plane_stride(chunk * kPanel);
  float* v = scratch(Scratch::kInput, kPoints * v_plane);
  float* d = scratch(Scratch::kOutput, panels * kPoints * d_plane);
  float* u = scratch(Scratch::kWeights, panels * kPoints * depth * kPanel);
  float* sums =
      scratch(Scratch::kSums, (chunk + 1) * panels * kPanel);  // a row for each tile, then the total
  float* total = sums + chunk * panels * kPanel;
  std::fill_n(total, panels * kPanel, 0.0F);

  for (std::int64_t first = 0; first < tiles.total; first += chunk) {
    const std::int64_t count = std::min(chunk, tiles.total - first);
    parallel_for(count, 1, [&](std::int64_t begin, std::int64_t end) {
      const float* zero = zeros(std::max(s.c_in, s.c_out));
      for (std::int64_t t = begin; t < end; ++t) {
        input_tile(tiles, x, s.c_in, zero, first + t, v + t * depth, v_plane);
        const auto at = tiles.place(first + t);
        const float* pixels[kTileOut * kTileOut];
        window<kTileOut>(tiles, dy, s.c_out, zero, at.image, at.y, at.x, pixels);
        for (std::int64_t o = 0; o < s.c_out; o += 8) {
          const __m256 sum = output_gradient_tile(
              pixels, s.c_out - o, d + o / kPanel * kPoints * d_plane + t * kPanel + o % kPanel, d_plane);
          _mm256_store_ps(sums + t * panels * kPanel + o, sum);
          for (const float*& pixel : pixels) pixel += 8;
        }
      }
    });
    parallel_for(kPoints * panels, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t item = begin; item < end; ++item) {
        const std::int64_t p = item / panels;
        const std::int64_t q = item % panels;
        const float* panel = d + (q * kPoints + p) * d_plane;
        float* to = u + (q * kPoints + p) * depth * kPanel;
        if (first == 0) {
          gemm_panel<true, false>(depth, v + p * v_plane, depth, panel, count, to, kPanel);
        } else {
          gemm_panel<true, true>(depth, v + p * v_plane, depth, panel, count, to, kPanel);
        }
      }
    });
    for (std::int64_t t = 0; t < count; ++t)
      for (std::int64_t o = 0; o < s.c_out; ++o) total[o] += sums[t * panels * kPanel + o];
  }
  store_weight_gradient(s, u, depth, panels, strides, dweight);
  if (dbias != nullptr) std::copy_n(total, s.c_out, dbias);
}

}  // namespace octavo::kernels::avx2::winograd
