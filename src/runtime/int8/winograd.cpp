#include "runtime/int8/winograd.h"

#include <algorithm>
#include <array>
#include <limits>

#include "octavo/core/error.h"

namespace octavo {
namespace {

using Algorithm = Int8Conv::Algorithm;

constexpr int kMostRows = 6;

/// G with whole numbers, [positions][3].
struct FilterTransform {
  int positions;
  std::array<std::array<int, 3>, kMostRows> rows;
};

constexpr FilterTransform kTwo{4, {{{2, 0, 0}, {1, 1, 1}, {1, -1, 1}, {0, 0, 2}}}};
/// The first and last rows would be whole by themselves; times 6 they save the output transform its
/// multiplications.
constexpr FilterTransform kFour{6,
                                {{{6, 0, 0}, {-1, -1, -1}, {-1, 1, -1}, {1, 2, 4}, {1, -2, 4}, {0, 0, 6}}}};

/// The first and last tap as F(2, 2) has them, and the middle one for each of two outputs.
constexpr FilterTransform kStride2{5, {{{1, 0, 0}, {1, 0, 1}, {0, 0, 1}, {0, 1, 0}, {0, 1, 0}}}};

struct Properties {
  const FilterTransform* filter;
  std::int64_t stride, side;  ///< Of an output tile.
  std::int64_t scale;         ///< What the convolution's sums are multiplied by at most, odd factors aside.
};

Properties properties_of(Algorithm algorithm) {
  switch (algorithm) {
    case Algorithm::kWinograd2x2:
      return {&kTwo, 1, 2, 4};
    case Algorithm::kWinograd4x4:
      return {&kFour, 1, 4, 64};
    case Algorithm::kWinogradStride2:
      return {&kStride2, 2, 2, 1};
    default:
      throw Error(ErrorCode::kInternal, "winograd", "not one of its algorithms");
  }
}

/// u[i][j] = row i of G, applied to g's columns, times row j of G.
void transform_filter(const FilterTransform& transform, const std::int8_t* g, std::int16_t* u) {
  for (int i = 0; i < transform.positions; ++i) {
    const auto& down = transform.rows[static_cast<std::size_t>(i)];
    int column[3];
    for (int j = 0; j < 3; ++j) column[j] = down[0] * g[j] + down[1] * g[3 + j] + down[2] * g[6 + j];
    for (int j = 0; j < transform.positions; ++j) {
      const auto& across = transform.rows[static_cast<std::size_t>(j)];
      *u++ = static_cast<std::int16_t>(across[0] * column[0] + across[1] * column[1] + across[2] * column[2]);
    }
  }
}

}  // namespace

bool winograd_applies(const IntegerConv& conv, Algorithm algorithm) {
  const ConvAttributes& w = conv.window;
  constexpr std::int64_t kLeastChannels = 16;
  const Properties properties = properties_of(algorithm);
  if (w.kernel != std::array<std::int64_t, 2>{3, 3} ||
      w.strides != std::array{properties.stride, properties.stride} ||
      w.dilations != std::array<std::int64_t, 2>{1, 1} || w.group != 1 || conv.c_in < kLeastChannels) {
    return false;
  }
  const std::size_t per_channel = static_cast<std::size_t>(conv.c_in * 9);
  const auto weights = conv.weight.data<std::int8_t>();
  for (std::size_t begin = 0; begin < weights.size(); begin += per_channel) {
    std::int64_t positive = 0;
    std::int64_t negative = 0;
    for (const std::int8_t q : weights.subspan(begin, per_channel)) (q > 0 ? positive : negative) += q;
    const std::int64_t largest = 255 * std::max(positive, -negative);
    if (properties.scale * largest > std::numeric_limits<std::int32_t>::max()) return false;
  }
  return true;
}

namespace {

// What conv3x3_cost() counts with, as found on Zen 3 (docs/decisions/0001).
/// Two `vpmaddwd` of AVX2 a cycle, of 16 products each.
constexpr double kWinogradProductsPerCycle = 32;
/// A model whose weights, as int16, take more than half of a usual last-level cache (32 MiB) finds them in
/// memory again at each run; a smaller one in that cache.
constexpr std::int64_t kWeightsInLastCache = 8 << 20;
constexpr double kBytesPerCycleOfMemory = 5;
constexpr double kBytesPerCycleOfLastCache = 16;
/// Weights up to this size stay near the core: half of a second-level cache of 512 KiB.
constexpr double kNearBytes = 256.0 * 1024;
/// Cycles to transform one channel of a tile of the stride-2 algorithm: its 5x5 inputs, and its 2x2 outputs.
constexpr std::int64_t kTransformInput = 4;
constexpr std::int64_t kTransformOutput = 5;
/// That algorithm reads 25 positions' weights for 9 taps; where it saves little, so much more time decides.
constexpr double kStride2Overhead = 1.1;

}  // namespace

double conv3x3_cost(const Int8Kernels& kernels, Algorithm algorithm, const IntegerConv& conv,
                    std::int64_t batch, const ConvExtent& extent, std::int64_t model_weights) {
  const bool bytes = algorithm == Algorithm::kDirectNarrowPairs || algorithm == Algorithm::kDirectQuads;
  const bool direct = bytes || algorithm == Algorithm::kDirectPairs;
  const std::int64_t side = direct ? 1 : properties_of(algorithm).side;
  const std::int64_t positions = direct ? 9 : winograd_positions(algorithm);
  const std::int64_t tiles = batch * ((extent.out_h + side - 1) / side) * ((extent.out_w + side - 1) / side);
  const auto weights = static_cast<double>(positions * conv.c_in * conv.c_out);
  const double weight_bytes = bytes ? weights : 2 * weights;
  const double products_per_cycle = direct ? kernels.direct_products_per_cycle : kWinogradProductsPerCycle;
  double cycles = static_cast<double>(tiles) * weights / products_per_cycle;
  if (algorithm == Algorithm::kWinogradStride2) {
    // It saves less than the others, so that its transforms count too.
    const std::int64_t transforms = tiles * (kTransformInput * conv.c_in + kTransformOutput * conv.c_out);
    cycles = kStride2Overhead * (cycles + static_cast<double>(transforms));
  }
  if (weight_bytes <= kNearBytes) return cycles;
  const double bytes_per_cycle =
      model_weights > kWeightsInLastCache ? kBytesPerCycleOfMemory : kBytesPerCycleOfLastCache;
  return std::max(cycles, weight_bytes / bytes_per_cycle);
}

std::int64_t winograd_positions(Algorithm algorithm) {
  const std::int64_t side = properties_of(algorithm).filter->positions;
  return side * side;
}

PackedWeights winograd_weights(const IntegerConv& conv, Algorithm algorithm) {
  const FilterTransform& transform = *properties_of(algorithm).filter;
  const std::int64_t positions = winograd_positions(algorithm);
  const std::int64_t pairs = packed_steps(conv.c_in, 2);
  const std::int64_t panels = (conv.c_out + Int8Conv::kPanel - 1) / Int8Conv::kPanel;
  auto result = PackedWeights::zeros<std::int16_t>(panels * positions * pairs * 2 * Int8Conv::kPanel);
  const auto source = conv.weight.data<std::int8_t>();
  std::int16_t u[kMostRows * kMostRows];
  for (std::int64_t m = 0; m < conv.c_out; ++m) {
    const std::int64_t first_panel = m / Int8Conv::kPanel * positions;
    for (std::int64_t c = 0; c < conv.c_in; ++c) {
      transform_filter(transform, source.data() + (m * conv.c_in + c) * 9, u);
      for (std::int64_t position = 0; position < positions; ++position) {
        result
            .data<std::int16_t>()[packed_offset(2, first_panel + position, pairs, c, m % Int8Conv::kPanel)] =
            u[position];
      }
    }
  }
  return result;
}

}  // namespace octavo
