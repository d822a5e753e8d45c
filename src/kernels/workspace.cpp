#include "workspace.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>
#include <new>

namespace octavo::kernels {
namespace {

struct Free {
  void operator()(float* pointer) const noexcept { std::free(pointer); }
};

struct Buffer {
  std::unique_ptr<float[], Free> floats;
  std::int64_t count = 0;
};

thread_local std::array<Buffer, static_cast<std::size_t>(Scratch::kCount)> buffers;

/// The buffer and whether it is fresh memory.
std::pair<float*, bool> obtain(Scratch use, std::int64_t count) {
  Buffer& buffer = buffers[static_cast<std::size_t>(use)];
  if (buffer.count >= count && buffer.floats) return {buffer.floats.get(), false};
  buffer.floats.reset();
  buffer.count = 0;
  const std::int64_t rounded = (std::max<std::int64_t>(count, 1) + 15) / 16 * 16;
  buffer.floats.reset(
      static_cast<float*>(std::aligned_alloc(64, static_cast<std::size_t>(rounded) * sizeof(float))));
  if (!buffer.floats) throw std::bad_alloc();
  buffer.count = rounded;
  return {buffer.floats.get(), true};
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
