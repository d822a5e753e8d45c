/// What a node computes: ONNX's operators and their attributes, with the same meaning and the same names.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <string>
#include <variant>
#include <vector>

#include "octavo/core/tensor.h"

namespace octavo {

/// Operators of image classifiers. Inputs in the order of their ONNX operator. "Constant" inputs are
/// constants of the graph; all others depend on the image. The first dimension of what depends on it is the
/// batch: no operator touches it.
enum class Op : std::uint8_t {
  kConv,                ///< x [N, C, H, W], constant weight [M, C/group, kH, kW], optional constant bias [M]
  kBatchNormalization,  ///< x, constants scale, bias, running mean and variance, each [C] (inference form)
  kRelu,
  kClip,  ///< Bounds are attributes.
  kAdd,   ///< Add, Sub, Mul, Div broadcast as in ONNX; one of the two operands may be a constant.
  kMaxPool,
  kAveragePool,
  kGlobalAveragePool,  ///< [N, C, H, W] -> [N, C, 1, 1]
  kFlatten,            ///< axis 1: [N, ...] -> [N, prod]
  kGemm,               ///< x [N, K], constant weight [M, K] (transB = 1), optional constant bias [M]

  kLeakyRelu,    ///< x < 0 ? alpha * x : x
  kPRelu,        ///< x < 0 ? slope * x : x; constant slope broadcasts to x
  kSigmoid,      ///< 1 / (1 + exp(-x))
  kHardSigmoid,  ///< max(0, min(1, alpha * x + beta))
  kHardSwish,    ///< x * max(0, min(1, x / 6 + 0.5)), of opset 14
  kSilu,         ///< x * Sigmoid(x): two ONNX nodes
  kGelu,         ///< x / 2 * (1 + Erf(x / sqrt(2))): five ONNX nodes
  kErf,
  kSqrt,
  kPow,  ///< x to the power of the attribute alpha

  kSub,
  kMul,
  kDiv,

  kConcat,         ///< Two or more values that differ along one axis at most.
  kSlice,          ///< Starts, ends and steps are attributes. ONNX's Split is one Slice an output.
  kPad,            ///< With a constant value.
  kReshape,        ///< The shape is an attribute. ONNX's Squeeze and Unsqueeze are Reshapes.
  kTranspose,      ///< The batch stays first.
  kGlobalMaxPool,  ///< [N, C, H, W] -> [N, C, 1, 1]
  kReduceMean,
  kMatMul,   ///< x [N, ..., K], constant [K, M]
  kSoftmax,  ///< Along one axis, as of opset 13.
  kLogSoftmax
};

/// The ONNX operator's name, "Conv", ...; Silu and Gelu where ONNX has several nodes.
std::string to_string(Op op);

/// Elementwise with one operand and no constant beside its attributes: Relu, Clip, Sigmoid, ...
bool is_unary(Op op);

/// Add, Sub, Mul or Div.
bool is_binary(Op op);

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

/// LeakyRelu and Pow use alpha, HardSigmoid alpha and beta.
struct ScalarAttributes {
  float alpha = 0;
  float beta = 0;
  friend bool operator==(const ScalarAttributes&, const ScalarAttributes&) = default;
};

/// Of Concat, Softmax and LogSoftmax: 1 to rank - 1.
struct AxisAttributes {
  std::int64_t axis = 1;
  friend bool operator==(const AxisAttributes&, const AxisAttributes&) = default;
};

/// One entry a dimension; that of the batch is 0, kWhole, 1. Taken are start, start + step, ... below end, or
/// above it where the step is negative. 0 <= start < size; end may be -1 with a negative step.
struct SliceAttributes {
  static constexpr std::int64_t kWhole = std::numeric_limits<std::int64_t>::max();
  std::vector<std::int64_t> starts, ends, steps;
  friend bool operator==(const SliceAttributes&, const SliceAttributes&) = default;
};

/// One entry a dimension; that of the batch is 0. Not negative.
struct PadAttributes {
  std::vector<std::int64_t> before, after;
  float value = 0;
  friend bool operator==(const PadAttributes&, const PadAttributes&) = default;
};

/// The output's shape; its first dimension is kDynamic.
struct ReshapeAttributes {
  Shape shape;
  friend bool operator==(const ReshapeAttributes&, const ReshapeAttributes&) = default;
};

/// Output dimension i is input dimension permutation[i]; permutation[0] is 0.
struct TransposeAttributes {
  std::vector<std::int64_t> permutation;
  friend bool operator==(const TransposeAttributes&, const TransposeAttributes&) = default;
};

/// Axes from 1 to rank - 1, ascending.
struct ReduceAttributes {
  std::vector<std::int64_t> axes;
  bool keep_dims = true;
  friend bool operator==(const ReduceAttributes&, const ReduceAttributes&) = default;
};

using Attributes = std::variant<std::monostate, ConvAttributes, PoolAttributes, BatchNormAttributes,
                                ClipAttributes, ScalarAttributes, AxisAttributes, SliceAttributes,
                                PadAttributes, ReshapeAttributes, TransposeAttributes, ReduceAttributes>;

}  // namespace octavo
