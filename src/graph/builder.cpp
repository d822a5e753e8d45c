#include "octavo/graph/builder.h"

#include <cmath>
#include <random>

#include "octavo/core/error.h"
#include "octavo/core/hash.h"
#include "octavo/core/random.h"

namespace octavo {
namespace {

Tensor filled_tensor(Shape shape, float value) {
  Tensor tensor(std::move(shape), DType::kFloat32);
  for (float& x : tensor.data<float>()) x = value;
  return tensor;
}

}  // namespace

GraphBuilder::GraphBuilder(std::string name, std::int64_t channels, std::int64_t height, std::int64_t width,
                           std::uint64_t seed)
    : seed_(seed) {
  graph_.name = std::move(name);
  graph_.values.push_back({"input", {kDynamic, channels, height, width}, {}, {}});
  graph_.input = 0;
}

ValueId GraphBuilder::constant(const std::string& name, Tensor tensor) {
  graph_.values.push_back({name, tensor.shape(), std::move(tensor), {}});
  return static_cast<ValueId>(graph_.values.size() - 1);
}

ValueId GraphBuilder::add_node(const std::string& name, Op op, std::vector<ValueId> inputs,
                               Attributes attributes) {
  graph_.values.push_back({name + ".out", {}, {}, {}});
  const auto output = static_cast<ValueId>(graph_.values.size() - 1);
  graph_.nodes.push_back({name, op, std::move(inputs), output, std::move(attributes)});
  graph_.value(output).shape = infer_shape(graph_, graph_.nodes.back());
  return output;
}

Tensor GraphBuilder::he_normal(const std::string& name, Shape shape, std::int64_t fan) const {
  // FNV-1a of the name makes each layer's stream its own, so that adding a layer leaves the others as they
  // were.
  std::mt19937_64 generator(fnv1a(name) ^ (seed_ * SplitMix64::kStep));
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
      x, constant(name + ".weight",
                  he_normal(name, std::move(weight), out_channels / attributes.group * window))};
  if (with_bias) inputs.push_back(constant(name + ".bias", Tensor({out_channels}, DType::kFloat32)));
  return add_node(name, Op::kConv, std::move(inputs), attributes);
}

ValueId GraphBuilder::batch_norm(const std::string& name, ValueId x, const BatchNormAttributes& attributes) {
  const Shape channels{shape(x).at(1)};
  const Tensor zeros = filled_tensor(channels, 0.0F);
  const Tensor ones = filled_tensor(channels, 1.0F);
  return add_node(name, Op::kBatchNormalization,
                  {x, constant(name + ".weight", ones), constant(name + ".bias", zeros),
                   constant(name + ".running_mean", zeros), constant(name + ".running_var", ones)},
                  attributes);
}

ValueId GraphBuilder::filled(const std::string& name, const Shape& shape, float value) {
  return constant(name, filled_tensor(shape, value));
}

ValueId GraphBuilder::normal(const std::string& name, const Shape& shape, float deviation) {
  Tensor tensor = he_normal(name, shape, 2);  // A deviation of 1.
  for (float& x : tensor.data<float>()) x *= deviation;
  return constant(name, std::move(tensor));
}

ValueId GraphBuilder::binary(const std::string& name, Op op, ValueId a, ValueId b) {
  return add_node(name, op, {a, b});
}

ValueId GraphBuilder::unary(const std::string& name, Op op, ValueId x, Attributes attributes) {
  return add_node(name, op, {x}, std::move(attributes));
}

ValueId GraphBuilder::relu(const std::string& name, ValueId x) { return add_node(name, Op::kRelu, {x}); }

ValueId GraphBuilder::clip(const std::string& name, ValueId x, float min, float max) {
  return add_node(name, Op::kClip, {x}, ClipAttributes{min, max});
}

ValueId GraphBuilder::leaky_relu(const std::string& name, ValueId x, float alpha) {
  return add_node(name, Op::kLeakyRelu, {x}, ScalarAttributes{.alpha = alpha});
}

ValueId GraphBuilder::prelu(const std::string& name, ValueId x) {
  Shape slope(shape(x).size() - 1, 1);
  slope[0] = shape(x)[1];
  return add_node(name, Op::kPRelu, {x, constant(name + ".weight", filled_tensor(std::move(slope), 0.25F))});
}

ValueId GraphBuilder::sigmoid(const std::string& name, ValueId x) {
  return add_node(name, Op::kSigmoid, {x});
}

ValueId GraphBuilder::hard_sigmoid(const std::string& name, ValueId x) {
  return add_node(name, Op::kHardSigmoid, {x}, ScalarAttributes{.alpha = 1.0F / 6.0F, .beta = 0.5F});
}

ValueId GraphBuilder::hard_swish(const std::string& name, ValueId x) {
  return add_node(name, Op::kHardSwish, {x});
}

ValueId GraphBuilder::silu(const std::string& name, ValueId x) { return add_node(name, Op::kSilu, {x}); }

ValueId GraphBuilder::gelu(const std::string& name, ValueId x) { return add_node(name, Op::kGelu, {x}); }

ValueId GraphBuilder::erf(const std::string& name, ValueId x) { return add_node(name, Op::kErf, {x}); }

ValueId GraphBuilder::sqrt(const std::string& name, ValueId x) { return add_node(name, Op::kSqrt, {x}); }

ValueId GraphBuilder::pow(const std::string& name, ValueId x, float exponent) {
  return add_node(name, Op::kPow, {x}, ScalarAttributes{.alpha = exponent});
}

ValueId GraphBuilder::add(const std::string& name, ValueId a, ValueId b) {
  return add_node(name, Op::kAdd, {a, b});
}

ValueId GraphBuilder::sub(const std::string& name, ValueId a, ValueId b) {
  return add_node(name, Op::kSub, {a, b});
}

ValueId GraphBuilder::mul(const std::string& name, ValueId a, ValueId b) {
  return add_node(name, Op::kMul, {a, b});
}

ValueId GraphBuilder::div(const std::string& name, ValueId a, ValueId b) {
  return add_node(name, Op::kDiv, {a, b});
}

ValueId GraphBuilder::max_pool(const std::string& name, ValueId x, const PoolAttributes& attributes) {
  return add_node(name, Op::kMaxPool, {x}, attributes);
}

ValueId GraphBuilder::average_pool(const std::string& name, ValueId x, const PoolAttributes& attributes) {
  return add_node(name, Op::kAveragePool, {x}, attributes);
}

ValueId GraphBuilder::global_average_pool(const std::string& name, ValueId x) {
  return add_node(name, Op::kGlobalAveragePool, {x});
}

ValueId GraphBuilder::global_max_pool(const std::string& name, ValueId x) {
  return add_node(name, Op::kGlobalMaxPool, {x});
}

ValueId GraphBuilder::reduce_mean(const std::string& name, ValueId x, std::vector<std::int64_t> axes,
                                  bool keep_dims) {
  return add_node(name, Op::kReduceMean, {x}, ReduceAttributes{std::move(axes), keep_dims});
}

ValueId GraphBuilder::concat(const std::string& name, std::vector<ValueId> values, std::int64_t axis) {
  return add_node(name, Op::kConcat, std::move(values), AxisAttributes{axis});
}

ValueId GraphBuilder::slice(const std::string& name, ValueId x, std::int64_t axis, std::int64_t start,
                            std::int64_t end, std::int64_t step) {
  const std::size_t rank = shape(x).size();
  SliceAttributes attributes{.starts = std::vector<std::int64_t>(rank, 0),
                             .ends = std::vector<std::int64_t>(rank, SliceAttributes::kWhole),
                             .steps = std::vector<std::int64_t>(rank, 1)};
  const auto i = static_cast<std::size_t>(axis);
  attributes.starts.at(i) = start;
  attributes.ends.at(i) = end;
  attributes.steps.at(i) = step;
  return add_node(name, Op::kSlice, {x}, std::move(attributes));
}

ValueId GraphBuilder::pad(const std::string& name, ValueId x, std::vector<std::int64_t> before,
                          std::vector<std::int64_t> after, float value) {
  return add_node(name, Op::kPad, {x}, PadAttributes{std::move(before), std::move(after), value});
}

ValueId GraphBuilder::reshape(const std::string& name, ValueId x, Shape wanted) {
  return add_node(name, Op::kReshape, {x}, ReshapeAttributes{std::move(wanted)});
}

ValueId GraphBuilder::transpose(const std::string& name, ValueId x, std::vector<std::int64_t> permutation) {
  return add_node(name, Op::kTranspose, {x}, TransposeAttributes{std::move(permutation)});
}

ValueId GraphBuilder::flatten(const std::string& name, ValueId x) {
  return add_node(name, Op::kFlatten, {x});
}

ValueId GraphBuilder::gemm(const std::string& name, ValueId x, std::int64_t out_features, bool with_bias) {
  const std::int64_t in_features = shape(x).at(1);
  std::vector<ValueId> inputs{
      x, constant(name + ".weight", he_normal(name, {out_features, in_features}, in_features * 2))};
  if (with_bias) inputs.push_back(constant(name + ".bias", Tensor({out_features}, DType::kFloat32)));
  return add_node(name, Op::kGemm, std::move(inputs), {});
}

ValueId GraphBuilder::matmul(const std::string& name, ValueId x, std::int64_t out_features, bool with_bias) {
  const std::int64_t in_features = shape(x).back();
  std::vector<ValueId> inputs{
      x, constant(name + ".weight", he_normal(name, {in_features, out_features}, in_features * 2))};
  if (with_bias) inputs.push_back(constant(name + ".bias", filled_tensor({out_features}, 0.0F)));
  return add_node(name, Op::kMatMul, std::move(inputs));
}

ValueId GraphBuilder::matmul_of_values(const std::string& name, ValueId x, ValueId y, float alpha) {
  return add_node(name, Op::kMatMulOfValues, {x, y}, ScalarAttributes{.alpha = alpha});
}

ValueId GraphBuilder::layer_norm(const std::string& name, ValueId x, float epsilon) {
  const std::int64_t channels = shape(x).back();
  const ValueId scale = constant(name + ".weight", filled_tensor({channels}, 1.0F));
  const ValueId bias = constant(name + ".bias", filled_tensor({channels}, 0.0F));
  return add_node(name, Op::kLayerNormalization, {x, scale, bias}, LayerNormAttributes{epsilon});
}

ValueId GraphBuilder::softmax(const std::string& name, ValueId x, std::int64_t axis) {
  return add_node(name, Op::kSoftmax, {x}, AxisAttributes{axis});
}

ValueId GraphBuilder::log_softmax(const std::string& name, ValueId x, std::int64_t axis) {
  return add_node(name, Op::kLogSoftmax, {x}, AxisAttributes{axis});
}

Graph GraphBuilder::finish(ValueId output) {
  graph_.value(output).name = "logits";
  graph_.output = output;
  infer_shapes(graph_);
  validate(graph_);
  return std::move(graph_);
}

}  // namespace octavo
