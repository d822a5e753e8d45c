// Percentile range (H. Wu et al. 2020, arXiv 2004.09602, section 5.2), over non-zero values and for both
// signs.
#include <algorithm>
#include <numeric>

#include "observers.h"
#include "octavo/quantize/histogram.h"

namespace octavo {
namespace {

/// The point below which `mass` of the density lies, straight lines within a bin.
double quantile(const Density& density, double mass) {
  double below = 0;
  for (std::size_t i = 0; i < density.counts.size(); ++i) {
    const double count = density.counts[i];
    if (count > 0 && below + count >= mass) {
      return density.edges[i] + (density.edges[i + 1] - density.edges[i]) * (mass - below) / count;
    }
    below += count;
  }
  return density.edges.back();
}

class PercentileObserver final : public Observer {
 public:
  PercentileObserver(int bins, double percentile) : histogram_(bins), percentile_(percentile) {}

  void observe(std::span<const float> values) override { histogram_.observe(values); }

  Range range(int levels) const override {
    check_levels(levels);
    const Density density = density_of(histogram_);
    if (density.counts.empty()) return {};
    const double total = std::accumulate(density.counts.begin(), density.counts.end(), 0.0);
    const double left_out = total * (100.0 - percentile_) / 100.0;
    const bool two_sided = histogram_.min() < 0 && histogram_.max() > 0;
    const double tail = two_sided ? left_out / 2 : left_out;
    Range range;
    if (histogram_.min() < 0) range.min = std::min(0.0F, static_cast<float>(quantile(density, tail)));
    if (histogram_.max() > 0) range.max = std::max(0.0F, static_cast<float>(quantile(density, total - tail)));
    return range;
  }

 private:
  Histogram histogram_;
  double percentile_;
};

}  // namespace

std::unique_ptr<Observer> make_percentile_observer(const ObserverConfig& config) {
  check_setting(config.percentile > 50 && config.percentile <= 100, "percentile", "above 50, up to 100",
                config.percentile);
  return std::make_unique<PercentileObserver>(config.bins, config.percentile);
}

}  // namespace octavo
