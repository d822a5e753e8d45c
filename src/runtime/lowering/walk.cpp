#include "runtime/lowering/walk.h"

#include <numeric>
#include <string>

#include "octavo/core/error.h"

namespace octavo {
namespace {

/// Dimensions from the outermost in memory to the innermost; of equal strides the first is outside.
std::vector<std::size_t> order_of(const Strides& strides) {
  std::vector<std::size_t> order(strides.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, [&](auto a, auto b) { return strides[a] > strides[b]; });
  return order;
}

}  // namespace

Strides channels_last(const Shape& shape) {
  if (shape.size() != 4) return row_major(shape);
  return {shape[1] * shape[2] * shape[3], 1, shape[3] * shape[1], shape[1]};
}

Strides dense_like(const Shape& shape, const Strides& like) {
  const std::vector<std::size_t> order = order_of(like);
  Strides strides(shape.size());
  std::int64_t stride = 1;
  for (std::size_t i = order.size(); i-- > 0; stride *= shape[order[i]]) strides[order[i]] = stride;
  return strides;
}

bool same_order(const Shape& shape, const Strides& a, const Strides& b) {
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] != 1 && a[i] != b[i]) return false;
  }
  return true;
}

std::optional<Strides> reshaped(const Shape& shape, const Strides& strides, const Shape& to) {
  // From the innermost dimension outwards: the sizes that remain of a source dimension are handed to target
  // dimensions; a target dimension that needs more merges the next source dimension, if that continues where
  // the last one ends.
  Strides result(to.size());
  std::size_t source = shape.size();
  std::int64_t left = 1;    // Of the source dimensions merged so far, not yet handed out.
  std::int64_t stride = 1;  // Of the next element to hand out.
  for (std::size_t i = to.size(); i-- > 0;) {
    if (to[i] == 1) {
      result[i] = stride;
      continue;
    }
    while (left % to[i] != 0 || left == 1) {
      if (source == 0) return std::nullopt;
      --source;
      if (shape[source] == 1) continue;
      if (left == 1) {
        stride = strides[source];
      } else if (strides[source] != stride * left) {
        return std::nullopt;
      }
      left *= shape[source];
    }
    result[i] = stride;
    stride *= to[i];
    left /= to[i];
  }
  return result;
}

Strides broadcast(const Shape& shape, const Strides& strides, std::size_t rank) {
  Strides result(rank, 0);
  const std::size_t skipped = rank - shape.size();
  for (std::size_t i = 0; i < shape.size(); ++i) result[skipped + i] = shape[i] == 1 ? 0 : strides[i];
  return result;
}

Walk simplified(const Walk& walk) {
  const std::size_t operands = walk.strides.size();
  Walk result{{}, std::vector<Strides>(operands), walk.starts};
  if (result.starts.empty()) result.starts.assign(operands, 0);
  for (const std::size_t d : order_of(walk.strides[0])) {
    if (walk.dims[d] == 1) continue;
    bool merges = !result.dims.empty();
    for (std::size_t k = 0; merges && k < operands; ++k)
      merges = result.strides[k].back() == walk.strides[k][d] * walk.dims[d];
    if (merges) {
      result.dims.back() *= walk.dims[d];
      for (std::size_t k = 0; k < operands; ++k) result.strides[k].back() = walk.strides[k][d];
    } else {
      result.dims.push_back(walk.dims[d]);
      for (std::size_t k = 0; k < operands; ++k) result.strides[k].push_back(walk.strides[k][d]);
    }
  }
  if (result.dims.empty()) {
    result.dims.push_back(1);
    for (Strides& strides : result.strides) strides.push_back(1);
  }
  // A line of a few elements costs more than strided writes along the next dimension.
  constexpr std::int64_t kShort = 8;
  const std::size_t last = result.dims.size() - 1;
  if (last > 0 && result.dims[last] < kShort && result.dims[last - 1] >= 2 * result.dims[last]) {
    std::swap(result.dims[last], result.dims[last - 1]);
    for (Strides& strides : result.strides) std::swap(strides[last], strides[last - 1]);
  }
  if (result.dims.size() > Lines::kMostDimensions) {
    throw Error(ErrorCode::kUnsupported, "runtime",
                "too many dimensions to move; expected at most " + std::to_string(Lines::kMostDimensions) +
                    " that do not merge, got " + std::to_string(result.dims.size()));
  }
  return result;
}

Lines::Lines(const Walk& walk) : rank(walk.dims.size()), operands(walk.strides.size()) {
  check_internal(rank >= 1 && rank <= kMostDimensions && operands <= kMostOperands,
                 "a walk that was not simplified, or over too many operands");
  std::ranges::copy(walk.dims, dims.begin());
  std::ranges::copy(walk.starts, starts.begin());
  for (std::size_t k = 0; k < operands; ++k) std::ranges::copy(walk.strides[k], strides[k].begin());
}

void Lines::drop(std::size_t d) {
  const auto close = [&](ByDimension<std::int64_t>& of) {
    std::copy(of.begin() + static_cast<std::ptrdiff_t>(d) + 1, of.begin() + static_cast<std::ptrdiff_t>(rank),
              of.begin() + static_cast<std::ptrdiff_t>(d));
  };
  close(dims);
  for (std::size_t k = 0; k < operands; ++k) close(strides[k]);
  --rank;
}

}  // namespace octavo
