#include "layer_matrix.h"

#include <algorithm>

namespace octavo {
namespace {

/// Element [m, k] of the rows, where the weight has it.
std::size_t place(const LayerMatrix& layer, std::int64_t m, std::int64_t k) {
  return static_cast<std::size_t>(layer.by_columns ? k * layer.channels + m : m * layer.taps + k);
}

}  // namespace

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
      rows[static_cast<std::size_t>(m * layer.taps + k)] = stored[place(layer, m, k)];
  }
  return rows;
}

void store_rows(const LayerMatrix& layer, std::span<const float> rows, Tensor& weight) {
  const auto stored = weight.data<float>();
  for (std::int64_t m = 0; m < layer.channels; ++m) {
    for (std::int64_t k = 0; k < layer.taps; ++k)
      stored[place(layer, m, k)] = rows[static_cast<std::size_t>(m * layer.taps + k)];
  }
}

void read_patch(const LayerMatrix& layer, std::span<const float> image, std::int64_t group, std::int64_t y,
                std::int64_t x, std::span<float> patch) {
  const ConvAttributes& w = layer.window;
  auto to = patch.begin();
  for (std::int64_t c = 0; c < layer.inputs; ++c) {
    const std::int64_t plane = (group * layer.inputs + c) * layer.image[1];
    for (std::int64_t i = 0; i < w.kernel[0]; ++i) {
      const std::int64_t row = y * w.strides[0] - w.pads[0] + i * w.dilations[0];
      for (std::int64_t j = 0; j < w.kernel[1]; ++j) {
        const std::int64_t column = x * w.strides[1] - w.pads[1] + j * w.dilations[1];
        const bool inside = row >= 0 && row < layer.image[1] && column >= 0 && column < layer.image[2];
        *to++ = inside ? image[static_cast<std::size_t>((plane + row) * layer.image[2] + column)] : 0.0F;
      }
    }
  }
}

}  // namespace octavo
