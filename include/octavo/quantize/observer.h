/// Observers: from the values a tensor takes to the range it is quantized over. Bounded memory whatever the number of
/// images. Add one by implementing Observer in one file and listing it in make_observer.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "octavo/core/quant.h"

namespace octavo {

/// Real interval [min, max] that holds 0.
struct Range {
  float min = 0;
  float max = 0;
};

/// Collects statistics of one activation tensor (also: range estimator, calibrator).
class Observer {
 public:
  virtual ~Observer() = default;
  /// One batch of values, in any order. Non-finite values throw kBadInput.
  virtual void observe(std::span<const float> values) = 0;
  /// The range so far; [0, 0] before any value. `levels` is the number of quantization levels aimed at, 256 for uint8.
  virtual Range range(int levels) const = 0;
};

struct ObserverConfig {
  std::string kind = "mse";     ///< "min-max", "moving-average", "percentile", "mse" or "entropy".
  float percentile = 99.99F;    ///< percentile: part of the values that the range keeps, in percent.
  float momentum = 0.9F;        ///< moving-average: weight of the old range.
  int bins = 2048;              ///< percentile, mse, entropy: bins of the histogram.
};

std::vector<std::string> observer_names();
/// Throws kUsage for an unknown kind or a setting out of range.
std::unique_ptr<Observer> make_observer(const ObserverConfig& config);

/// Affine uint8 parameters over `range` widened to hold 0; `levels` - 1 is the largest integer. A range of width 0
/// gives scale 1.
QuantParams choose_activation_params(Range range, int levels = 256);

/// Symmetric per-channel int8 parameters: scale[c] = max |w[c, ...]| / qmax; an all-zero channel gets scale 1.
/// `weight` is float32 with the output channel as its first dimension. `qmax` 127 for 8 bits, 63 for 7.
QuantParams choose_weight_params(const Tensor& weight, std::int32_t qmax = 127);

}  // namespace octavo
