#include "runtime/program/split.h"

#include <algorithm>

namespace octavo {
namespace {

/// What of the last level cache a model's weights may count on, and the activations of a piece; others use it
/// too.
constexpr std::size_t kWeightBytes = 12 << 20;
constexpr std::size_t kActivationBytes = 4 << 20;
/// Fewer images in a piece would read the weights more often than it pays.
constexpr std::int64_t kLeastTogether = 4;
/// A thread that runs pieces by itself reads all weights for each. It multiplies at least so often for a
/// byte; below that, threads share late layers' weights among each other.
constexpr std::int64_t kProductsPerByte = 40;

/// The largest number that divides `batch`, is at most `most` and more than half of it, and gives all threads
/// about as many pieces; 0 if there is none.
std::int64_t equal_pieces(std::int64_t batch, std::int64_t most, int threads) {
  for (std::int64_t piece = std::min(most, batch); 2 * piece > most; --piece) {
    const std::int64_t pieces = batch / piece;
    const std::int64_t rounds = (pieces + threads - 1) / threads;
    if (batch % piece == 0 && pieces * 10 >= rounds * threads * 9) return piece;
  }
  return 0;
}

}  // namespace

Footprint footprint_of(const Program& program) {
  std::int64_t operations = 0;
  for (const StepInfo& step : program.infos) operations += step.operations;
  return {.image_bytes = program.arena_bytes / static_cast<std::size_t>(program.batch),
          .image_products = operations / 2 / program.batch,
          .constant_bytes = program.constant_bytes(),
          .uses_openmp = program.uses_openmp()};
}

Split split_batch(const Footprint& model, std::int64_t batch, int threads) {
  if (model.constant_bytes == 0) return {batch, false};
  // Heavy models: pieces small enough to hand out as threads come for them would read the weights too often.
  const bool heavy = model.constant_bytes > kWeightBytes;
  if (threads > 1 && batch >= threads && !heavy && !model.uses_openmp) {
    // Small pieces stay in the caches, and what a thread that is held up does not get to, others do.
    const std::int64_t needed = kProductsPerByte * static_cast<std::int64_t>(model.constant_bytes);
    const std::int64_t enough = needed / std::max<std::int64_t>(1, model.image_products) + 1;
    const std::int64_t piece =
        equal_pieces(batch, std::min(batch / threads, std::max(kLeastTogether, 2 * enough)), threads);
    if (piece > 0 && piece * model.image_products >= needed) return {piece, true};
  }
  // Activations of the whole batch would pass through memory from one layer to the next; weights need not.
  const bool too_large = model.image_bytes * static_cast<std::size_t>(batch) > kActivationBytes;
  if (heavy || !too_large) return {batch, false};
  const auto cached = static_cast<std::int64_t>(kActivationBytes / (model.image_bytes + 1));
  const std::int64_t piece = equal_pieces(batch, std::max(kLeastTogether, cached), 1);
  return {piece > 0 ? piece : batch, false};
}

}  // namespace octavo
