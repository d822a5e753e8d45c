#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "moves.h"
#include "octavo/graph/elementwise.h"
#include "patterns.h"

namespace octavo::onnx_format {

namespace {

/// A node that the file has as two, `first` and what comes of it: under the name that both have from one.
void join_names(Rewriter& r, int first, int second) {
  const std::string& whole = r.node(second).name;
  if (r.node(first).name == whole + "_MatMul") r.node(first).name = whole;
}

}  // namespace

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

namespace {

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

}  // namespace

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

}  // namespace octavo::onnx_format
