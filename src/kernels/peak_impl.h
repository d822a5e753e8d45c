// Loops whose rate is the CPU's, one file an instruction set.
#pragma once

#include <cstdint>

namespace octavo::kernels {

/// Independent chains of one instruction, long enough to hide its latency, on operands in registers.
struct PeakLoop {
  const char* instruction;
  bool (*available)();  ///< May be asked on any CPU; run() only where it says so.
  double operations;    ///< Of one round; a multiply-accumulate counts as two.
  void (*run)(std::int64_t rounds);
};

extern const PeakLoop kPeakFloatGeneric, kPeakInt8Generic;
extern const PeakLoop kPeakFloatAvx2, kPeakInt8Avx2, kPeakInt8Avx2Pairs;
extern const PeakLoop kPeakFloatAvx512;
extern const PeakLoop kPeakInt8AvxVnni;
extern const PeakLoop kPeakInt8Avx512Vnni;
extern const PeakLoop kPeakInt8Amx;

}  // namespace octavo::kernels
