/// The arithmetic contract: what a scale and a zero point mean, and the only functions that round.
/// docs/arithmetic.md explains it; the runtime, the reference interpreter, PTQ, QAT and export all use these.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "octavo/core/tensor.h"

namespace octavo {

/// How a tensor's integers stand for real numbers: `real = scale * (q - zero_point)`, q in [qmin, qmax].
/// One scale for the whole tensor (`axis == kPerTensor`) or one for each index along `axis`.
struct QuantParams {
  static constexpr int kPerTensor = -1;

  std::vector<float> scales;              ///< One, or one per channel; all finite and > 0.
  std::vector<std::int32_t> zero_points;  ///< As many as scales.
  int axis = kPerTensor;
  DType dtype = DType::kUInt8;  ///< Container: kUInt8 (activations), kInt8 (weights), kInt32 (biases).
  std::int32_t qmin = 0;  ///< Inclusive; narrower than the container for fewer bits or symmetric weights.
  std::int32_t qmax = 255;

  bool per_channel() const noexcept { return axis != kPerTensor; }
  float scale() const { return scales.at(0); }
  std::int32_t zero_point() const { return zero_points.at(0); }
  friend bool operator==(const QuantParams&, const QuantParams&) = default;
};

/// Per-tensor uint8 parameters, the form of every activation.
QuantParams activation_params(float scale, std::int32_t zero_point, std::int32_t qmin = 0,
                              std::int32_t qmax = 255);

/// Per-channel symmetric int8 parameters along `axis`, zero points 0, range [-qmax, qmax].
QuantParams weight_params(std::vector<float> scales, int axis = 0, std::int32_t qmax = 127);

/// Throws kBadInput, naming `where`, if a scale is not finite and positive, counts differ, a zero point lies
/// outside [qmin, qmax], or the range does not fit the container.
void validate(const QuantParams& params, const std::string& where);

/// Round half to even, then saturate; NaN becomes lo. The only float-to-integer conversion in Octavo.
inline std::int32_t round_saturate(float x, std::int32_t lo, std::int32_t hi) {
  // Clamped before the conversion so that it cannot overflow; both bounds are integers, so the order changes
  // nothing.
  if (!(x > static_cast<float>(lo))) return lo;
  if (!(x < static_cast<float>(hi))) return hi;
  return static_cast<std::int32_t>(std::nearbyintf(x));
}

/// QuantizeLinear of ONNX: saturate(round(x / scale) + zero_point).
inline std::int32_t quantize(float x, float scale, std::int32_t zero_point, std::int32_t qmin,
                             std::int32_t qmax) {
  return round_saturate(x / scale, qmin - zero_point, qmax - zero_point) + zero_point;
}

/// DequantizeLinear of ONNX.
inline float dequantize(std::int32_t q, float scale, std::int32_t zero_point) {
  return static_cast<float>(q - zero_point) * scale;
}

/// The end of every integer convolution and matrix product. `accumulator` is the exact sum of q_w * q_x over
/// the window (padding holds the zero point); `bias` is the int32 bias less zero_point_x * sum(q_w). Each
/// float32 operation rounds on its own: convert, convert, add, multiply.
inline float rescale(std::int32_t accumulator, std::int32_t bias, float multiplier) {
  return (static_cast<float>(accumulator) + static_cast<float>(bias)) * multiplier;
}

/// The sum of two quantized values (QLinearAdd of ONNX Runtime, its AVX2 kernel's order of roundings) in
/// units of the output, whose zero point is in it: round and saturate the result. Multipliers: scale /
/// scale_y.
inline float quantized_sum(std::int32_t a, float a_multiplier, std::int32_t b, float b_multiplier,
                           float offset) {
  return std::fma(static_cast<float>(a), a_multiplier, std::fma(static_cast<float>(b), b_multiplier, offset));
}

/// What quantized_sum() adds once: zero_point_y - fma(a_multiplier, zero_point_a, b_multiplier *
/// zero_point_b).
float quantized_sum_offset(float a_multiplier, std::int32_t a_zero_point, float b_multiplier,
                           std::int32_t b_zero_point, std::int32_t y_zero_point);

/// Output integer from a value already in units of the output's scale: saturate(round(x) + zero_point).
inline std::int32_t requantize(float x, std::int32_t zero_point, std::int32_t qmin, std::int32_t qmax) {
  return round_saturate(x, qmin - zero_point, qmax - zero_point) + zero_point;
}

/// float32 multiplier from the int32 accumulator to units of the output: (scale_x * scale_w) / scale_y, each
/// operation rounded to float32, as ONNX Runtime does it.
inline float requantize_multiplier(float scale_x, float scale_w, float scale_y) {
  return scale_x * scale_w / scale_y;
}

/// Quantizes a float tensor, per tensor or per channel, into the container of `params`. A tensor that already
/// has that container comes back unchanged, so this also reads imported integer weights.
Tensor quantize(const Tensor& real, const QuantParams& params);

/// Inverse map. `values.dtype()` must be the container of `params`.
Tensor dequantize(const Tensor& values, const QuantParams& params);

/// Quantize then dequantize: what fake quantization must equal.
Tensor fake_quantize(const Tensor& real, const QuantParams& params);

/// int32 biases at scale_x * scale_w[c], rounded half to even in double, saturated to int32.
/// A bias that already is int32 comes back unchanged.
Tensor quantize_bias(const Tensor& bias, float scale_x, const QuantParams& weights);

}  // namespace octavo
