#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <utility>

#include "patterns.h"

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

}  // namespace

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

namespace {

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

}  // namespace

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

}  // namespace octavo::onnx_format
