/// What a node computes: ONNX's operators and their attributes, with the same meaning and the same names.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
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
  kAdd,  ///< Add, Sub, Mul, Div, Min and Max broadcast as in ONNX; one of the two operands may be a constant.
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
  kTanh,
  kElu,       ///< x < 0 ? alpha * (exp(x) - 1) : x
  kSelu,      ///< beta * (x < 0 ? alpha * (exp(x) - 1) : x); ONNX calls beta gamma
  kCelu,      ///< max(0, x) + min(0, alpha * (exp(x / alpha) - 1))
  kSoftplus,  ///< log(1 + exp(x))
  kSoftsign,  ///< x / (1 + |x|)
  kMish,      ///< x * tanh(log(1 + exp(x))): three ONNX nodes before opset 18
  kExp,
  kLog,
  kAbs,
  kNeg,
  kReciprocal,
  kSin,
  kCos,
  kTan,
  kAsin,
  kAcos,
  kAtan,
  kSinh,
  kCosh,
  kAsinh,
  kAcosh,
  kAtanh,
  kCeil,
  kFloor,
  kRound,            ///< To the nearest integer, of two equally near ones to the even one.
  kSign,             ///< -1, 0 or 1
  kThresholdedRelu,  ///< x > alpha ? x : 0
  kShrink,           ///< x < -alpha ? x + beta : x > alpha ? x - beta : 0; ONNX calls them lambd and bias

  kSub,
  kMul,
  kDiv,
  kMin,  ///< Of each pair of elements; ONNX's takes any number of operands.
  kMax,

  kConcat,         ///< Two or more values that differ along one axis at most.
  kSlice,          ///< Starts, ends and steps are attributes. ONNX's Split is one Slice per output.
  kPad,            ///< With a constant value.
  kReshape,        ///< The shape is an attribute. ONNX's Squeeze and Unsqueeze are Reshapes.
  kTranspose,      ///< The batch stays first.
  kGlobalMaxPool,  ///< [N, C, H, W] -> [N, C, 1, 1]
  kReduceMean,
  kMatMul,  ///< x [N, ..., K], constant weight [K, M], optional constant bias [M] (an Add in ONNX)
  /// alpha * x [N, ..., M, K] by y [N, ..., K, P], both depend on the image; MatMul, and Mul where alpha is
  /// not 1, in ONNX.
  kMatMulOfValues,
  /// Along the last dimension: (x - mean) / sqrt(variance + epsilon) * scale + bias; x [N, ..., C], constants
  /// scale and bias [C].
  kLayerNormalization,
  kSoftmax,  ///< Along one axis, as of opset 13.
  kLogSoftmax
};

/// Operators there are: every Op from 0 on.
inline constexpr std::size_t kOperatorCount = static_cast<std::size_t>(Op::kLogSoftmax) + 1;

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

struct LayerNormAttributes {
  float epsilon = 1e-5F;
  friend bool operator==(const LayerNormAttributes&, const LayerNormAttributes&) = default;
};

struct ClipAttributes {
  float min = -std::numeric_limits<float>::infinity();
  float max = std::numeric_limits<float>::infinity();
  friend bool operator==(const ClipAttributes&, const ClipAttributes&) = default;
};

/// The numbers of a unary operator; OperatorInfo::scalars says which of them it uses. Of MatMulOfValues:
/// alpha.
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

/// One entry per dimension; that of the batch is 0, kWhole, 1. Taken are start, start + step, ... below end,
/// or above it where the step is negative. 0 <= start < size; end may be -1 with a negative step.
struct SliceAttributes {
  static constexpr std::int64_t kWhole = std::numeric_limits<std::int64_t>::max();
  std::vector<std::int64_t> starts, ends, steps;
  friend bool operator==(const SliceAttributes&, const SliceAttributes&) = default;
};

/// One entry per dimension; that of the batch is 0. Not negative.
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

using Attributes =
    std::variant<std::monostate, ConvAttributes, PoolAttributes, BatchNormAttributes, ClipAttributes,
                 ScalarAttributes, AxisAttributes, SliceAttributes, PadAttributes, ReshapeAttributes,
                 TransposeAttributes, ReduceAttributes, LayerNormAttributes>;

struct Graph;
struct Node;

/// Operators that the float executors treat alike: one entry of a switch each.
enum class Form : std::uint8_t {
  kConvolution,
  kProduct,          ///< Gemm, MatMul
  kProductOfValues,  ///< MatMulOfValues
  kBatchNormalization,
  kLayerNormalization,
  kUnary,   ///< A function of each element and of attributes.
  kBinary,  ///< Add, Sub, Mul, Div, Min, Max
  kPRelu,
  kPool,
  kGlobalPool,
  kConcat,
  kReshape,  ///< The same elements in the same order: Flatten, Reshape.
  kMove,     ///< Elements of the input, or a constant, in other places: Slice, Pad, Transpose.
  kReduce,
  kSoftmax,
};

/// How an operator runs in integers where its operands are quantized (docs/arithmetic.md).
enum class IntegerForm : std::uint8_t {
  kNone,         ///< In float32 always.
  kConvolution,  ///< Multiplies and sums in int32.
  kMaxPool,
  kAveragePool,
  kReshape,
  kMove,
  kConcat,
  kAffine,              ///< BatchNormalization that nothing takes in.
  kBinary,              ///< Of two values that flow; with a constant, a table.
  kTable,               ///< The output's integer for each of the input's.
  kProductOfValues,     ///< Multiplies and sums in int32; may return float32.
  kLayerNormalization,  ///< Of integers or of float32, in float32, to integers.
  kSoftmax,             ///< Alike.
};

/// Which operands depend on the image and which are constants of the graph.
enum class Operands : std::uint8_t {
  kFirstFlows,  ///< The first depends on the image, the others are constants.
  kAllFlow,
  kAnyFlows,  ///< At least one depends on the image.
};

/// An attribute of one number, as ONNX names it, and the value that ONNX gives it where the file has none.
struct ScalarInfo {
  std::string_view name;
  float otherwise = 0;
};

/// What there is to know of an operator. Every part of the program that treats operators reads it here, so
/// that a new operator is a row of the table in src/graph/operators.cpp ("Adding an operator" in
/// docs/architecture.md lists what else it needs).
struct OperatorInfo {
  Op op;
  std::string_view name;  ///< ONNX's name; ours (Silu) where ONNX has several nodes.
  int since_opset;  ///< The first in which ONNX has it as one node that says what ours says; 0: none has.
  Form form;
  IntegerForm integer_form;
  std::size_t attributes;  ///< Index of its type in the variant Attributes.
  std::size_t least_inputs = 1, most_inputs = 1;
  Operands operands = Operands::kFirstFlows;
  /// Of operators that multiply by operand 1: the dimension of that weight that is the output channel. -1:
  /// none.
  int weight_axis = -1;
  /// True if all elements of the output are elements of the input (or a constant), so that both have the same
  /// quantization parameters.
  bool moves = false;
  /// The output's shape. Throws kBadInput where operands do not fit.
  std::vector<std::int64_t> (*shape)(const Graph&, const Node&) = nullptr;
  /// Of unary operators: f(x).
  double (*function)(double x, const Attributes&) = nullptr;
  /// ONNX's name, where ours is another because ONNX has one name for several operators of ours.
  std::string_view onnx_name = {};
  /// Of unary operators with ScalarAttributes that ONNX has as attributes too: alpha and beta.
  std::array<ScalarInfo, 2> scalars{};
};

/// All operators, in the order of Op.
std::span<const OperatorInfo, kOperatorCount> operators();

/// The table's row of `op`.
const OperatorInfo& operator_info(Op op);

/// The ONNX operator's name, "Conv", ...; Silu where ONNX has several nodes.
std::string to_string(Op op);

/// A function of each element of one operand and of attributes: Relu, Clip, Sigmoid, ...
inline bool is_unary(Op op) { return operator_info(op).form == Form::kUnary; }

/// Add, Sub, Mul, Div, Min or Max.
inline bool is_binary(Op op) { return operator_info(op).form == Form::kBinary; }

/// Conv, Gemm or MatMul: operand 1 is a weight that multiplies.
inline bool has_weight(Op op) { return operator_info(op).weight_axis >= 0; }

}  // namespace octavo
