// What a layer's inputs look like, as far as the error of its outputs depends on it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace octavo {

/// First and second moments of two vectors of `size` numbers that come in pairs: x, what a layer reads in
/// float, and q, what it reads in the quantized network. The outputs of weights w and v differ by w x - v q,
/// whose mean and variance over all pairs follow from these for any v.
class Moments {
 public:
  explicit Moments(std::int64_t size);

  /// `count` pairs, each [count, size].
  void add(std::span<const float> x, std::span<const float> q, std::int64_t count);
  std::int64_t count() const { return count_; }

  std::vector<double> mean_x() const;
  std::vector<double> mean_q() const;
  /// Means of products [size, size], less the product of the means if `centred`: of q with q, and of x (rows)
  /// with q (columns).
  std::vector<float> qq(bool centred) const;
  std::vector<float> xq(bool centred) const;

 private:
  std::int64_t size_;
  std::int64_t count_ = 0;
  std::vector<double> sum_x_, sum_q_;
  std::vector<double> qq_, xq_;  ///< [size, size], sums of products.
};

}  // namespace octavo
