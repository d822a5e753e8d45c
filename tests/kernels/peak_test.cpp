// What can be said of a rate without knowing the machine.
#include "octavo/kernels/peak.h"

#include <gtest/gtest.h>

#include "octavo/core/cpu.h"
#include "octavo/core/error.h"

namespace octavo {
namespace {

TEST(Peak, RatesAreOfThisCpusInstructions) {
  const Peaks peaks = measure_peaks(1, 0.01);
  EXPECT_EQ(peaks.threads, 1);
  EXPECT_GT(peaks.float32.gops, 0.1);
  ASSERT_FALSE(peaks.int8_loops.empty());
  EXPECT_EQ(peaks.int8.instruction, peaks.int8_loops.front().instruction);
  for (const PeakRate& rate : peaks.int8_loops) {
    EXPECT_GT(rate.gops, 0.1) << rate.instruction;
    EXPECT_LE(rate.gops, peaks.int8.gops) << rate.instruction;
    // A core does at most a few thousand multiply-accumulates a cycle (AMX), and cycles last 0.1 ns or more.
    EXPECT_LT(rate.gops, 1e5) << rate.instruction;
  }
  if (isa_in_use() == Isa::kAvx512Vnni) {
    EXPECT_GE(peaks.int8_loops.size(), 3U);
    EXPECT_EQ(peaks.int8.instruction, "vpdpbusd (AVX-512 VNNI)");
  }
  if (isa_in_use() == Isa::kAvx2) {
    EXPECT_EQ(peaks.int8_loops.size(), 2U);
    EXPECT_EQ(peaks.float32.instruction, uses_avx512() ? "vfmadd (AVX-512)" : "vfmadd (AVX2)");
  }
}

TEST(Peak, SettingsOutOfRangeAreRefused) {
  EXPECT_THROW(measure_peaks(0), Error);
  EXPECT_THROW(measure_peaks(1, 0), Error);
}

}  // namespace
}  // namespace octavo
