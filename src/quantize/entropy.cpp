// Range with the least Kullback-Leibler divergence between the values and their quantized form.
// S. Migacz, "8-bit Inference with TensorRT", GTC 2017, carried over from signed symmetric to affine
// quantization.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "observers.h"
#include "octavo/quantize/histogram.h"
#include "range_search.h"

namespace octavo {
namespace {

/// P: the bins in the window, with what lies outside added to the outermost ones. Q: each level's count
/// spread evenly over the occupied bins that round to the level. Sums over bins come from running totals, so
/// that a window costs as many steps as it has levels.
class Divergence {
 public:
  explicit Divergence(const Density& density) : density_(density) {
    const std::size_t size = density.counts.size();
    counts_.resize(size + 1);
    occupied_.resize(size + 1);
    entropies_.resize(size + 1);
    for (std::size_t i = 0; i < size; ++i) {
      const double count = density.counts[i];
      counts_[i + 1] = counts_[i] + count;
      occupied_[i + 1] = occupied_[i] + (count > 0 ? 1 : 0);
      entropies_[i + 1] = entropies_[i] + times_log(count);
    }
  }

  double operator()(const Range& range, int levels) const {
    const QuantParams params = choose_activation_params(range, levels);
    const double scale = params.scale();
    const std::int64_t begin = range.min <= density_.edges.front() ? 0 : bin_at(range.min);
    const std::int64_t end = range.max >= density_.edges.back() ? size() : bin_at(range.max);
    // A window of fewer bins than levels says nothing: each bin would be a level of its own.
    const bool whole = begin == 0 && end == size();
    if (!whole && end - begin < levels) return kExcluded;
    const double below = counts_[begin];
    const double above = counts_.back() - counts_[end];
    const double total = counts_.back();
    const double inside = total - below - above;
    if ((below > 0 && count(begin) == 0) || (above > 0 && count(end - 1) == 0) || inside == 0)
      return kExcluded;

    // sum of p log p, with the outermost bins as they are once the values outside have been added to them
    double result = entropies_[end] - entropies_[begin];
    if (begin + 1 == end) {
      result = times_log(total);
    } else {
      result += times_log(count(begin) + below) - times_log(count(begin));
      result += times_log(count(end - 1) + above) - times_log(count(end - 1));
    }
    std::int64_t first = begin;
    for (std::int32_t q = params.qmin; q <= params.qmax && first < end; ++q) {
      const double boundary = (static_cast<double>(q - params.zero_point()) + 0.5) * scale;
      const std::int64_t last = q == params.qmax ? end : std::clamp(bin_at(boundary), first, end);
      const double mass = counts_[last] - counts_[first];
      if (mass > 0) {
        double p = mass;
        if (first <= begin) p += below;
        if (last >= end) p += above;
        result -= p * std::log(mass / (occupied_[last] - occupied_[first]));
      }
      first = last;
    }
    return result / total - std::log(total) + std::log(inside);
  }

 private:
  static constexpr double kExcluded = std::numeric_limits<double>::infinity();

  static double times_log(double x) { return x > 0 ? x * std::log(x) : 0; }
  std::int64_t size() const { return static_cast<std::int64_t>(density_.counts.size()); }
  double count(std::int64_t i) const { return density_.counts[static_cast<std::size_t>(i)]; }
  /// The bin edge nearest to x, counted from the first bin.
  std::int64_t bin_at(double x) const {
    const auto nearest = static_cast<std::int64_t>(std::nearbyint(x / density_.width));
    return std::clamp<std::int64_t>(nearest - density_.first, 0, size());
  }

  const Density& density_;
  std::vector<double> counts_;  ///< running totals, as are the next two
  std::vector<double> occupied_;
  std::vector<double> entropies_;
};

class EntropyObserver final : public Observer {
 public:
  explicit EntropyObserver(int bins) : histogram_(bins) {}

  void observe(std::span<const float> values) override { histogram_.observe(values); }

  Range range(int levels) const override {
    check_levels(levels);
    const Range full{.min = std::min(0.0F, histogram_.min()), .max = std::max(0.0F, histogram_.max())};
    const Density density = density_of(histogram_);
    if (density.counts.empty()) return {};
    const Divergence divergence(density);
    return search_range(full, 32, [&](const Range& range) { return divergence(range, levels); });
  }

 private:
  Histogram histogram_;
};

}  // namespace

std::unique_ptr<Observer> make_entropy_observer(const ObserverConfig& config) {
  return std::make_unique<EntropyObserver>(config.bins);
}

}  // namespace octavo
