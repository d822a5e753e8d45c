/// Data parallelism on the threads that oneDNN and LibTorch use too (OpenMP), so that no two pools compete.
#pragma once

#include <cstdint>
#include <functional>

namespace octavo {

/// Cores this process may run on (the affinity mask counts, not the machine).
int available_cores();

/// Threads that parallel work started from the calling thread uses from now on. Throws kUsage unless n >= 1.
void set_num_threads(int n);
int num_threads();

/// Runs body(begin, end) over disjoint ranges that cover [0, count), on up to `threads` threads (0:
/// num_threads()), each range at least `grain` long but the last. An exception in a body is rethrown after
/// all ranges have ended.
void parallel_for(std::int64_t count, std::int64_t grain,
                  const std::function<void(std::int64_t begin, std::int64_t end)>& body, int threads = 0);

}  // namespace octavo
