// Ranges from the least and greatest values: over everything, or as an exponential moving average over
// batches.
#include <algorithm>

#include "observers.h"
#include "octavo/quantize/histogram.h"

namespace octavo {
namespace {

/// `momentum` 0 .. 1 blends batches; without it the range only grows.
class ExtremesObserver final : public Observer {
 public:
  explicit ExtremesObserver(bool average, float momentum) : average_(average), momentum_(momentum) {}

  void observe(std::span<const float> values) override {
    if (values.empty()) return;
    const Extent batch = finite_extent_of(values);
    if (empty_) {
      min_ = batch.min;
      max_ = batch.max;
    } else if (average_) {
      min_ = momentum_ * min_ + (1.0 - momentum_) * batch.min;
      max_ = momentum_ * max_ + (1.0 - momentum_) * batch.max;
    } else {
      min_ = std::min<double>(min_, batch.min);
      max_ = std::max<double>(max_, batch.max);
    }
    empty_ = false;
  }

  Range range(int levels) const override {
    check_levels(levels);
    return {.min = std::min(0.0F, static_cast<float>(min_)), .max = std::max(0.0F, static_cast<float>(max_))};
  }

 private:
  bool average_;
  double momentum_;
  bool empty_ = true;
  double min_ = 0;
  double max_ = 0;
};

}  // namespace

std::unique_ptr<Observer> make_min_max_observer(const ObserverConfig&) {
  return std::make_unique<ExtremesObserver>(false, 0.0F);
}

std::unique_ptr<Observer> make_moving_average_observer(const ObserverConfig& config) {
  check_setting(config.momentum >= 0 && config.momentum < 1, "momentum", "0 up to but not 1",
                config.momentum);
  return std::make_unique<ExtremesObserver>(true, config.momentum);
}

}  // namespace octavo
