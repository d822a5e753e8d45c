#include "octavo/graph/builder.h"

#include <cmath>
#include <random>

#include "octavo/core/error.h"

namespace octavo {

GraphBuilder::GraphBuilder(std::string name, std::int64_t channels, std::int64_t height, std::int64_t width,
                           std::uint64_t seed)
    : seed_(seed) {
  graph_.name = std::move(name);
  graph_.values.push_back({"input", {kDynamic, channels, height, width}, {}, {}});
  graph_.input = 0;
}

ValueId GraphBuilder::add_constant(const std::string& name, Tensor tensor) {
  graph_.values.push_back({name, tensor.shape(), std::move(tensor), {}});
  return static_cast<ValueId>(graph_.values.size() - 1);
}

ValueId GraphBuilder::add_node(const std::string& name, Op op, std::vector<ValueId> inputs,
                               Attributes attributes) {
  graph_.values.push_back({name + ".out", {}, {}, {}});
  const auto output = static_cast<ValueId>(graph_.values.size() - 1);
  graph_.nodes.push_back({name, op, std::move(inputs), output, std::move(attributes)});
  // Only the new node's shape is missing; the graph stays small while it is built.
  infer_shapes(graph_);
  return output;
}

Tensor GraphBuilder::he_normal(const std::string& name, Shape shape, std::int64_t fan) const {
  // FNV-1a of the name makes each layer's stream its own, so that adding a layer leaves the others as they
  // were.
  std::uint64_t hash = 14695981039346656037ULL;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  std::mt19937_64 generator(hash ^ (seed_ * 0x9E3779B97F4A7C15ULL));
  Tensor tensor(std::move(shape), DType::kFloat32);
  const double deviation = std::sqrt(2.0 / static_cast<double>(fan));
  const auto uniform = [&] { return (static_cast<double>(generator() >> 11) + 0.5) * 0x1.0p-53; };
  for (float& x : tensor.data<float>()) {
    // Box-Muller rather than std::normal_distribution, whose results differ between standard libraries.
    const double radius = std::sqrt(-2.0 * std::log(uniform()));
    x = static_cast<float>(deviation * radius * std::cos(6.283185307179586 * uniform()));
  }
  return tensor;
}

ValueId GraphBuilder::conv(const std::string& name, ValueId x, std::int64_t out_channels,
                           const ConvAttributes& attributes, bool with_bias) {
  const std::int64_t in_channels = shape(x).at(1);
  const std::int64_t window = attributes.kernel[0] * attributes.kernel[1];
  Shape weight{out_channels, in_channels / attributes.group, attributes.kernel[0], attributes.kernel[1]};
  std::vector<ValueId> inputs{
      x, add_constant(name + ".weight",
                      he_normal(name, std::move(weight), out_channels / attributes.group * window))};
  if (with_bias) inputs.push_back(add_constant(name + ".bias", Tensor({out_channels}, DType::kFloat32)));
  return add_node(name, Op::kConv, std::move(inputs), attributes);
}

ValueId GraphBuilder::batch_norm(const std::string& name, ValueId x, const BatchNormAttributes& attributes) {
  const Shape channels{shape(x).at(1)};
  const Tensor zeros(channels, DType::kFloat32);
  Tensor ones(channels, DType::kFloat32);
  for (float& value : ones.data<float>()) value = 1.0F;
  return add_node(name, Op::kBatchNormalization,
                  {x, add_constant(name + ".weight", ones), add_constant(name + ".bias", zeros),
                   add_constant(name + ".running_mean", zeros), add_constant(name + ".running_var", ones)},
                  attributes);
}

ValueId GraphBuilder::relu(const std::string& name, ValueId x) { return add_node(name, Op::kRelu, {x}, {}); }

ValueId GraphBuilder::clip(const std::string& name, ValueId x, float min, float max) {
  return add_node(name, Op::kClip, {x}, ClipAttributes{min, max});
}

ValueId GraphBuilder::add(const std::string& name, ValueId a, ValueId b) {
  return add_node(name, Op::kAdd, {a, b}, {});
}

ValueId GraphBuilder::max_pool(const std::string& name, ValueId x, const PoolAttributes& attributes) {
  return add_node(name, Op::kMaxPool, {x}, attributes);
}

ValueId GraphBuilder::average_pool(const std::string& name, ValueId x, const PoolAttributes& attributes) {
  return add_node(name, Op::kAveragePool, {x}, attributes);
}

ValueId GraphBuilder::global_average_pool(const std::string& name, ValueId x) {
  return add_node(name, Op::kGlobalAveragePool, {x}, {});
}

ValueId GraphBuilder::flatten(const std::string& name, ValueId x) {
  return add_node(name, Op::kFlatten, {x}, {});
}

ValueId GraphBuilder::gemm(const std::string& name, ValueId x, std::int64_t out_features, bool with_bias) {
  const std::int64_t in_features = shape(x).at(1);
  std::vector<ValueId> inputs{
      x, add_constant(name + ".weight", he_normal(name, {out_features, in_features}, in_features * 2))};
  if (with_bias) inputs.push_back(add_constant(name + ".bias", Tensor({out_features}, DType::kFloat32)));
  return add_node(name, Op::kGemm, std::move(inputs), {});
}

Graph GraphBuilder::finish(ValueId output) {
  graph_.value(output).name = "logits";
  graph_.output = output;
  infer_shapes(graph_);
  validate(graph_);
  return std::move(graph_);
}

}  // namespace octavo
