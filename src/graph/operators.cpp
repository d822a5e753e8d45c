// The table of operators.
#include "octavo/graph/operators.h"

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "shapes.h"

namespace octavo {
namespace {

using namespace shape_rules;

/// Index of `Wanted` in the variant Attributes.
template <typename Wanted, std::size_t I = 0>
constexpr std::size_t attributes_of() {
  if constexpr (std::is_same_v<Wanted, std::variant_alternative_t<I, Attributes>>) {
    return I;
  } else {
    return attributes_of<Wanted, I + 1>();
  }
}

constexpr std::size_t kNoAttributes = attributes_of<std::monostate>();

using Function = double (*)(double x, const Attributes& attributes);

double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }
double softplus(double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x))); }
double alpha_of(const Attributes& a) { return static_cast<double>(std::get<ScalarAttributes>(a).alpha); }
double beta_of(const Attributes& a) { return static_cast<double>(std::get<ScalarAttributes>(a).beta); }

/// A function of one number without attributes.
constexpr OperatorInfo unary(Op op, std::string_view name, int since_opset, Function function) {
  return {.op = op,
          .name = name,
          .since_opset = since_opset,
          .form = Form::kUnary,
          .integer_form = IntegerForm::kTable,
          .attributes = kNoAttributes,
          .shape = same_shape,
          .function = function};
}

/// A function of one number and of the numbers that its attributes are.
constexpr OperatorInfo scalar_unary(Op op, std::string_view name, int since_opset, ScalarInfo alpha,
                                    ScalarInfo beta, Function function) {
  OperatorInfo info = unary(op, name, since_opset, function);
  info.attributes = attributes_of<ScalarAttributes>();
  info.scalars = {alpha, beta};
  return info;
}

constexpr OperatorInfo binary(Op op, std::string_view name) {
  const bool adds_or_multiplies = op == Op::kAdd || op == Op::kSub || op == Op::kMul;
  return {.op = op,
          .name = name,
          .since_opset = 7,
          .form = Form::kBinary,
          .integer_form = adds_or_multiplies ? IntegerForm::kBinary : IntegerForm::kTable,
          .attributes = kNoAttributes,
          .least_inputs = 2,
          .most_inputs = 2,
          .operands = Operands::kAnyFlows,
          .shape = binary_shape};
}

/// Convolution or matrix product.
constexpr OperatorInfo weighted(Op op, std::string_view name, Form form, std::size_t attributes,
                                std::size_t most_inputs, int weight_axis,
                                decltype(OperatorInfo::shape) shape) {
  return {.op = op,
          .name = name,
          .since_opset = 1,
          .form = form,
          .integer_form = IntegerForm::kConvolution,
          .attributes = attributes,
          .least_inputs = 2,
          .most_inputs = most_inputs,
          .weight_axis = weight_axis,
          .shape = shape};
}

/// Another operator of one value.
constexpr OperatorInfo other(Op op, std::string_view name, int since_opset, Form form,
                             IntegerForm integer_form, std::size_t attributes,
                             decltype(OperatorInfo::shape) shape) {
  const bool moves = integer_form == IntegerForm::kMaxPool || integer_form == IntegerForm::kReshape ||
                     integer_form == IntegerForm::kMove;
  return {.op = op,
          .name = name,
          .since_opset = since_opset,
          .form = form,
          .integer_form = integer_form,
          .attributes = attributes,
          .moves = moves,
          .shape = shape};
}

constexpr OperatorInfo with_inputs(OperatorInfo info, std::size_t least, std::size_t most,
                                   Operands operands) {
  info.least_inputs = least;
  info.most_inputs = most;
  info.operands = operands;
  return info;
}

constexpr OperatorInfo clip() {
  OperatorInfo info = unary(Op::kClip, "Clip", 11, [](double x, const Attributes& a) {
    const auto& bounds = std::get<ClipAttributes>(a);
    return std::min<double>(std::max<double>(x, bounds.min), bounds.max);
  });
  info.attributes = attributes_of<ClipAttributes>();
  return info;
}

constexpr OperatorInfo matmul_of_values() {
  OperatorInfo info = with_inputs(
      other(Op::kMatMulOfValues, "MatMulOfValues", 1, Form::kProductOfValues, IntegerForm::kProductOfValues,
            attributes_of<ScalarAttributes>(), matmul_of_values_shape),
      2, 2, Operands::kAllFlow);
  info.onnx_name = "MatMul";
  return info;
}

constexpr std::size_t kAnyNumber = std::numeric_limits<std::size_t>::max();

// In the order of Op.
constexpr std::array<OperatorInfo, kOperatorCount> kOperators{{
    weighted(Op::kConv, "Conv", Form::kConvolution, attributes_of<ConvAttributes>(), 3, 0, conv_shape),
    with_inputs(other(Op::kBatchNormalization, "BatchNormalization", 7, Form::kBatchNormalization,
                      IntegerForm::kAffine, attributes_of<BatchNormAttributes>(), batch_norm_shape),
                5, 5, Operands::kFirstFlows),
    unary(Op::kRelu, "Relu", 1, [](double x, const Attributes&) { return std::max(x, 0.0); }),
    clip(),
    binary(Op::kAdd, "Add"),
    other(Op::kMaxPool, "MaxPool", 10, Form::kPool, IntegerForm::kMaxPool, attributes_of<PoolAttributes>(),
          pool_shape),
    other(Op::kAveragePool, "AveragePool", 10, Form::kPool, IntegerForm::kAveragePool,
          attributes_of<PoolAttributes>(), pool_shape),
    other(Op::kGlobalAveragePool, "GlobalAveragePool", 1, Form::kGlobalPool, IntegerForm::kAveragePool,
          kNoAttributes, global_pool_shape),
    other(Op::kFlatten, "Flatten", 1, Form::kReshape, IntegerForm::kReshape, kNoAttributes, flatten_shape),
    weighted(Op::kGemm, "Gemm", Form::kProduct, kNoAttributes, 3, 0, gemm_shape),

    scalar_unary(Op::kLeakyRelu, "LeakyRelu", 6, {"alpha", 0.01F}, {},
                 [](double x, const Attributes& a) { return x < 0 ? alpha_of(a) * x : x; }),
    with_inputs(other(Op::kPRelu, "PRelu", 7, Form::kPRelu, IntegerForm::kTable, kNoAttributes, prelu_shape),
                2, 2, Operands::kFirstFlows),
    unary(Op::kSigmoid, "Sigmoid", 6, [](double x, const Attributes&) { return sigmoid(x); }),
    scalar_unary(
        Op::kHardSigmoid, "HardSigmoid", 6, {"alpha", 0.2F}, {"beta", 0.5F},
        [](double x, const Attributes& a) { return std::clamp(alpha_of(a) * x + beta_of(a), 0.0, 1.0); }),
    unary(Op::kHardSwish, "HardSwish", 14,
          [](double x, const Attributes&) { return x * std::clamp(x / 6.0 + 0.5, 0.0, 1.0); }),
    unary(Op::kSilu, "Silu", 0, [](double x, const Attributes&) { return x * sigmoid(x); }),
    unary(Op::kGelu, "Gelu", 20,
          [](double x, const Attributes&) { return 0.5 * x * (1.0 + std::erf(x / std::sqrt(2.0))); }),
    unary(Op::kErf, "Erf", 9, [](double x, const Attributes&) { return std::erf(x); }),
    unary(Op::kSqrt, "Sqrt", 6, [](double x, const Attributes&) { return std::sqrt(x); }),
    // The exponent is an operand in ONNX.
    scalar_unary(Op::kPow, "Pow", 7, {}, {},
                 [](double x, const Attributes& a) { return std::pow(x, alpha_of(a)); }),
    unary(Op::kTanh, "Tanh", 6, [](double x, const Attributes&) { return std::tanh(x); }),
    scalar_unary(Op::kElu, "Elu", 6, {"alpha", 1.0F}, {},
                 [](double x, const Attributes& a) { return x < 0 ? alpha_of(a) * std::expm1(x) : x; }),
    scalar_unary(
        Op::kSelu, "Selu", 6, {"alpha", 1.67326319217681884765625F}, {"gamma", 1.05070102214813232421875F},
        [](double x, const Attributes& a) { return beta_of(a) * (x < 0 ? alpha_of(a) * std::expm1(x) : x); }),
    scalar_unary(
        Op::kCelu, "Celu", 12, {"alpha", 1.0F}, {},
        [](double x, const Attributes& a) { return x < 0 ? alpha_of(a) * std::expm1(x / alpha_of(a)) : x; }),
    unary(Op::kSoftplus, "Softplus", 1, [](double x, const Attributes&) { return softplus(x); }),
    unary(Op::kSoftsign, "Softsign", 1, [](double x, const Attributes&) { return x / (1.0 + std::abs(x)); }),
    unary(Op::kMish, "Mish", 18, [](double x, const Attributes&) { return x * std::tanh(softplus(x)); }),
    unary(Op::kExp, "Exp", 6, [](double x, const Attributes&) { return std::exp(x); }),
    unary(Op::kLog, "Log", 6, [](double x, const Attributes&) { return std::log(x); }),
    unary(Op::kAbs, "Abs", 6, [](double x, const Attributes&) { return std::abs(x); }),
    unary(Op::kNeg, "Neg", 6, [](double x, const Attributes&) { return -x; }),
    unary(Op::kReciprocal, "Reciprocal", 6, [](double x, const Attributes&) { return 1.0 / x; }),
    unary(Op::kSin, "Sin", 7, [](double x, const Attributes&) { return std::sin(x); }),
    unary(Op::kCos, "Cos", 7, [](double x, const Attributes&) { return std::cos(x); }),
    unary(Op::kTan, "Tan", 7, [](double x, const Attributes&) { return std::tan(x); }),
    unary(Op::kAsin, "Asin", 7, [](double x, const Attributes&) { return std::asin(x); }),
    unary(Op::kAcos, "Acos", 7, [](double x, const Attributes&) { return std::acos(x); }),
    unary(Op::kAtan, "Atan", 7, [](double x, const Attributes&) { return std::atan(x); }),
    unary(Op::kSinh, "Sinh", 9, [](double x, const Attributes&) { return std::sinh(x); }),
    unary(Op::kCosh, "Cosh", 9, [](double x, const Attributes&) { return std::cosh(x); }),
    unary(Op::kAsinh, "Asinh", 9, [](double x, const Attributes&) { return std::asinh(x); }),
    unary(Op::kAcosh, "Acosh", 9, [](double x, const Attributes&) { return std::acosh(x); }),
    unary(Op::kAtanh, "Atanh", 9, [](double x, const Attributes&) { return std::atanh(x); }),
    unary(Op::kCeil, "Ceil", 6, [](double x, const Attributes&) { return std::ceil(x); }),
    unary(Op::kFloor, "Floor", 6, [](double x, const Attributes&) { return std::floor(x); }),
    unary(Op::kRound, "Round", 11, [](double x, const Attributes&) { return std::nearbyint(x); }),
    unary(Op::kSign, "Sign", 9, [](double x, const Attributes&) { return x < 0   ? -1.0
                                                                         : x > 0 ? 1.0
                                                                                 : x; }),
    scalar_unary(Op::kThresholdedRelu, "ThresholdedRelu", 10, {"alpha", 1.0F}, {},
                 [](double x, const Attributes& a) { return x > alpha_of(a) ? x : 0.0; }),
    scalar_unary(Op::kShrink, "Shrink", 9, {"lambd", 0.5F}, {"bias", 0.0F},
                 [](double x, const Attributes& a) {
                   return x < -alpha_of(a) ? x + beta_of(a) : x > alpha_of(a) ? x - beta_of(a) : 0.0;
                 }),

    binary(Op::kSub, "Sub"),
    binary(Op::kMul, "Mul"),
    binary(Op::kDiv, "Div"),
    binary(Op::kMin, "Min"),
    binary(Op::kMax, "Max"),

    with_inputs(other(Op::kConcat, "Concat", 4, Form::kConcat, IntegerForm::kConcat,
                      attributes_of<AxisAttributes>(), concat_shape),
                1, kAnyNumber, Operands::kAllFlow),
    other(Op::kSlice, "Slice", 10, Form::kMove, IntegerForm::kMove, attributes_of<SliceAttributes>(),
          slice_shape),
    other(Op::kPad, "Pad", 11, Form::kMove, IntegerForm::kMove, attributes_of<PadAttributes>(), pad_shape),
    other(Op::kReshape, "Reshape", 5, Form::kReshape, IntegerForm::kReshape,
          attributes_of<ReshapeAttributes>(), reshape_shape),
    other(Op::kTranspose, "Transpose", 1, Form::kMove, IntegerForm::kMove,
          attributes_of<TransposeAttributes>(), transpose_shape),
    other(Op::kGlobalMaxPool, "GlobalMaxPool", 1, Form::kGlobalPool, IntegerForm::kMaxPool, kNoAttributes,
          global_pool_shape),
    other(Op::kReduceMean, "ReduceMean", 1, Form::kReduce, IntegerForm::kNone,
          attributes_of<ReduceAttributes>(), reduce_shape),
    weighted(Op::kMatMul, "MatMul", Form::kProduct, kNoAttributes, 3, 1, matmul_shape),
    matmul_of_values(),
    with_inputs(
        other(Op::kLayerNormalization, "LayerNormalization", 17, Form::kLayerNormalization,
              IntegerForm::kLayerNormalization, attributes_of<LayerNormAttributes>(), layer_norm_shape),
        3, 3, Operands::kFirstFlows),
    other(Op::kSoftmax, "Softmax", 13, Form::kSoftmax, IntegerForm::kSoftmax, attributes_of<AxisAttributes>(),
          along_axis_shape),
    other(Op::kLogSoftmax, "LogSoftmax", 13, Form::kSoftmax, IntegerForm::kNone,
          attributes_of<AxisAttributes>(), along_axis_shape),
}};

constexpr bool rows_are_in_order() {
  for (std::size_t i = 0; i < kOperators.size(); ++i) {
    if (static_cast<std::size_t>(kOperators[i].op) != i || kOperators[i].name.empty()) return false;
  }
  return true;
}
static_assert(rows_are_in_order(), "kOperators: one row for each Op, in its order");

}  // namespace

std::span<const OperatorInfo, kOperatorCount> operators() { return kOperators; }

const OperatorInfo& operator_info(Op op) { return kOperators[static_cast<std::size_t>(op)]; }

std::string to_string(Op op) { return std::string(operator_info(op).name); }

}  // namespace octavo
