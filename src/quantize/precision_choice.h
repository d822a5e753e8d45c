// The cheapest choice between int8 and float32 for all groups of a model together.
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

namespace octavo {

/// Costs are whole numbers (nanoseconds) of at least 0.
inline constexpr std::int64_t kImpossible = std::numeric_limits<std::int64_t>::max() / 4;

struct GroupCost {
  std::int64_t in_float = 0;
  std::int64_t in_int8 = 0;  ///< kImpossible where there is no integer form.
};

/// A value between groups, and what it costs to have it both ways.
struct ValueCost {
  int maker = -1;                 ///< The group that makes it; -1: the model's input, which is float32.
  std::vector<int> readers = {};  ///< Groups.
  std::int64_t quantize = 0;      ///< Paid once where the maker is float32 and a reader int8.
  std::int64_t dequantize = 0;    ///< Paid once where the maker is int8 and a reader float32.
};

/// By group: true for int8. The sum of all costs is least (a minimum cut, as in Greig, Porteous and Seheult
/// 1989); of equal choices the one with the fewest groups in int8.
std::vector<bool> choose_integer(const std::vector<GroupCost>& groups, const std::vector<ValueCost>& values);

}  // namespace octavo
