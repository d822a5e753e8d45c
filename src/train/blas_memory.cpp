#include "blas_memory.h"

#include <ATen/ATen.h>
#include <sys/mman.h>

#include <cstddef>
#include <new>
#include <vector>

#include "octavo/core/parallel.h"

namespace octavo::train_detail {
namespace {

/// Address space that OpenBLAS takes for each thread at its first product: its BUFFER_SIZE on x86-64, and a
/// page.
constexpr std::size_t kBuffer = (std::size_t{128} << 20) + 4096;

/// Large enough that all threads get a part.
constexpr std::int64_t kSize = 512;

void take_buffers() {
  // One after the other, as OpenBLAS asks for them: it need not be one piece.
  const auto wanted = static_cast<std::size_t>(available_cores());
  std::vector<void*> pieces;
  for (std::size_t i = 0; i < wanted; ++i) {
    void* piece = mmap(nullptr, kBuffer, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (piece == MAP_FAILED) break;
    pieces.push_back(piece);
  }
  for (void* piece : pieces) munmap(piece, kBuffer);
  if (pieces.size() < wanted) throw std::bad_alloc();
  const at::Tensor square = at::zeros({kSize, kSize});
  at::mm(square, square);
}

}  // namespace

void reserve_blas_memory() {
  static const bool taken = (take_buffers(), true);  // Tried again after a failure.
  static_cast<void>(taken);
}

}  // namespace octavo::train_detail
