/// What this CPU can multiply and add at most: the ceiling that kernels are measured against.
#pragma once

#include <string>
#include <vector>

namespace octavo {

/// The rate of one instruction in a loop that touches no memory.
struct PeakRate {
  std::string instruction;  ///< "vpmaddwd (AVX2)"
  double gops = 0;          ///< 10^9 operations a second on all threads; a multiply-accumulate counts as two.
};

struct Peaks {
  int threads = 1;
  PeakRate float32;  ///< Fused multiply-adds.
  PeakRate int8;     ///< Products of uint8 and int8 added up in int32: the fastest of int8_loops.
  std::vector<PeakRate> int8_loops;  ///< Every way to make such products that this CPU has.
};

/// Times the loops that may run here (uses() of core/cpu.h says which) on `threads` threads, about `seconds`
/// each, and keeps the best rate seen. On AVX2 two ways compete for the integers: vpmaddwd on operands
/// widened before, whose sums are exact, and vpmaddubsw, whose sums of pairs may saturate. Throws kUsage
/// unless threads >= 1 and seconds > 0.
Peaks measure_peaks(int threads, double seconds = 0.1);

}  // namespace octavo
