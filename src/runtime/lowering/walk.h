// Tensors whose dimensions lie in memory in any order, and loops over several of them at once.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "octavo/core/parallel.h"
#include "octavo/core/tensor.h"

namespace octavo {

/// Elements between neighbours along each dimension.
using Strides = std::vector<std::int64_t>;

/// Rank 4: NHWC. row_major() otherwise.
Strides channels_last(const Shape& shape);
/// Dense, with the dimensions nested in the order in which those of `like` are.
Strides dense_like(const Shape& shape, const Strides& like);
/// True if both say the same of a tensor of `shape`: dimensions of size 1 do not count.
bool same_order(const Shape& shape, const Strides& a, const Strides& b);
/// Strides under which the elements, without being moved, are the tensor reshaped (row-major) to `to`.
std::optional<Strides> reshaped(const Shape& shape, const Strides& strides, const Shape& to);
/// `strides` of a tensor of `shape` that broadcasts to one of rank `rank`: 0 along the dimensions it lacks.
Strides broadcast(const Shape& shape, const Strides& strides, std::size_t rank);

/// Which elements of several operands go together: along each of `dims`, each operand's strides. The result
/// is operand 0.
struct Walk {
  Shape dims;
  std::vector<Strides> strides;      ///< By operand.
  std::vector<std::int64_t> starts;  ///< By operand; empty: all 0.
};

/// The same pairs of elements in fewer dimensions: nested as the result lies in memory, neighbours merged.
/// Throws kUnsupported where more than Lines::kMostDimensions remain.
Walk simplified(const Walk& walk);

/// A simplified walk on the stack, so that running one allocates nothing.
struct Lines {
  static constexpr std::size_t kMostDimensions = 12;
  static constexpr std::size_t kMostOperands = 4;
  template <typename T>
  using ByDimension = std::array<T, kMostDimensions>;

  /// Throws kInternal for a walk of more operands; simplified() has refused more dimensions.
  explicit Lines(const Walk& walk);
  /// Drops dimension `d`.
  void drop(std::size_t d);

  std::size_t rank = 0;
  std::size_t operands = 0;
  ByDimension<std::int64_t> dims{};
  std::array<ByDimension<std::int64_t>, kMostOperands> strides{};
  std::array<std::int64_t, kMostOperands> starts{};
};

/// Calls body(offset of each operand, count) for the lines of a walk, in parallel; along a line each operand
/// steps by its last stride.
template <typename Body>
void for_each_line(const Lines& walk, int threads, const Body& body) {
  constexpr std::int64_t kChunk = 4096;
  const std::size_t operands = walk.operands;
  const std::size_t outer = walk.rank - 1;
  const std::int64_t length = walk.dims[outer];
  const std::int64_t chunks = (length + kChunk - 1) / kChunk;
  std::int64_t lines = 1;
  for (std::size_t d = 0; d < outer; ++d) lines *= walk.dims[d];
  const auto work = [&](std::int64_t begin, std::int64_t end) {
    Lines::ByDimension<std::int64_t> index{};
    std::array<std::int64_t, Lines::kMostOperands> line_at = walk.starts;
    std::array<std::int64_t, Lines::kMostOperands> at{};
    std::int64_t rest = begin / chunks;
    for (std::size_t d = outer; d-- > 0; rest /= walk.dims[d]) {
      index[d] = rest % walk.dims[d];
      for (std::size_t k = 0; k < operands; ++k) line_at[k] += index[d] * walk.strides[k][d];
    }
    for (std::int64_t unit = begin; unit < end; ++unit) {
      const std::int64_t first = unit % chunks * kChunk;
      for (std::size_t k = 0; k < operands; ++k) at[k] = line_at[k] + first * walk.strides[k][outer];
      body(at.data(), std::min(kChunk, length - first));
      if (first + kChunk < length) continue;
      for (std::size_t d = outer; d-- > 0;) {
        for (std::size_t k = 0; k < operands; ++k) line_at[k] += walk.strides[k][d];
        if (++index[d] < walk.dims[d]) break;
        index[d] = 0;
        for (std::size_t k = 0; k < operands; ++k) line_at[k] -= walk.dims[d] * walk.strides[k][d];
      }
    }
  };
  const std::int64_t grain = std::max<std::int64_t>(1, 2 * kChunk / std::min(length, kChunk));
  parallel_for(lines * chunks, grain, work, threads);
}

template <typename Body>
void for_each_line(const Walk& walk, int threads, const Body& body) {
  for_each_line(Lines(walk), threads, body);
}

}  // namespace octavo
