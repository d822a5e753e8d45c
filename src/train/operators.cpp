#include "operators.h"

#include <cstring>

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

}  // namespace

at::Tensor convolve(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                    const ConvAttributes& a) {
  if (symmetric(a.pads)) {
    return at::conv2d(x, weight, bias, a.strides, std::array{a.pads[0], a.pads[1]}, a.dilations, a.group);
  }
  return at::conv2d(at::constant_pad_nd(x, aten_pads(a.pads)), weight, bias, a.strides,
                    std::array<std::int64_t, 2>{}, a.dilations, a.group);
}

at::Tensor apply_operator(const Node& node, const at::Tensor& x, const at::Tensor& other) {
  switch (node.op) {
    case Op::kRelu:
      return at::relu(x);
    case Op::kClip: {
      const auto& bounds = node.as<ClipAttributes>();
      return at::clamp(x, bounds.min, bounds.max);
    }
    case Op::kAdd:
      return x + other;
    case Op::kMaxPool:
      return max_pool(x, node.as<PoolAttributes>());
    case Op::kAveragePool:
      return average_pool(x, node.as<PoolAttributes>());
    case Op::kGlobalAveragePool:
      return x.mean({2, 3}, true);
    case Op::kFlatten:
      return x.flatten(1);
    default:
      throw Error(ErrorCode::kInternal, node.name, to_string(node.op) + " has parameters of its own");
  }
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
