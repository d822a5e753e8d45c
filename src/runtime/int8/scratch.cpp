#include "runtime/int8/scratch.h"

#include <algorithm>
#include <array>
#include <memory>

#include "octavo/core/memory.h"

namespace octavo {

std::byte* int8_scratch(Int8Scratch use, std::size_t bytes) {
  struct Buffer {
    std::unique_ptr<std::byte[], FreeMemory> memory;
    std::size_t bytes = 0;
  };
  thread_local std::array<Buffer, static_cast<std::size_t>(Int8Scratch::kCount)> buffers;
  Buffer& buffer = buffers[static_cast<std::size_t>(use)];
  if (buffer.bytes < bytes || !buffer.memory) {
    buffer = {};
    buffer.memory = allocate_memory(bytes);
    buffer.bytes = bytes;
    std::fill_n(buffer.memory.get(), bytes, std::byte{0});
  }
  return buffer.memory.get();
}

}  // namespace octavo
