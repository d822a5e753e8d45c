// Loops whose rate is the CPU's, one file per instruction set.
#pragma once

#include <cstdint>

namespace octavo::kernels {

/// Independent chains of one instruction, long enough to hide its latency, on operands in registers.
struct PeakLoop {
  const char* instruction;
  double operations;  ///< Of one round; a multiply-accumulate counts as two.
  void (*run)(std::int64_t rounds);
};

namespace generic {
extern const PeakLoop kPeakFloat, kPeakInt8;
}
namespace avx2 {
extern const PeakLoop kPeakFloat, kPeakInt8, kPeakInt8Pairs;
}
namespace avx512 {
extern const PeakLoop kPeakFloat;
}
namespace avxvnni {
extern const PeakLoop kPeakInt8;
}
namespace avx512vnni {
extern const PeakLoop kPeakInt8;
}
namespace amx {
extern const PeakLoop kPeakInt8;
}

}  // namespace octavo::kernels
