/// How long a compiled model takes, as a whole and step by step.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "octavo/runtime/runtime.h"

namespace octavo {

/// Time of one inference of `batch` images over `runs` timed runs after warm-up.
struct Latency {
  std::int64_t batch = 1;
  int threads = 1;
  int runs = 0;
  double mean_ms = 0;
  double std_ms = 0;
  double median_ms = 0;
  double p90_ms = 0;
  double images_per_second = 0;  ///< batch / median.
};

struct LatencyConfig {
  std::int64_t batch = 1;
  int warmup = 10;
  int runs = 100;
};

/// Times each run() alone with a steady clock, after warm-up, on standard normal input from a fixed seed (the
/// same for every model). Mean, sample standard deviation, median and nearest-rank p90 as in
/// octavo/core/statistics.h. Throws kUsage on a batch below 1 or above max_batch(), fewer than 1 timed run,
/// or a negative warm-up.
Latency measure_latency(const CompiledModel& model, const LatencyConfig& config);
/// The same of several models in ten turns, a tenth of its runs each: what disturbs the machine for a while
/// then disturbs all alike. A turn begins with a pause, for threads of the model before it spin on, and an
/// untimed run.
std::vector<Latency> measure_latencies(std::span<const CompiledModel* const> models,
                                       const LatencyConfig& config);

/// One step of a compiled model and its time.
struct LayerCost {
  StepInfo step;
  double median_ms = 0;  ///< Over the timed runs.
  double share = 0;      ///< Of the sum of all medians.
  double gops = 0;  ///< 10^9 operations per second at the median; 0 where none are counted or no time passed.
};

/// Times every step of each run, after warm-up, on the input of measure_latency(). The steps of one run add
/// up to little more than the run takes alone: reading the clock costs some 30 ns a step. Throws as
/// measure_latency() does.
std::vector<LayerCost> measure_layers(const CompiledModel& model, const LatencyConfig& config);

}  // namespace octavo
