// Repairs the layers of a quantized network one after the other, each with what the layers before it have
// become.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "octavo/quantize/ptq.h"

namespace octavo {

/// Chooses the integers of `annotated`'s weights (second_order) and moves its biases (correct_bias) so that
/// every layer's outputs come close to those of `folded`, the same graph in float. Layers go in order; what
/// each reads is measured on images `indices` of `data`, in the float network and in the quantized one whose
/// earlier layers are done. Afterwards weights are float32 numbers on their grids. A layer keeps its weights
/// where another node reads them too.
///
/// Memory, besides the two networks: of one layer, two matrices of double and two of float, [taps, taps]
/// each, and of a batch at most 128 patches of an image in both networks, 4 bytes a tap (236 MB for 50 images
/// of 4,608 taps).
void reconstruct_layers(const Graph& folded, Graph& annotated, const Dataset& data,
                        const Normalization& normalization, std::span<const std::int64_t> indices,
                        std::int64_t batch, const PtqMethods& methods,
                        const std::function<void(std::int64_t done, std::int64_t total)>& on_progress);

}  // namespace octavo
