/// Accuracy and latency of a compiled model: the program that ships, not a simulation.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <stop_token>
#include <vector>

#include "octavo/data/dataset.h"
#include "octavo/eval/results.h"
#include "octavo/runtime/runtime.h"

namespace octavo {

/// Top-1 accuracy over a split, un-augmented; of equal logits the first class wins. Runs batches of
/// max_batch(). `on_progress` is called after each batch. Throws kBadInput if the split is empty, image
/// shape, number of classes or normalization do not fit, a label is out of range or an answer is NaN or
/// infinite; kInterrupted when `stop` is requested.
Accuracy evaluate(const CompiledModel& model, const Dataset& test, const Normalization& normalization,
                  const std::function<void(std::int64_t done, std::int64_t total)>& on_progress = {},
                  std::stop_token stop = {});

/// Fraction of images with equal predictions; 1 without images. Throws kUsage if their numbers differ.
double agreement(const Accuracy& a, const Accuracy& b);

struct LatencyConfig {
  std::int64_t batch = 1;
  int warmup = 10;
  int runs = 100;
};

/// Times each run() alone with a steady clock, after warm-up, on standard normal input from a fixed seed (the
/// same for every model). Mean, sample standard deviation, median and nearest-rank p90 as in statistics.h.
/// Throws kUsage on a batch below 1 or above max_batch(), fewer than 1 timed run, or a negative warm-up.
Latency measure_latency(const CompiledModel& model, const LatencyConfig& config);
/// The same of several models in ten turns, a tenth of its runs each: what disturbs the machine for a while
/// then disturbs all alike. A turn begins with a pause, for threads of the model before it spin on, and an
/// untimed run.
std::vector<Latency> measure_latencies(std::span<const CompiledModel* const> models,
                                       const LatencyConfig& config);

}  // namespace octavo
