#include "onnx/models.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "octavo/graph/builder.h"
#include "octavo/graph/passes.h"
#include "octavo/graph/zoo.h"
#include "octavo/runtime/reference.h"

namespace octavo::test {
namespace {

void randomize_statistics(Graph& graph, std::uint64_t seed) {
  std::mt19937_64 generator(seed);
  std::uniform_real_distribution<float> small(-0.5F, 0.5F);
  for (const Node& node : graph.nodes) {
    if (node.op == Op::kConv && node.inputs.size() > 2) {
      for (float& x : graph.value(node.inputs[2]).constant->data<float>()) x = small(generator);
    }
    if (node.op != Op::kBatchNormalization) continue;
    for (std::size_t i = 1; i < 5; ++i) {
      const float center = i == 1 || i == 4 ? 1.0F : 0.0F;
      for (float& x : graph.value(node.inputs[i]).constant->data<float>()) x = center + small(generator);
    }
  }
}

QuantParams range_params(const Tensor& real) {
  const auto values = real.data<float>();
  const float low = std::min(0.0F, *std::ranges::min_element(values));
  const float high = std::max(0.0F, *std::ranges::max_element(values));
  const float scale = high > low ? (high - low) / 255.0F : 1.0F;
  return activation_params(scale, round_saturate(-low / scale, 0, 255));
}

QuantParams channel_params(const Tensor& weight, std::int32_t qmax) {
  const auto channels = static_cast<std::size_t>(weight.dim(0));
  const auto values = weight.data<float>();
  const std::size_t each = values.size() / channels;
  std::vector<float> scales(channels);
  for (std::size_t c = 0; c < channels; ++c) {
    float largest = 0;
    for (const float x : values.subspan(c * each, each)) largest = std::max(largest, std::abs(x));
    scales[c] = largest > 0 ? largest / static_cast<float>(qmax) : 1.0F;
  }
  return weight_params(std::move(scales), 0, qmax);
}

/// Operators whose integers stay what they are.
bool moves(Op op) {
  return op == Op::kMaxPool || op == Op::kGlobalMaxPool || op == Op::kFlatten || op == Op::kReshape ||
         op == Op::kTranspose || op == Op::kSlice;
}

}  // namespace

Graph every_operator(std::uint64_t seed) {
  GraphBuilder b("every-operator", 3, 13, 11, seed);
  ValueId x = b.conv(
      "conv1", b.input(), 6,
      {.kernel = {3, 2}, .strides = {1, 2}, .dilations = {2, 1}, .pads = {1, 0, 2, 1}, .group = 3}, false);
  x = b.batch_norm("bn1", x, {.epsilon = 1e-3F, .momentum = 0.8F});
  x = b.relu("relu1", x);
  x = b.max_pool("pool1", x, {.kernel = {3, 3}, .strides = {2, 2}, .pads = {0, 1, 1, 0}, .ceil_mode = true});
  const ValueId shortcut = x;
  x = b.conv("conv2", x, 6, {.kernel = {3, 3}, .pads = {1, 1, 1, 1}}, true);
  x = b.add("add", x, shortcut);
  x = b.clip("clip", x, 0.0F, 6.0F);
  x = b.average_pool("pool2", x,
                     {.kernel = {2, 2}, .strides = {1, 1}, .pads = {1, 0, 0, 1}, .count_include_pad = true});
  x = b.conv("conv3", x, 1, {.kernel = {1, 1}}, true);
  x = b.clip("clip3", x, 0.0F, std::numeric_limits<float>::infinity());
  x = b.conv("conv4", x, 8, {.kernel = {1, 1}}, true);
  x = b.global_average_pool("gap", x);
  x = b.flatten("flatten", x);
  x = b.gemm("fc", x, 5);
  Graph graph = b.finish(x);
  randomize_statistics(graph, seed);
  graph.metadata = {{"octavo.mean", "0.5,0.4,0.3"}, {"note", "a line\nand \xc3\xa9"}};
  return graph;
}

Graph every_other_operator(std::uint64_t seed) {
  GraphBuilder b("every-other-operator", 4, 9, 8, seed);
  const auto row = [&](const std::string& name, Shape shape, float first) {
    Tensor tensor(std::move(shape), DType::kFloat32);
    for (float& x : tensor.data<float>()) x = (first += 0.25F);
    return b.constant(name, std::move(tensor));
  };
  ValueId x = b.conv("conv1", b.input(), 8, {.kernel = {3, 3}, .pads = {1, 1, 1, 1}}, true);
  x = b.silu("silu", x);
  const ValueId gate = b.hard_sigmoid(
      "gate_sigmoid", b.conv("gate", b.global_average_pool("squeeze", x), 8, {.kernel = {1, 1}}, true));
  x = b.mul("excite", x, gate);
  x = b.hard_swish("hard_swish", x);
  x = b.leaky_relu("leaky", x, 0.125F);
  x = b.prelu("prelu", x);
  const ValueId left = b.slice("left", x, 1, 0, 4);
  const ValueId right = b.slice("right", x, 1, 4, SliceAttributes::kWhole);
  x = b.concat("concat", {b.gelu("gelu", left), b.sigmoid("sigmoid", right)}, 1);
  x = b.transpose("shuffle", b.reshape("groups", x, {kDynamic, 2, 4, 9, 8}), {0, 2, 1, 3, 4});
  x = b.reshape("together", x, {kDynamic, 8, 9, 8});
  x = b.slice("backwards", x, 3, 6, -1, -2);
  x = b.pad("pad", x, {0, 0, 1, 0}, {0, 0, 0, 2}, 0.5F);
  x = b.sub("sub", row("minuend", {8, 1, 1}, 0.0F), x);
  x = b.div("div", x, row("divisor", {1, 8, 1, 1}, 1.0F));
  x = b.transpose("last", x, {0, 2, 3, 1});
  x = b.matmul("matmul", x, 6, true);
  const ValueId mean = b.reduce_mean("mean", x, {3});
  const ValueId centered = b.sub("center", x, mean);
  const ValueId variance = b.reduce_mean("variance", b.pow("square", centered, 2.0F), {3});
  x = b.div("normalize", centered,
            b.sqrt("deviation", b.add("epsilon", variance, row("epsilon_by", {1}, 0.0F))));
  x = b.transpose("first", x, {0, 3, 1, 2});
  x = b.erf("erf", x);
  x = b.add("both", b.global_max_pool("max", x), b.global_average_pool("average", x));
  x = b.flatten("flatten", x);
  x = b.gemm("fc", x, 5);
  x = b.log_softmax("log_softmax", b.softmax("softmax", x));
  Graph graph = b.finish(x);
  randomize_statistics(graph, seed);
  return graph;
}

Graph zoo_model(const std::string& name, std::uint64_t seed) {
  Graph graph = make_model(name, {}, seed);
  randomize_statistics(graph, seed);
  return graph;
}

Tensor random_input(const Graph& graph, std::int64_t batch, std::uint64_t seed) {
  Shape shape = graph.value(graph.input).shape;
  shape[0] = batch;
  Tensor input(shape, DType::kFloat32);
  std::mt19937_64 generator(seed);
  std::normal_distribution<float> normal;
  for (float& x : input.data<float>()) x = normal(generator);
  return input;
}

Graph quantized(const Graph& graph, const Tensor& calibration, std::int32_t weight_qmax) {
  Graph folded = fold_batch_norm(graph);
  const std::map<ValueId, Tensor> values = interpret_all(folded, calibration);
  folded.value(folded.input).quant = range_params(values.at(folded.input));
  for (const FusedGroup& group : quantizable_groups(folded)) {
    const Node& anchor = folded.nodes[static_cast<std::size_t>(group.anchor)];
    const bool keeps = moves(anchor.op);
    if (group.output != folded.output) {
      folded.value(group.output).quant =
          keeps ? folded.value(group.input).quant : range_params(values.at(group.output));
    }
    if (anchor.op == Op::kConv || anchor.op == Op::kGemm) {
      Value& weight = folded.value(anchor.inputs[1]);
      weight.quant = channel_params(*weight.constant, weight_qmax);
    }
    if (anchor.op == Op::kMatMul) {
      const std::int64_t columns = folded.value(anchor.inputs[1]).shape[1];
      folded.value(anchor.inputs[1]).quant =
          weight_params(std::vector<float>(static_cast<std::size_t>(columns), 0.01F), 1, weight_qmax);
    }
  }
  validate(folded);
  return folded;
}

Graph quantized(const Graph& graph) { return quantized(graph, random_input(graph, 1)); }

}  // namespace octavo::test
