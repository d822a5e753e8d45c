#include "octavo/core/parallel.h"

#include <gtest/gtest.h>

#include <atomic>
#include <vector>

#include "octavo/core/error.h"

namespace octavo {
namespace {

TEST(ParallelFor, CoversEveryIndexOnce) {
  for (const std::int64_t count : {0, 1, 7, 1000}) {
    for (const std::int64_t grain : {1, 3, 5000}) {
      for (const int threads : {1, 2, 5}) {
        std::vector<std::atomic<int>> seen(static_cast<std::size_t>(count));
        parallel_for(
            count, grain,
            [&](std::int64_t begin, std::int64_t end) {
              for (std::int64_t i = begin; i < end; ++i) ++seen[static_cast<std::size_t>(i)];
            },
            threads);
        for (const auto& times : seen) EXPECT_EQ(times, 1);
      }
    }
  }
}

TEST(ParallelFor, RethrowsAnExceptionOfABody) {
  const auto body = [](std::int64_t begin, std::int64_t) {
    if (begin > 0) throw Error(ErrorCode::kBadInput, "body", "failed");
  };
  EXPECT_THROW(parallel_for(100, 1, body, 4), Error);
}

TEST(ParallelFor, NestedCallsRunInTheirCaller) {
  std::atomic<std::int64_t> sum{0};
  parallel_for(
      4, 1,
      [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) {
          parallel_for(
              10, 1, [&](std::int64_t b, std::int64_t e) { sum += e - b; }, 4);
        }
      },
      4);
  EXPECT_EQ(sum, 40);
}

TEST(Threads, AtLeastOneIsRequired) {
  EXPECT_THROW(set_num_threads(0), Error);
  EXPECT_GE(available_cores(), 1);
}

}  // namespace
}  // namespace octavo
