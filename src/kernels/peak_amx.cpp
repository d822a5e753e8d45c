// AMX: products of tiles of 16 rows of 64 bytes.
#include <immintrin.h>

#include <cstdint>

#include "peak_impl.h"

namespace octavo::kernels::amx {
namespace {

/// What ldtilecfg reads: the shapes of the eight tiles.
struct alignas(64) TileConfig {
  std::uint8_t palette = 1;
  std::uint8_t start_row = 0;
  std::uint8_t reserved[14] = {};
  std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

void tile_products(std::int64_t rounds) {
  // Static: GCC 12 believes that _tile_loadconfig reads 8 bytes, and drops the stores of a local's others.
  static constexpr TileConfig config;
  _tile_loadconfig(&config);
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  _tile_zero(4);
  _tile_zero(5);
  _tile_zero(6);
  _tile_zero(7);
  for (std::int64_t r = 0; r < rounds; ++r) {
    _tile_dpbusd(0, 4, 6);
    _tile_dpbusd(1, 4, 7);
    _tile_dpbusd(2, 5, 6);
    _tile_dpbusd(3, 5, 7);
  }
  _tile_release();
}

}  // namespace

const PeakLoop kPeakInt8{"tdpbusd (AMX)", 4.0 * 16 * 16 * 64 * 2, tile_products};

}  // namespace octavo::kernels::amx
