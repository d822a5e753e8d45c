#include "octavo/kernels/peak.h"

#include <algorithm>
#include <chrono>

#include "octavo/core/cpu.h"
#include "octavo/core/error.h"
#include "octavo/core/parallel.h"
#include "peak_impl.h"

namespace octavo {
namespace {

using kernels::PeakLoop;

double time_of(const PeakLoop& loop, int threads, std::int64_t rounds) {
  const auto begin = std::chrono::steady_clock::now();
  parallel_for(
      threads, 1, [&](std::int64_t, std::int64_t) { loop.run(rounds); }, threads);
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

/// The least of a few: a piece that something else interrupted says nothing.
double undisturbed_time_of(const PeakLoop& loop, std::int64_t rounds) {
  double least = time_of(loop, 1, rounds);
  for (int i = 0; i < 4; ++i) least = std::min(least, time_of(loop, 1, rounds));
  return least;
}

PeakRate rate_of(const PeakLoop& loop, int threads, double seconds) {
  // Short pieces: of several, one may run undisturbed.
  const double piece = seconds / 40;
  std::int64_t rounds = 1024;
  // One thread says how long a piece is: several may wait for each other on a busy machine.
  while (undisturbed_time_of(loop, rounds) < piece) rounds *= 2;
  double best = 0;
  for (double spent = 0; spent < seconds;) {
    const double took = time_of(loop, threads, rounds);
    best = std::max(best, static_cast<double>(rounds) * threads * loop.operations / took);
    spent += took;
  }
  return {loop.instruction, best / 1e9};
}

/// A loop, and whether it may run here.
struct Candidate {
  const PeakLoop* loop;
  bool runs;
};

std::vector<PeakRate> rates_of(const std::vector<Candidate>& candidates, const PeakLoop& otherwise,
                               int threads, double seconds) {
  std::vector<PeakRate> rates;
  for (const auto& [loop, runs] : candidates) {
    if (runs) rates.push_back(rate_of(*loop, threads, seconds));
  }
  if (rates.empty()) rates.push_back(rate_of(otherwise, threads, seconds));
  std::ranges::stable_sort(rates, std::ranges::greater{}, &PeakRate::gops);
  return rates;
}

}  // namespace

Peaks measure_peaks(int threads, double seconds) {
  if (threads < 1 || !(seconds > 0)) {
    throw Error(ErrorCode::kUsage, "peak",
                "expected at least 1 thread and more than 0 seconds, got " + std::to_string(threads) +
                    " and " + std::to_string(seconds));
  }
#if defined(__x86_64__)
  const std::vector<Candidate> float_loops{{&kernels::avx512::kPeakFloat, uses_avx512()},
                                           {&kernels::avx2::kPeakFloat, uses(Isa::kAvx2)}};
  const std::vector<Candidate> int8_loops{{&kernels::amx::kPeakInt8, uses(Isa::kAmx)},
                                          {&kernels::avx512vnni::kPeakInt8, uses(Isa::kAvx512Vnni)},
                                          {&kernels::avxvnni::kPeakInt8, uses(Isa::kAvxVnni)},
                                          {&kernels::avx2::kPeakInt8, uses(Isa::kAvx2)},
                                          {&kernels::avx2::kPeakInt8Pairs, uses(Isa::kAvx2)}};
#else
  const std::vector<Candidate> float_loops;
  const std::vector<Candidate> int8_loops;
#endif
  Peaks peaks;
  peaks.threads = threads;
  peaks.float32 = rates_of(float_loops, kernels::generic::kPeakFloat, threads, seconds).front();
  peaks.int8_loops = rates_of(int8_loops, kernels::generic::kPeakInt8, threads, seconds);
  peaks.int8 = peaks.int8_loops.front();
  return peaks;
}

}  // namespace octavo
