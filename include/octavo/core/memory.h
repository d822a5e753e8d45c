/// Raw memory for numbers.
#pragma once

#include <cstddef>
#include <memory>

namespace octavo {

struct FreeMemory {
  void operator()(void* memory) const noexcept;
};

/// Not initialized, from the start of a cache line (64 bytes) on. Large pieces lie in huge pages where the
/// system has them for the asking: weights and activations that are read once a run then cost fewer page
/// look-ups. Throws std::bad_alloc; at least one byte.
std::unique_ptr<std::byte[], FreeMemory> allocate_memory(std::size_t bytes);

/// Asks for huge pages in memory that another library allocated and nobody has written yet. Does nothing for
/// small pieces, or where the system has none.
void prefer_huge_pages(void* memory, std::size_t bytes) noexcept;

}  // namespace octavo
