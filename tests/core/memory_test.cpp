#include "octavo/core/memory.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <limits>
#include <new>

namespace octavo {
namespace {

TEST(Memory, BeginsWithACacheLineAndHoldsWhatWasAskedFor) {
  for (const std::size_t bytes : {0, 1, 64, 65, (2 << 20) - 1, 2 << 20, (5 << 20) + 3}) {
    const auto memory = allocate_memory(bytes);
    ASSERT_NE(memory, nullptr) << bytes;
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(memory.get()) % 64, 0U) << bytes;
    std::memset(memory.get(), 7, bytes);
  }
}

TEST(Memory, LargePiecesBeginWhereAHugePageCan) {
  const std::size_t huge = std::size_t{2} << 20;
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(allocate_memory(3 * huge / 2).get()) % huge, 0U);
}

TEST(Memory, MoreThanThereIsIsBadAlloc) {
  EXPECT_THROW(allocate_memory(std::numeric_limits<std::size_t>::max() / 4), std::bad_alloc);
}

}  // namespace
}  // namespace octavo
