#include "rounding.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "octavo/core/parallel.h"
#include "octavo/core/quant.h"

namespace octavo {
namespace {

// Of the mean square of a tap: added to each, so that taps which the images hardly tell apart keep their
// weights.
constexpr double kDamping = 0.01;
constexpr int kRounds = 4;   // Of integers, then scale.
constexpr int kSweeps = 20;  // Over the weights, a round.

/// One output channel.
class Channel {
 public:
  /// `quadratic` [taps, taps] is symmetric with a positive diagonal, `linear` [taps] is w X.
  Channel(std::span<const float> weights, std::span<const float> quadratic, std::vector<float> linear,
          std::int32_t qmax, float scale)
      : quadratic_(quadratic), linear_(std::move(linear)), qmax_(qmax), scale_(scale), q_(weights.size()) {
    for (std::size_t k = 0; k < q_.size(); ++k) q_[k] = round_saturate(weights[k] / scale_, -qmax_, qmax_);
  }

  void descend() {
    for (int round = 0; round < kRounds; ++round) {
      find_residual();
      for (int sweep = 0; sweep < kSweeps && improve(); ++sweep) {
      }
      if (round + 1 < kRounds && !fit_scale()) return;
    }
  }

  float scale() const { return scale_; }
  float weight(std::size_t k) const { return static_cast<float>(q_[k]) * scale_; }

 private:
  std::span<const float> row(std::size_t k) const { return quadratic_.subspan(k * q_.size(), q_.size()); }

  /// linear - v Q: half the slope, downhill.
  void find_residual() {
    residual_ = linear_;
    for (std::size_t k = 0; k < q_.size(); ++k) {
      if (q_[k] != 0) move(k, weight(k));
    }
  }

  void move(std::size_t k, float by) {
    const auto slope = row(k);
    for (std::size_t j = 0; j < residual_.size(); ++j) residual_[j] -= by * slope[j];
  }

  /// One sweep. False if nothing changed.
  bool improve() {
    bool changed = false;
    for (std::size_t k = 0; k < q_.size(); ++k) {
      const float best = weight(k) + residual_[k] / row(k)[k];
      const std::int32_t q = round_saturate(best / scale_, -qmax_, qmax_);
      if (q == q_[k]) continue;
      move(k, static_cast<float>(q - q_[k]) * scale_);
      q_[k] = q;
      changed = true;
    }
    return changed;
  }

  /// The scale with the least error for these integers. False if it stays as it was.
  bool fit_scale() {
    // v Q = linear - residual.
    double gain = 0;
    double power = 0;
    for (std::size_t k = 0; k < q_.size(); ++k) {
      const double q = q_[k];
      gain += q * static_cast<double>(linear_[k]);
      power += q * static_cast<double>(linear_[k] - residual_[k]);
    }
    const auto better = static_cast<float>(static_cast<double>(scale_) * gain / power);
    if (!(better > scale_ / 2 && better < scale_ * 2) || better == scale_) return false;
    scale_ = better;
    return true;
  }

  std::span<const float> quadratic_;
  std::vector<float> linear_;
  std::int32_t qmax_;
  float scale_;
  std::vector<std::int32_t> q_;
  std::vector<float> residual_;
};

}  // namespace

void round_second_order(std::span<float> rows, std::int64_t taps, const InputProducts& inputs,
                        std::int32_t qmax, std::span<float> scales) {
  const auto size = static_cast<std::size_t>(taps);
  std::vector<float> quadratic(inputs.qq.begin(), inputs.qq.end());
  double trace = 0;
  for (std::size_t k = 0; k < size; ++k) trace += static_cast<double>(quadratic[k * size + k]);
  const auto damping = static_cast<float>(trace > 0 ? kDamping * trace / static_cast<double>(taps) : 1);
  for (std::size_t k = 0; k < size; ++k) quadratic[k * size + k] += damping;
  parallel_for(std::ssize(scales), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t m = begin; m < end; ++m) {
      const auto weights = rows.subspan(static_cast<std::size_t>(m) * size, size);
      std::vector<float> linear(size);
      for (std::size_t k = 0; k < size; ++k) linear[k] = damping * weights[k];
      for (std::size_t k = 0; k < size; ++k) {
        const auto products = inputs.xq.subspan(k * size, size);
        for (std::size_t j = 0; j < size; ++j) linear[j] += weights[k] * products[j];
      }
      float& scale = scales[static_cast<std::size_t>(m)];
      Channel channel(weights, quadratic, std::move(linear), qmax, scale);
      channel.descend();
      scale = channel.scale();
      for (std::size_t k = 0; k < size; ++k) weights[k] = channel.weight(k);
    }
  });
}

}  // namespace octavo
