/// What was chosen for single layers beyond plain int8, and why. It travels in a file's metadata, so that
/// whoever reads the file back, `octavo run`'s report above all, can tell.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "octavo/graph/graph.h"
#include "octavo/quantize/saturation.h"

namespace octavo {

/// A layer that the latency guard left in float32. Times as in GuardedLayer, to a tenth of a microsecond.
struct FloatLayer {
  std::string name;
  double float_ms = 0;
  double int8_ms = 0;
  double conversion_ms = 0;
};

/// What the latency guard measured and left in float32 (octavo/quantize/latency_guard.h).
struct GuardChoice {
  std::int64_t batch = 1;
  std::int64_t threads = 1;
  std::string cpu;
  double float_ms = 0;             ///< A whole run in float32,
  double int8_ms = 0;              ///< in int8 wherever it goes,
  double guarded_ms = 0;           ///< and as chosen.
  bool all_float = false;          ///< Neither int8 nor a mixture was faster than float32.
  std::vector<FloatLayer> layers;  ///< In the order in which they run.
};

/// What was done about sums of two products that int16 does not hold (octavo/quantize/saturation.h).
struct SaturationChoice {
  std::int64_t images = 0;              ///< That events were counted on.
  std::int64_t proven = 0;              ///< Layers that cannot saturate.
  std::vector<LayerSaturation> layers;  ///< The others, in the order in which they run.
};

struct LayerChoices {
  std::optional<GuardChoice> guard;
  std::optional<SaturationChoice> saturation;
  bool empty() const { return !guard && !saturation; }
};

/// What `graph`'s metadata say. What is not understood, as of a file that another program changed, is left
/// out.
LayerChoices layer_choices(const Graph& graph);

/// Why that layer stays in float32, as a sentence of times.
std::string reason_of(const FloatLayer& layer);

/// Writes the metadata that layer_choices() reads: octavo.latency_guard and octavo.latency_guard.LAYER,
void record(Graph& graph, const GuardChoice& choice);
/// and octavo.saturation and octavo.saturation.LAYER.
void record(Graph& graph, const SaturationChoice& choice);

/// Removes them: what was chosen for a model does not hold for one that is made from it.
void forget_layer_choices(Graph& graph);

}  // namespace octavo
