/// Where the time of a compiled model goes.
#pragma once

#include <vector>

#include "octavo/eval/evaluate.h"
#include "octavo/runtime/runtime.h"

namespace octavo {

/// One step of a compiled model and its time.
struct LayerCost {
  StepInfo step;
  double median_ms = 0;  ///< Over the timed runs.
  double share = 0;      ///< Of the sum of all medians.
  double gops = 0;  ///< 10^9 operations a second at the median; 0 where none are counted or no time passed.
};

/// Times every step of each run, after warm-up, on the input of measure_latency(). The steps of one run add
/// up to little more than the run takes alone: reading the clock costs some 30 ns a step. Throws as
/// measure_latency() does.
std::vector<LayerCost> measure_layers(const CompiledModel& model, const LatencyConfig& config);

}  // namespace octavo
