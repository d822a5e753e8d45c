#include "runtime/int8_kernels.h"

namespace octavo {

Int8Conv prepare_int8_conv(const IntegerConv& conv, std::int64_t in_h, std::int64_t in_w, std::int64_t out_h,
                           std::int64_t out_w) {
  Int8Conv result;
  result.in_h = in_h;
  result.in_w = in_w;
  result.out_h = out_h;
  result.out_w = out_w;
  result.c_in = conv.c_in;
  result.c_out = conv.c_out;
  result.window = conv.window;
  const std::int64_t group_in = conv.c_in / conv.window.group;
  const std::int64_t group_out = conv.c_out / conv.window.group;
  const std::int64_t taps = conv.window.kernel[0] * conv.window.kernel[1];
  result.k = taps * group_in;
  result.panels = (group_out + Int8Conv::kPanel - 1) / Int8Conv::kPanel;
  const std::int64_t pairs = (result.k + 1) / 2;
  const std::int64_t all_panels = conv.window.group * result.panels;
  result.weights.assign(static_cast<std::size_t>(all_panels * pairs * 2 * Int8Conv::kPanel), 0);
  result.bias.assign(static_cast<std::size_t>(all_panels * Int8Conv::kPanel), 0.0F);
  result.multiplier.assign(result.bias.size(), 0.0F);
  const auto source = conv.weight.data<std::int8_t>();
  for (std::int64_t m = 0; m < conv.c_out; ++m) {
    const std::int64_t panel = m / group_out * result.panels + m % group_out / Int8Conv::kPanel;
    const std::int64_t column = m % group_out % Int8Conv::kPanel;
    const auto slot = static_cast<std::size_t>(panel * Int8Conv::kPanel + column);
    result.bias[slot] = static_cast<float>(conv.bias[static_cast<std::size_t>(m)]);
    result.multiplier[slot] = conv.multiplier[static_cast<std::size_t>(m)];
    for (std::int64_t tap = 0; tap < taps; ++tap) {
      for (std::int64_t c = 0; c < group_in; ++c) {
        const std::int64_t k = tap * group_in + c;
        result.weights[static_cast<std::size_t>(((panel * pairs + k / 2) * Int8Conv::kPanel + column) * 2 +
                                                k % 2)] =
            source[static_cast<std::size_t>((m * group_in + c) * taps + tap)];
      }
    }
  }
  result.x_zero_point = conv.x_zero_point;
  result.has_residual = conv.has_residual;
  result.residual_zero_point = conv.residual_zero_point;
  result.residual_multiplier = conv.residual_multiplier;
  result.output_is_float = conv.output_is_float;
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
