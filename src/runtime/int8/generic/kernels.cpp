// Integer kernels in portable C++.
#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <type_traits>

#include "octavo/core/parallel.h"
#include "runtime/int8/kernel_set.h"
#include "runtime/int8/kernels.h"
#include "runtime/int8/scratch.h"
#include "runtime/program/pieces.h"

namespace octavo {
namespace {

#include "runtime/int8/loops.h"
//
#include "runtime/int8/depthwise_loops.h"
#include "runtime/int8/elementwise_loops.h"
//
#include "runtime/int8/row_range.h"
//
#include "runtime/int8/generic/lanes.h"
//
#include "runtime/int8/row_loops.h"

/// For weights in pairs and in quads of k.
template <typename ActivationType, typename WeightType, std::int64_t Depth>
struct Generic {
  using Activation = ActivationType;
  using Weight = WeightType;
  static constexpr std::int64_t kDepth = Depth;
  static constexpr bool kCrossed = false;
  static constexpr std::int64_t kRows = 4;

  static void widen(Activation* target, const std::uint8_t* source, std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i) target[i] = source[i];
  }

  static void run(const PanelOfRows<Generic>& panel) { run_panel(panel); }

  static void sum(const PanelOfRows<Generic>& panel, std::int64_t row, std::int64_t rows,
                  std::int32_t* sums) {
    std::fill_n(sums, rows * Int8Conv::kPanel, 0);
    for (std::int64_t s = 0; s < panel.steps; ++s) {
      for (std::int64_t r = 0; r < rows; ++r) {
        const Activation* x = panel.a + (row + r) * panel.stride + s * kDepth;
        for (std::int64_t j = 0; j < Int8Conv::kPanel; ++j) {
          const Weight* w = panel.b + (s * Int8Conv::kPanel + j) * kDepth;
          for (std::int64_t i = 0; i < kDepth; ++i) sums[r * Int8Conv::kPanel + j] += x[i] * w[i];
        }
      }
    }
  }

  template <typename F>
  static void with_finish(const PanelOutput& out, const F& f) {
    f(ScalarFinish{out});
  }
};

void run_depthwise(const Int8Conv& conv, std::int64_t batch, const std::uint8_t* x, void* y, int threads) {
  const auto& w = conv.window;
  const std::int64_t taps = w.kernel[0] * w.kernel[1];
  const auto* const weights = conv.weights.data<std::int16_t>();
  for_each_padded_line(conv, batch, x, threads, [&](std::int64_t line, const std::uint8_t* const* rows) {
    for (std::int64_t ox = 0; ox < conv.out_w; ++ox) {
      for (std::int64_t first = 0; first < conv.c_out; first += Int8Conv::kPanel) {
        const std::int64_t width = std::min(Int8Conv::kPanel, conv.c_out - first);
        std::int32_t sums[Int8Conv::kPanel] = {};
        for (std::int64_t tap = 0; tap < taps; ++tap) {
          const std::int64_t column = ox * w.strides[1] + tap % w.kernel[1] * w.dilations[1];
          const std::uint8_t* pixel = rows[tap / w.kernel[1]] + column * conv.c_in + first;
          for (std::int64_t j = 0; j < width; ++j)
            sums[j] += pixel[j] * weights[depthwise_offset((taps + 1) / 2, first + j, tap)];
        }
        ScalarFinish{{&conv, first / Int8Conv::kPanel, width, nullptr, y}}.row(
            sums, (line * conv.out_w + ox) * conv.c_out + first);
      }
    }
  });
}

void run(const Int8Conv& conv, std::int64_t batch, const std::uint8_t* x, const std::uint8_t* other, void* y,
         int threads) {
  if (conv.algorithm == Int8Conv::Algorithm::kDepthwise) {
    run_depthwise(conv, batch, x, y, threads);
  } else if (conv.algorithm == Int8Conv::Algorithm::kDirectQuads) {
    run_conv<Generic<std::uint8_t, std::int8_t, 4>>(conv, batch, x, other, y, threads);
  } else if (conv.algorithm == Int8Conv::Algorithm::kDirectNarrowPairs) {
    run_conv<Generic<std::int16_t, std::int8_t, 2>>(conv, batch, x, other, y, threads);
  } else {
    run_conv<Generic<std::int16_t, std::int16_t, 2>>(conv, batch, x, other, y, threads);
  }
}

struct GenericKernels : SharedKernels {
  static constexpr Isa kIsa = Isa::kGeneric;
  static constexpr auto kDirect = Int8Conv::Algorithm::kDirectPairs;
  static constexpr auto kDirectFew = Int8Conv::Algorithm::kDirectPairs;
  static constexpr double kDirectProductsPerCycle = 4;
  static constexpr bool kWinograd = false;
  static constexpr auto* conv = run;
  static constexpr auto* product = run_product<Generic<std::int16_t, std::int16_t, 2>>;
};
static_assert(Int8KernelSet<GenericKernels>);

}  // namespace

const Int8Kernels& int8_kernels_generic() {
  static constexpr Int8Kernels kTable = table_of<GenericKernels>();
  return kTable;
}

}  // namespace octavo
