/// Post-training quantization: calibrate on a few images, annotate the graph. No LibTorch.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "octavo/data/dataset.h"
#include "octavo/graph/graph.h"
#include "octavo/quantize/observer.h"

namespace octavo {

struct PtqConfig {
  ObserverConfig observer;
  std::int64_t calibration_samples = 1000;
  std::int64_t batch_size = 50;
  std::uint64_t seed = 42;  ///< Chooses the calibration images.
  std::function<void(std::int64_t done, std::int64_t total)> on_progress;
};

/// Which images calibration used: evenly spread over the classes where it can be, drawn by `seed`, ascending.
std::vector<std::int64_t> calibration_indices(const Dataset& train, std::int64_t samples, std::uint64_t seed);

/// Values of a folded float graph that quantization annotates: the input and each fused group's output except the
/// model's output (which stays float).
std::vector<ValueId> quantized_activations(const Graph& folded);

struct PtqResult {
  Graph graph;  ///< Batch norms folded, values annotated, weights still float32; metadata says how it was made.
  std::map<std::string, Range> ranges;  ///< By value name, as observed.
  std::vector<std::int64_t> indices;    ///< Calibration images.
};

/// Folds batch norms, calibrates on un-augmented training images with the float runtime, annotates: activations
/// per-tensor uint8, weights per-channel symmetric int8, pooling and flatten outputs sharing their input's parameters
/// (MaxPool, Flatten). Throws kUsage on settings out of range (more samples than images).
PtqResult quantize_ptq(const Graph& graph, const Dataset& train, const Normalization& normalization,
                       const PtqConfig& config);

/// Annotates a folded float graph from given activation parameters (by value name): the last step of PTQ and of QAT.
/// A bias that would not fit int32 widens its channel's weight scale. Throws kInternal if a value lacks parameters.
void annotate(Graph& folded, const std::map<std::string, QuantParams>& activations);

}  // namespace octavo
