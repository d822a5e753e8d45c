// Memory that kernels work in. It outlives a call, so that a warm kernel allocates nothing, and it is no
// container: kernels are compiled for one instruction set and must not leave copies of shared code behind
// (docs/architecture.md).
#pragma once

#include <cstddef>

namespace octavo {

/// What a thread needs memory for at the same time; each has its own. Numbers of one kind share a use: what
/// an earlier call left behind is as small as what belongs there.
enum class Int8Scratch {
  kRowsOfBytes,   ///< Packed rows of a matrix product, as bytes...
  kRowsOfWords,   ///< ...or as int16.
  kTiles,         ///< Winograd's transformed inputs.
  kPadding,       ///< A pixel of zero points.
  kLines,         ///< Padded lines of a depthwise convolution...
  kHeldLines,     ///< ...which they are...
  kLinePointers,  ///< ...where they begin...
  kTaps,          ///< ...and where the taps of a window do.
  kCount
};

/// At least `bytes`, aligned to 64, the calling thread's until it asks for the same use again. Zeros at
/// first, then what was left there. Throws std::bad_alloc.
std::byte* int8_scratch(Int8Scratch use, std::size_t bytes);

}  // namespace octavo
