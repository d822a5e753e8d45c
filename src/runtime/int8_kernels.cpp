#include "runtime/int8_kernels.h"

#include <algorithm>
#include <cstdlib>
#include <limits>

namespace octavo {
namespace {

/// Spreads a matrix [k][c_out of one group] over panels: element (k, column) of panel p goes to
/// target[((p * pairs + k / 2) * kPanel + column) * 2 + k % 2].
std::size_t packed_offset(std::int64_t panel, std::int64_t pairs, std::int64_t k, std::int64_t column) {
  return static_cast<std::size_t>(((panel * pairs + k / 2) * Int8Conv::kPanel + column) * 2 + k % 2);
}

void pack_direct(const IntegerConv& conv, Int8Conv& result) {
  const std::int64_t group_in = conv.c_in / conv.window.group;
  const std::int64_t group_out = conv.c_out / conv.window.group;
  const std::int64_t merged = conv.window.group / result.window.group;
  const std::int64_t merged_out = group_out * merged;
  const std::int64_t taps = conv.window.kernel[0] * conv.window.kernel[1];
  const std::int64_t pairs = (result.k + 1) / 2;
  result.weights.assign(
      static_cast<std::size_t>(result.window.group * result.panels * pairs * 2 * Int8Conv::kPanel), 0);
  const auto source = conv.weight.data<std::int8_t>();
  for (std::int64_t m = 0; m < conv.c_out; ++m) {
    const std::int64_t panel = m / merged_out * result.panels + m % merged_out / Int8Conv::kPanel;
    const std::int64_t column = m % merged_out % Int8Conv::kPanel;
    const std::int64_t first = m / group_out % merged * group_in;  // Channel of the merged group.
    for (std::int64_t tap = 0; tap < taps; ++tap) {
      for (std::int64_t c = 0; c < group_in; ++c) {
        result.weights[packed_offset(panel, pairs, tap * group_in * merged + first + c, column)] =
            source[static_cast<std::size_t>((m * group_in + c) * taps + tap)];
      }
    }
  }
}

void pack_depthwise(const IntegerConv& conv, Int8Conv& result) {
  const std::int64_t taps = conv.window.kernel[0] * conv.window.kernel[1];
  const std::int64_t pairs = (taps + 1) / 2;
  const auto source = conv.weight.data<std::int8_t>();
  result.weights.assign(static_cast<std::size_t>(result.panels * pairs * 2 * Int8Conv::kPanel), 0);
  for (std::int64_t m = 0; m < conv.c_out; ++m) {
    for (std::int64_t tap = 0; tap < taps; ++tap) {
      result.weights[depthwise_offset(pairs, m, tap)] = source[static_cast<std::size_t>(m * taps + tap)];
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

/// 4 * G g G^T of a 3x3 filter, in whole numbers.
void transform_filter(const std::int8_t* g, std::int16_t u[16]) {
  const auto rows = [](int a, int b, int c, int out[4]) {
    out[0] = 2 * a;
    out[1] = a + b + c;
    out[2] = a - b + c;
    out[3] = 2 * c;
  };
  int t[3][4];  // Rows of g times G^T.
  for (int i = 0; i < 3; ++i) rows(g[i * 3], g[i * 3 + 1], g[i * 3 + 2], t[i]);
  for (int j = 0; j < 4; ++j) {
    int column[4];
    rows(t[0][j], t[1][j], t[2][j], column);
    for (int i = 0; i < 4; ++i) u[i * 4 + j] = static_cast<std::int16_t>(column[i]);
  }
}

/// [panel][position][pair of channels][column][2]
void pack_winograd(const IntegerConv& conv, Int8Conv& result) {
  constexpr std::int64_t kPositions = 16;
  const std::int64_t pairs = (conv.c_in + 1) / 2;
  result.weights.assign(static_cast<std::size_t>(result.panels * kPositions * pairs * 2 * Int8Conv::kPanel),
                        0);
  const auto source = conv.weight.data<std::int8_t>();
  std::int16_t u[kPositions];
  for (std::int64_t m = 0; m < conv.c_out; ++m) {
    const std::int64_t panel = m / Int8Conv::kPanel;
    for (std::int64_t c = 0; c < conv.c_in; ++c) {
      transform_filter(source.data() + (m * conv.c_in + c) * 9, u);
      for (std::int64_t position = 0; position < kPositions; ++position) {
        result.weights[packed_offset(panel * kPositions + position, pairs, c, m % Int8Conv::kPanel)] =
            u[position];
      }
    }
  }
}

/// Sums of all magnitudes are int32 by contract, so the largest bias and multiplier bound what is rounded.
bool rounds_in_int32(const IntegerConv& conv) {
  constexpr double kLimit = 2147483520.0;  // The largest float below 2^31.
  const double residual =
      conv.has_residual ? 255.0 * std::abs(static_cast<double>(conv.residual_multiplier)) : 0;
  for (std::size_t m = 0; m < conv.multiplier.size(); ++m) {
    const double sum = 2147483648.0 + std::abs(static_cast<double>(conv.bias[m]));
    if (!(sum * std::abs(static_cast<double>(conv.multiplier[m])) + residual < kLimit)) return false;
  }
  return true;
}

}  // namespace

bool winograd_applies(const IntegerConv& conv) {
  const ConvAttributes& w = conv.window;
  constexpr std::int64_t kLeastChannels = 16;
  if (w.kernel != std::array<std::int64_t, 2>{3, 3} || w.strides != std::array<std::int64_t, 2>{1, 1} ||
      w.dilations != std::array<std::int64_t, 2>{1, 1} || w.group != 1 || conv.c_in < kLeastChannels) {
    return false;
  }
  const std::size_t per_channel = static_cast<std::size_t>(conv.c_in * 9);
  const auto weights = conv.weight.data<std::int8_t>();
  for (std::size_t begin = 0; begin < weights.size(); begin += per_channel) {
    std::int64_t magnitude = 0;
    for (const std::int8_t q : weights.subspan(begin, per_channel))
      magnitude += std::abs(static_cast<int>(q));
    if (4 * 255 * magnitude > std::numeric_limits<std::int32_t>::max()) return false;
  }
  return true;
}

bool depthwise_applies(const IntegerConv& conv) {
  return conv.window.group > 1 && conv.window.group == conv.c_in && conv.c_in == conv.c_out;
}

Int8Conv prepare_int8_conv(const IntegerConv& conv, const ConvExtent& extent, Int8Conv::Algorithm algorithm,
                           bool pool2x2) {
  Int8Conv result;
  result.in_h = extent.in_h;
  result.in_w = extent.in_w;
  result.out_h = extent.out_h;
  result.out_w = extent.out_w;
  result.c_in = conv.c_in;
  result.c_out = conv.c_out;
  result.window = conv.window;
  result.algorithm = algorithm;
  result.pool2x2 = pool2x2;
  // A depthwise kernel goes over all channels as one group.
  const bool depthwise = algorithm == Int8Conv::Algorithm::kDepthwise;
  if (!depthwise) result.window.group /= groups_to_merge(conv);
  const std::int64_t groups = depthwise ? 1 : result.window.group;
  const std::int64_t group_out = conv.c_out / groups;
  result.k = conv.window.kernel[0] * conv.window.kernel[1] * (conv.c_in / groups);
  result.panels = (group_out + Int8Conv::kPanel - 1) / Int8Conv::kPanel;
  if (depthwise) result.panels = (result.panels + 1) / 2 * 2;
  if (algorithm == Int8Conv::Algorithm::kWinograd) {
    pack_winograd(conv, result);
  } else if (depthwise) {
    pack_depthwise(conv, result);
  } else {
    pack_direct(conv, result);
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
  result.has_residual = conv.has_residual;
  result.residual_zero_point = conv.residual_zero_point;
  result.residual_multiplier = conv.residual_multiplier;
  result.output_is_float = conv.output_is_float;
  result.rounds_in_int32 = rounds_in_int32(conv);
  result.y_zero_point = conv.y_zero_point;
  result.y_min = conv.y_min;
  result.y_max = conv.y_max;
  result.float_min = conv.float_min;
  result.float_max = conv.float_max;
  return result;
}

const Int8Kernels& int8_kernels() {
#if defined(__x86_64__)
  static const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (avx2) return int8_kernels_avx2();
#endif
  return int8_kernels_generic();
}

}  // namespace octavo
