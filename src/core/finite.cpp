#include "octavo/core/finite.h"

#include <algorithm>
#include <bit>
#include <cstdint>

namespace octavo {

bool all_finite(std::span<const float> values) noexcept {
  // Without a way out of the inner loop, so that compilers vectorize it.
  constexpr std::size_t kBlock = 4096;
  constexpr std::uint32_t kExponent = 0x7f800000;
  for (std::size_t i = 0; i < values.size(); i += kBlock) {
    std::uint32_t bad = 0;
    for (const float x : values.subspan(i, std::min(kBlock, values.size() - i)))
      bad |= static_cast<std::uint32_t>((std::bit_cast<std::uint32_t>(x) & kExponent) == kExponent);
    if (bad != 0) return false;
  }
  return true;
}

}  // namespace octavo
