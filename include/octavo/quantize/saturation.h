/// Engines that multiply u8 x s8 with vpmaddubsw (CPUs with AVX2 or AVX-512 but without VNNI) add two
/// products in int16, which saturates: 255 * 127 + 255 * 127 is 64770, and 32767 comes out. Octavo's own
/// kernels are exact everywhere (docs/arithmetic.md); a file that is to give the same answers in such an
/// engine must not have weights that saturate there. This says which layers can, which do, and narrows those
/// to seven bits.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "octavo/data/dataset.h"
#include "octavo/graph/graph.h"

namespace octavo {

/// One Conv, Gemm or MatMul that runs in integers. Of a narrowed one, what it was with eight bits.
struct LayerSaturation {
  std::string layer;  ///< The node's name.
  /// The largest |q1 * w1 + q2 * w2| that any two weights of one output channel can give, whatever their
  /// order, over all inputs that the calibrated range has.
  std::int64_t largest = 0;
  /// Pairs of weights, neighbours in the order (kernel row, kernel column, input channel), that some input in
  /// range saturates. 0: an engine that pairs in this order never does.
  std::int64_t risky_pairs = 0;
  std::int64_t events = 0;  ///< How often those did on the images that were looked at.
  bool narrowed = false;    ///< The weights have seven bits for this reason.

  /// No order of the weights saturates.
  bool proven() const { return largest <= 32767; }
};

/// What the weights and ranges alone tell: no events. `quantized` has its batch norms folded.
std::vector<LayerSaturation> saturation_bounds(const Graph& quantized);

/// The same with the events on images `indices` of `data`, `batch` at a time: an emulation of vpmaddubsw on
/// the integers that the runtime computes. Throws kUsage if there is no image.
std::vector<LayerSaturation> count_saturation(
    const Graph& quantized, const Dataset& data, const Normalization& normalization,
    std::span<const std::int64_t> indices, std::int64_t batch = 16,
    const std::function<void(std::int64_t done, std::int64_t total)>& on_progress = {});

/// Gives the weights of layers with events seven bits, and counts again, until there are none: 126 * 255 fits
/// int16. `quantized` is as PTQ and QAT make it, with float32 weights. Layers that could saturate but never
/// did keep eight bits; the answer says which, and so do the metadata (octavo/quantize/layer_choices.h).
std::vector<LayerSaturation> narrow_saturating_layers(
    Graph& quantized, const Dataset& data, const Normalization& normalization,
    std::span<const std::int64_t> indices, std::int64_t batch = 16,
    const std::function<void(std::int64_t done, std::int64_t total)>& on_progress = {});

}  // namespace octavo
