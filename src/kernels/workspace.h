/// Scratch memory that outlives a call: hundreds of megabytes a second would otherwise be mapped and
/// unmapped.
#pragma once

#include <cstddef>
#include <cstdint>

namespace octavo::kernels {

/// The uses of scratch memory within one call; each has its own buffer in each thread.
enum class Scratch { kWeights, kInput, kOutput, kSums, kTotals, kConstants, kZeros, kPatches, kCount };

/// At least `count` floats, 64-byte aligned, owned by the calling thread and valid until it asks for the same
/// use again. The contents are unspecified. Throws std::bad_alloc.
float* scratch(Scratch use, std::int64_t count);

/// As scratch(), but all zeros; nobody may write to it.
const float* zeros(std::int64_t count);

/// Frees what the calling thread holds.
void release_scratch();

}  // namespace octavo::kernels
