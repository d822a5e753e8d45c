#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "observers.h"
#include "octavo/core/error.h"
#include "octavo/quantize/observer.h"

namespace octavo {

QuantParams choose_activation_params(Range range, int levels) {
  check_levels(levels);
  if (!std::isfinite(range.min) || !std::isfinite(range.max) || range.min > range.max) {
    throw Error(ErrorCode::kBadInput, "activation range",
                fmt::format("expected finite min <= max, got [{}, {}]", range.min, range.max));
  }
  const std::int32_t qmax = levels - 1;
  const double lo = std::min(0.0F, range.min);
  const double hi = std::max(0.0F, range.max);
  if (lo == hi) return activation_params(1.0F, 0, 0, qmax);
  const float scale = std::max(static_cast<float>((hi - lo) / qmax), kMinScale);
  return activation_params(scale, round_saturate(static_cast<float>(-lo / scale), 0, qmax), 0, qmax);
}

QuantParams choose_weight_params(const Tensor& weight, std::int32_t qmax, int axis) {
  if (qmax < 1 || qmax > 127) {
    throw Error(ErrorCode::kUsage, "weight qmax",
                fmt::format("out of range; expected 1 to 127, got {}", qmax));
  }
  if (weight.dtype() != DType::kFloat32 || axis < 0 || static_cast<std::size_t>(axis) >= weight.rank()) {
    throw Error(ErrorCode::kBadInput, "weight",
                fmt::format("expected float32 with an output channel for dimension {}, got {} {}", axis,
                            to_string(weight.dtype()), to_string(weight.shape())));
  }
  const auto values = weight.data<float>();
  const auto along = static_cast<std::size_t>(axis);
  const auto channels = static_cast<std::size_t>(weight.dim(along));
  std::size_t inner = 1;
  for (std::size_t d = along + 1; d < weight.rank(); ++d) inner *= static_cast<std::size_t>(weight.dim(d));
  std::vector<float> largest(channels, 0.0F);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::size_t c = i / inner % channels;
    if (!std::isfinite(values[i])) {
      throw Error(ErrorCode::kBadInput, "weight",
                  fmt::format("channel {}: expected finite numbers, got {}", c, values[i]));
    }
    largest[c] = std::max(largest[c], std::fabs(values[i]));
  }
  std::vector<float> scales(channels, 1.0F);
  for (std::size_t c = 0; c < channels; ++c) {
    if (largest[c] > 0) scales[c] = std::max(largest[c] / static_cast<float>(qmax), kMinScale);
  }
  return weight_params(std::move(scales), axis, qmax);
}

}  // namespace octavo
