#include "operators/every_operator.h"

#include <cmath>

#include "octavo/core/error.h"
#include "octavo/graph/builder.h"
#include "octavo/graph/elementwise.h"

namespace octavo::testing {
namespace {

/// Numbers other than those that a file without the attribute would get.
Attributes attributes_for(Op op) {
  if (op == Op::kClip) return ClipAttributes{.min = -0.5F, .max = 0.75F};
  if (op == Op::kPow) return ScalarAttributes{.alpha = 1.7F};
  const OperatorInfo& info = operator_info(op);
  if (info.scalars[0].name.empty()) return {};
  ScalarAttributes a{.alpha = info.scalars[0].otherwise * 0.75F};
  if (!info.scalars[1].name.empty()) a.beta = info.scalars[1].otherwise * 1.25F;
  return a;
}

ValueId unary(GraphBuilder& b, Op op, ValueId x) {
  const Node node{.name = "op", .op = op, .inputs = {}, .output = kNoValue, .attributes = attributes_for(op)};
  const auto defined = [&](float at) { return std::isfinite(apply_unary(node, at)); };
  if (!defined(-1.0F) || !defined(0.0F) || !defined(3.0F)) x = b.sigmoid("positive", x);
  if (!defined(0.5F)) x = b.unary("above one", Op::kReciprocal, x);
  return b.unary("op", op, x, node.attributes);
}

Tensor channel_factors(std::int64_t channels) {
  Tensor tensor({1, channels, 1, 1}, DType::kFloat32);
  float next = 0.5F;
  for (float& value : tensor.data<float>()) value = (next += 0.25F);
  return tensor;
}

/// Appends the operator behind x [N, 8, 6, 6].
ValueId append(GraphBuilder& b, Op op, ValueId x) {
  const PoolAttributes window{.kernel = {2, 2}, .strides = {2, 2}};
  const auto other = [&] { return b.conv("other", x, 8, {}, true); };
  if (is_unary(op)) return unary(b, op, x);
  switch (op) {
    case Op::kConv:
      return b.conv("op", x, 8, {.kernel = {3, 3}, .pads = {1, 1, 1, 1}}, true);
    case Op::kBatchNormalization:
      return b.batch_norm("op", b.relu("before", x));  // Which no convolution takes in.
    case Op::kAdd:
      return b.add("op", x, other());
    case Op::kSub:
      return b.sub("op", x, other());
    case Op::kMul:
      return b.mul("op", x, other());
    case Op::kMin:
    case Op::kMax:
      return b.binary("op", op, x, b.constant("bounds", channel_factors(8)));
    case Op::kDiv:
      return b.div("op", x, b.constant("divisor", channel_factors(8)));
    case Op::kPRelu:
      return b.prelu("op", x);
    case Op::kMaxPool:
      return b.max_pool("op", x, window);
    case Op::kAveragePool:
      return b.average_pool("op", x, window);
    case Op::kGlobalAveragePool:
      return b.global_average_pool("op", x);
    case Op::kGlobalMaxPool:
      return b.global_max_pool("op", x);
    case Op::kFlatten:
      return b.flatten("op", x);
    case Op::kReshape:
      return b.reshape("op", x, {kDynamic, 4, 2, 6, 6});
    case Op::kTranspose:
      return b.transpose("op", x, {0, 3, 1, 2});
    case Op::kSlice:
      return b.slice("op", x, 1, 6, 0, -2);
    case Op::kPad:
      return b.pad("op", x, {0, 0, 1, 2}, {0, 1, 0, 0}, 0);
    case Op::kConcat:
      return b.concat("op", {x, other()}, 1);
    case Op::kReduceMean:
      return b.reduce_mean("op", x, {1}, true);
    case Op::kGemm:
      return b.gemm("op", b.flatten("rows", x), 5, true);
    case Op::kMatMul:
      return b.matmul("op", b.transpose("nhwc", x, {0, 2, 3, 1}), 5);
    case Op::kMatMulOfValues: {  // Pixels by pixels, as attention has it.
      const ValueId tokens = b.reshape("tokens", x, {kDynamic, 2, 4, 36});
      return b.matmul_of_values("op", b.transpose("turned", tokens, {0, 1, 3, 2}), tokens, 0.25F);
    }
    case Op::kLayerNormalization:
      return b.layer_norm("op", b.transpose("nhwc", x, {0, 2, 3, 1}));
    case Op::kSoftmax:
      return b.softmax("op", b.transpose("nhwc", x, {0, 2, 3, 1}), 3);
    case Op::kLogSoftmax:
      return b.log_softmax("op", x, 1);
    default:
      throw Error(ErrorCode::kInternal, "graph_around", "no graph for " + to_string(op));
  }
}

}  // namespace

Graph graph_around(Op op) {
  GraphBuilder b(to_string(op), 3, kOperatorImage, kOperatorImage, 11);
  const ValueId conv = b.conv("conv", b.input(), 8, {.kernel = {3, 3}, .pads = {1, 1, 1, 1}}, true);
  const ValueId x = append(b, op, conv);
  const ValueId rows = b.shape(x).size() == 2 ? x : b.flatten("flatten", x);
  return b.finish(b.gemm("fc", rows, 4, true));
}

}  // namespace octavo::testing
