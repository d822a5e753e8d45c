/// Post-training quantization: calibrate on a few images, annotate the graph. No LibTorch.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "octavo/data/dataset.h"
#include "octavo/graph/graph.h"
#include "octavo/quantize/bit_widths.h"
#include "octavo/quantize/observer.h"
#include "octavo/quantize/target.h"

namespace octavo {

/// What PTQ does besides choosing ranges, in this order. Weights of eight bits stay as they are: they gain
/// little.
struct PtqMethods {
  /// Weight ranges of least squared error, rather than up to the largest weight. That shrinks a layer's
  /// outputs a little, and by itself may do more harm than good in a deep network; second_order mends it.
  bool clip_weights = false;
  bool second_order = false;  ///< Integers that keep a layer's outputs, rather than the nearest.
  /// Biases that keep the mean of each output channel: what rounding the weights did to it, by the means of
  /// the layer's inputs in float (Nagel et al. 2019, arXiv 1906.04721); with second_order, what all rounding
  /// so far did.
  bool correct_bias = true;
  friend bool operator==(const PtqMethods&, const PtqMethods&) = default;
};

/// "fast" (correct_bias), "balanced" (all). Throws kUsage for another name.
PtqMethods methods_of_preset(const std::string& preset);
std::vector<std::string> preset_names();

struct PtqConfig {
  ObserverConfig observer = {};
  std::int64_t calibration_samples = 1000;
  std::int64_t batch_size = 50;
  std::uint64_t seed = 42;  ///< Chooses the calibration images.
  BitWidths bits = {};
  PtqMethods methods = {};
  /// No weight is larger, whatever its bits: 63 keeps those of eight to seven, for kernels whose pairs may
  /// saturate int16.
  std::int32_t weight_qmax = 127;
  /// The engine whose rules hold (octavo/quantize/target.h); others than "any" take eight bits.
  std::string target = "any";
  std::function<void(std::int64_t done, std::int64_t total)> on_progress =
      {};                                                                    ///< Of calibration, in images.
  std::function<void(std::int64_t done, std::int64_t total)> on_layer = {};  ///< Of `methods`, in layers.
};

/// Which images calibration uses: `samples` different ones, evenly spread over the labels as far as each has
/// images, drawn by `seed` alone, ascending. Throws kUsage unless 1 <= samples <= train.size().
std::vector<std::int64_t> calibration_indices(const Dataset& train, std::int64_t samples, std::uint64_t seed);

/// Values of a folded float graph that get parameters of their own, in the order they are made: those that
/// parameter_owners() says own theirs.
std::vector<ValueId> quantized_activations(const Graph& folded, const Target& target = find_target("any"));

/// Whose parameters each value of a folded float graph has, by value id: itself if they are its own, kNoValue
/// if it stays float.
///
/// A value is quantized where a group that reads it will run in integers, which takes an integer form (see
/// octavo/runtime/placement.h), inputs that are all quantized, and an output that is quantized too or may
/// stay real. So what only float32 operators read stays float, and so does the model's output. An elementwise
/// operator behind one that has to run in float32 runs in float32 as well and its result is quantized
/// instead: one rounding rather than one before and one after.
///
/// What only moves integers has its input's parameters. A value that only a Concat reads has the Concat's, so
/// that its integers are copied as they are. Operators that the target runs in float do not count as readers.
std::vector<ValueId> parameter_owners(const Graph& folded, const Target& target = find_target("any"));

/// Throws kUsage, naming --target, where the rules of its target do not go with its bits.
void check_target(const PtqConfig& config);

struct PtqResult {
  Graph
      graph;  ///< Batch norms folded, values annotated, weights still float32; metadata says how it was made.
  std::map<std::string, Range> ranges;  ///< By value name, as observed.
  std::vector<std::int64_t> indices;    ///< Calibration images.
};

/// Folds batch norms, calibrates on un-augmented training images with the float runtime, annotates:
/// activations per-tensor uint8 as the target wants them, weights per-channel symmetric int8. Metadata keys
/// it sets: octavo.target, octavo.quantization ("ptq"), octavo.observer and
/// octavo.observer.{percentile,momentum,bins} where they apply, octavo.bits, octavo.methods,
/// octavo.weight_qmax, octavo.calibration.{samples,seed,indices,data,data_hash} (indices comma-separated).
/// Throws kUsage on settings out of range (more samples than images), kBadInput for a graph that is quantized
/// already, images that do not fit its input, or an activation that is not finite, naming the value.
PtqResult quantize_ptq(const Graph& graph, const Dataset& train, const Normalization& normalization,
                       const PtqConfig& config);

/// Annotates a folded float graph from given activation parameters (by value name): the last step of PTQ and
/// of QAT. Reads an entry for each of quantized_activations() and ignores others; annotations the graph had
/// are dropped. Weights stay float32 and get choose_weight_params where the node's input is quantized. A bias
/// beyond 2^30 in int32 widens its channel's weight scale until it fits. Throws kInternal if a value lacks
/// parameters.
void annotate(Graph& folded, const std::map<std::string, QuantParams>& activations,
              std::int32_t weight_qmax = 127, const BitWidths& bits = {},
              const Target& target = find_target("any"));

}  // namespace octavo
