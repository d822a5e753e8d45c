#include "octavo/core/parallel.h"

#include <omp.h>
#include <sched.h>

#include <algorithm>
#include <exception>
#include <mutex>
#include <thread>

#include "octavo/core/error.h"
#include "octavo/core/thread_team.h"

namespace octavo {

int available_cores() {
  cpu_set_t mask;
  if (sched_getaffinity(0, sizeof(mask), &mask) == 0) return std::max(1, CPU_COUNT(&mask));
  return static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
}

void set_num_threads(int n) {
  if (n < 1) throw Error(ErrorCode::kUsage, "threads", "expected at least 1, got " + std::to_string(n));
  omp_set_num_threads(n);
}

int num_threads() { return omp_get_max_threads(); }

void parallel_for(std::int64_t count, std::int64_t grain, RangeBody body, int threads) {
  if (count <= 0) return;
  if (threads <= 0) threads = num_threads();
  const std::int64_t most = std::max<std::int64_t>(1, count / std::max<std::int64_t>(1, grain));
  const std::int64_t parts = std::min<std::int64_t>(threads, most);
  if (parts == 1 || omp_in_parallel() || ThreadTeam::working()) {
    body(0, count);
    return;
  }
  if (ThreadTeam* const team = ThreadTeam::current(); team != nullptr && parts <= team->threads()) {
    team->run(count, parts, body);
    return;
  }
  std::exception_ptr failure;
  std::mutex mutex;
// A team of the same size each time, idle threads and all: GCC's OpenMP ends and starts threads when it
// changes.
#pragma omp parallel for num_threads(threads) schedule(static, 1)
  for (std::int64_t part = 0; part < parts; ++part) {
    try {
      body(count * part / parts, count * (part + 1) / parts);
    } catch (...) {
      const std::lock_guard lock(mutex);
      if (!failure) failure = std::current_exception();
    }
  }
  if (failure) std::rethrow_exception(failure);
}

}  // namespace octavo
