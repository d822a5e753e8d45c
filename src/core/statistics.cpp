#include "octavo/core/statistics.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "octavo/core/error.h"

namespace octavo {

Summary summarize(std::span<const double> samples) {
  if (samples.empty()) throw Error(ErrorCode::kUsage, "summarize", "no samples; expected at least 1, got 0");
  if (!std::all_of(samples.begin(), samples.end(), [](double x) { return std::isfinite(x); })) {
    throw Error(ErrorCode::kUsage, "summarize",
                "a sample is not finite; expected numbers, got NaN or infinity");
  }
  std::vector<double> sorted(samples.begin(), samples.end());
  std::sort(sorted.begin(), sorted.end());
  const std::size_t n = sorted.size();

  Summary summary;
  summary.mean = std::accumulate(sorted.begin(), sorted.end(), 0.0) / static_cast<double>(n);
  if (n > 1) {
    double squares = 0;
    for (const double x : sorted) squares += (x - summary.mean) * (x - summary.mean);
    summary.std = std::sqrt(squares / static_cast<double>(n - 1));
  }
  summary.median = n % 2 == 1 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
  // Nearest rank ceil(0.9 n), in integers so that 0.9 * 10 is 9 and not a hair more.
  summary.p90 = sorted[(9 * n + 9) / 10 - 1];
  return summary;
}

}  // namespace octavo
