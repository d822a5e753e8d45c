// Work in pieces: each is done once, whoever does it.
#include "runtime/program/pieces.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <numeric>
#include <vector>

#include "octavo/core/thread_team.h"

namespace octavo {
namespace {

TEST(Pieces, EachIsDoneOnce) {
  ThreadTeam team(3);
  const ThreadTeam::Scope scope(&team);
  for (const int threads : {1, 2, 3, 8}) {
    for (const std::int64_t count : {0, 1, 2, 7, 100}) {
      std::vector<std::atomic<int>> done(static_cast<std::size_t>(count));
      parallel_pieces(count, threads, [&](PieceSource& source) {
        for (std::int64_t piece = 0; (piece = source.take()) >= 0;) ++done[static_cast<std::size_t>(piece)];
        EXPECT_EQ(source.take(), -1);
      });
      for (const auto& times : done) EXPECT_EQ(times, 1) << count << " on " << threads;
    }
  }
}

TEST(Pieces, AThreadTakesItsOwnFirstAndThenThoseOfOneThatIsHeldUp) {
  Pieces pieces(8, 2);
  EXPECT_EQ(pieces.take(1), 4);
  std::vector<std::int64_t> taken;
  for (std::int64_t piece = 0; (piece = pieces.take(0)) >= 0;) taken.push_back(piece);
  EXPECT_EQ(taken, (std::vector<std::int64_t>{0, 1, 2, 3, 5, 6, 7}));
  EXPECT_EQ(pieces.take(1), -1);
}

TEST(Pieces, OfAProductCoverAllRowsAndPanels) {
  for (const std::int64_t rows : {0, 1, 5, 47, 48, 49, 196, 1000, 8192}) {
    for (const std::int64_t panels : {1, 3, 64}) {
      for (const int threads : {1, 2, 16}) {
        const ProductPieces pieces(rows, 6, 48, panels, threads);
        std::vector<int> done(static_cast<std::size_t>(rows * panels));
        for (std::int64_t piece = 0; piece < pieces.count(); ++piece) {
          EXPECT_LE(pieces.end_row(piece) - pieces.first_row(piece), 48);
          EXPECT_EQ(pieces.first_row(piece) % 6, 0);
          for (std::int64_t row = pieces.first_row(piece); row < pieces.end_row(piece); ++row) {
            for (std::int64_t panel = pieces.first_panel(piece); panel < pieces.end_panel(piece); ++panel)
              ++done[static_cast<std::size_t>(row * panels + panel)];
          }
        }
        EXPECT_EQ(std::accumulate(done.begin(), done.end(), std::int64_t{0}), rows * panels);
        EXPECT_TRUE(std::ranges::all_of(done, [](int times) { return times == 1; }));
      }
    }
  }
}

}  // namespace
}  // namespace octavo
