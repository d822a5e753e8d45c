/// Threads that wait for their next work awake.
#pragma once

#include <cstdint>
#include <memory>

namespace octavo {

class RangeBody;

/// A caller and `threads` - 1 threads of its own, which spin for about 0.1 ms after each piece of work before
/// they sleep. To start and end work takes half a microsecond, and OpenMP two; the kernels of a small network
/// at batch 1 take ten or so each. For work that does not alternate with libraries that use OpenMP: threads
/// of two pools that spin take the cores from each other.
class ThreadTeam {
 public:
  /// Throws kIo if the system starts no more threads.
  explicit ThreadTeam(int threads);
  ThreadTeam(const ThreadTeam&) = delete;
  ThreadTeam& operator=(const ThreadTeam&) = delete;
  ~ThreadTeam();

  int threads() const;

  /// While it lives, parallel_for() on the thread that made it runs on the team; null: on OpenMP's threads.
  class Scope {
   public:
    explicit Scope(ThreadTeam* team);
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;
    ~Scope();

   private:
    ThreadTeam* before_;
  };

  /// The team that parallel_for() uses on this thread, or null.
  static ThreadTeam* current();
  /// True on a thread that runs a team's work now.
  static bool working();

  /// body(count * part / parts, count * (part + 1) / parts) for all parts, one per thread; parts <=
  /// threads(). An exception in a body is rethrown when all have ended. One caller at a time.
  void run(std::int64_t count, std::int64_t parts, const RangeBody& body);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace octavo
