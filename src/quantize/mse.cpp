// Range with the least expected squared quantization error.
#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "observers.h"
#include "octavo/quantize/histogram.h"
#include "range_search.h"

namespace octavo {
namespace {

/// Sum over the values of (x - fake_quantize(x))^2, each bin's values evenly spread over the bin.
///
/// With steps of length d and x rounded to n * d (n clamped to the integers there are), the error's
/// antiderivative is E(x) = n d^3 / 12 + (x - n d)^3 / 3: a whole step adds d^3 / 12, and clipped values are
/// the last step going on. A bin [a, b] of c values costs c (E(b) - E(a)) / (b - a), exactly, however wide it
/// is against d. The sum over bins is taken as a sum over edges.
class SquaredError {
 public:
  explicit SquaredError(const Density& density) {
    for (std::size_t i = 0; i < density.counts.size(); ++i) {
      if (density.counts[i] == 0) continue;
      const double a = density.edges[i];
      const double b = density.edges[i + 1];
      if (b > a) {
        const double weight = density.counts[i] / (b - a);
        add_edge(a, -weight);
        add_edge(b, weight);
      } else {
        points_.push_back({a, density.counts[i]});
      }
    }
    edges_.resize((edges_.size() + kLanes - 1) / kLanes * kLanes);  // with edges that weigh nothing
    weights_.resize(edges_.size());
  }

  double operator()(const Range& range, int levels) const {
    const QuantParams params = choose_activation_params(range, levels);
    const double step = params.scale();
    const double lowest = params.qmin - params.zero_point();
    const double highest = params.qmax - params.zero_point();
    const double inverse = 1 / step;
    const double step_cost = step * step * step / 12;
    std::array<double, kLanes> sums{};
    for (std::size_t i = 0; i < edges_.size(); i += kLanes) {
      for (std::size_t lane = 0; lane < kLanes; ++lane) {
        const double x = edges_[i + lane];
        const double n = nearest(x * inverse, lowest, highest);
        const double rest = x - n * step;
        sums[lane] += weights_[i + lane] * (n * step_cost + rest * rest * rest * (1.0 / 3.0));
      }
    }
    double sum = 0;
    for (const double lane : sums) sum += lane;
    for (const Point& point : points_) {
      const double error = point.x - nearest(point.x * inverse, lowest, highest) * step;
      sum += point.count * error * error;
    }
    return sum;
  }

 private:
  static constexpr std::size_t kLanes = 4;
  struct Point {
    double x;
    double count;
  };

  /// Round half to even after clamping; adding and subtracting 1.5 * 2^52 rounds, and does so in vector
  /// registers.
  static double nearest(double x, double lowest, double highest) {
    constexpr double kMagic = 6755399441055744.0;
    x = x < lowest ? lowest : x;
    x = x > highest ? highest : x;
    return (x + kMagic) - kMagic;
  }

  void add_edge(double x, double weight) {
    if (!edges_.empty() && edges_.back() == x) {
      weights_.back() += weight;
    } else {
      edges_.push_back(x);
      weights_.push_back(weight);
    }
  }

  std::vector<double> edges_;
  std::vector<double> weights_;
  std::vector<Point> points_;
};

class MseObserver final : public Observer {
 public:
  explicit MseObserver(int bins) : histogram_(bins) {}

  void observe(std::span<const float> values) override { histogram_.observe(values); }

  Range range(int levels) const override {
    check_levels(levels);
    const Range full{.min = std::min(0.0F, histogram_.min()), .max = std::max(0.0F, histogram_.max())};
    const SquaredError error(density_of(histogram_));
    return search_range(full, 8, [&](const Range& range) { return error(range, levels); });
  }

 private:
  Histogram histogram_;
};

}  // namespace

std::unique_ptr<Observer> make_mse_observer(const ObserverConfig& config) {
  return std::make_unique<MseObserver>(config.bins);
}

}  // namespace octavo
