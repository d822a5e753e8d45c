/// Arithmetic, choices and casts of constants at import.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "folding.h"
#include "importer.h"
#include "tensor_proto.h"

namespace octavo::onnx_format {
namespace {

/// Arithmetic on sizes with the batch in one of them at least: what is plain again, or a multiple of it.
/// Nothing else is known of any batch.
std::int64_t compute_batches(Op op, std::int64_t a, std::int64_t b) {
  const Unsupported unknown{"computes with the size of the batch"};
  const auto multiple = [&](std::int64_t count) {
    if (count < 0 || count > kMostBatches) throw Unsupported{unknown};
    return count == 0 ? 0 : batches(count);
  };
  const std::int64_t x = batches_in(a);
  const std::int64_t y = batches_in(b);
  const bool both = x > 0 && y > 0;
  const std::int64_t number = x > 0 ? b : a;  // Of two, the plain one.
  switch (op) {
    case Op::kAdd:
      if (both || number == 0) return multiple(x + y);
      break;
    case Op::kSub:
      if (both || (x > 0 && number == 0)) return multiple(x - y);
      break;
    case Op::kMul:
      if (!both && number >= 0 && number <= kMostBatches) return multiple((x + y) * number);
      break;
    default:
      if (both && x % y == 0) return x / y;
      if (!both && x > 0 && number > 0 && x % number == 0) return multiple(x / number);
  }
  throw Unsupported{unknown};
}

/// Integer arithmetic on sizes.
std::int64_t compute(const NodeReader& reader, Op op, std::int64_t a, std::int64_t b) {
  if (batches_in(a) > 0 || batches_in(b) > 0) return compute_batches(op, a, b);
  std::int64_t result = 0;
  bool overflow = false;
  switch (op) {
    case Op::kAdd:
      overflow = __builtin_add_overflow(a, b, &result);
      break;
    case Op::kSub:
      overflow = __builtin_sub_overflow(a, b, &result);
      break;
    case Op::kMul:
      overflow = __builtin_mul_overflow(a, b, &result);
      break;
    default:
      overflow = b == 0 || (b == -1 && a == std::numeric_limits<std::int64_t>::min());
      if (!overflow) result = a / b;
  }
  if (overflow) reader.fail("integers overflow, or are divided by 0");
  return result;
}

Tensor fold_binary(NodeReader& reader) {
  const std::string& type = reader.node.op_type();
  const Op op = type == "Add" ? Op::kAdd : type == "Sub" ? Op::kSub : type == "Mul" ? Op::kMul : Op::kDiv;
  const Tensor a = operand(reader, 0);
  const Tensor b = operand(reader, 1);
  if (a.dtype() != b.dtype()) reader.fail("inputs of different types");
  if (a.dtype() == DType::kFloat32)
    return broadcast<float>(reader, a, b, [&](float x, float y) { return apply_binary(op, x, y); });
  if (a.dtype() == DType::kInt64) {
    return broadcast<std::int64_t>(reader, a, b,
                                   [&](std::int64_t x, std::int64_t y) { return compute(reader, op, x, y); });
  }
  throw Unsupported{"constants of " + to_string(a.dtype())};
}

template <typename T>
bool holds(const std::string& type, T x, T y) {
  if (type == "Equal") return x == y;
  if (type == "Less") return x < y;
  if (type == "LessOrEqual") return x <= y;
  return type == "Greater" ? x > y : x >= y;
}

/// Booleans. The size of the batch is itself and no negative number; else nobody knows.
template <typename T>
Tensor compare_elements(const NodeReader& reader, const Tensor& a, const Tensor& b) {
  const std::string& type = reader.node.op_type();
  const Tensor compared = broadcast<T>(reader, a, b, [&](T x, T y) -> T {
    if constexpr (std::is_same_v<T, std::int64_t>) {
      const bool one = (batches_in(x) > 0) != (batches_in(y) > 0);
      const std::int64_t other = batches_in(x) > 0 ? y : x;
      if (one && (type != "Equal" || other >= 0)) throw Unsupported{"compares with the size of the batch"};
    }
    return holds(type, x, y) ? T{1} : T{0};
  });
  Tensor result = result_of(reader, compared.shape(), DType::kUInt8);
  std::ranges::transform(compared.data<T>(), result.data<std::uint8_t>().begin(),
                         [](T x) { return static_cast<std::uint8_t>(x); });
  return result;
}

Tensor fold_comparison(NodeReader& reader) {
  const Tensor a = operand(reader, 0);
  const Tensor b = operand(reader, 1);
  if (a.dtype() != b.dtype()) reader.fail("inputs of different types");
  switch (a.dtype()) {
    case DType::kInt64:
      return compare_elements<std::int64_t>(reader, a, b);
    case DType::kInt32:
      return compare_elements<std::int32_t>(reader, a, b);
    case DType::kFloat32:
      return compare_elements<float>(reader, a, b);
    case DType::kUInt8:
      return compare_elements<std::uint8_t>(reader, a, b);
    case DType::kInt8:
      return compare_elements<std::int8_t>(reader, a, b);
  }
  reader.fail("inputs of an unknown type");
}

/// And, Or and Not, of booleans.
Tensor fold_logic(NodeReader& reader) {
  const std::string& type = reader.node.op_type();
  const Tensor a = operand(reader, 0);
  const Tensor b = operand(reader, type == "Not" ? 0 : 1);
  if (a.dtype() != DType::kUInt8 || b.dtype() != DType::kUInt8) reader.fail("an input that is not boolean");
  return broadcast<std::uint8_t>(reader, a, b, [&](std::uint8_t x, std::uint8_t y) {
    const bool result = type == "Not" ? x == 0 : type == "And" ? x != 0 && y != 0 : x != 0 || y != 0;
    return static_cast<std::uint8_t>(result ? 1 : 0);
  });
}

template <typename T>
void choose(const Tensor& condition, const Tensor& otherwise, Tensor& result) {
  const auto chosen = condition.data<std::uint8_t>();
  const auto others = otherwise.data<T>();
  const auto target = result.data<T>();
  for (std::size_t i = 0; i < target.size(); ++i) {
    if (chosen[i] == 0) target[i] = others[i];
  }
}

Tensor fold_where(NodeReader& reader) {
  const Tensor condition = operand(reader, 0);
  const Tensor a = operand(reader, 1);
  const Tensor b = operand(reader, 2);
  if (condition.dtype() != DType::kUInt8 || a.dtype() != b.dtype())
    reader.fail("a condition that is not boolean, or operands of two types");
  const auto both = broadcast_shapes(a.shape(), b.shape());
  const auto shape = both ? broadcast_shapes(*both, condition.shape()) : std::nullopt;
  if (!shape) reader.fail("shapes that do not broadcast");
  Tensor result = spread(reader, a, *shape);
  const Tensor otherwise = spread(reader, b, *shape);
  const Tensor chosen = spread(reader, condition, *shape);
  if (a.dtype() == DType::kInt64) {
    choose<std::int64_t>(chosen, otherwise, result);
  } else if (a.dtype() == DType::kFloat32) {
    choose<float>(chosen, otherwise, result);
  } else {
    throw Unsupported{"constants of " + to_string(a.dtype())};
  }
  return result;
}

Tensor fold_unary(NodeReader& reader) {
  Tensor result = operand(reader, 0);
  // Of integers, floor is what they are.
  if (result.dtype() != DType::kFloat32) throw Unsupported{"constants of " + to_string(result.dtype())};
  const bool root = reader.node.op_type() == "Sqrt";
  for (float& x : result.data<float>()) x = root ? std::sqrt(x) : std::floor(x);
  return result;
}

/// Calls body(elements) with those of whatever type the tensor has.
template <typename Body>
void with_elements(const Tensor& tensor, const Body& body) {
  switch (tensor.dtype()) {
    case DType::kFloat32:
      return body(tensor.data<float>());
    case DType::kInt64:
      return body(tensor.data<std::int64_t>());
    case DType::kInt32:
      return body(tensor.data<std::int32_t>());
    case DType::kUInt8:
      return body(tensor.data<std::uint8_t>());
    case DType::kInt8:
      return body(tensor.data<std::int8_t>());
  }
}

/// `source` as numbers of type T, towards 0. Throws kBadInput for one that T cannot hold.
template <typename T>
void cast_elements(const NodeReader& reader, const Tensor& source, Tensor& result) {
  const auto target = result.data<T>();
  with_elements(source, [&](const auto& values) {
    for (std::size_t i = 0; i < values.size(); ++i) {
      const auto value = static_cast<double>(values[i]);
      if constexpr (std::is_integral_v<T>) {
        // Of int64, beyond 2^62 no size makes sense.
        constexpr double kMost = sizeof(T) == 8 ? 0x1p62 : static_cast<double>(std::numeric_limits<T>::max());
        constexpr double kLeast =
            sizeof(T) == 8 ? -0x1p62 : static_cast<double>(std::numeric_limits<T>::min());
        const double whole = std::trunc(value);
        if (!(whole >= kLeast && whole <= kMost)) reader.fail("a number out of range");
      }
      target[i] = static_cast<T>(values[i]);
    }
  });
}

Tensor fold_cast(NodeReader& reader) {
  const Tensor source = operand(reader, 0);
  const auto to = static_cast<std::int32_t>(reader.attributes.integer("to", 0));
  reader.attributes.integer("saturate", 1);  // Of 8-bit floats alone.
  if (source.dtype() == DType::kInt64 && to != onnx::TensorProto::INT64 &&
      std::ranges::any_of(source.data<std::int64_t>(),
                          [](std::int64_t size) { return batches_in(size) > 0; }))
    throw Unsupported{"computes with the size of the batch"};
  if (is_real(to)) {
    if (source.dtype() == DType::kFloat32) return source;
    Tensor result = result_of(reader, source.shape(), DType::kFloat32);
    cast_elements<float>(reader, source, result);
    return result;
  }
  const auto cast = [&]<typename T>(DType wanted, T) {
    if (source.dtype() == wanted) return source;
    Tensor result = result_of(reader, source.shape(), wanted);
    cast_elements<T>(reader, source, result);
    return result;
  };
  switch (to) {
    case onnx::TensorProto::INT64:
      return cast(DType::kInt64, std::int64_t{});
    case onnx::TensorProto::INT32:
      return cast(DType::kInt32, std::int32_t{});
    case onnx::TensorProto::INT8:
      return cast(DType::kInt8, std::int8_t{});
    case onnx::TensorProto::UINT8:
      return cast(DType::kUInt8, std::uint8_t{});
    case onnx::TensorProto::BOOL: {
      Tensor result = result_of(reader, source.shape(), DType::kUInt8);
      with_elements(source, [&](const auto& values) {
        std::ranges::transform(values, result.data<std::uint8_t>().begin(),
                               [](auto value) { return static_cast<std::uint8_t>(value != 0 ? 1 : 0); });
      });
      return result;
    }
    default:
      throw Unsupported{"to another type than a float, int64, int32, int8, uint8 or bool"};
  }
}

}  // namespace

Fold find_arithmetic_fold(const std::string& type) {
  if (type == "Add" || type == "Sub" || type == "Mul" || type == "Div") return fold_binary;
  if (type == "Sqrt" || type == "Floor") return fold_unary;
  if (type == "Cast") return fold_cast;
  if (type == "Equal" || type == "Less" || type == "LessOrEqual" || type == "Greater" ||
      type == "GreaterOrEqual")
    return fold_comparison;
  if (type == "And" || type == "Or" || type == "Not") return fold_logic;
  if (type == "Where") return fold_where;
  return nullptr;
}

}  // namespace octavo::onnx_format
