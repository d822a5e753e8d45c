/// Int8 only where it is faster: times a quantized model layer by layer on this machine and leaves the rest
/// in float32.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "octavo/graph/graph.h"

namespace octavo {

struct GuardConfig {
  std::int64_t batch = 1;
  int threads = 0;  ///< 0: num_threads().
  int warmup = 5;
  int runs = 50;  ///< Timed runs; medians of them count.
  std::function<void(std::int64_t done, std::int64_t total)> on_progress = {};
};

/// One group of quantizable_groups(). A kernel that adds too counts as its convolution.
struct GuardedLayer {
  std::string name;          ///< Of its first node.
  double float_ms = 0;       ///< In the float model, with the reorders before it.
  double int8_ms = 0;        ///< In integers, with the reorders before it.
  double conversion_ms = 0;  ///< Of quantizing what it reads and dequantizing what it makes, were it alone.
  bool integer = false;      ///< Runs in int8 in the result.
  std::string reason;        ///< Why float32; empty for int8.
};

struct GuardedModel {
  Graph graph;
  std::vector<GuardedLayer> layers;  ///< In the order in which they run.
  double float_ms = 0;               ///< A whole run of the float model,
  double int8_ms = 0;                ///< of the model as it was given,
  double guarded_ms = 0;             ///< and of the result: medians, measured in turns.
};

/// `quantized` is what quantize_ptq() or QAT makes. Times each group of quantizable_groups() in int8 and in
/// float32 and what it takes to go from one to the other, finds the cheapest choice for all groups together
/// (a minimum cut), tries it, and corrects the times by those of the trial. Of the model as it was given, the
/// trials and the float model the fastest is the result: with fewer annotations, or none where float32 is
/// fastest. What remains quantized keeps its parameters. The metadata say what was measured, and why layers
/// stay in float32 (octavo/quantize/layer_choices.h).
///
/// Throws kBadInput for a float model or one that is quantized inside its fused groups.
GuardedModel guard_latency(const Graph& quantized, const GuardConfig& config = {});

/// The choice alone: `quantized` with only such groups of quantizable_groups() in integers as `integer` says,
/// less those that lose what they need of their neighbours. Values that no integer group reads lose their
/// parameters, and so do weights of float32 groups. An operator without weights whose operands and result its
/// neighbours want in integers runs in integers all the same: that is what such annotations say. `integer`
/// has one entry per group.
Graph keep_in_integers(const Graph& quantized, const std::vector<bool>& integer);

}  // namespace octavo
