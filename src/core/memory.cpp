#include "octavo/core/memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <new>

namespace octavo {
namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;

}  // namespace

void FreeMemory::operator()(void* memory) const noexcept { std::free(memory); }

std::unique_ptr<std::byte[], FreeMemory> allocate_memory(std::size_t bytes) {
  constexpr std::size_t kCacheLine = 64;
  const std::size_t rounded = std::max<std::size_t>(1, (bytes + kCacheLine - 1) / kCacheLine) * kCacheLine;
  void* memory = nullptr;
  if (posix_memalign(&memory, rounded >= kHugePage ? kHugePage : kCacheLine, rounded) != 0)
    throw std::bad_alloc();
  prefer_huge_pages(memory, rounded);
  return std::unique_ptr<std::byte[], FreeMemory>(static_cast<std::byte*>(memory));
}

void prefer_huge_pages(void* memory, std::size_t bytes) noexcept {
#ifdef MADV_HUGEPAGE
  if (bytes < kHugePage) return;
  // Whole pages alone; a refusal changes nothing but speed.
  const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto begin = (reinterpret_cast<std::uintptr_t>(memory) + page - 1) / page * page;
  const auto end = (reinterpret_cast<std::uintptr_t>(memory) + bytes) / page * page;
  // NOLINTNEXTLINE(performance-no-int-to-ptr) Rounded as a number.
  static_cast<void>(madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE));
#else
  static_cast<void>(memory);
  static_cast<void>(bytes);
#endif
}

}  // namespace octavo
