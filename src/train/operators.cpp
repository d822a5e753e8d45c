#include "operators.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "octavo/core/error.h"

namespace octavo::train_detail {
namespace {

bool symmetric(const std::array<std::int64_t, 4>& pads) { return pads[0] == pads[2] && pads[1] == pads[3]; }

/// Pads as ATen orders them: last dimension first, begin before end.
std::array<std::int64_t, 4> aten_pads(const std::array<std::int64_t, 4>& pads) {
  return {pads[1], pads[3], pads[0], pads[2]};
}

at::Tensor max_pool(at::Tensor x, const PoolAttributes& a) {
  // ATen refuses pads above half of the kernel, ONNX does not: pad by hand with what never wins.
  std::array<std::int64_t, 2> padding{a.pads[0], a.pads[1]};
  if (!symmetric(a.pads) || 2 * padding[0] > a.kernel[0] || 2 * padding[1] > a.kernel[1]) {
    x = at::constant_pad_nd(x, aten_pads(a.pads), -std::numeric_limits<float>::infinity());
    padding = {0, 0};
  }
  return at::max_pool2d(x, a.kernel, a.strides, padding, 1, a.ceil_mode);
}

at::Tensor average_pool(const at::Tensor& x, const PoolAttributes& a) {
  const std::array<std::int64_t, 2> padding{a.pads[0], a.pads[1]};
  if (symmetric(a.pads) && 2 * padding[0] <= a.kernel[0] && 2 * padding[1] <= a.kernel[1]) {
    return at::avg_pool2d(x, a.kernel, a.strides, padding, a.ceil_mode, a.count_include_pad);
  }
  const auto pads = aten_pads(a.pads);
  const at::Tensor sum =
      at::avg_pool2d(at::constant_pad_nd(x, pads), a.kernel, a.strides, 0, a.ceil_mode, false, 1);
  // Each window's divisor: how many of its elements count.
  at::Tensor counted = at::ones({1, 1, x.size(2), x.size(3)}, x.options());
  counted = at::constant_pad_nd(counted, pads, a.count_include_pad ? 1 : 0);
  return sum / at::avg_pool2d(counted, a.kernel, a.strides, 0, a.ceil_mode, false, 1);
}

at::Tensor reduce_mean(const at::Tensor& x, const ReduceAttributes& a) {
  return a.axes.empty() ? x : x.mean(a.axes, a.keep_dims);
}

at::Tensor slice(at::Tensor x, const SliceAttributes& a) {
  for (std::int64_t i = 1; i < x.dim(); ++i) {
    const auto k = static_cast<std::size_t>(i);
    if (a.steps[k] > 0) {
      x = x.slice(i, a.starts[k], std::min(a.ends[k], x.size(i)), a.steps[k]);
      continue;
    }
    // ATen slices forwards only: take the same elements from the last one on, then turn them round.
    const std::int64_t stride = -a.steps[k];
    const std::int64_t span = a.starts[k] - std::max<std::int64_t>(a.ends[k], -1);
    const std::int64_t least = a.starts[k] - (span - 1) / stride * stride;
    x = x.slice(i, least, a.starts[k] + 1, stride).flip(i);
  }
  return x;
}

at::Tensor pad(const at::Tensor& x, const PadAttributes& a) {
  std::vector<std::int64_t> pads;  // last dimension first
  for (std::size_t i = a.before.size() - 1; i > 0; --i) {
    pads.push_back(a.before[i]);
    pads.push_back(a.after[i]);
  }
  return at::constant_pad_nd(x, pads, a.value);
}

at::Tensor reshape(const at::Tensor& x, Shape shape) {
  shape[0] = x.size(0);
  return x.reshape(shape);
}

}  // namespace

at::Tensor convolve(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                    const ConvAttributes& a) {
  if (symmetric(a.pads)) {
    return at::conv2d(x, weight, bias, a.strides, std::array{a.pads[0], a.pads[1]}, a.dilations, a.group);
  }
  return at::conv2d(at::constant_pad_nd(x, aten_pads(a.pads)), weight, bias, a.strides,
                    std::array<std::int64_t, 2>{}, a.dilations, a.group);
}

at::Tensor apply_operator(const Node& node, const std::vector<at::Tensor>& operands) {
  const at::Tensor& x = operands.at(0);
  const auto scalars = [&]() -> const ScalarAttributes& { return node.as<ScalarAttributes>(); };
  switch (node.op) {
    case Op::kRelu:
      return at::relu(x);
    case Op::kClip: {
      const auto& bounds = node.as<ClipAttributes>();
      return at::clamp(x, bounds.min, bounds.max);
    }
    case Op::kLeakyRelu:
      return at::leaky_relu(x, scalars().alpha);
    case Op::kPRelu:
      return at::where(x < 0, operands.at(1) * x, x);
    case Op::kSigmoid:
      return at::sigmoid(x);
    case Op::kHardSigmoid:
      return at::clamp(x * scalars().alpha + scalars().beta, 0, 1);
    case Op::kHardSwish:
      return at::hardswish(x);
    case Op::kSilu:
      return at::silu(x);
    case Op::kGelu:
      return at::gelu(x);
    case Op::kErf:
      return at::erf(x);
    case Op::kSqrt:
      return at::sqrt(x);
    case Op::kPow:
      return at::pow(x, scalars().alpha);
    case Op::kTanh:
      return at::tanh(x);
    case Op::kElu:
      return at::elu(x, scalars().alpha);
    case Op::kSelu:
      return at::elu(x, scalars().alpha, scalars().beta);
    case Op::kCelu:
      return at::celu(x, scalars().alpha);
    case Op::kSoftplus:
      return at::softplus(x);
    case Op::kSoftsign:
      return x / (1 + x.abs());
    case Op::kMish:
      return at::mish(x);
    case Op::kExp:
      return at::exp(x);
    case Op::kLog:
      return at::log(x);
    case Op::kAbs:
      return at::abs(x);
    case Op::kNeg:
      return at::neg(x);
    case Op::kReciprocal:
      return at::reciprocal(x);
    case Op::kSin:
      return at::sin(x);
    case Op::kCos:
      return at::cos(x);
    case Op::kTan:
      return at::tan(x);
    case Op::kAsin:
      return at::asin(x);
    case Op::kAcos:
      return at::acos(x);
    case Op::kAtan:
      return at::atan(x);
    case Op::kSinh:
      return at::sinh(x);
    case Op::kCosh:
      return at::cosh(x);
    case Op::kAsinh:
      return at::asinh(x);
    case Op::kAcosh:
      return at::acosh(x);
    case Op::kAtanh:
      return at::atanh(x);
    case Op::kCeil:
      return at::ceil(x);
    case Op::kFloor:
      return at::floor(x);
    case Op::kRound:
      return at::round(x);
    case Op::kSign:
      return at::sign(x);
    case Op::kThresholdedRelu:
      return at::threshold(x, scalars().alpha, 0);
    case Op::kShrink:
      return at::where(x < -scalars().alpha, x + scalars().beta,
                       at::where(x > scalars().alpha, x - scalars().beta, at::zeros_like(x)));
    case Op::kMin:
      return at::minimum(x, operands.at(1));
    case Op::kMax:
      return at::maximum(x, operands.at(1));
    case Op::kAdd:
      return x + operands.at(1);
    case Op::kSub:
      return x - operands.at(1);
    case Op::kMul:
      return x * operands.at(1);
    case Op::kDiv:
      return x / operands.at(1);
    case Op::kMaxPool:
      return max_pool(x, node.as<PoolAttributes>());
    case Op::kAveragePool:
      return average_pool(x, node.as<PoolAttributes>());
    case Op::kGlobalAveragePool:
      return x.mean({2, 3}, true);
    case Op::kGlobalMaxPool:
      return x.amax({2, 3}, true);
    case Op::kReduceMean:
      return reduce_mean(x, node.as<ReduceAttributes>());
    case Op::kConcat:
      return at::cat(operands, node.as<AxisAttributes>().axis);
    case Op::kSlice:
      return slice(x, node.as<SliceAttributes>());
    case Op::kPad:
      return pad(x, node.as<PadAttributes>());
    case Op::kReshape:
      return reshape(x, node.as<ReshapeAttributes>().shape);
    case Op::kTranspose:
      return x.permute(node.as<TransposeAttributes>().permutation);
    case Op::kFlatten:
      return x.flatten(1);
    case Op::kSoftmax:
      return at::softmax(x, node.as<AxisAttributes>().axis);
    case Op::kLogSoftmax:
      return at::log_softmax(x, node.as<AxisAttributes>().axis);
    case Op::kMatMulOfValues: {
      const at::Tensor product = at::matmul(x, operands.at(1));
      return scalars().alpha == 1.0F ? product : product * scalars().alpha;
    }
    case Op::kLayerNormalization:
      return at::layer_norm(x, {x.size(-1)}, operands.at(1), operands.at(2),
                            static_cast<double>(node.as<LayerNormAttributes>().epsilon));
    case Op::kConv:
    case Op::kGemm:
    case Op::kMatMul:
    case Op::kBatchNormalization:
      break;
  }
  throw Error(ErrorCode::kInternal, node.name, to_string(node.op) + " has parameters of its own");
}

at::Tensor to_aten(const Tensor& constant) {
  const auto elements = constant.data<float>();
  at::Tensor tensor = at::empty(constant.shape(), at::kFloat);
  std::memcpy(tensor.data_ptr<float>(), elements.data(), elements.size_bytes());
  return constant.rank() == 4 ? tensor.contiguous(at::MemoryFormat::ChannelsLast) : tensor;
}

void from_aten(const at::Tensor& tensor, Tensor& constant) {
  const at::Tensor rows = tensor.detach().to(at::kFloat).contiguous();
  const auto elements = constant.data<float>();
  check_internal(static_cast<std::size_t>(rows.numel()) == elements.size(), "from_aten: sizes differ");
  std::memcpy(elements.data(), rows.data_ptr<float>(), elements.size_bytes());
}

}  // namespace octavo::train_detail
