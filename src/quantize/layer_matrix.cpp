#include "layer_matrix.h"

#include <algorithm>

namespace octavo {
LayerMatrix layer_matrix(const Graph& graph, const Node& node) {
  LayerMatrix layer;
  const Shape& weight = graph.value(node.inputs[1]).shape;
  layer.by_columns = node.op == Op::kMatMul;
  layer.channels = weight[layer.by_columns ? 1 : 0];
  layer.inputs = weight[layer.by_columns ? 0 : 1];
  layer.image = {layer.inputs, 1, 1};
  layer.pixels = {1, 1};
  if (node.op == Op::kConv) {
    layer.window = node.as<ConvAttributes>();
    const Shape& x = graph.value(node.inputs[0]).shape;
    const Shape& y = graph.value(node.output).shape;
    layer.image = {x[1], x[2], x[3]};
    layer.pixels = {y[2], y[3]};
  }
  layer.taps = layer.inputs * layer.window.kernel[0] * layer.window.kernel[1];
  return layer;
}

std::vector<float> rows_of(const LayerMatrix& layer, const Tensor& weight) {
  const auto stored = weight.data<float>();
  std::vector<float> rows(stored.size());
  for (std::int64_t m = 0; m < layer.channels; ++m) {
    for (std::int64_t k = 0; k < layer.taps; ++k)
      rows[static_cast<std::size_t>(m * layer.taps + k)] = stored[layer.stored_at(m, k)];
  }
  return rows;
}

void store_rows(const LayerMatrix& layer, std::span<const float> rows, Tensor& weight) {
  const auto stored = weight.data<float>();
  for (std::int64_t m = 0; m < layer.channels; ++m) {
    for (std::int64_t k = 0; k < layer.taps; ++k)
      stored[layer.stored_at(m, k)] = rows[static_cast<std::size_t>(m * layer.taps + k)];
  }
}

std::int64_t LayerMatrix::position(std::int64_t group, std::int64_t k, std::int64_t y, std::int64_t x) const {
  const std::int64_t area = window.kernel[0] * window.kernel[1];
  const std::int64_t channel = group * inputs + k / area;
  const std::int64_t row =
      y * window.strides[0] - window.pads[0] + k % area / window.kernel[1] * window.dilations[0];
  const std::int64_t column =
      x * window.strides[1] - window.pads[1] + k % window.kernel[1] * window.dilations[1];
  if (row < 0 || row >= image[1] || column < 0 || column >= image[2]) return -1;
  return (channel * image[1] + row) * image[2] + column;
}

void read_patch(const LayerMatrix& layer, std::span<const float> image, std::int64_t group, std::int64_t y,
                std::int64_t x, std::span<float> patch) {
  for (std::size_t k = 0; k < patch.size(); ++k) {
    const std::int64_t at = layer.position(group, static_cast<std::int64_t>(k), y, x);
    patch[k] = at < 0 ? 0.0F : image[static_cast<std::size_t>(at)];
  }
}

}  // namespace octavo
