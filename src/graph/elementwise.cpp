#include "octavo/graph/elementwise.h"

#include <algorithm>
#include <cmath>

#include "octavo/core/error.h"

namespace octavo {

float apply_unary(const Node& node, float value) {
  const OperatorInfo& info = operator_info(node.op);
  check_internal(info.function != nullptr, to_string(node.op) + " is not a function of one number");
  return static_cast<float>(info.function(value, node.attributes));
}

float apply_binary(Op op, float a, float b) {
  switch (op) {
    case Op::kAdd:
      return a + b;
    case Op::kSub:
      return a - b;
    case Op::kMul:
      return a * b;
    case Op::kDiv:
      return a / b;
    case Op::kMin:
      return std::min(a, b);
    case Op::kMax:
      return std::max(a, b);
    default:
      throw Error(ErrorCode::kInternal, "apply_binary", to_string(op) + " is not a function of two numbers");
  }
}

float apply_prelu(float x, float slope) { return x < 0 ? slope * x : x; }

float apply_batch_norm(const BatchNormAttributes& attributes, float x, const BatchNormChannel& channel) {
  const double centred = static_cast<double>(x) - channel.mean;
  const double deviation = std::sqrt(static_cast<double>(channel.variance) + attributes.epsilon);
  return static_cast<float>(centred / deviation * channel.scale + channel.bias);
}

std::optional<Shape> broadcast_shapes(const Shape& a, const Shape& b) {
  const std::size_t rank = std::max(a.size(), b.size());
  Shape result(rank);
  for (std::size_t i = 1; i <= rank; ++i) {
    const std::int64_t x = i <= a.size() ? a[a.size() - i] : 1;
    const std::int64_t y = i <= b.size() ? b[b.size() - i] : 1;
    if (x != y && x != 1 && y != 1) return std::nullopt;
    result[rank - i] = x == 1 ? y : x;
  }
  return result;
}

}  // namespace octavo
