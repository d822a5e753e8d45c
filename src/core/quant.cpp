#include "octavo/core/quant.h"

#include <fmt/format.h>

#include <limits>

#include "octavo/core/error.h"

namespace octavo {

QuantParams activation_params(float scale, std::int32_t zero_point, std::int32_t qmin, std::int32_t qmax) {
  return {.scales = {scale},
          .zero_points = {zero_point},
          .axis = QuantParams::kPerTensor,
          .dtype = DType::kUInt8,
          .qmin = qmin,
          .qmax = qmax};
}

QuantParams weight_params(std::vector<float> scales, int axis, std::int32_t qmax) {
  const std::size_t count = scales.size();
  return {.scales = std::move(scales),
          .zero_points = std::vector<std::int32_t>(count, 0),
          .axis = axis,
          .dtype = DType::kInt8,
          .qmin = -qmax,
          .qmax = qmax};
}

float quantized_sum_offset(float a_multiplier, std::int32_t a_zero_point, float b_multiplier,
                           std::int32_t b_zero_point, std::int32_t y_zero_point) {
  const float zeros = std::fma(a_multiplier, static_cast<float>(a_zero_point),
                               b_multiplier * static_cast<float>(b_zero_point));
  return static_cast<float>(y_zero_point) - zeros;
}

namespace {

struct Limits {
  std::int64_t lo, hi;
};

Limits container_limits(DType dtype, const std::string& where) {
  switch (dtype) {
    case DType::kUInt8:
      return {0, 255};
    case DType::kInt8:
      return {-128, 127};
    case DType::kInt32:
      return {std::numeric_limits<std::int32_t>::min(), std::numeric_limits<std::int32_t>::max()};
    default:
      throw Error(ErrorCode::kBadInput, where,
                  "quantized container " + to_string(dtype) + "; expected uint8, int8 or int32");
  }
}

/// Calls body(element index, scale, zero point) for every element of a tensor of `shape`.
template <typename Body>
void for_each_element(const Shape& shape, const QuantParams& params, const Body& body) {
  const std::int64_t size = element_count(shape);
  if (!params.per_channel()) {
    for (std::int64_t i = 0; i < size; ++i) body(i, params.scale(), params.zero_point());
    return;
  }
  const std::size_t axis = static_cast<std::size_t>(params.axis);
  if (params.axis < 0 || axis >= shape.size() ||
      shape[axis] != static_cast<std::int64_t>(params.scales.size())) {
    throw Error(ErrorCode::kBadInput, "quantize",
                fmt::format("{} scales along axis {} do not fit a tensor of shape {}", params.scales.size(),
                            params.axis, to_string(shape)));
  }
  std::int64_t inner = 1;
  for (std::size_t i = axis + 1; i < shape.size(); ++i) inner *= shape[i];
  for (std::int64_t i = 0; i < size; ++i) {
    const std::size_t channel = static_cast<std::size_t>(i / inner % shape[axis]);
    body(i, params.scales[channel], params.zero_points[channel]);
  }
}

template <typename T>
void quantize_into(const Tensor& real, const QuantParams& params, Tensor& result) {
  const auto source = real.data<float>();
  const auto target = result.data<T>();
  for_each_element(real.shape(), params, [&](std::int64_t i, float scale, std::int32_t zero_point) {
    target[i] = static_cast<T>(quantize(source[i], scale, zero_point, params.qmin, params.qmax));
  });
}

template <typename T>
void dequantize_into(const Tensor& values, const QuantParams& params, Tensor& result) {
  const auto source = values.data<T>();
  const auto target = result.data<float>();
  for_each_element(values.shape(), params, [&](std::int64_t i, float scale, std::int32_t zero_point) {
    target[i] = dequantize(source[i], scale, zero_point);
  });
}

}  // namespace

void validate(const QuantParams& params, const std::string& where) {
  const auto fail = [&](const std::string& problem) { throw Error(ErrorCode::kBadInput, where, problem); };
  if (params.scales.empty()) fail("no scale");
  if (params.scales.size() != params.zero_points.size()) {
    fail(fmt::format("{} scales but {} zero points", params.scales.size(), params.zero_points.size()));
  }
  if (!params.per_channel() && params.scales.size() != 1) {
    fail(fmt::format("{} scales without an axis; expected 1", params.scales.size()));
  }
  const Limits limits = container_limits(params.dtype, where);
  if (params.qmin >= params.qmax || params.qmin < limits.lo || params.qmax > limits.hi) {
    fail(fmt::format("range [{}, {}] does not fit {}", params.qmin, params.qmax, to_string(params.dtype)));
  }
  for (std::size_t i = 0; i < params.scales.size(); ++i) {
    if (!(params.scales[i] > 0) || !std::isfinite(params.scales[i])) {
      fail(fmt::format("scale {} is {}; expected a finite number above 0", i, params.scales[i]));
    }
    if (params.zero_points[i] < params.qmin || params.zero_points[i] > params.qmax) {
      fail(fmt::format("zero point {} is {}; expected {} to {}", i, params.zero_points[i], params.qmin,
                       params.qmax));
    }
  }
}

Tensor quantize(const Tensor& real, const QuantParams& params) {
  if (real.dtype() == params.dtype) return real;
  Tensor result(real.shape(), params.dtype);
  switch (params.dtype) {
    case DType::kUInt8:
      quantize_into<std::uint8_t>(real, params, result);
      return result;
    case DType::kInt8:
      quantize_into<std::int8_t>(real, params, result);
      return result;
    default:
      throw Error(ErrorCode::kInternal, "quantize", "container " + to_string(params.dtype));
  }
}

Tensor dequantize(const Tensor& values, const QuantParams& params) {
  Tensor result(values.shape(), DType::kFloat32);
  check_internal(values.dtype() == params.dtype,
                 "dequantize: element type differs from the parameters' container");
  switch (params.dtype) {
    case DType::kUInt8:
      dequantize_into<std::uint8_t>(values, params, result);
      return result;
    case DType::kInt8:
      dequantize_into<std::int8_t>(values, params, result);
      return result;
    case DType::kInt32:
      dequantize_into<std::int32_t>(values, params, result);
      return result;
    default:
      throw Error(ErrorCode::kInternal, "dequantize", "container " + to_string(params.dtype));
  }
}

Tensor fake_quantize(const Tensor& real, const QuantParams& params) {
  return dequantize(quantize(real, params), params);
}

Tensor quantize_bias(const Tensor& bias, float scale_x, const QuantParams& weights) {
  if (bias.dtype() == DType::kInt32) return bias;
  Tensor result(bias.shape(), DType::kInt32);
  const auto source = bias.data<float>();
  const auto target = result.data<std::int32_t>();
  for (std::size_t c = 0; c < source.size(); ++c) {
    const float scale_w = weights.per_channel() ? weights.scales.at(c) : weights.scale();
    const double q = std::nearbyint(static_cast<double>(source[c]) /
                                    (static_cast<double>(scale_x) * static_cast<double>(scale_w)));
    constexpr double kLowest = std::numeric_limits<std::int32_t>::min();
    constexpr double kHighest = std::numeric_limits<std::int32_t>::max();
    target[c] = static_cast<std::int32_t>(std::isnan(q) ? 0.0 : std::clamp(q, kLowest, kHighest));
  }
  return result;
}

}  // namespace octavo
