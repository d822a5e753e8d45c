// How the images of a batch are shared out among threads.
#pragma once

#include <cstddef>
#include <cstdint>

#include "runtime/program/step.h"

namespace octavo {

/// A batch runs in equal pieces.
struct Split {
  std::int64_t piece = 0;  ///< Images.
  /// Each piece is run by one thread, from the first step to the last: threads wait for each other once a
  /// run. Else all threads share every step of a piece, one piece after the other.
  bool apart = false;
  bool operator==(const Split&) const = default;
};

/// What of a model decides how its batches are split.
struct Footprint {
  std::size_t image_bytes = 0;      ///< Activations of one image.
  std::int64_t image_products = 0;  ///< Multiply-accumulates of one image.
  std::size_t constant_bytes = 0;   ///< Weights as the kernels read them. 0: batches are never split.
  bool uses_openmp = false;         ///< Some steps are a library's, tuned for the threads they run on.
};

Footprint footprint_of(const Program& program);

Split split_batch(const Footprint& model, std::int64_t batch, int threads);

}  // namespace octavo
