#include "runtime/int8/kernels.h"

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <string>

#include "octavo/core/error.h"
#include "runtime/int8/winograd.h"

namespace octavo {
namespace {

template <typename Weight>
void pack_direct(const IntegerConv& conv, std::int64_t depth, Int8Conv& result) {
  const std::int64_t group_in = conv.c_in / conv.window.group;
  const std::int64_t group_out = conv.c_out / conv.window.group;
  const std::int64_t merged = conv.window.group / result.window.group;
  const std::int64_t merged_out = group_out * merged;
  const std::int64_t taps = conv.window.kernel[0] * conv.window.kernel[1];
  const std::int64_t steps = packed_steps(result.k, depth);
  result.weights =
      PackedWeights::zeros<Weight>(result.window.group * result.panels * steps * depth * Int8Conv::kPanel);
  auto* const target = result.weights.data<Weight>();
  const auto source = conv.weight.data<std::int8_t>();
  for (std::int64_t m = 0; m < conv.c_out; ++m) {
    const std::int64_t panel = m / merged_out * result.panels + m % merged_out / Int8Conv::kPanel;
    const std::int64_t column = m % merged_out % Int8Conv::kPanel;
    const std::int64_t first = m / group_out % merged * group_in;  // Channel of the merged group.
    for (std::int64_t tap = 0; tap < taps; ++tap) {
      for (std::int64_t c = 0; c < group_in; ++c) {
        const std::int64_t k = tap * group_in * merged + first + c;
        target[packed_offset(depth, panel, steps, k, column)] =
            source[static_cast<std::size_t>((m * group_in + c) * taps + tap)];
      }
    }
  }
}

/// Int8Conv::cross_terms of `panels` panels of weights in pairs, `k` deep, unless that is below `least_k` or
/// there are few columns: terms of a row cost as much as eight columns of products.
template <typename Weight>
void add_cross_terms(std::int64_t panels, std::int64_t k, std::int64_t least_k, std::int64_t columns,
                     Int8Conv& conv) {
  constexpr std::int64_t kLeastColumns = 64;
  if (k < least_k || columns < kLeastColumns) return;
  constexpr std::int64_t kPanel = Int8Conv::kPanel;
  conv.cross_terms = PackedWeights::zeros<std::int32_t>(panels * kPanel);
  auto* terms = conv.cross_terms.data<std::uint32_t>();
  const auto* quad = conv.weights.data<Weight>();
  for (std::int64_t panel = 0; panel < panels; ++panel, terms += kPanel) {
    for (std::int64_t step = 0; step < packed_steps(k, 4); ++step, quad += 4 * kPanel) {
      for (std::int64_t j = 0; j < kPanel; ++j) {
        const Weight* const w = quad + 2 * j;
        const std::int32_t term = w[0] * w[2 * kPanel] + w[1] * w[2 * kPanel + 1];
        terms[j] -= static_cast<std::uint32_t>(term);  // Modulo 2^32, as the sums.
      }
    }
  }
}

void pack_depthwise(const IntegerConv& conv, Int8Conv& result) {
  const std::int64_t taps = conv.window.kernel[0] * conv.window.kernel[1];
  const std::int64_t pairs = (taps + 1) / 2;
  const auto source = conv.weight.data<std::int8_t>();
  result.weights = PackedWeights::zeros<std::int16_t>(result.panels * pairs * 2 * Int8Conv::kPanel);
  auto* const target = result.weights.data<std::int16_t>();
  for (std::int64_t m = 0; m < conv.c_out; ++m) {
    for (std::int64_t tap = 0; tap < taps; ++tap) {
      target[depthwise_offset(pairs, m, tap)] = source[static_cast<std::size_t>(m * taps + tap)];
    }
  }
}

/// How many groups to treat as one, so that a panel of output channels is as full as may be.
std::int64_t groups_to_merge(const IntegerConv& conv) {
  const std::int64_t group = conv.window.group;
  const std::int64_t group_out = conv.c_out / group;
  std::int64_t merged = std::min(group, std::max<std::int64_t>(1, Int8Conv::kPanel / group_out));
  while (group % merged != 0) --merged;
  return merged;
}

/// Sums of all magnitudes are int32 by contract, so the largest bias and multiplier bound what is rounded.
bool rounds_in_int32(const IntegerConv& conv, const std::optional<Int8Conv::Addition>& addition) {
  constexpr double kLimit = 2147483520.0;  // The largest float below 2^31.
  if (addition) {
    const IntegerBinary& sum = addition->sum;
    const double operands =
        std::abs(static_cast<double>(sum.a_multiplier)) + std::abs(static_cast<double>(sum.b_multiplier));
    if (!(255 * operands + std::abs(static_cast<double>(sum.offset)) < kLimit)) return false;
  }
  for (std::size_t m = 0; m < conv.multiplier.size(); ++m) {
    const double sum = 2147483648.0 + std::abs(static_cast<double>(conv.bias[m]));
    if (!(sum * std::abs(static_cast<double>(conv.multiplier[m])) < kLimit)) return false;
  }
  return true;
}

}  // namespace

bool depthwise_applies(const IntegerConv& conv) {
  return conv.window.group > 1 && conv.window.group == conv.c_in && conv.c_in == conv.c_out;
}

/// From how many k on (for Winograd's algorithms: input channels) crossed products take less time, as
/// measured on Zen 3: tiles of four rows start and end more often than those of six, and Winograd's few rows
/// for each weight wait for it.
constexpr std::int64_t kLeastCrossedK = 64;
constexpr std::int64_t kLeastCrossedChannels = 256;

Int8Conv prepare_int8_conv(const IntegerConv& conv, const ConvExtent& extent, Int8Conv::Algorithm algorithm,
                           const ConvFollowers& followers) {
  Int8Conv result;
  result.in_h = extent.in_h;
  result.in_w = extent.in_w;
  result.out_h = extent.out_h;
  result.out_w = extent.out_w;
  result.c_in = conv.c_in;
  result.c_out = conv.c_out;
  result.window = conv.window;
  result.algorithm = algorithm;
  result.pool2x2 = followers.pool2x2;
  result.addition = followers.addition;
  // A depthwise kernel goes over all channels as one group.
  const bool depthwise = algorithm == Int8Conv::Algorithm::kDepthwise;
  if (!depthwise) result.window.group /= groups_to_merge(conv);
  const std::int64_t groups = depthwise ? 1 : result.window.group;
  const std::int64_t group_out = conv.c_out / groups;
  result.k = conv.window.kernel[0] * conv.window.kernel[1] * (conv.c_in / groups);
  result.panels = (group_out + Int8Conv::kPanel - 1) / Int8Conv::kPanel;
  if (depthwise) result.panels = (result.panels + 1) / 2 * 2;
  switch (algorithm) {
    case Int8Conv::Algorithm::kDirectPairs:
      pack_direct<std::int16_t>(conv, 2, result);
      add_cross_terms<std::int16_t>(groups * result.panels, result.k, kLeastCrossedK, group_out, result);
      break;
    case Int8Conv::Algorithm::kDirectNarrowPairs:
      pack_direct<std::int8_t>(conv, 2, result);
      add_cross_terms<std::int8_t>(groups * result.panels, result.k, kLeastCrossedK, group_out, result);
      break;
    case Int8Conv::Algorithm::kDirectQuads:
      pack_direct<std::int8_t>(conv, 4, result);
      break;
    case Int8Conv::Algorithm::kDepthwise:
      pack_depthwise(conv, result);
      break;
    default:
      result.weights = winograd_weights(conv, algorithm);
      add_cross_terms<std::int16_t>(winograd_positions(algorithm) * result.panels, conv.c_in,
                                    kLeastCrossedChannels, group_out, result);
  }
  result.bias.assign(static_cast<std::size_t>(groups * result.panels * Int8Conv::kPanel), 0.0F);
  result.multiplier.assign(result.bias.size(), 0.0F);
  for (std::int64_t m = 0; m < conv.c_out; ++m) {
    const std::int64_t panel = m / group_out * result.panels + m % group_out / Int8Conv::kPanel;
    const auto slot = static_cast<std::size_t>(panel * Int8Conv::kPanel + m % group_out % Int8Conv::kPanel);
    result.bias[slot] = static_cast<float>(conv.bias[static_cast<std::size_t>(m)]);
    result.multiplier[slot] = conv.multiplier[static_cast<std::size_t>(m)];
  }
  result.x_zero_point = conv.x_zero_point;
  result.output_is_float = conv.output_is_float;
  result.rounds_in_int32 = rounds_in_int32(conv, followers.addition);
  result.y_zero_point = conv.y_zero_point;
  result.y_min = conv.y_min;
  result.y_max = conv.y_max;
  result.float_min = conv.float_min;
  result.float_max = conv.float_max;
  return result;
}

Int8Product prepare_int8_product(const IntegerProduct& sums) {
  Int8Product result{.sums = sums, .epilogue = {}};
  Int8Conv& epilogue = result.epilogue;
  const std::int64_t panels = (sums.p + Int8Conv::kPanel - 1) / Int8Conv::kPanel;
  epilogue.c_in = sums.k;
  epilogue.c_out = sums.p;
  epilogue.bias.assign(static_cast<std::size_t>(panels * Int8Conv::kPanel), 0.0F);
  epilogue.multiplier.assign(epilogue.bias.size(), sums.multiplier);
  const double largest = 255.0 * 255.0 * static_cast<double>(sums.k);
  epilogue.rounds_in_int32 = largest * std::abs(static_cast<double>(sums.multiplier)) < 2147483520.0;
  epilogue.output_is_float = sums.output_is_float;
  epilogue.y_zero_point = sums.y_zero_point;
  epilogue.y_min = sums.y_min;
  epilogue.y_max = sums.y_max;
  epilogue.float_min = -std::numeric_limits<float>::infinity();
  epilogue.float_max = std::numeric_limits<float>::infinity();
  return result;
}

Int8Conv::Algorithm direct_algorithm(const Int8Kernels& kernels, std::int64_t rows) {
  // A core multiplies 32 pairs in the time in which 8 to 16 bytes come from the last cache, 3 or so from
  // memory.
  constexpr std::int64_t kFewRows = 64;
  return rows <= kFewRows ? kernels.direct_few : kernels.direct;
}

Int8Conv::Algorithm best_algorithm(const Int8Kernels& kernels, const IntegerConv& conv,
                                   const ConvExtent& extent, std::int64_t batch, std::int64_t model_weights) {
  using Algorithm = Int8Conv::Algorithm;
  if (depthwise_applies(conv)) return Algorithm::kDepthwise;
  Algorithm best = direct_algorithm(kernels, batch * extent.out_h * extent.out_w);
  if (!kernels.winograd) return best;
  const auto cost = [&](Algorithm algorithm) {
    return conv3x3_cost(kernels, algorithm, conv, batch, extent, model_weights);
  };
  for (const Algorithm algorithm :
       {Algorithm::kWinograd2x2, Algorithm::kWinograd4x4, Algorithm::kWinogradStride2})
    if (winograd_applies(conv, algorithm) && cost(algorithm) < cost(best)) best = algorithm;
  return best;
}

void refuse_algorithm(Int8Conv::Algorithm algorithm, Isa isa) {
  throw Error(ErrorCode::kInternal, "int8",
              "weights packed for algorithm " + std::to_string(static_cast<int>(algorithm)) +
                  " do not fit kernels for " + isa_name(isa));
}

namespace {

const Int8Kernels& kernels_for(Isa isa) {
  switch (isa) {
    case Isa::kGeneric:
      break;
#if defined(__x86_64__)
    case Isa::kAmx:         // oneDNN's, for what those kernels can do...
    case Isa::kAvx512Vnni:  // ...ours for the rest.
      return int8_kernels_avx512vnni();
    case Isa::kAvxVnni:  // The same.
    case Isa::kAvx2:
      return int8_kernels_avx2();
#else
    default:
      break;
#endif
  }
  return int8_kernels_generic();
}

}  // namespace

const Int8Kernels& int8_kernels() {
  static const Int8Kernels& chosen = kernels_for(isa_in_use());
  return chosen;
}

}  // namespace octavo
