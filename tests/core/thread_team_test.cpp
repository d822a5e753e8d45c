#include "octavo/core/thread_team.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <set>
#include <thread>
#include <vector>

#include "octavo/core/error.h"
#include "octavo/core/parallel.h"

namespace octavo {
namespace {

std::set<std::thread::id> threads_of_parallel_for(int threads) {
  std::vector<std::thread::id> ids(static_cast<std::size_t>(threads));
  const auto body = [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) ids[static_cast<std::size_t>(i)] = std::this_thread::get_id();
  };
  parallel_for(threads, 1, body, threads);
  return {ids.begin(), ids.end()};
}

TEST(ThreadTeam, CoversEveryIndexOnce) {
  for (const int threads : {1, 2, 5}) {
    ThreadTeam team(threads);
    EXPECT_EQ(team.threads(), threads);
    const ThreadTeam::Scope scope(&team);
    for (const std::int64_t count : {0, 1, 7, 1000}) {
      std::vector<std::atomic<int>> seen(static_cast<std::size_t>(count));
      const auto body = [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) ++seen[static_cast<std::size_t>(i)];
      };
      parallel_for(count, 1, body, threads);
      for (const auto& times : seen) EXPECT_EQ(times, 1);
    }
  }
}

TEST(ThreadTeam, ServesManyPiecesOfWorkInARowAndAfterItSlept) {
  ThreadTeam team(3);
  const ThreadTeam::Scope scope(&team);
  std::int64_t total = 0;
  for (int i = 0; i < 3000; ++i) {
    std::int64_t sums[3] = {};
    const auto body = [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t k = begin; k < end; ++k) sums[begin * 3 / 300] += k;
    };
    parallel_for(300, 1, body, 3);
    total += sums[0] + sums[1] + sums[2];
    if (i % 1000 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_EQ(total, 3000 * (299 * 300 / 2));
}

TEST(ThreadTeam, ItsScopeDecidesWhoWorks) {
  ThreadTeam team(2);
  std::set<std::thread::id> inside;
  {
    const ThreadTeam::Scope scope(&team);
    inside = threads_of_parallel_for(2);
    EXPECT_EQ(inside.size(), 2U);
    EXPECT_EQ(threads_of_parallel_for(2), inside);
    const ThreadTeam::Scope openmp(nullptr);
    EXPECT_NE(threads_of_parallel_for(2), inside);
  }
  EXPECT_NE(threads_of_parallel_for(2), inside);
  EXPECT_EQ(ThreadTeam::current(), nullptr);
}

TEST(ThreadTeam, MoreThreadsThanItHasAreOpenMps) {
  ThreadTeam team(2);
  const ThreadTeam::Scope scope(&team);
  EXPECT_EQ(threads_of_parallel_for(3).size(), 3U);
}

TEST(ThreadTeam, RethrowsAnExceptionAndGoesOn) {
  ThreadTeam team(4);
  const ThreadTeam::Scope scope(&team);
  for (const std::int64_t failing : {0, 1, 3}) {
    const auto body = [&](std::int64_t begin, std::int64_t) {
      if (begin == failing) throw Error(ErrorCode::kBadInput, "body", "failed");
    };
    EXPECT_THROW(parallel_for(4, 1, body, 4), Error) << failing;
  }
  EXPECT_EQ(threads_of_parallel_for(4).size(), 4U);
}

TEST(ThreadTeam, NestedCallsRunInTheirCaller) {
  ThreadTeam team(2);
  const ThreadTeam::Scope scope(&team);
  std::atomic<std::int64_t> sum{0};
  const auto body = [&](std::int64_t begin, std::int64_t end) {
    EXPECT_TRUE(ThreadTeam::working());
    const std::thread::id caller = std::this_thread::get_id();
    const auto inner = [&](std::int64_t b, std::int64_t e) {
      EXPECT_EQ(std::this_thread::get_id(), caller);
      sum += (e - b) * (end - begin);
    };
    parallel_for(10, 1, inner, 2);
  };
  parallel_for(4, 1, body, 2);
  EXPECT_EQ(sum, 40);
  EXPECT_FALSE(ThreadTeam::working());
}

}  // namespace
}  // namespace octavo
