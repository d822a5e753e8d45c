#include "octavo/core/cpu.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "octavo/core/error.h"

namespace octavo {
namespace {

std::string refusal(std::string_view asked, const std::vector<Isa>& has) {
  try {
    choose_isa(asked, has);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUsage);
    return error.what();
  }
  return "";
}

TEST(Cpu, WidestIsaIsChosenUnlessOneIsAskedFor) {
  const std::vector<Isa> has{Isa::kGeneric, Isa::kAvx2, Isa::kAvx512Vnni};
  EXPECT_EQ(choose_isa("", has), Isa::kAvx512Vnni);
  EXPECT_EQ(choose_isa("", {Isa::kGeneric}), Isa::kGeneric);
  for (const Isa isa : has) EXPECT_EQ(choose_isa(isa_name(isa), has), isa);
}

TEST(Cpu, WhatItLacksIsRefusedByName) {
  const std::vector<Isa> has{Isa::kGeneric, Isa::kAvx2};
  EXPECT_EQ(
      refusal("amx", has),
      "OCTAVO_ISA: this CPU lacks that instruction set; expected one that this CPU has (generic, avx2), "
      "got amx");
  EXPECT_EQ(refusal("avx3", has),
            "OCTAVO_ISA: no such instruction set; expected one that this CPU has (generic, avx2), got avx3");
}

TEST(Cpu, SetsBuildOnEachOther) {
  const std::vector<Isa> isas = cpu_isas();
  ASSERT_FALSE(isas.empty());
  EXPECT_EQ(isas.front(), Isa::kGeneric);
  EXPECT_TRUE(std::ranges::is_sorted(isas));
  EXPECT_TRUE(isas.size() == 1 || cpu_has(Isa::kAvx2));
  EXPECT_TRUE(!cpu_has(Isa::kAmx) || cpu_has(Isa::kAvx512Vnni));
}

TEST(Cpu, NothingWiderThanTheIsaInUseRuns) {
  for (const Isa isa : {Isa::kGeneric, Isa::kAvx2, Isa::kAvxVnni, Isa::kAvx512Vnni, Isa::kAmx})
    EXPECT_EQ(uses(isa), cpu_has(isa) && isa <= isa_in_use()) << isa_name(isa);
  EXPECT_TRUE(uses(isa_in_use()));
}

}  // namespace
}  // namespace octavo
