/// Builds graphs layer by layer, with names and shapes kept right. The model zoo is written in it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "octavo/graph/graph.h"

namespace octavo {

/// Appends nodes to a graph. Weights start as He-normal (fan-out) from a seed derived from the graph's seed
/// and the layer's name, biases and batch-norm shifts as 0, batch-norm scales as 1.
class GraphBuilder {
 public:
  /// Input [N, channels, height, width], named "input".
  GraphBuilder(std::string name, std::int64_t channels, std::int64_t height, std::int64_t width,
               std::uint64_t seed);

  ValueId input() const { return graph_.input; }
  const Shape& shape(ValueId id) const { return graph_.value(id).shape; }

  ValueId conv(const std::string& name, ValueId x, std::int64_t out_channels,
               const ConvAttributes& attributes, bool with_bias);
  ValueId batch_norm(const std::string& name, ValueId x, const BatchNormAttributes& attributes = {});
  /// Add, Sub, Mul, Div, Min or Max.
  ValueId binary(const std::string& name, Op op, ValueId a, ValueId b);
  /// Activations and other functions of one number; those that have no function of their own below, too.
  ValueId unary(const std::string& name, Op op, ValueId x, Attributes attributes = {});
  ValueId relu(const std::string& name, ValueId x);
  ValueId clip(const std::string& name, ValueId x, float min, float max);
  ValueId leaky_relu(const std::string& name, ValueId x, float alpha = 0.01F);
  /// A learned slope a channel, 0.25 at first.
  ValueId prelu(const std::string& name, ValueId x);
  ValueId sigmoid(const std::string& name, ValueId x);
  /// max(0, min(1, x / 6 + 1 / 2)), the one of MobileNetV3.
  ValueId hard_sigmoid(const std::string& name, ValueId x);
  ValueId hard_swish(const std::string& name, ValueId x);
  ValueId silu(const std::string& name, ValueId x);
  ValueId gelu(const std::string& name, ValueId x);
  ValueId erf(const std::string& name, ValueId x);
  ValueId sqrt(const std::string& name, ValueId x);
  ValueId pow(const std::string& name, ValueId x, float exponent);

  /// Operands broadcast; one of them may be a constant().
  ValueId add(const std::string& name, ValueId a, ValueId b);
  ValueId sub(const std::string& name, ValueId a, ValueId b);
  ValueId mul(const std::string& name, ValueId a, ValueId b);
  ValueId div(const std::string& name, ValueId a, ValueId b);
  /// A learned operand of add(), sub(), mul() or div().
  ValueId constant(const std::string& name, Tensor tensor);
  /// Constants that hold one number, or normally distributed ones of a mean of 0.
  ValueId filled(const std::string& name, const Shape& shape, float value);
  ValueId normal(const std::string& name, const Shape& shape, float deviation);

  ValueId max_pool(const std::string& name, ValueId x, const PoolAttributes& attributes);
  ValueId average_pool(const std::string& name, ValueId x, const PoolAttributes& attributes);
  ValueId global_average_pool(const std::string& name, ValueId x);
  ValueId global_max_pool(const std::string& name, ValueId x);
  ValueId reduce_mean(const std::string& name, ValueId x, std::vector<std::int64_t> axes,
                      bool keep_dims = true);

  ValueId concat(const std::string& name, std::vector<ValueId> values, std::int64_t axis = 1);
  /// Elements start, start + step, ... before `end` along `axis`, all along the others.
  ValueId slice(const std::string& name, ValueId x, std::int64_t axis, std::int64_t start, std::int64_t end,
                std::int64_t step = 1);
  /// One entry per dimension; 0 for the batch.
  ValueId pad(const std::string& name, ValueId x, std::vector<std::int64_t> before,
              std::vector<std::int64_t> after, float value = 0);
  /// `shape` begins with kDynamic.
  ValueId reshape(const std::string& name, ValueId x, Shape shape);
  ValueId transpose(const std::string& name, ValueId x, std::vector<std::int64_t> permutation);
  ValueId flatten(const std::string& name, ValueId x);

  ValueId gemm(const std::string& name, ValueId x, std::int64_t out_features, bool with_bias = true);
  /// Along the last dimension.
  ValueId matmul(const std::string& name, ValueId x, std::int64_t out_features, bool with_bias = false);
  ValueId matmul_of_values(const std::string& name, ValueId x, ValueId y, float alpha = 1.0F);
  /// Along the last dimension.
  ValueId layer_norm(const std::string& name, ValueId x, float epsilon = 1e-5F);
  ValueId softmax(const std::string& name, ValueId x, std::int64_t axis = 1);
  ValueId log_softmax(const std::string& name, ValueId x, std::int64_t axis = 1);

  /// Ends with `output` renamed to "logits"; shapes inferred, graph validated.
  Graph finish(ValueId output);

 private:
  ValueId add_node(const std::string& name, Op op, std::vector<ValueId> inputs, Attributes attributes = {});
  Tensor he_normal(const std::string& name, Shape shape, std::int64_t fan) const;

  Graph graph_;
  std::uint64_t seed_;
};

}  // namespace octavo
