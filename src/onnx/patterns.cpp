#include "patterns.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <optional>
#include <utility>

#include "moves.h"
#include "octavo/graph/elementwise.h"

namespace octavo::onnx_format {

bool same_shape(const Rewriter& r, int index, ValueId x) {
  return r.graph.value(r.node(index).output).shape == r.graph.value(x).shape;
}

std::optional<float> scalar_of(const Rewriter& r, ValueId id) {
  const std::optional<Tensor>& constant = r.graph.value(id).constant;
  if (!constant || constant->size() != 1 || constant->dtype() != DType::kFloat32) return std::nullopt;
  return constant->data<float>()[0];
}

namespace {

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
