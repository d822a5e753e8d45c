// Winograd's F(4x4, 3x3), all three directions. A map is cut into 4x4 output tiles; each tile of each channel
// becomes 36 values, and the convolution becomes 36 independent matrix products over channels (forward) or
// over tiles (weights).
#include <algorithm>

#include "conv3x3_impl.h"
#include "gemm_avx2.h"
#include "octavo/core/parallel.h"
#include "winograd_tiles_avx2.h"
#include "workspace.h"

namespace octavo::kernels::avx2::winograd {
namespace {

/// 8 floats, of which `valid` exist.
__m256 load(const float* from, std::int64_t valid) {
  return valid >= 8 ? _mm256_loadu_ps(from) : _mm256_maskload_ps(from, lane_mask(valid));
}

/// y tile = A^T m A + bias for 8 of the output channels, of which `valid` exist, from m[p][16]. The rest of
/// the epilogue (`residual` where y's channels begin) is inference's: bounds would swallow a training's NaN.
template <bool kInference>
void output_tile(const Tiles& tiles, const Tiles::Place& at, const float* m, __m256 bias,
                 const Conv3x3Epilogue& epilogue, const float* residual, float* y, std::int64_t channels,
                 std::int64_t valid) {
  __m256 half[kTileOut][kTileIn];
#pragma GCC unroll 6
  for (int column = 0; column < kTileIn; ++column) {
    __m256 line[kTileIn];
    __m256 result[kTileOut];
#pragma GCC unroll 6
    for (int row = 0; row < kTileIn; ++row) line[row] = _mm256_load_ps(m + (row * kTileIn + column) * kPanel);
    transform_output(line, result);
#pragma GCC unroll 4
    for (int row = 0; row < kTileOut; ++row) half[row][column] = result[row];
  }
  const std::int64_t rows = std::min<std::int64_t>(kTileOut, tiles.h - at.y);
  const std::int64_t columns = std::min<std::int64_t>(kTileOut, tiles.w - at.x);
  const std::int64_t origin = ((at.image * tiles.h + at.y) * tiles.w + at.x) * channels;
  float* corner = y + origin;
  const __m256i mask = lane_mask(valid);
#pragma GCC unroll 4
  for (int i = 0; i < kTileOut; ++i) {
    if (i >= rows) return;
    __m256 out[kTileOut];
    transform_output(half[i], out);
    float* to = corner + i * tiles.w * channels;
#pragma GCC unroll 4
    for (int j = 0; j < kTileOut; ++j) {
      if (j >= columns) break;
      __m256 value = _mm256_add_ps(out[j], bias);
      if constexpr (kInference) {
        if (residual != nullptr)
          value = _mm256_add_ps(value, load(residual + origin + (i * tiles.w + j) * channels, valid));
        value =
            _mm256_min_ps(_mm256_max_ps(value, _mm256_set1_ps(epilogue.low)), _mm256_set1_ps(epilogue.high));
      }
      if (valid >= 8) {
        _mm256_storeu_ps(to + j * channels, value);
      } else {
        _mm256_maskstore_ps(to + j * channels, mask, value);
      }
    }
  }
}

/// How transform_weights() reads: lane l and depth k of tap t at base + l * lane + k * depth + t * tap.
struct WeightView {
  const float* base;
  std::int64_t lane, depth, tap;
  std::int64_t lanes, depths;  ///< Output and input channels of the convolution that is computed.
};

/// G g G^T of all weights as u[panel][p][k][16]; depth padded to 8 and lanes to 16 with zeros.
void transform_weights(const WeightView& w, std::int64_t depth, float* u) {
  parallel_for(round_up(w.lanes, kPanel) / kPanel, 1, [&](std::int64_t begin, std::int64_t end) {
    const __m256i lane_index = _mm256_mullo_epi32(_mm256_set1_epi32(static_cast<int>(w.lane)),
                                                  _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
    for (std::int64_t panel = begin; panel < end; ++panel)
      for (std::int64_t k = 0; k < depth; ++k)
        for (std::int64_t half = 0; half < 2; ++half) {
          const std::int64_t lane = panel * kPanel + half * 8;
          const __m256 mask = _mm256_castsi256_ps(lane_mask(k < w.depths ? w.lanes - lane : 0));
          const float* from = w.base + lane * w.lane + k * w.depth;
          __m256 g[3][3];
          for (int t = 0; t < 9; ++t)
            g[t / 3][t % 3] = _mm256_mask_i32gather_ps(_mm256_setzero_ps(), from + t * w.tap, lane_index,
                                                       mask, sizeof(float));
          __m256 rows[6][3];
#pragma GCC unroll 3
          for (int column = 0; column < 3; ++column) {
            const __m256 line[3] = {g[0][column], g[1][column], g[2][column]};
            __m256 result[6];
            transform_weight(line, result);
#pragma GCC unroll 6
            for (int row = 0; row < 6; ++row) rows[row][column] = result[row];
          }
          float* to = u + (panel * kPoints * depth + k) * kPanel + half * 8;
#pragma GCC unroll 6
          for (int row = 0; row < 6; ++row) {
            __m256 result[6];
            transform_weight(rows[row], result);
#pragma GCC unroll 6
            for (int column = 0; column < 6; ++column)
              _mm256_store_ps(to + (row * 6 + column) * depth * kPanel, result[column]);
          }
        }
  });
}

/// Tiles of a block, and panels of output channels finished at a time, such that what is reused stays in the
/// cache.
struct Blocking {
  std::int64_t tiles;
  std::int64_t panels;
};
Blocking forward_blocking(std::int64_t total, std::int64_t depth) {
  const std::int64_t tiles = depth <= 64 ? 24 : depth <= 128 ? 24 : 48;
  // Not more than a thread's share.
  const std::int64_t share = (total + num_threads() - 1) / num_threads();
  return {std::min(tiles, share), 2};
}

/// The convolution of x with c_in channels by transformed weights u, to y with c_out channels.
template <bool kInference>
void convolve(const Tiles& tiles, const float* x, std::int64_t c_in, std::int64_t c_out, const float* u,
              const Conv3x3Epilogue& epilogue, float* y) {
  const std::int64_t depth = round_up(c_in, 8);
  const std::int64_t panels = round_up(c_out, kPanel) / kPanel;
  const Blocking block = forward_blocking(tiles.total, depth);
  const std::int64_t v_plane = plane_stride(block.tiles * depth);
  constexpr std::int64_t kTileFloats =
      kPoints * kPanel;  // the products of a tile lie together: m[panel][tile][p][16]
  const std::int64_t blocks = (tiles.total + block.tiles - 1) / block.tiles;
  parallel_for(blocks, 1, [&](std::int64_t begin, std::int64_t end) {
    const float* zero = zeros(c_in);
    float* v = scratch(Scratch::kInput, kPoints * v_plane);
    float* m = scratch(Scratch::kOutput, block.panels * block.tiles * kTileFloats);
    for (std::int64_t b = begin; b < end; ++b) {
      const std::int64_t first = b * block.tiles;
      const std::int64_t count = std::min(block.tiles, tiles.total - first);
      for (std::int64_t t = 0; t < count; ++t)
        input_tile(tiles, x, c_in, zero, first + t, v + t * depth, v_plane);
      for (std::int64_t panel = 0; panel < panels; panel += block.panels) {
        const std::int64_t last = std::min(panels, panel + block.panels);
        for (std::int64_t p = 0; p < kPoints; ++p)
          for (std::int64_t q = panel; q < last; ++q)
            gemm_panel<false, false>(count, v + p * v_plane, depth, u + (q * kPoints + p) * depth * kPanel,
                                     depth, m + (q - panel) * block.tiles * kTileFloats + p * kPanel,
                                     kTileFloats);
        for (std::int64_t t = 0; t < count; ++t) {
          const auto at = tiles.place(first + t);
          for (std::int64_t q = panel; q < last; ++q)
            for (std::int64_t o = q * kPanel; o < std::min(c_out, (q + 1) * kPanel); o += 8) {
              const __m256 offset =
                  epilogue.bias == nullptr ? _mm256_setzero_ps() : load(epilogue.bias + o, c_out - o);
              const float* residual = epilogue.residual == nullptr ? nullptr : epilogue.residual + o;
              output_tile<kInference>(tiles, at,
                                      m + ((q - panel) * block.tiles + t) * kTileFloats + o % kPanel, offset,
                                      epilogue, residual, y + o, c_out, c_out - o);
            }
        }
      }
    }
  });
}

std::int64_t transformed_floats(std::int64_t lanes, std::int64_t depths) {
  return round_up(lanes, kPanel) * kPoints * round_up(depths, 8);
}

/// With weights that change from call to call.
void convolve_training(const Tiles& tiles, const float* x, const WeightView& w, const float* bias, float* y) {
  float* u = scratch(Scratch::kWeights, transformed_floats(w.lanes, w.depths));
  transform_weights(w, round_up(w.depths, 8), u);
  convolve<false>(tiles, x, w.depths, w.lanes, u, {.bias = bias}, y);
}

}  // namespace

std::int64_t transformed_size(std::int64_t c_in, std::int64_t c_out) {
  return transformed_floats(c_out, c_in);
}

void transform(std::int64_t c_in, std::int64_t c_out, const float* weight, float* u) {
  const WeightView view{
      .base = weight, .lane = 9 * c_in, .depth = 9, .tap = 1, .lanes = c_out, .depths = c_in};
  transform_weights(view, round_up(c_in, 8), u);
}

void inference(const Conv3x3Shape& s, const float* x, const float* u, const Conv3x3Epilogue& epilogue,
               float* y) {
  convolve<true>(Tiles(s), x, s.c_in, s.c_out, u, epilogue, y);
}

void forward(const Conv3x3Shape& s, const float* x, const float* weight, WeightStrides strides,
             const float* bias, float* y) {
  convolve_training(Tiles(s), x,
                    {.base = weight,
                     .lane = strides.out,
                     .depth = strides.in,
                     .tap = strides.tap,
                     .lanes = s.c_out,
                     .depths = s.c_in},
                    bias, y);
}

void backward_data(const Conv3x3Shape& s, const float* dy, const float* weight, WeightStrides strides,
                   float* dx) {
  // The same convolution with the roles of the channels exchanged and the taps in reverse order.
  convolve_training(Tiles(s), dy,
                    {.base = weight + 8 * strides.tap,
                     .lane = strides.in,
                     .depth = strides.out,
                     .tap = -strides.tap,
                     .lanes = s.c_in,
                     .depths = s.c_out},
                    nullptr, dx);
}

}  // namespace octavo::kernels::avx2::winograd
