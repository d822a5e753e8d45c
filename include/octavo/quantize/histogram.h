/// Fixed-size histogram of a stream of floats whose range is not known beforehand.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace octavo {

/// Least and greatest of some values, and whether all of them are finite.
struct Extent {
  float min = 0;  ///< 0 for no values.
  float max = 0;
  bool finite = true;
};

/// One pass over `values`, on num_threads() threads where that pays. min and max are unspecified unless
/// `finite`.
Extent extent_of(std::span<const float> values);

/// extent_of() that throws kBadInput, naming position and value, at the first NaN or infinity.
Extent finite_extent_of(std::span<const float> values);

/// Counts non-zero values by magnitude and sign in `bins` equal bins on each side of zero; zeros are counted
/// apart.
///
/// The bin width is the least power of two for which the largest magnitude seen fits. When a larger one
/// comes, the width doubles as often as needed and neighbouring bins merge in pairs. As powers of two divide
/// exactly, each count is what it would be had the final width been used from the start: the histogram does
/// not depend on the order of the values, on how they were cut into calls, or on the number of threads.
/// Approximate is only where in its bin a value lies: the width is at most 2 / bins of the largest magnitude.
/// min() and max() are exact.
class Histogram {
 public:
  static constexpr int kMinBins = 16;
  static constexpr int kMaxBins = 1 << 16;

  /// Throws kUsage unless kMinBins <= bins <= kMaxBins.
  explicit Histogram(int bins);

  /// Adds values, on num_threads() threads where that pays. Throws kBadInput at a NaN or infinity, changing
  /// nothing. Not to be called from two threads at once.
  void observe(std::span<const float> values);

  /// Adds what `other`, with the same number of bins, has seen.
  void merge(const Histogram& other);

  int bins() const noexcept { return bins_; }
  std::uint64_t total() const noexcept { return total_; }  ///< Values seen, zeros included.
  std::uint64_t zeros() const noexcept { return zeros_; }  ///< Of them, those that are 0 (or -0).
  float min() const noexcept { return min_; }              ///< 0 before any value.
  float max() const noexcept { return max_; }
  double width() const noexcept { return width_; }  ///< Of a bin; 0 until a value other than 0 was seen.

  /// Count of bin i: [i * width, (i + 1) * width) for positive(), the mirror image for negative().
  std::span<const std::uint64_t> positive() const { return std::span(counts_).first(half()); }
  std::span<const std::uint64_t> negative() const { return std::span(counts_).last(half()); }

  friend bool operator==(const Histogram&, const Histogram&) = default;

 private:
  std::size_t half() const noexcept { return static_cast<std::size_t>(bins_); }
  void grow_to_hold(float magnitude);
  void include(const Extent& extent, std::uint64_t count);

  int bins_;
  double width_ = 0;
  float min_ = 0;
  float max_ = 0;
  std::uint64_t total_ = 0;
  std::uint64_t zeros_ = 0;
  std::vector<std::uint64_t> counts_;  ///< positive, then negative
};

/// The occupied part of a histogram as piecewise constant density, in ascending order; zeros are left out.
struct Density {
  std::vector<double> edges;   ///< counts.size() + 1; the outermost are the exact least and greatest values.
  std::vector<double> counts;  ///< First and last are not 0. Empty if nothing but zeros was seen.
  std::int64_t first = 0;      ///< counts[i] is the bin [first + i, first + i + 1) * width.
  double width = 0;
};
Density density_of(const Histogram& histogram);

}  // namespace octavo
