// What the compiler makes of plain loops: for CPUs without a loop of their own.
#include <cstdint>

#include "peak_impl.h"

namespace octavo::kernels::generic {
namespace {

constexpr int kLanes = 64;

/// Keeps the compiler from seeing that a variable holds what it held before.
template <typename T>
void opaque(T& variable) {
  asm volatile("" : "+m"(variable));
}

/// sums[i] += a * b, `rounds` times, for kLanes lanes.
template <typename Sum, typename Operand>
void multiply_add(std::int64_t rounds) {
  Sum sums[kLanes] = {};
  Operand a[kLanes];
  for (int i = 0; i < kLanes; ++i) a[i] = static_cast<Operand>(i);
  auto b = static_cast<Operand>(rounds % 2);
  for (std::int64_t r = 0; r < rounds; ++r) {
    opaque(b);
    for (int i = 0; i < kLanes; ++i) sums[i] += static_cast<Sum>(a[i]) * static_cast<Sum>(b);
  }
  Sum total = 0;
  for (const Sum sum : sums) total += sum;
  opaque(total);
}

}  // namespace

const PeakLoop kPeakFloat{"portable C++", 2.0 * kLanes, multiply_add<float, float>};
const PeakLoop kPeakInt8{"portable C++", 2.0 * kLanes, multiply_add<std::uint32_t, std::uint16_t>};

}  // namespace octavo::kernels::generic
