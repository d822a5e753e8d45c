/// Summary statistics of timings.
#pragma once

#include <span>

namespace octavo {

struct Summary {
  double mean = 0;
  double std = 0;     ///< Sample standard deviation (divided by n - 1); 0 for one sample.
  double median = 0;  ///< Mean of the two middle samples where their number is even.
  double p90 = 0;     ///< Nearest rank: the smallest sample that at least 90 % of the samples do not exceed.
};

/// Throws kUsage without samples, or if one is not finite.
Summary summarize(std::span<const double> samples);

}  // namespace octavo
