// oneDNN's elementwise operators, concatenation and softmax in float32.
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <optional>

#include "octavo/core/error.h"
#include "runtime/float/onednn_common.h"

namespace octavo::onednn {

namespace d = dnnl;

namespace {

using NoConstants = std::vector<std::pair<int, d::memory>>;

/// An operator as oneDNN's eltwise.
struct Eltwise {
  d::algorithm algorithm;
  float alpha = 0, beta = 0;
};

/// Nothing where oneDNN 2.6 has no such operator.
std::optional<Eltwise> eltwise_of(const Node& node) {
  constexpr float kLargest = std::numeric_limits<float>::max();
  const auto scalars = [&]() -> const ScalarAttributes& { return node.as<ScalarAttributes>(); };
  switch (node.op) {
    case Op::kRelu:
      return Eltwise{d::algorithm::eltwise_relu};
    case Op::kClip:
      return Eltwise{d::algorithm::eltwise_clip, std::max(node.as<ClipAttributes>().min, -kLargest),
                     std::min(node.as<ClipAttributes>().max, kLargest)};
    case Op::kLeakyRelu:
      return Eltwise{d::algorithm::eltwise_relu, scalars().alpha};
    case Op::kSigmoid:
      return Eltwise{d::algorithm::eltwise_logistic};
    case Op::kHardSwish:
      return Eltwise{d::algorithm::eltwise_hardswish};
    case Op::kSilu:
      return Eltwise{d::algorithm::eltwise_swish, 1.0F};
    case Op::kGelu:
      return Eltwise{d::algorithm::eltwise_gelu_erf};
    case Op::kSqrt:
      return Eltwise{d::algorithm::eltwise_sqrt};
    case Op::kHardSigmoid:  // Before its bounds.
      return Eltwise{d::algorithm::eltwise_linear, scalars().alpha, scalars().beta};
    case Op::kPow:
      return Eltwise{d::algorithm::eltwise_pow, 1.0F, scalars().alpha};
    case Op::kTanh:
      return Eltwise{d::algorithm::eltwise_tanh};
    case Op::kElu:
      return Eltwise{d::algorithm::eltwise_elu, scalars().alpha};
    case Op::kSoftplus:
      return Eltwise{d::algorithm::eltwise_soft_relu};
    case Op::kExp:
      return Eltwise{d::algorithm::eltwise_exp};
    case Op::kLog:
      return Eltwise{d::algorithm::eltwise_log};
    case Op::kAbs:
      return Eltwise{d::algorithm::eltwise_abs};
    case Op::kNeg:
      return Eltwise{d::algorithm::eltwise_linear, -1.0F};
    default:
      return std::nullopt;
  }
}

d::algorithm binary_algorithm(Op op) {
  switch (op) {
    case Op::kSub:
      return d::algorithm::binary_sub;
    case Op::kMul:
      return d::algorithm::binary_mul;
    case Op::kDiv:
      return d::algorithm::binary_div;
    case Op::kMin:
      return d::algorithm::binary_min;
    case Op::kMax:
      return d::algorithm::binary_max;
    default:
      check_internal(op == Op::kAdd, "binary_algorithm: " + to_string(op));
      return d::algorithm::binary_add;
  }
}

}  // namespace

bool has_unary(const Node& node) { return eltwise_of(node).has_value(); }

std::unique_ptr<Step> make_unary(const std::string& kernel, const Node& node, const Operand& x, BufferId y) {
  const Eltwise eltwise = eltwise_of(node).value();
  const auto& md = x.layout.desc().md;
  const d::eltwise_forward::desc desc(d::prop_kind::forward_inference, eltwise.algorithm, md, eltwise.alpha,
                                      eltwise.beta);
  const d::eltwise_forward::primitive_desc pd(desc, attributes_for_threads(), engine());
  return std::make_unique<PrimitiveStep>(
      kernel, d::eltwise_forward(pd),
      std::vector<BoundBuffer>{{DNNL_ARG_SRC, x.buffer, md}, {DNNL_ARG_DST, y, md}}, NoConstants{},
      pd.scratchpad_desc());
}

std::unique_ptr<Step> make_binary(const std::string& kernel, Op op, const Operand& a, const Operand& b,
                                  const ClipAttributes& bounds, BufferId y) {
  const auto& md = a.layout.desc().md;
  d::post_ops ops;
  append_bounds(ops, bounds);
  d::primitive_attr attributes = attributes_for_threads();
  attributes.set_post_ops(ops);
  const d::binary::primitive_desc pd(d::binary::desc(binary_algorithm(op), md, b.layout.desc().md, md),
                                     attributes, engine());
  return std::make_unique<PrimitiveStep>(
      kernel, d::binary(pd),
      std::vector<BoundBuffer>{{DNNL_ARG_SRC_0, a.buffer, md},
                               {DNNL_ARG_SRC_1, b.buffer, b.layout.desc().md},
                               {DNNL_ARG_DST, y, md}},
      NoConstants{}, pd.scratchpad_desc());
}

std::unique_ptr<Step> make_concat(const std::string& kernel, const std::vector<Operand>& inputs,
                                  std::int64_t axis, BufferId y, Layout& y_layout) {
  std::vector<d::memory::desc> sources;
  std::vector<BoundBuffer> buffers;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    sources.push_back(inputs[i].layout.desc().md);
    buffers.push_back({DNNL_ARG_MULTIPLE_SRC + static_cast<int>(i), inputs[i].buffer, sources.back()});
  }
  const d::concat::primitive_desc pd(static_cast<int>(axis), sources, engine(), attributes_for_threads());
  y_layout = Layout(Layout::Desc{pd.dst_desc()});
  buffers.push_back({DNNL_ARG_DST, y, pd.dst_desc()});
  return std::make_unique<PrimitiveStep>(fmt::format("{} [{}]", kernel, pd.impl_info_str()), d::concat(pd),
                                         std::move(buffers), NoConstants{}, pd.scratchpad_desc());
}

std::unique_ptr<Step> make_softmax(const std::string& kernel, bool logarithm, const Operand& x,
                                   std::int64_t axis, BufferId y) {
  const auto& md = x.layout.desc().md;
  const std::vector<BoundBuffer> buffers{{DNNL_ARG_SRC, x.buffer, md}, {DNNL_ARG_DST, y, md}};
  constexpr auto kForward = d::prop_kind::forward_inference;
  if (logarithm) {
    const d::logsoftmax_forward::primitive_desc pd({kForward, md, static_cast<int>(axis)},
                                                   attributes_for_threads(), engine());
    return std::make_unique<PrimitiveStep>(kernel, d::logsoftmax_forward(pd), buffers, NoConstants{},
                                           pd.scratchpad_desc());
  }
  const d::softmax_forward::primitive_desc pd({kForward, md, static_cast<int>(axis)},
                                              attributes_for_threads(), engine());
  return std::make_unique<PrimitiveStep>(kernel, d::softmax_forward(pd), buffers, NoConstants{},
                                         pd.scratchpad_desc());
}

}  // namespace octavo::onednn
