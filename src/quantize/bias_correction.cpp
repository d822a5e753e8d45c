#include "bias_correction.h"

#include <algorithm>
#include <utility>

#include "layer_matrix.h"
#include "plan.h"

namespace octavo {

InputMeans::InputMeans(const Graph& folded, const std::vector<std::int32_t>& largest_weights) {
  for (std::size_t n = 0; n < folded.nodes.size(); ++n) {
    const Node& node = folded.nodes[n];
    if (!has_weight(node.op) || node.inputs.size() < 3 || !is_narrow(largest_weights[n])) continue;
    const Shape& shape = folded.value(node.inputs[0]).shape;
    Sums sums;
    const std::size_t along = node.op == Op::kConv ? 1 : shape.size() - 1;
    sums.channels.resize(static_cast<std::size_t>(shape[along]));
    for (std::size_t d = along + 1; d < shape.size(); ++d) sums.inner *= static_cast<std::size_t>(shape[d]);
    sums_.try_emplace(node.inputs[0], std::move(sums));
  }
}

std::vector<ValueId> InputMeans::values() const {
  std::vector<ValueId> ids;
  for (const auto& [id, sums] : sums_) ids.push_back(id);
  return ids;
}

void InputMeans::add(ValueId value, std::span<const float> elements) {
  const auto found = sums_.find(value);
  if (found == sums_.end()) return;
  Sums& sums = found->second;
  for (std::size_t begin = 0, c = 0; begin < elements.size(); begin += sums.inner, ++c) {
    float sum = 0;
    for (const float element : elements.subspan(begin, sums.inner)) sum += element;
    sums.channels[c % sums.channels.size()] += static_cast<double>(sum);
  }
  sums.count += elements.size() / sums.channels.size();
}

std::vector<double> InputMeans::of(ValueId value) const {
  const Sums& sums = sums_.at(value);
  std::vector<double> means = sums.channels;
  for (double& mean : means) mean /= static_cast<double>(std::max<std::size_t>(sums.count, 1));
  return means;
}

void correct_biases(const Graph& folded, Graph& annotated, const InputMeans& means) {
  for (const Node& node : annotated.nodes) {
    if (!has_weight(node.op) || node.inputs.size() < 3) continue;
    const Value& weight = annotated.value(node.inputs[1]);
    if (!weight.quant || !is_narrow(weight.quant->qmax) || annotated.consumers(node.inputs[2]).size() > 1)
      continue;
    const LayerMatrix layer = layer_matrix(folded, node);
    const std::vector<float> rows = rows_of(layer, *folded.value(node.inputs[1]).constant);
    const std::vector<float> rounded = rows_of(layer, fake_quantize(*weight.constant, *weight.quant));
    const std::vector<double> mean = means.of(node.inputs[0]);
    const std::int64_t area = layer.taps / layer.inputs;
    for (std::int64_t m = 0; m < layer.channels; ++m) {
      const std::int64_t first = m / layer.channels_of_group() * layer.inputs;
      double shift = 0;
      for (std::int64_t k = 0; k < layer.taps; ++k) {
        const auto at = static_cast<std::size_t>(m * layer.taps + k);
        shift +=
            static_cast<double>(rows[at] - rounded[at]) * mean[static_cast<std::size_t>(first + k / area)];
      }
      move_bias(annotated, node, m, shift);
    }
  }
}

}  // namespace octavo
