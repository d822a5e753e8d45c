#include "workspace.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>
#include <utility>

#include "octavo/core/memory.h"

namespace octavo::kernels {
namespace {

struct Buffer {
  std::unique_ptr<std::byte[], FreeMemory> memory;
  std::int64_t count = 0;

  float* floats() const { return reinterpret_cast<float*>(memory.get()); }
};

thread_local std::array<Buffer, static_cast<std::size_t>(Scratch::kCount)> buffers;

/// The buffer and whether it is fresh memory.
std::pair<float*, bool> obtain(Scratch use, std::int64_t count) {
  Buffer& buffer = buffers[static_cast<std::size_t>(use)];
  if (buffer.count >= count && buffer.memory) return {buffer.floats(), false};
  buffer.memory.reset();
  buffer.count = 0;
  buffer.memory = allocate_memory(static_cast<std::size_t>(count) * sizeof(float));
  buffer.count = count;
  return {buffer.floats(), true};
}

}  // namespace

float* scratch(Scratch use, std::int64_t count) { return obtain(use, count).first; }

const float* zeros(std::int64_t count) {
  const auto [floats, fresh] = obtain(Scratch::kZeros, count);
  if (fresh) std::fill_n(floats, buffers[static_cast<std::size_t>(Scratch::kZeros)].count, 0.0F);
  return floats;
}

void release_scratch() {
  for (Buffer& buffer : buffers) buffer = Buffer{};
}

}  // namespace octavo::kernels
