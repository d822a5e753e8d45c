/// Data parallelism: on the threads that oneDNN and LibTorch use too (OpenMP), so that no two pools compete,
/// or in a ThreadTeam::Scope on the team.
#pragma once

#include <concepts>
#include <cstdint>
#include <memory>
#include <type_traits>

namespace octavo {

/// Cores this process may run on (the affinity mask counts, not the machine).
int available_cores();

/// Threads that parallel work started from the calling thread uses from now on. Throws kUsage unless n >= 1.
void set_num_threads(int n);
int num_threads();

/// A reference to something callable as body(begin, end), which must outlive it. Unlike a std::function it
/// never allocates.
class RangeBody {
 public:
  template <std::invocable<std::int64_t, std::int64_t> Body>
  requires(!std::same_as<std::remove_cvref_t<Body>, RangeBody>)
      RangeBody(const Body& body)  // NOLINT(google-explicit-constructor) Lambdas are passed as they are.
      : body_(std::addressof(body)), call_([](const void* object, std::int64_t begin, std::int64_t end) {
          (*static_cast<const Body*>(object))(begin, end);
        }) {}
  void operator()(std::int64_t begin, std::int64_t end) const { call_(body_, begin, end); }

 private:
  const void* body_;
  void (*call_)(const void*, std::int64_t, std::int64_t);
};

/// Runs body(begin, end) over disjoint ranges that cover [0, count), on up to `threads` threads (0:
/// num_threads()), each range at least `grain` long but the last. An exception in a body is rethrown after
/// all ranges have ended.
void parallel_for(std::int64_t count, std::int64_t grain, RangeBody body, int threads = 0);

}  // namespace octavo
