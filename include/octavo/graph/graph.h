/// The single description of a model: a typed graph with ONNX operator semantics. Everything else reads it:
/// training differentiates it, quantization annotates it, the runtime compiles it, ONNX files are written
/// from it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "octavo/core/quant.h"
#include "octavo/core/tensor.h"
#include "octavo/graph/operators.h"

namespace octavo {

/// Index into Graph::values.
using ValueId = std::int32_t;
inline constexpr ValueId kNoValue = -1;

/// A tensor that flows through the graph, or a constant. The first dimension of what flows is kDynamic: the
/// batch.
struct Value {
  std::string name;  ///< Unique in the graph; ONNX tensor name.
  Shape shape;
  /// Set for weights, biases and statistics: float32, or already the integer container of `quant`.
  std::optional<Tensor> constant;
  /// Set where the value is quantized. For weights: the integers are quantize(constant, quant).
  std::optional<QuantParams> quant;
  friend bool operator==(const Value&, const Value&) = default;
};

struct Node {
  std::string name;  ///< Unique in the graph; ONNX node name.
  Op op = Op::kRelu;
  std::vector<ValueId> inputs;  ///< Optional trailing inputs are left out, never kNoValue.
  ValueId output = kNoValue;
  Attributes attributes;

  /// The attributes as type T. Throws kInternal if they are of another type.
  template <typename T>
  const T& as() const {
    return std::get<T>(attributes);
  }
  friend bool operator==(const Node&, const Node&) = default;
};

/// One input, one output, nodes in topological order. A value type.
struct Graph {
  std::string name;
  std::vector<Value> values;
  std::vector<Node> nodes;
  ValueId input = kNoValue;
  ValueId output = kNoValue;
  /// Where the model came from and how it was made; written to and read from ONNX metadata_props.
  std::map<std::string, std::string> metadata;

  Value& value(ValueId id) { return values.at(static_cast<std::size_t>(id)); }
  const Value& value(ValueId id) const { return values.at(static_cast<std::size_t>(id)); }

  /// kNoValue if there is none of that name.
  ValueId find_value(const std::string& value_name) const;
  /// Index of the node that makes `id`, or -1 for the input and constants.
  int producer(ValueId id) const;
  /// Indices of the nodes that read `id`, in order.
  std::vector<int> consumers(ValueId id) const;
  /// True if any value carries quantization parameters.
  bool quantized() const;

  friend bool operator==(const Graph&, const Graph&) = default;
};

/// The shape that `node` makes of its operands' shapes. Throws kBadInput, naming node and operator, where
/// they do not fit.
Shape infer_shape(const Graph& graph, const Node& node);

/// Computes and stores the shape of every value from the input's. Throws kBadInput, naming node and operator,
/// where operands do not fit.
void infer_shapes(Graph& graph);

/// Throws kBadInput, naming graph, node and operator, unless: ids are in range, names unique, nodes
/// topologically ordered with one producer a value, attributes are sane (positive kernels and strides, no
/// negative pads, group divides the channels), constants fit their shapes and are finite, quantization
/// parameters are valid.
void validate(const Graph& graph);

/// Whether training learns input `input` of `node`, which is a constant: weights, biases, slopes, batch-norm
/// scale and bias (not its running statistics), and factors and shifts of more than one element. A single
/// number is part of a formula.
bool is_parameter(const Graph& graph, const Node& node, std::size_t input);

/// How many numbers are learned.
std::int64_t parameter_count(const Graph& graph);

/// Multiply-accumulates of convolutions and matrix products for one image.
std::int64_t mac_count(const Graph& graph);

}  // namespace octavo
