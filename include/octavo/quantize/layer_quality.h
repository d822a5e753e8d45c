/// What quantization costs each layer: integer activations against float ones, on real images.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "octavo/data/dataset.h"
#include "octavo/graph/graph.h"
#include "octavo/quantize/observer.h"

namespace octavo {

/// Counts of values in equal bins from `min` to `max`.
struct Distribution {
  double min = 0;
  double max = 0;
  std::vector<std::uint64_t> counts;
};

/// One quantized value of a model and the weights that make it. The integer side is the runtime's own, fed
/// with its own earlier layers: differences add up from layer to layer.
struct LayerQuality {
  std::string value;         ///< The value's name, the same in both graphs.
  std::string layer;         ///< The node that makes it; empty for the model's input.
  double sqnr_db = 0;        ///< 10 log10(sum x^2 / sum (x - x_q)^2); infinite where nothing differs.
  double cosine = 0;         ///< sum x * x_q / (|x| |x_q|); 1 where both are 0.
  double clipped = 0;        ///< Part of the float values outside `range`.
  Range range;               ///< The real numbers that the integers can stand for.
  Distribution activations;  ///< Of the float values, zeros left out.
  Distribution weights;      ///< Of the float weights; no counts where the layer has none.
};

/// Runs both graphs over the images of `data` with these indices, `batch` at a time, and compares every value
/// that `quantized` quantizes itself and `base` (folded or not) has under the same name. In bounded memory
/// whatever the number of images. Throws kUsage if the graphs share no quantized value, or without an image.
std::vector<LayerQuality> measure_layer_quality(
    const Graph& base, const Graph& quantized, const Dataset& data, const Normalization& normalization,
    std::span<const std::int64_t> indices, std::int64_t batch = 32,
    const std::function<void(std::int64_t done, std::int64_t total)>& on_progress = {});

}  // namespace octavo
