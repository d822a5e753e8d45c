#include "octavo/quantize/histogram.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <mutex>
#include <utility>

#include "octavo/core/error.h"
#include "octavo/core/parallel.h"

namespace octavo {
namespace {

/// Values below which starting threads costs more than it saves.
constexpr std::int64_t kGrain = 1 << 16;

constexpr std::uint32_t kExponent = 0x7f800000U;

/// min/max in independent lanes, so that the compiler keeps them in vector registers.
Extent serial_extent(const float* values, std::int64_t count) {
  constexpr std::int64_t kLanes = 16;
  std::array<float, kLanes> lo;
  std::array<float, kLanes> hi;
  std::array<std::uint32_t, kLanes> special{};
  lo.fill(values[0]);
  hi.fill(values[0]);
  const auto take = [&](std::int64_t lane, float x) {
    lo[lane] = x < lo[lane] ? x : lo[lane];
    hi[lane] = x > hi[lane] ? x : hi[lane];
    special[lane] |= (std::bit_cast<std::uint32_t>(x) & kExponent) == kExponent ? 1U : 0U;
  };
  std::int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (std::int64_t lane = 0; lane < kLanes; ++lane) take(lane, values[i + lane]);
  }
  for (; i < count; ++i) take(0, values[i]);
  return {.min = *std::min_element(lo.begin(), lo.end()),
          .max = *std::max_element(hi.begin(), hi.end()),
          .finite = std::all_of(special.begin(), special.end(), [](std::uint32_t s) { return s == 0; })};
}

/// Four counts a bin side by side: consecutive values go to different ones, so that a run of equal values (a
/// ReLU's zeros) does not wait for its own last store. uint32 suffices for 2^34 values in one call.
constexpr std::int64_t kWays = 4;

/// Adds values to `ways` ([2 * bins][kWays]: positive, then negative bins) and returns how many are zero;
/// those are counted in the first bin as well.
std::uint64_t count_into(const float* values, std::int64_t count, float inverse_width, std::uint32_t bins,
                         std::uint32_t* ways) {
  constexpr std::int64_t kBlock = 512;
  std::array<std::uint32_t, kBlock> index;
  std::uint64_t zeros = 0;
  for (std::int64_t start = 0; start < count; start += kBlock) {
    const std::int64_t length = std::min(kBlock, count - start);
    const float* block = values + start;
    std::uint32_t block_zeros = 0;
    for (std::int64_t i = 0; i < length; ++i) {
      const float x = block[i] + 0.0F;  // -0 becomes +0
      const std::uint32_t negative = std::bit_cast<std::uint32_t>(x) >> 31;
      const auto bin = static_cast<std::int32_t>(std::fabs(x) * inverse_width);
      index[i] = (static_cast<std::uint32_t>(bin) + ((0U - negative) & bins)) * kWays;
      block_zeros += x == 0.0F ? 1U : 0U;
    }
    zeros += block_zeros;
    std::int64_t i = 0;
    for (; i + kWays <= length; i += kWays) {
      ++ways[index[i]];
      ++ways[index[i + 1] + 1];
      ++ways[index[i + 2] + 2];
      ++ways[index[i + 3] + 3];
    }
    for (; i < length; ++i) ++ways[index[i]];
  }
  return zeros;
}

/// The least power of two w with magnitude < bins * w, from 2^-126 up so that its inverse is a normal float.
double width_for(float magnitude, int bins) {
  int exponent = 0;
  std::frexp(static_cast<double>(magnitude) / bins, &exponent);  // magnitude / bins < 2^exponent
  return std::max(std::ldexp(1.0, exponent), std::ldexp(1.0, -126));
}

}  // namespace

Extent extent_of(std::span<const float> values) {
  if (values.empty()) return {};
  Extent result{.min = values[0], .max = values[0], .finite = true};
  std::mutex mutex;
  parallel_for(static_cast<std::int64_t>(values.size()), kGrain, [&](std::int64_t begin, std::int64_t end) {
    const Extent part = serial_extent(values.data() + begin, end - begin);
    const std::lock_guard lock(mutex);
    result.min = std::min(result.min, part.min);
    result.max = std::max(result.max, part.max);
    result.finite = result.finite && part.finite;
  });
  return result;
}

Extent finite_extent_of(std::span<const float> values) {
  const Extent extent = extent_of(values);
  if (extent.finite) return extent;
  const auto bad = std::find_if(values.begin(), values.end(), [](float x) { return !std::isfinite(x); });
  throw Error(ErrorCode::kBadInput, "observer",
              fmt::format("element {} of {} is not usable; expected a finite number, got {}",
                          bad - values.begin(), values.size(), *bad));
}

Histogram::Histogram(int bins) : bins_(bins) {
  if (bins < kMinBins || bins > kMaxBins) {
    throw Error(ErrorCode::kUsage, "observer bins",
                fmt::format("out of range; expected {} to {}, got {}", kMinBins, kMaxBins, bins));
  }
  counts_.resize(2 * half());
}

void Histogram::grow_to_hold(float magnitude) {
  if (magnitude == 0 || static_cast<double>(magnitude) < width_ * bins_) return;
  const double width = width_for(magnitude, bins_);
  if (width_ != 0) {
    const int doublings = std::min(31, std::ilogb(width / width_));
    for (std::size_t side = 0; side < 2; ++side) {
      const auto counts = std::span(counts_).subspan(side * half(), half());
      for (std::size_t i = 1; i < counts.size(); ++i) {
        const std::uint64_t moved = std::exchange(counts[i], 0);
        counts[i >> doublings] += moved;
      }
    }
  }
  width_ = width;
}

void Histogram::include(const Extent& extent, std::uint64_t count) {
  min_ = total_ == 0 ? extent.min : std::min(min_, extent.min);
  max_ = total_ == 0 ? extent.max : std::max(max_, extent.max);
  total_ += count;
}

void Histogram::observe(std::span<const float> values) {
  if (values.empty()) return;
  const Extent extent = finite_extent_of(values);
  include(extent, values.size());
  grow_to_hold(std::max(-extent.min, extent.max));
  if (extent.min == 0 && extent.max == 0) {
    zeros_ += values.size();
    return;
  }
  const auto inverse = static_cast<float>(1.0 / width_);
  std::mutex mutex;
  parallel_for(static_cast<std::int64_t>(values.size()), kGrain, [&](std::int64_t begin, std::int64_t end) {
    std::vector<std::uint32_t> ways(counts_.size() * kWays);
    const std::uint64_t zeros = count_into(values.data() + begin, end - begin, inverse,
                                           static_cast<std::uint32_t>(bins_), ways.data());
    const std::lock_guard lock(mutex);
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      for (std::size_t way = 0; way < kWays; ++way) counts_[i] += ways[i * kWays + way];
    }
    counts_[0] -= zeros;
    zeros_ += zeros;
  });
}

void Histogram::merge(const Histogram& other) {
  check_internal(bins_ == other.bins_, "histograms of different numbers of bins cannot be merged");
  if (other.total_ == 0) return;
  include({.min = other.min_, .max = other.max_, .finite = true}, other.total_);
  zeros_ += other.zeros_;
  if (other.width_ == 0) return;
  Histogram aligned = other;
  const float magnitude = std::max({-min_, max_, -other.min_, other.max_});
  grow_to_hold(magnitude);
  aligned.grow_to_hold(magnitude);
  for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += aligned.counts_[i];
}

Density density_of(const Histogram& histogram) {
  const std::int64_t bins = histogram.bins();
  const auto count = [&](std::int64_t k) {
    return k >= 0 ? histogram.positive()[static_cast<std::size_t>(k)]
                  : histogram.negative()[static_cast<std::size_t>(-k - 1)];
  };
  std::int64_t first = -bins;
  std::int64_t last = bins - 1;
  while (first <= last && count(first) == 0) ++first;
  while (last >= first && count(last) == 0) --last;
  Density density{.edges = {}, .counts = {}, .first = first, .width = histogram.width()};
  if (first > last) return density;
  for (std::int64_t k = first; k <= last; ++k) {
    density.counts.push_back(static_cast<double>(count(k)));
    density.edges.push_back(static_cast<double>(k) * histogram.width());
  }
  density.edges.push_back(static_cast<double>(last + 1) * histogram.width());
  // The outermost values are known exactly, unless they are zeros, which are no part of the density.
  for (double& edge : density.edges) {
    if (histogram.min() != 0) edge = std::max(edge, static_cast<double>(histogram.min()));
    if (histogram.max() != 0) edge = std::min(edge, static_cast<double>(histogram.max()));
  }
  return density;
}

}  // namespace octavo
