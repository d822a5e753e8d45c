// OpenBLAS's memory, asked for while its lack can still be an error.
#pragma once

namespace octavo::train_detail {

/// Lets OpenBLAS, which multiplies LibTorch's matrices, take the buffers of all its threads, which it keeps.
/// Throws std::bad_alloc where there is no room for them: OpenBLAS itself (0.3.21, blas_memory_alloc()) would
/// ask again for ever, and the program hang.
void reserve_blas_memory();

}  // namespace octavo::train_detail
