// A layer with weights as a matrix product: the rows are output channels, the columns the taps of one of
// them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "octavo/graph/graph.h"

namespace octavo {

/// Conv, Gemm or MatMul with constant weights. Taps lie in the order (input channel of the group, kernel row,
/// kernel column), as ONNX stores a Conv's weights.
struct LayerMatrix {
  ConvAttributes window;      ///< Of a matrix product: one over an image of one pixel.
  bool by_columns = false;    ///< The weight is stored [taps, channels], as MatMul has it.
  std::int64_t channels = 0;  ///< Outputs.
  std::int64_t inputs = 0;    ///< Channels that one group reads.
  std::int64_t taps = 0;
  Shape image;   ///< [C, H, W] of what is read.
  Shape pixels;  ///< [H, W] of the result.

  std::int64_t channels_of_group() const { return channels / window.group; }
  /// Where the weight has tap `k` of output channel `m`.
  std::size_t stored_at(std::int64_t m, std::int64_t k) const {
    return static_cast<std::size_t>(by_columns ? k * channels + m : m * taps + k);
  }
  /// Where an image [C, H, W] has what tap `k` of a channel of `group` meets at output pixel (y, x); -1: in
  /// the padding.
  std::int64_t position(std::int64_t group, std::int64_t k, std::int64_t y, std::int64_t x) const;
};

LayerMatrix layer_matrix(const Graph& graph, const Node& node);

/// The weight as [channels, taps], and back into the order in which it is stored.
std::vector<float> rows_of(const LayerMatrix& layer, const Tensor& weight);
void store_rows(const LayerMatrix& layer, std::span<const float> rows, Tensor& weight);

/// Copies what all taps of `group` meet in `image` [C, H, W] at output pixel (y, x) to `patch`; padding is 0.
void read_patch(const LayerMatrix& layer, std::span<const float> image, std::int64_t group, std::int64_t y,
                std::int64_t x, std::span<float> patch);

}  // namespace octavo
