// Work in more pieces than threads, so that what a thread that is held up does not get to, others do.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>

#include "octavo/core/parallel.h"

namespace octavo {

/// How finely work is cut: more pieces would be too small for the kernels.
inline constexpr std::int64_t kPiecesOfThread = 4;

/// The pieces [0, count) for some threads. Each takes those of its own share first, which it may find in its
/// caches, then what is left of the others'.
class Pieces {
 public:
  static constexpr int kMostThreads = 64;

  Pieces(std::int64_t count, int threads) : threads_(threads) {
    for (int t = 0; t < threads; ++t) {
      Share& share = shares_[static_cast<std::size_t>(t)];
      share.next.store(count * t / threads, std::memory_order_relaxed);
      share.end = count * (t + 1) / threads;
    }
  }

  /// A piece for `thread` to do; -1 if none is left.
  std::int64_t take(int thread) {
    for (int i = 0; i < threads_; ++i) {
      Share& share = shares_[static_cast<std::size_t>((thread + i) % threads_)];
      if (share.next.load(std::memory_order_relaxed) >= share.end) continue;
      const std::int64_t piece = share.next.fetch_add(1, std::memory_order_relaxed);
      if (piece < share.end) return piece;
    }
    return -1;
  }

 private:
  struct alignas(64) Share {
    std::atomic<std::int64_t> next{0};
    std::int64_t end = 0;
  };
  std::array<Share, kMostThreads> shares_;
  int threads_;
};

/// One thread's view of them.
class PieceSource {
 public:
  /// All of [0, count).
  explicit PieceSource(std::int64_t count) : count_(count) {}
  PieceSource(Pieces& pieces, int thread) : pieces_(&pieces), thread_(thread) {}
  /// A piece to do; -1 if none is left.
  std::int64_t take() {
    if (pieces_ != nullptr) return pieces_->take(thread_);
    return next_ < count_ ? next_++ : -1;
  }

 private:
  Pieces* pieces_ = nullptr;
  int thread_ = 0;
  std::int64_t next_ = 0, count_ = 0;
};

/// Runs body(PieceSource&) on up to `threads` threads.
template <typename Body>
void parallel_pieces(std::int64_t count, int threads, const Body& body) {
  const auto parts = static_cast<int>(std::min<std::int64_t>({threads, count, Pieces::kMostThreads}));
  if (parts <= 1) {
    PieceSource source(count);
    body(source);
    return;
  }
  Pieces pieces(count, parts);
  parallel_for(
      parts, 1,
      [&](std::int64_t begin, std::int64_t) {
        PieceSource source(pieces, static_cast<int>(begin));
        body(source);
      },
      threads);
}

/// A matrix product in pieces: blocks of rows, each against chunks of panels of weights.
struct ProductPieces {
  std::int64_t rows = 0, block = 1, blocks = 0;
  std::int64_t panels = 0, chunks = 1;

  /// Blocks of `grain` to `most` rows, both of which are whole tiles. Few rows (late layers at batch 1) stay
  /// together.
  ProductPieces(std::int64_t all_rows, std::int64_t grain, std::int64_t most, std::int64_t all_panels,
                int threads)
      : rows(all_rows), block(std::min(most, all_rows)), panels(all_panels) {
    const auto up = [](std::int64_t value, std::int64_t step) { return (value + step - 1) / step; };
    if (rows >= threads * 4 * grain) block = std::min(most, up(up(rows, threads), grain) * grain);
    blocks = rows > 0 ? up(rows, block) : 0;
    if (threads > 1 && blocks > 0)
      chunks = std::clamp<std::int64_t>(up(kPiecesOfThread * threads, blocks), 1, panels);
  }

  std::int64_t count() const { return blocks * chunks; }
  std::int64_t first_row(std::int64_t piece) const { return piece / chunks * block; }
  std::int64_t end_row(std::int64_t piece) const { return std::min(rows, first_row(piece) + block); }
  std::int64_t first_panel(std::int64_t piece) const { return panels * (piece % chunks) / chunks; }
  std::int64_t end_panel(std::int64_t piece) const { return panels * (piece % chunks + 1) / chunks; }
};

}  // namespace octavo
