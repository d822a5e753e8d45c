#include "weight_clipping.h"

#include "octavo/core/quant.h"

namespace octavo {
namespace {

constexpr int kCandidates = 64;  // From 1/64 of the largest scale on.
constexpr int kRefinements = 16;

double squared_error(std::span<const float> weights, std::int32_t qmax, float scale) {
  double sum = 0;
  for (const float w : weights) {
    const double error =
        static_cast<double>(static_cast<float>(round_saturate(w / scale, -qmax, qmax)) * scale - w);
    sum += error * error;
  }
  return sum;
}

/// The scale that is best for the integers that `scale` gives.
float refitted(std::span<const float> weights, std::int32_t qmax, float scale) {
  double product = 0;
  double power = 0;
  for (const float w : weights) {
    const double q = round_saturate(w / scale, -qmax, qmax);
    product += q * static_cast<double>(w);
    power += q * q;
  }
  return power > 0 ? static_cast<float>(product / power) : scale;
}

}  // namespace

float clipped_scale(std::span<const float> weights, std::int32_t qmax, float largest) {
  float best = largest;
  double least = squared_error(weights, qmax, largest);
  const auto consider = [&](float scale) {
    const double error = squared_error(weights, qmax, scale);
    if (!(error < least)) return false;
    least = error;
    best = scale;
    return true;
  };
  for (int i = 1; i < kCandidates; ++i)
    consider(largest * static_cast<float>(i) / static_cast<float>(kCandidates));
  for (int i = 0; i < kRefinements && consider(refitted(weights, qmax, best)); ++i) {
  }
  return best;
}

}  // namespace octavo
