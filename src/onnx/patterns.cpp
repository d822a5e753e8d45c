#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <optional>
#include <utility>

#include "canonical.h"
#include "moves.h"
#include "octavo/graph/elementwise.h"

namespace octavo::onnx_format {
namespace {

constexpr float kTolerance = 1e-6F;

/// The other operand of an inner `op` with a constant `value`: x of Add(x, 3). Both orders where they are the
/// same.
struct WithScalar {
  int node = -1;
  ValueId x = kNoValue;
};
WithScalar inner_with_scalar(const Rewriter& r, ValueId id, Op op, float value) {
  const int found = r.inner(id, op);
  if (found < 0) return {};
  const std::vector<ValueId>& inputs = r.node(found).inputs;
  if (r.is_scalar(inputs[1], value, kTolerance)) return {found, inputs[0]};
  if (op != Op::kDiv && op != Op::kSub && r.is_scalar(inputs[0], value, kTolerance))
    return {found, inputs[1]};
  return {};
}

/// x of a node that divides by `value`, one way or the other.
std::optional<ValueId> divided(const Rewriter& r, const Node& node, float value) {
  const std::vector<ValueId>& inputs = node.inputs;
  if (node.op == Op::kDiv && r.is_scalar(inputs[1], value, kTolerance)) return inputs[0];
  if (node.op != Op::kMul) return std::nullopt;
  if (r.is_scalar(inputs[1], 1 / value, kTolerance)) return inputs[0];
  if (r.is_scalar(inputs[0], 1 / value, kTolerance)) return inputs[1];
  return std::nullopt;
}

bool same_shape(const Rewriter& r, int index, ValueId x) {
  return r.graph.value(r.node(index).output).shape == r.graph.value(x).shape;
}

/// x of Clip(x + 3, 0, 6), made for this reader alone; removes both nodes if `consume`.
std::optional<ValueId> shifted_relu6(Rewriter& r, ValueId id, bool consume) {
  const int clip = r.inner(id, Op::kClip);
  if (clip < 0 || r.node(clip).as<ClipAttributes>() != ClipAttributes{0.0F, 6.0F}) return std::nullopt;
  const WithScalar add = inner_with_scalar(r, r.node(clip).inputs[0], Op::kAdd, 3.0F);
  if (add.node < 0 || r.graph.value(add.x).constant) return std::nullopt;
  if (consume) {
    r.remove(clip);
    r.remove(add.node);
  }
  return add.x;
}

bool is_hard_swish_gate(const Node& node) {
  const auto& a = node.as<ScalarAttributes>();
  return std::abs(a.alpha - 1.0F / 6.0F) <= kTolerance && std::abs(a.beta - 0.5F) <= kTolerance;
}

/// Mul(x, Sigmoid(x)), Mul(x, HardSigmoid(x)).
bool fuse_gate(Rewriter& r, int index) {
  if (r.node(index).op != Op::kMul) return false;
  const std::vector<ValueId> inputs = r.node(index).inputs;
  for (const std::size_t i : {0U, 1U}) {
    const ValueId x = inputs[i];
    for (const Op gate : {Op::kSigmoid, Op::kHardSigmoid}) {
      const int inner = r.inner(inputs[1 - i], gate);
      if (inner < 0 || r.node(inner).inputs[0] != x) continue;
      if (gate == Op::kHardSigmoid && !is_hard_swish_gate(r.node(inner))) continue;
      r.set(index, gate == Op::kSigmoid ? Op::kSilu : Op::kHardSwish, {x}, {});
      r.remove(inner);
      return true;
    }
  }
  return false;
}

/// Mul(x, Tanh(Softplus(x))).
bool fuse_mish(Rewriter& r, int index) {
  if (r.node(index).op != Op::kMul) return false;
  const std::vector<ValueId> inputs = r.node(index).inputs;
  for (const std::size_t i : {0U, 1U}) {
    const int tanh = r.inner(inputs[1 - i], Op::kTanh);
    const int softplus = tanh < 0 ? -1 : r.inner(r.node(tanh).inputs[0], Op::kSoftplus);
    if (softplus < 0 || r.node(softplus).inputs[0] != inputs[i]) continue;
    r.set(index, Op::kMish, {inputs[i]}, {});
    r.remove(tanh);
    r.remove(softplus);
    return true;
  }
  return false;
}

/// Transpose(Transpose(x)), as between a model of one layout and operators of the other.
bool fuse_transposes(Rewriter& r, int index) {
  if (r.node(index).op != Op::kTranspose) return false;
  const int inner = r.inner(r.node(index).inputs[0], Op::kTranspose);
  if (inner < 0) return false;
  const std::vector<std::int64_t> first = r.node(inner).as<TransposeAttributes>().permutation;
  std::vector<std::int64_t> both;
  for (const std::int64_t from : r.node(index).as<TransposeAttributes>().permutation)
    both.push_back(first[static_cast<std::size_t>(from)]);
  const std::vector<ValueId> inputs = r.node(inner).inputs;
  r.set(index, Op::kTranspose, inputs, TransposeAttributes{std::move(both)});
  r.remove(inner);
  return true;
}

bool reshapes(Op op) { return op == Op::kReshape || op == Op::kFlatten; }

/// Reshape(Reshape(x)): the first says nothing that matters.
bool fuse_reshapes(Rewriter& r, int index) {
  if (!reshapes(r.node(index).op)) return false;
  const ValueId x = r.node(index).inputs[0];
  const int inner = r.maker(x) < 0 ? -1 : r.inner(x, r.node(r.maker(x)).op);
  if (inner < 0 || !reshapes(r.node(inner).op)) return false;
  const Node& outer = r.node(index);
  r.set(index, outer.op, r.node(inner).inputs, outer.attributes);
  r.remove(inner);
  return true;
}

/// Transpose of nothing but dimensions of 1, as a Reshape.
bool transpose_to_reshape(Rewriter& r, int index) {
  const Node& node = r.node(index);
  if (node.op != Op::kTranspose) return false;
  const Shape& x = r.graph.value(node.inputs[0]).shape;
  std::int64_t last = -1;
  for (const std::int64_t from : node.as<TransposeAttributes>().permutation) {
    if (x[static_cast<std::size_t>(from)] == 1) continue;
    if (from < last) return false;
    last = from;
  }
  r.set(index, Op::kReshape, node.inputs, ReshapeAttributes{r.graph.value(node.output).shape});
  return true;
}

/// Log(Softmax(x)), which would be -inf where a probability rounds to 0.
bool fuse_log_softmax(Rewriter& r, int index) {
  if (r.node(index).op != Op::kLog) return false;
  const int softmax = r.inner(r.node(index).inputs[0], Op::kSoftmax);
  if (softmax < 0) return false;
  const Node inner = r.node(softmax);
  r.set(index, Op::kLogSoftmax, inner.inputs, inner.attributes);
  r.remove(softmax);
  return true;
}

/// Clip(x + 3, 0, 6) / 6 and x * Clip(x + 3, 0, 6) / 6.
bool fuse_relu6_gate(Rewriter& r, int index) {
  const std::optional<ValueId> numerator = divided(r, r.node(index), 6.0F);
  if (!numerator) return false;
  if (const auto x = shifted_relu6(r, *numerator, /*consume=*/false)) {
    if (!same_shape(r, index, *x)) return false;
    r.set(index, Op::kHardSigmoid, {*x}, ScalarAttributes{.alpha = 1.0F / 6.0F, .beta = 0.5F});
    // The Clip has lost its reader; shifted_relu6 wants one.
    const int clip = r.maker(*numerator);
    const int add = r.maker(r.node(clip).inputs[0]);
    r.remove(clip);
    r.remove(add);
    return true;
  }
  const int product = r.inner(*numerator, Op::kMul);
  if (product < 0) return false;
  const std::vector<ValueId> inputs = r.node(product).inputs;
  for (const std::size_t i : {0U, 1U}) {
    if (shifted_relu6(r, inputs[1 - i], /*consume=*/false) != inputs[i]) continue;
    if (!same_shape(r, index, inputs[i])) return false;
    shifted_relu6(r, inputs[1 - i], /*consume=*/true);
    r.set(index, Op::kHardSwish, {inputs[i]}, {});
    r.remove(product);
    return true;
  }
  return false;
}

/// The three factors x, 0.5 and 1 + Erf(x / sqrt(2)) in any order of multiplication.
bool fuse_gelu(Rewriter& r, int index) {
  if (r.node(index).op != Op::kMul) return false;
  const std::vector<ValueId> outer = r.node(index).inputs;
  for (const std::size_t i : {0U, 1U}) {
    const int product = r.inner(outer[i], Op::kMul);
    if (product < 0) continue;
    std::array<ValueId, 3> factors{outer[1 - i], r.node(product).inputs[0], r.node(product).inputs[1]};
    std::ranges::sort(factors);
    do {
      const auto [x, half, plus] = factors;
      if (r.graph.value(x).constant || !r.is_scalar(half, 0.5F)) continue;
      const WithScalar add = inner_with_scalar(r, plus, Op::kAdd, 1.0F);
      const int erf = add.node < 0 ? -1 : r.inner(add.x, Op::kErf);
      if (erf < 0) continue;
      const ValueId scaled = r.node(erf).inputs[0];
      const int divide = std::max(r.inner(scaled, Op::kDiv), r.inner(scaled, Op::kMul));
      if (divide < 0 || divided(r, r.node(divide), std::sqrt(2.0F)) != x || !same_shape(r, index, x))
        continue;
      r.set(index, Op::kGelu, {x}, {});
      for (const int part : {product, add.node, erf, divide}) r.remove(part);
      return true;
    } while (std::ranges::next_permutation(factors).found);
  }
  return false;
}

/// A node that the file has as two, `first` and what comes of it: under the name that both have from one.
void join_names(Rewriter& r, int first, int second) {
  const std::string& whole = r.node(second).name;
  if (r.node(first).name == whole + "_MatMul") r.node(first).name = whole;
}

/// A constant added to a Conv, Gemm or MatMul without a bias.
bool fuse_bias(Rewriter& r, int index) {
  if (r.node(index).op != Op::kAdd) return false;
  const std::vector<ValueId> inputs = r.node(index).inputs;
  for (const std::size_t i : {0U, 1U}) {
    const ValueId constant = inputs[1 - i];
    const int layer = std::max(
        {r.inner(inputs[i], Op::kConv), r.inner(inputs[i], Op::kGemm), r.inner(inputs[i], Op::kMatMul)});
    if (layer < 0 || !r.graph.value(constant).constant || r.node(layer).inputs.size() != 2) continue;
    const bool conv = r.node(layer).op == Op::kConv;
    const std::int64_t channels =
        r.graph.value(r.node(layer).inputs[1])
            .shape[static_cast<std::size_t>(operator_info(r.node(layer).op).weight_axis)];
    Shape shape = r.graph.value(constant).shape;
    const std::size_t rank = r.graph.value(inputs[i]).shape.size();
    while (shape.size() < rank) shape.insert(shape.begin(), 1);
    Shape row(rank, 1);
    row[conv ? 1 : rank - 1] = channels;
    const bool spread = !conv && r.graph.value(constant).constant->size() == 1;
    if (!(shape == row || spread) || !same_shape(r, index, inputs[i])) continue;
    if (r.graph.value(constant).shape == Shape{channels}) {
      join_names(r, layer, index);
      r.absorb(layer, constant, index);
      return true;
    }
    r.charge(static_cast<std::size_t>(channels) * sizeof(float));
    const Value& value = r.graph.value(constant);
    const Tensor real = value.quant ? dequantize(*value.constant, *value.quant) : *value.constant;
    const std::string name = value.name;
    const ValueId bias =
        r.add_constant(name, spread ? take(real, {channels}, 0, {0}) : real.reshaped({channels}));
    // The file will hold the bias alone where nobody else reads the constant: it keeps the name.
    if (r.readers(constant) == 1) std::swap(r.graph.value(bias).name, r.graph.value(constant).name);
    r.absorb(layer, bias, index);
    return true;
  }
  return false;
}

bool fuse_matmul(Rewriter& r, int index) {
  const Node& node = r.node(index);
  if (node.op != Op::kMatMul || r.graph.value(node.inputs[0]).shape.size() != 2) return false;
  const ValueId id = node.inputs[1];
  r.charge(r.graph.value(id).constant->size_bytes());
  const Value& weight = r.graph.value(id);
  const ValueId turned = r.add_constant(std::string(weight.name), transposed(*weight.constant));
  Value& result = r.graph.value(turned);
  result.quant = r.graph.value(id).quant;
  if (result.quant && result.quant->per_channel()) result.quant->axis = 1 - result.quant->axis;
  if (r.readers(id) == 1) std::swap(result.name, r.graph.value(id).name);
  r.set(index, Op::kGemm, {r.node(index).inputs[0], turned}, {});
  return true;
}

/// The number that a constant of one element holds.
std::optional<float> scalar_of(const Rewriter& r, ValueId id) {
  const std::optional<Tensor>& constant = r.graph.value(id).constant;
  if (!constant || constant->size() != 1 || constant->dtype() != DType::kFloat32) return std::nullopt;
  return constant->data<float>()[0];
}

/// x and c of Mul(x, c), Mul(c, x) or Div(x, 1 / c) with a positive number c.
struct Scaled {
  ValueId x = kNoValue;
  float by = 1;
};
std::optional<Scaled> scaled(const Rewriter& r, int index) {
  const Node& node = r.node(index);
  if (node.op != Op::kMul && node.op != Op::kDiv) return std::nullopt;
  for (const std::size_t i : {1U, 0U}) {
    const auto by = scalar_of(r, node.inputs[i]);
    const ValueId x = node.inputs[1 - i];
    if (!by || !(*by > 0) || !std::isnormal(*by) || !same_shape(r, index, x)) continue;
    if (node.op == Op::kMul) return Scaled{x, *by};
    if (i == 1) return Scaled{x, 1 / *by};
  }
  return std::nullopt;
}

/// A number by which a product of two values, or an operand of it, is multiplied.
bool fuse_alpha(Rewriter& r, int index) {
  if (const auto whole = scaled(r, index)) {
    const int product = r.inner(whole->x, Op::kMatMulOfValues);
    if (product < 0) return false;
    std::get<ScalarAttributes>(r.node(product).attributes).alpha *= whole->by;
    join_names(r, product, index);
    r.take_output(product, index);
    return true;
  }
  if (r.node(index).op != Op::kMatMulOfValues) return false;
  for (const std::size_t i : {0U, 1U}) {
    const ValueId operand = r.node(index).inputs[i];
    const int factor = std::max(r.inner(operand, Op::kMul), r.inner(operand, Op::kDiv));
    const auto part = factor < 0 ? std::nullopt : scaled(r, factor);
    if (!part) continue;
    std::vector<ValueId> inputs = r.node(index).inputs;
    inputs[i] = part->x;
    const float alpha = r.node(index).as<ScalarAttributes>().alpha * part->by;
    r.set(index, Op::kMatMulOfValues, std::move(inputs), ScalarAttributes{.alpha = alpha});
    r.remove(factor);
    return true;
  }
  return false;
}

/// A number for each output channel by which a layer's output is multiplied: in its weights and bias.
bool fold_scale(Rewriter& r, int index) {
  if (r.node(index).op != Op::kMul) return false;
  const std::vector<ValueId> inputs = r.node(index).inputs;
  for (const std::size_t i : {0U, 1U}) {
    const int layer = std::max(
        {r.inner(inputs[i], Op::kConv), r.inner(inputs[i], Op::kGemm), r.inner(inputs[i], Op::kMatMul)});
    const std::optional<Tensor>& factors = r.graph.value(inputs[1 - i]).constant;
    if (layer < 0 || !factors || factors->dtype() != DType::kFloat32 || !same_shape(r, index, inputs[i]))
      continue;
    const auto axis = static_cast<std::size_t>(operator_info(r.node(layer).op).weight_axis);
    const std::vector<ValueId> operands = r.node(layer).inputs;
    const Value& weight = r.graph.value(operands[1]);
    const std::size_t rank = r.graph.value(inputs[i]).shape.size();
    Shape row(rank, 1);
    row[r.node(layer).op == Op::kConv ? 1 : rank - 1] = weight.shape[axis];
    Shape shape = factors->shape();
    while (shape.size() < rank) shape.insert(shape.begin(), 1);
    const bool integers = std::ranges::any_of(
        operands, [&](ValueId id) { return r.graph.value(id).constant && r.graph.value(id).quant; });
    if (shape != row || integers) continue;
    const Tensor by = *factors;
    const auto scaled_copy = [&](ValueId id, std::size_t along) {
      r.charge(r.graph.value(id).constant->size_bytes());
      const ValueId copy = r.add_constant(std::string(r.graph.value(id).name), *r.graph.value(id).constant);
      Tensor& tensor = *r.graph.value(copy).constant;
      const std::int64_t inner = element_count(
          Shape(tensor.shape().begin() + static_cast<std::ptrdiff_t>(along) + 1, tensor.shape().end()));
      std::int64_t k = 0;
      for (float& x : tensor.data<float>())
        x *= by.data<float>()[static_cast<std::size_t>(k++ / inner % by.size())];
      if (r.readers(id) == 1) std::swap(r.graph.value(copy).name, r.graph.value(id).name);
      return copy;
    };
    std::vector<ValueId> changed{operands[0], scaled_copy(operands[1], axis)};
    if (operands.size() > 2) changed.push_back(scaled_copy(operands[2], 0));
    const Op op = r.node(layer).op;
    r.set(layer, op, std::move(changed), r.node(layer).attributes);
    r.take_output(layer, index);
    return true;
  }
  return false;
}

bool is_mean_of_rows(const Rewriter& r, int index) {
  if (index < 0) return false;
  const auto& a = r.node(index).as<ReduceAttributes>();
  const auto last = static_cast<std::int64_t>(r.graph.value(r.node(index).inputs[0]).shape.size()) - 1;
  return a.keep_dims && a.axes == std::vector<std::int64_t>{last};
}

/// The centred values squared: Pow(c, 2) or Mul(c, c). c, or kNoValue.
ValueId squared(const Rewriter& r, ValueId id, int& node) {
  node = r.inner(id, Op::kPow);
  if (node >= 0) return r.node(node).as<ScalarAttributes>().alpha == 2.0F ? r.node(node).inputs[0] : kNoValue;
  node = r.inner(id, Op::kMul);
  if (node < 0 || r.node(node).inputs[0] != r.node(node).inputs[1]) return kNoValue;
  return r.node(node).inputs[0];
}

/// A row of C numbers, or kNoValue.
ValueId row_of(const Rewriter& r, const std::vector<ValueId>& operands, std::size_t i, ValueId like) {
  const Value& value = r.graph.value(operands[i]);
  return value.constant && value.shape == Shape{r.graph.value(like).shape.back()} ? operands[i] : kNoValue;
}

/// Add(Mul(Div(c, Sqrt(mean(c * c) + epsilon)), scale), bias) with c = x - mean(x), where means are along the
/// last dimension: as exporters write LayerNormalization before opset 17. c may be computed once or twice.
bool fuse_layer_norm(Rewriter& r, int index) {
  if (r.node(index).op != Op::kAdd) return false;
  const std::vector<ValueId> sum = r.node(index).inputs;
  for (const std::size_t i : {0U, 1U}) {
    const int product = r.inner(sum[i], Op::kMul);
    if (product < 0) continue;
    const ValueId bias = row_of(r, sum, 1 - i, sum[i]);
    const std::vector<ValueId> factors = r.node(product).inputs;
    for (const std::size_t k : {0U, 1U}) {
      const int quotient = r.inner(factors[k], Op::kDiv);
      const ValueId scale = row_of(r, factors, 1 - k, sum[i]);
      if (quotient < 0 || scale == kNoValue || bias == kNoValue) continue;
      const ValueId centred = r.node(quotient).inputs[0];
      const int root = r.inner(r.node(quotient).inputs[1], Op::kSqrt);
      const int above = root < 0 ? -1 : r.inner(r.node(root).inputs[0], Op::kAdd);
      if (above < 0) continue;
      const std::vector<ValueId> terms = r.node(above).inputs;
      const std::size_t e = scalar_of(r, terms[0]) ? 0 : 1;
      const auto epsilon = scalar_of(r, terms[e]);
      const int variance = r.inner(terms[1 - e], Op::kReduceMean);
      if (!epsilon || !(*epsilon >= 0) || !std::isfinite(*epsilon) || !is_mean_of_rows(r, variance)) continue;
      int square = -1;
      const ValueId other = squared(r, r.node(variance).inputs[0], square);
      if (other == kNoValue) continue;
      const int difference = r.maker(centred);
      const int again = r.maker(other);
      if (difference < 0 || again < 0 || r.node(difference).op != Op::kSub ||
          r.node(again).inputs != r.node(difference).inputs || r.node(again).op != Op::kSub)
        continue;
      const ValueId x = r.node(difference).inputs[0];
      const int mean = r.maker(r.node(difference).inputs[1]);
      if (mean < 0 || r.node(mean).op != Op::kReduceMean || !is_mean_of_rows(r, mean) ||
          r.node(mean).inputs[0] != x || r.graph.value(x).constant)
        continue;
      const int reads = difference == again ? (r.node(square).op == Op::kMul ? 3 : 2) : 1;
      const bool apart =
          r.readers(centred) == reads &&
          (difference == again || r.readers(other) == (r.node(square).op == Op::kMul ? 2 : 1)) &&
          r.readers(r.node(difference).inputs[1]) == (difference == again ? 1 : 2);
      const auto rounded = [&](ValueId id) { return r.graph.value(id).quant.has_value(); };
      if (!apart || rounded(centred) || rounded(other) || rounded(r.node(difference).inputs[1])) continue;
      r.set(index, Op::kLayerNormalization, {x, scale, bias}, LayerNormAttributes{*epsilon});
      for (const int part : {product, quotient, root, above, variance, square}) r.remove(part);
      r.remove(difference);
      if (again != difference) r.remove(again);
      r.remove(mean);
      return true;
    }
  }
  return false;
}

/// A Clip behind a layer, where rounding to the output's integers clips at least as much: both bounds round
/// to the ends of the range, so that every number gives the same integer without it. ONNX Runtime 1.30
/// refuses a file in which the lower bound lies above the lowest number that the integers can say.
bool drop_implied_clip(Rewriter& r, int index) {
  if (r.node(index).op != Op::kClip) return false;
  const std::optional<QuantParams>& quant = r.graph.value(r.node(index).output).quant;
  const ValueId x = r.node(index).inputs[0];
  const int layer = r.maker(x);
  if (!quant || layer < 0 || r.inner(x, r.node(layer).op) < 0) return false;
  if (!has_weight(r.node(layer).op) && r.node(layer).op != Op::kAdd) return false;
  const auto& bounds = r.node(index).as<ClipAttributes>();
  const auto rounded = [&](float real) {
    return quantize(real, quant->scale(), quant->zero_point(), quant->qmin, quant->qmax);
  };
  if (!(bounds.min > dequantize(quant->qmin, quant->scale(), quant->zero_point()))) return false;
  if (rounded(bounds.min) != quant->qmin || rounded(bounds.max) != quant->qmax) return false;
  r.take_output(layer, index);
  return true;
}

bool changes_nothing(const Rewriter& r, const Node& node) {
  const Shape& x = r.graph.value(node.inputs[0]).shape;
  if (r.graph.value(node.output).shape != x) return false;
  switch (node.op) {
    case Op::kFlatten:
    case Op::kReshape:
    case Op::kPad:
      return true;
    case Op::kConcat:
      return node.inputs.size() == 1;
    case Op::kTranspose:
      return std::ranges::is_sorted(node.as<TransposeAttributes>().permutation);
    case Op::kSlice:
      return std::ranges::all_of(node.as<SliceAttributes>().steps,
                                 [](std::int64_t step) { return step == 1; });
    default:
      return false;
  }
}

bool drop_no_op(Rewriter& r, int index) {
  const Node& node = r.node(index);
  if (node.output == r.graph.output || !changes_nothing(r, node)) return false;
  const std::optional<QuantParams>& after = r.graph.value(node.output).quant;
  if (after && after != r.graph.value(node.inputs[0]).quant) return false;
  r.bypass(index, node.inputs[0]);
  return true;
}

/// Reshape to rows as Flatten; the bounds of Slices as slice_bounds() has them.
bool normalize(Rewriter& r, int index) {
  const Node& node = r.node(index);
  if (node.op == Op::kReshape && node.as<ReshapeAttributes>().shape.size() == 2 &&
      r.graph.value(node.inputs[0]).shape.size() >= 2) {
    r.set(index, Op::kFlatten, node.inputs, {});
    return true;
  }
  if (node.op != Op::kSlice) return false;
  const Shape& x = r.graph.value(node.inputs[0]).shape;
  SliceAttributes a = node.as<SliceAttributes>();
  for (std::size_t i = 1; i < x.size(); ++i) {
    if (a.steps[i] > 0 && a.ends[i] >= x[i]) a.ends[i] = SliceAttributes::kWhole;
    if (a.steps[i] < 0) a.ends[i] = std::max<std::int64_t>(a.ends[i], -1);
  }
  if (a == node.as<SliceAttributes>()) return false;
  r.set(index, Op::kSlice, node.inputs, std::move(a));
  return true;
}

/// x op (y + zeros) as x op y, where x has the dimensions that the zeros make.
bool drop_expansion(Rewriter& r, int index) {
  const Node node = r.node(index);
  if (!is_binary(node.op)) return false;
  for (std::size_t i = 0; i < node.inputs.size(); ++i) {
    const int add = r.inner(node.inputs[i], Op::kAdd);
    if (add < 0) continue;
    const std::vector<ValueId> summands = r.node(add).inputs;
    const std::optional<Tensor>& zeros = r.graph.value(summands[1]).constant;
    if (!zeros || r.graph.value(summands[0]).constant || zeros->dtype() != DType::kFloat32 ||
        r.graph.value(summands[1]).quant ||
        std::ranges::any_of(std::as_const(*zeros).data<float>(), [](float zero) { return zero != 0; }))
      continue;
    const Value& other = r.graph.value(node.inputs[1 - i]);
    const Shape& own = r.graph.value(summands[0]).shape;
    if (other.constant || node.inputs[0] == node.inputs[1] ||
        broadcast_shapes(own, other.shape) != r.graph.value(node.output).shape)
      continue;
    std::vector<ValueId> inputs = node.inputs;
    inputs[i] = summands[0];
    r.set(index, node.op, std::move(inputs), node.attributes);
    r.remove(add);
    return true;
  }
  return false;
}

}  // namespace

bool rewrite_patterns(Rewriter& r, int index) {
  for (const auto rule : {drop_no_op, drop_expansion, normalize, fuse_matmul, fuse_layer_norm, fuse_alpha,
                          fold_scale, fuse_gate, fuse_mish, fuse_log_softmax, fuse_transposes, fuse_reshapes,
                          transpose_to_reshape, drop_implied_clip, fuse_relu6_gate, fuse_gelu, fuse_bias}) {
    if (rule(r, index)) return true;
  }
  return false;
}

}  // namespace octavo::onnx_format
