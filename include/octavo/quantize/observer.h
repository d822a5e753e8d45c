/// Observers: from the values a tensor takes to the range it is quantized over. Bounded memory whatever the
/// number of images. Add one by implementing Observer in one file and listing it in make_observer.
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

/// Collects statistics of one activation tensor (also: range estimator, calibrator). One caller at a time.
class Observer {
 public:
  virtual ~Observer() = default;
  /// One batch of values, in any order. A NaN or infinity throws kBadInput and changes nothing.
  virtual void observe(std::span<const float> values) = 0;
  /// The range so far, always one that holds 0; [0, 0] before any value. `levels` is the number of
  /// quantization levels aimed at, 256 for uint8. Throws kUsage unless 2 <= levels <= 256.
  virtual Range range(int levels) const = 0;
};

/// Zeros: 0 is in every range and always exactly representable, so it costs no quantization error.
/// percentile, mse and entropy therefore leave exact zeros out: how sparse a ReLU's output is does not change
/// its range. All but moving-average are exactly independent of the order of the values and of how they are
/// cut into batches.
struct ObserverConfig {
  /// - "min-max": least and greatest value.
  /// - "moving-average": momentum * range + (1 - momentum) * the batch's least and greatest.
  /// - "percentile": the middle `percentile` percent of the non-zero values; what is left out is taken from
  /// the upper
  ///   end where no value is negative, from the lower end where none is positive, else half from each.
  /// - "mse": the clipping of both ends with the least expected squared error over the histogram, each bin's
  /// values
  ///   taken as evenly spread; scale and zero point of every candidate are those of choose_activation_params.
  /// - "entropy": the clipping with the least Kullback-Leibler divergence between the values and their
  /// quantized form
  ///   (S. Migacz, "8-bit Inference with TensorRT", GTC 2017), on the grid of the affine quantizer, both
  ///   ends.
  std::string kind = "mse";
  float percentile =
      99.99F;  ///< percentile: part of the non-zero values that the range keeps, in percent, (50, 100].
  float momentum = 0.9F;  ///< moving-average: weight of the old range, [0, 1).
  int bins = 4096;        ///< percentile, mse, entropy: bins of the histogram on each side of zero.
};

std::vector<std::string> observer_names();
/// Throws kUsage for an unknown kind or a setting out of range.
std::unique_ptr<Observer> make_observer(const ObserverConfig& config);

/// Affine uint8 parameters over `range` widened to hold 0; `levels` - 1 is the largest integer. The zero
/// point is the integer nearest to where 0 falls, so that 0 is exact; the scale is the range's width /
/// (levels - 1). Rounding the zero point moves both ends by at most scale / 2, so every value in the range
/// comes back within scale / 2. A range of width 0 gives scale 1, a narrower one than kMinScale * (levels -
/// 1) the scale kMinScale. Throws kBadInput unless the range is finite and min <= max, kUsage unless 2 <=
/// levels <= 256.
QuantParams choose_activation_params(Range range, int levels = 256);

/// Least scale that is chosen, 2^-64: products and quotients of scales stay far from overflow and underflow.
inline constexpr float kMinScale = 0x1p-64F;

/// Symmetric per-channel int8 parameters: scale[c] = max |w[c, ...]| / qmax; an all-zero channel gets
/// scale 1. `weight` is float32 with its output channels along `axis`: the first dimension, the second of
/// MatMul. `qmax` 127 for 8 bits, 63 for 7. Throws kBadInput if the weight is not float32, has no such
/// dimension or is not finite, kUsage unless 1 <= qmax <= 127.
QuantParams choose_weight_params(const Tensor& weight, std::int32_t qmax = 127, int axis = 0);

}  // namespace octavo
