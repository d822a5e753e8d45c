#include "octavo/core/thread_team.h"

#include <atomic>
#include <cstdint>
#include <exception>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "octavo/core/error.h"
#include "octavo/core/parallel.h"

namespace octavo {
namespace {

thread_local ThreadTeam* current_team = nullptr;
thread_local bool at_work = false;

/// About 0.1 ms of pauses.
constexpr int kSpins = 4000;

void pause() {
#if defined(__x86_64__)
  _mm_pause();
#endif
}

}  // namespace

struct ThreadTeam::State {
  // Written by the caller before `generation` moves on, and not before all have finished what came before.
  const RangeBody* body = nullptr;
  std::int64_t count = 0;
  std::int64_t parts = 0;

  int spins = 0;
  alignas(64) std::atomic<std::uint32_t> generation{0};
  alignas(64) std::atomic<int> unfinished{0};
  std::atomic<bool> ends{false};
  std::mutex mutex;
  std::exception_ptr failure;
  std::vector<std::thread> threads;

  void work(std::int64_t part) {
    at_work = true;
    try {
      (*body)(count * part / parts, count * (part + 1) / parts);
    } catch (...) {
      const std::lock_guard lock(mutex);
      if (!failure) failure = std::current_exception();
    }
    at_work = false;
  }

  void serve(std::int64_t part) {
    for (std::uint32_t seen = 0;; ++seen) {
      for (int i = 0; i < spins && generation.load(std::memory_order_acquire) == seen; ++i) pause();
      generation.wait(seen, std::memory_order_acquire);
      if (ends) return;
      if (part < parts) work(part);
      if (unfinished.fetch_sub(1, std::memory_order_acq_rel) == 1) unfinished.notify_one();
    }
  }

  void stop() {
    ends = true;
    generation.fetch_add(1, std::memory_order_release);
    generation.notify_all();
    for (std::thread& thread : threads) thread.join();
  }
};

ThreadTeam::ThreadTeam(int threads) : state_(std::make_unique<State>()) {
  // Where threads share cores, one that spins keeps another from working.
  state_->spins = threads <= available_cores() ? kSpins : 0;
  try {
    for (int part = 1; part < threads; ++part)
      state_->threads.emplace_back([state = state_.get(), part] { state->serve(part); });
  } catch (const std::system_error&) {
    state_->stop();
    throw Error(ErrorCode::kIo, "threads",
                "the system does not start more; expected fewer, got " + std::to_string(threads));
  }
}

ThreadTeam::~ThreadTeam() { state_->stop(); }

int ThreadTeam::threads() const { return static_cast<int>(state_->threads.size()) + 1; }

ThreadTeam::Scope::Scope(ThreadTeam* team) : before_(std::exchange(current_team, team)) {}
ThreadTeam::Scope::~Scope() { current_team = before_; }

ThreadTeam* ThreadTeam::current() { return current_team; }
bool ThreadTeam::working() { return at_work; }

void ThreadTeam::run(std::int64_t count, std::int64_t parts, const RangeBody& body) {
  State& s = *state_;
  s.body = &body;
  s.count = count;
  s.parts = parts;
  s.unfinished.store(static_cast<int>(s.threads.size()), std::memory_order_relaxed);
  s.generation.fetch_add(1, std::memory_order_release);
  s.generation.notify_all();
  s.work(0);
  for (int i = 0; i < s.spins && s.unfinished.load(std::memory_order_acquire) > 0; ++i) pause();
  for (int left = 0; (left = s.unfinished.load(std::memory_order_acquire)) > 0;) s.unfinished.wait(left);
  if (s.failure) std::rethrow_exception(std::exchange(s.failure, nullptr));
}

}  // namespace octavo
