/// Accuracy and latency of a compiled model: the program that ships, not a simulation.
#pragma once

#include <cstdint>
#include <functional>
#include <stop_token>

#include "octavo/data/dataset.h"
#include "octavo/eval/results.h"
#include "octavo/runtime/runtime.h"

namespace octavo {

/// Top-1 accuracy over a split, un-augmented. Throws kBadInput if image shape or number of classes do not fit.
Accuracy evaluate(const CompiledModel& model, const Dataset& test, const Normalization& normalization,
                  const std::function<void(std::int64_t done, std::int64_t total)>& on_progress = {},
                  std::stop_token stop = {});

/// Fraction of images with equal predictions.
double agreement(const Accuracy& a, const Accuracy& b);

struct LatencyConfig {
  std::int64_t batch = 1;
  int warmup = 10;
  int runs = 100;
};

/// Times run() on random normalized input. Throws kUsage on a batch or run count below 1 or above the model's batch.
Latency measure_latency(const CompiledModel& model, const LatencyConfig& config);

}  // namespace octavo
