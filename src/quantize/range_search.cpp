#include "range_search.h"

#include <algorithm>
#include <cmath>

namespace octavo {
namespace {

constexpr int kOctaves = 10;
constexpr double kFinestStep = 1.003;

Range scaled(const Range& range, double min_factor, double max_factor) {
  return {.min = static_cast<float>(range.min * min_factor),
          .max = static_cast<float>(range.max * max_factor)};
}

}  // namespace

Range search_range(const Range& full, int steps_per_octave, const std::function<double(const Range&)>& cost) {
  Range best = full;
  double least = cost(full);
  const auto attempt = [&](Range candidate) {
    candidate = {.min = std::max(candidate.min, full.min), .max = std::min(candidate.max, full.max)};
    const double value = cost(candidate);
    if (!(value < least)) return false;
    least = value;
    best = candidate;
    return true;
  };
  struct Ends {
    bool min = false, max = false;
  };
  const auto scan = [&](const Ends& shrink) {
    const Range start = best;
    for (int i = 1; i <= kOctaves * steps_per_octave; ++i) {
      const double factor = std::exp2(-static_cast<double>(i) / steps_per_octave);
      attempt({.min = shrink.min ? static_cast<float>(full.min * factor) : start.min,
               .max = shrink.max ? static_cast<float>(full.max * factor) : start.max});
    }
  };
  const bool two_sided = full.min < 0 && full.max > 0;
  scan({.min = true, .max = true});
  if (two_sided) {
    for (int round = 0; round < 2; ++round) {
      scan({.max = true});
      scan({.min = true});
    }
  }
  for (double step = std::exp2(0.5 / steps_per_octave); step > kFinestStep; step = std::sqrt(step)) {
    bool improved = true;
    while (improved) {
      improved = false;
      for (const double factor : {step, 1 / step}) {
        if (full.max > 0) improved |= attempt(scaled(best, 1, factor));
        if (full.min < 0) improved |= attempt(scaled(best, factor, 1));
      }
    }
  }
  return best;
}

}  // namespace octavo
