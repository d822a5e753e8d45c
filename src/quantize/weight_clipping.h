// Ranges of weights that cut off the largest.
#pragma once

#include <cstdint>
#include <span>

namespace octavo {

/// The scale with the least mean squared error of `weights`, rounded to the nearest multiple within +-qmax,
/// among fractions of `largest`, which covers all of them (Banner et al. 2019, arXiv 1810.05723, by search):
/// then the best scale for the integers found, until these no longer change. Never a larger error than with
/// `largest`.
float clipped_scale(std::span<const float> weights, std::int32_t qmax, float largest);

}  // namespace octavo
