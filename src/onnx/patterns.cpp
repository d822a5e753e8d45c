#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <optional>

#include "canonical.h"
#include "importer.h"

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

/// A constant added to a Conv or Gemm without a bias.
bool fuse_bias(Rewriter& r, int index) {
  if (r.node(index).op != Op::kAdd) return false;
  const std::vector<ValueId> inputs = r.node(index).inputs;
  for (const std::size_t i : {0U, 1U}) {
    const ValueId constant = inputs[1 - i];
    const int layer = std::max(r.inner(inputs[i], Op::kConv), r.inner(inputs[i], Op::kGemm));
    if (layer < 0 || !r.graph.value(constant).constant || r.node(layer).inputs.size() != 2) continue;
    const bool conv = r.node(layer).op == Op::kConv;
    const std::int64_t channels = r.graph.value(r.node(layer).inputs[1]).shape[0];
    Shape shape = r.graph.value(constant).shape;
    const std::size_t rank = conv ? 4 : 2;
    while (shape.size() < rank) shape.insert(shape.begin(), 1);
    const Shape row = conv ? Shape{1, channels, 1, 1} : Shape{1, channels};
    const bool spread = !conv && r.graph.value(constant).constant->size() == 1;
    if (!(shape == row || spread) || !same_shape(r, index, inputs[i])) continue;
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
  const auto transpose = [](const Value& weight) {
    return take(*weight.constant, {weight.shape[1], weight.shape[0]}, 0, {1, weight.shape[1]});
  };
  const ValueId transposed =
      r.add_constant(std::string(r.graph.value(id).name), transpose(r.graph.value(id)));
  Value& result = r.graph.value(transposed);
  result.quant = r.graph.value(id).quant;
  if (result.quant && result.quant->per_channel()) result.quant->axis = 1 - result.quant->axis;
  if (r.readers(id) == 1) std::swap(result.name, r.graph.value(id).name);
  r.set(index, Op::kGemm, {r.node(index).inputs[0], transposed}, {});
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

}  // namespace

bool rewrite_patterns(Rewriter& r, int index) {
  for (const auto rule :
       {drop_no_op, normalize, fuse_matmul, fuse_gate, fuse_relu6_gate, fuse_gelu, fuse_bias}) {
    if (rule(r, index)) return true;
  }
  return false;
}

}  // namespace octavo::onnx_format
