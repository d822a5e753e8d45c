/// Builds graphs layer by layer, with names and shapes kept right. The model zoo is written in it.
#pragma once

#include <cstdint>
#include <string>

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
  ValueId relu(const std::string& name, ValueId x);
  ValueId clip(const std::string& name, ValueId x, float min, float max);
  ValueId add(const std::string& name, ValueId a, ValueId b);
  ValueId max_pool(const std::string& name, ValueId x, const PoolAttributes& attributes);
  ValueId average_pool(const std::string& name, ValueId x, const PoolAttributes& attributes);
  ValueId global_average_pool(const std::string& name, ValueId x);
  ValueId flatten(const std::string& name, ValueId x);
  ValueId gemm(const std::string& name, ValueId x, std::int64_t out_features, bool with_bias = true);

  /// Ends with `output` renamed to "logits"; shapes inferred, graph validated.
  Graph finish(ValueId output);

 private:
  ValueId add_constant(const std::string& name, Tensor tensor);
  ValueId add_node(const std::string& name, Op op, std::vector<ValueId> inputs, Attributes attributes);
  Tensor he_normal(const std::string& name, Shape shape, std::int64_t fan) const;

  Graph graph_;
  std::uint64_t seed_;
};

}  // namespace octavo
