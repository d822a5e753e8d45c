// Integer kernels in portable C++.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "octavo/core/parallel.h"
#include "runtime/int8_kernels.h"

namespace octavo {
namespace {

#include "runtime/int8_loops.h"

struct Generic {
  static constexpr std::int64_t kRows = 4;

  static void widen(std::int16_t* target, const std::uint8_t* source, std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i) target[i] = source[i];
  }

  static void tile(const std::int16_t* a, std::int64_t stride, std::int64_t pairs, const std::int16_t* b,
                   std::int32_t* sums, std::int64_t rows) {
    std::fill_n(sums, rows * Int8Conv::kPanel, 0);
    for (std::int64_t p = 0; p < pairs; ++p) {
      for (std::int64_t r = 0; r < rows; ++r) {
        const std::int32_t a0 = a[r * stride + 2 * p];
        const std::int32_t a1 = a[r * stride + 2 * p + 1];
        for (std::int64_t j = 0; j < Int8Conv::kPanel; ++j) {
          const std::int16_t* w = b + (p * Int8Conv::kPanel + j) * 2;
          sums[r * Int8Conv::kPanel + j] += a0 * w[0] + a1 * w[1];
        }
      }
    }
  }

  static void finish(const Int8Conv& conv, std::int64_t index, const std::int32_t* sums, std::int64_t width,
                     const std::uint8_t* residual, void* y, std::int64_t offset) {
    finish_scalar(conv, index, sums, width, residual, y, offset);
  }
};

}  // namespace

const Int8Kernels& int8_kernels_generic() {
  static constexpr Int8Kernels kTable{"generic",    false, run_conv<Generic>, max_pool,
                                      average_pool, add,   quantize_nchw,     dequantize_nhwc};
  return kTable;
}

}  // namespace octavo
