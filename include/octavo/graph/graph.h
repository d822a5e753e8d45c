/// The single description of a model: a typed graph with ONNX operator semantics. Everything else reads it:
/// training differentiates it, quantization annotates it, the runtime compiles it, ONNX files are written
/// from it.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "octavo/core/quant.h"
#include "octavo/core/tensor.h"

namespace octavo {

/// ONNX operators of plain and residual CNNs. Inputs in the order of their ONNX operator.
enum class Op : std::uint8_t {
  kConv,                ///< x [N, C, H, W], weight [M, C/group, kH, kW], optional bias [M]
  kBatchNormalization,  ///< x, scale [C], bias [C], running mean [C], running variance [C] (inference form)
  kRelu,
  kClip,  ///< bounds are attributes
  kAdd,   ///< two values of the same shape
  kMaxPool,
  kAveragePool,
  kGlobalAveragePool,  ///< [N, C, H, W] -> [N, C, 1, 1]
  kFlatten,            ///< axis 1: [N, ...] -> [N, prod]
  kGemm                ///< x [N, K], weight [M, K] (transB = 1), optional bias [M]: y = x * weight^T + bias
};

/// The ONNX operator's name, "Conv", ...
std::string to_string(Op op);

/// Convolution window. Pads are top, left, bottom, right.
struct ConvAttributes {
  std::array<std::int64_t, 2> kernel{1, 1};
  std::array<std::int64_t, 2> strides{1, 1};
  std::array<std::int64_t, 2> dilations{1, 1};
  std::array<std::int64_t, 4> pads{0, 0, 0, 0};
  std::int64_t group = 1;
  friend bool operator==(const ConvAttributes&, const ConvAttributes&) = default;
};

/// Pooling window. `ceil_mode` rounds the output size up; `count_include_pad` divides by the whole window.
struct PoolAttributes {
  std::array<std::int64_t, 2> kernel{1, 1};
  std::array<std::int64_t, 2> strides{1, 1};
  std::array<std::int64_t, 4> pads{0, 0, 0, 0};
  bool ceil_mode = false;
  bool count_include_pad = false;
  friend bool operator==(const PoolAttributes&, const PoolAttributes&) = default;
};

/// `momentum` as in ONNX: running = momentum * running + (1 - momentum) * batch. (PyTorch's 0.1 is 0.9 here.)
struct BatchNormAttributes {
  float epsilon = 1e-5F;
  float momentum = 0.9F;
  friend bool operator==(const BatchNormAttributes&, const BatchNormAttributes&) = default;
};

struct ClipAttributes {
  float min = -std::numeric_limits<float>::infinity();
  float max = std::numeric_limits<float>::infinity();
  friend bool operator==(const ClipAttributes&, const ClipAttributes&) = default;
};

using Attributes =
    std::variant<std::monostate, ConvAttributes, PoolAttributes, BatchNormAttributes, ClipAttributes>;

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

/// Computes and stores the shape of every value from the input's. Throws kBadInput, naming node and operator,
/// where operands do not fit.
void infer_shapes(Graph& graph);

/// Throws kBadInput, naming graph, node and operator, unless: ids are in range, names unique, nodes
/// topologically ordered with one producer a value, attributes are sane (positive kernels and strides, no
/// negative pads, group divides the channels), constants fit their shapes and are finite, quantization
/// parameters are valid.
void validate(const Graph& graph);

/// Learnable parameters and nothing else: weights, biases, batch-norm scale and bias (not its running
/// statistics).
std::int64_t parameter_count(const Graph& graph);

/// Multiply-accumulates of convolutions and matrix products for one image.
std::int64_t mac_count(const Graph& graph);

}  // namespace octavo
