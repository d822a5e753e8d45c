#include "runtime/annotated_graph.h"

#include <algorithm>
#include <cmath>

#include "octavo/graph/passes.h"
#include "octavo/runtime/placement.h"
#include "octavo/runtime/reference.h"

namespace octavo::testing {

Tensor random_tensor(const Shape& shape, std::uint64_t seed, float lo, float hi) {
  std::mt19937_64 generator(seed);
  std::uniform_real_distribution<float> distribution(lo, hi);
  Tensor tensor(shape, DType::kFloat32);
  for (float& x : tensor.data<float>()) x = distribution(generator);
  return tensor;
}

void randomize(Graph& graph, std::uint64_t seed) {
  for (const Node& node : graph.nodes) {
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      Value& value = graph.value(node.inputs[i]);
      if (!value.constant) continue;
      ++seed;
      if (node.op == Op::kDiv) {
        value.constant = random_tensor(value.shape, seed, 0.5F, 1.5F);
      } else if (node.op == Op::kBatchNormalization) {
        const bool positive = i == 1 || i == 4;  // Scale and variance.
        value.constant = random_tensor(value.shape, seed, positive ? 0.5F : -0.5F, positive ? 1.5F : 0.5F);
      } else {
        const bool matrix = value.shape.size() > 1 && value.shape[0] > 1;
        const std::int64_t fan = matrix ? value.constant->size() / value.shape[0] : 1;
        const float bound = std::sqrt(3.0F / static_cast<float>(fan));
        value.constant = random_tensor(value.shape, seed, -bound, bound);
      }
    }
  }
}

namespace {

QuantParams from_range(const Tensor& tensor) {
  const auto [lo, hi] = std::ranges::minmax(tensor.data<float>());
  const float low = std::min(lo, 0.0F);
  const float scale = std::max((std::max(hi, 0.0F) - low) / 255.0F, 1e-6F);
  return activation_params(scale, round_saturate(-low / scale, 0, 255));
}

QuantParams weights_of(const Tensor& weight, int axis, std::int32_t limit) {
  const auto values = weight.data<float>();
  const auto channels = static_cast<std::size_t>(weight.dim(static_cast<std::size_t>(axis)));
  const std::size_t inner = axis == 0 ? values.size() / channels : 1;
  std::vector<float> scales(channels, 1e-6F);
  for (std::size_t i = 0; i < values.size(); ++i) {
    float& scale = scales[i / inner % channels];
    scale = std::max(scale, std::abs(values[i]) / static_cast<float>(limit));
  }
  return weight_params(std::move(scales), axis, limit);
}

}  // namespace

Graph annotate_from_sample(const Graph& graph, const Tensor& sample, std::int32_t weight_limit,
                           bool quantize_output) {
  Graph folded = fold_batch_norm(graph);
  const auto values = interpret_all(folded, sample);
  folded.value(folded.input).quant = from_range(sample);
  for (const FusedGroup& group : quantizable_groups(folded)) {
    const Node& anchor = folded.nodes[static_cast<std::size_t>(group.anchor)];
    if (anchor.op == Op::kConv || anchor.op == Op::kGemm || anchor.op == Op::kMatMul) {
      Value& weight = folded.value(anchor.inputs[1]);
      weight.quant = weights_of(*weight.constant, anchor.op == Op::kMatMul ? 1 : 0, weight_limit);
    }
    if (group.output == folded.output && !quantize_output) continue;
    folded.value(group.output).quant =
        moves_integers(folded, group) ? folded.value(group.input).quant : from_range(values.at(group.output));
  }
  return folded;
}

}  // namespace octavo::testing
