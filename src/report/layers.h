/// What quantization costs each layer, as a table with small plots.
#pragma once

#include <span>
#include <string>

#include "octavo/quantize/layer_quality.h"

namespace octavo::report {

/// A row per layer: signal to quantization noise as a bar, cosine similarity, clipped values, range, and the
/// histograms of activations and weights. Empty without layers.
std::string layer_table(std::span<const LayerQuality> layers);

/// One sentence that names the layer with the most noise; empty without layers.
std::string layer_summary(std::span<const LayerQuality> layers);

}  // namespace octavo::report
