/// Constants that are computed element by element, along dimensions or from nothing: tables of positions and
/// masks, and weights that are standardized in the file.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "folding.h"
#include "importer.h"
#include "moves.h"
#include "octavo/graph/elementwise.h"

namespace octavo::onnx_format {
namespace {

/// Calls body() with an element of the tensor's type, float32 or int64.
template <typename Body>
Tensor of_type(const Tensor& tensor, const Body& body) {
  if (tensor.dtype() == DType::kFloat32) return body(float{});
  if (tensor.dtype() == DType::kInt64) return body(std::int64_t{});
  throw Unsupported{"constants of " + to_string(tensor.dtype())};
}

void expect_no_batch(const Tensor& tensor) {
  if (tensor.dtype() != DType::kInt64) return;
  if (std::ranges::any_of(tensor.data<std::int64_t>(),
                          [](std::int64_t size) { return batches_in(size) > 0; }))
    throw Unsupported{"computes with the size of the batch"};
}

/// Of any number of operands.
Tensor fold_extreme(NodeReader& reader) {
  const bool least = reader.node.op_type() == "Min";
  Tensor result = operand(reader, 0);
  for (int i = 1; i < reader.node.input_size(); ++i) {
    const Tensor next = operand(reader, i);
    expect_no_batch(result);
    expect_no_batch(next);
    if (next.dtype() != result.dtype()) reader.fail("inputs of different types");
    result = of_type(result, [&](auto element) {
      using T = decltype(element);
      return broadcast<T>(reader, result, next,
                          [&](T x, T y) { return least ? std::min(x, y) : std::max(x, y); });
    });
  }
  return result;
}

/// A function of each number that is an operator of the table without numbers of its own.
Tensor fold_function(NodeReader& reader) {
  Tensor result = operand(reader, 0);
  const std::string& type = reader.node.op_type();
  if (result.dtype() == DType::kInt64 && type == "Neg") {
    expect_no_batch(result);
    for (std::int64_t& x : result.data<std::int64_t>())
      x = x == std::numeric_limits<std::int64_t>::min() ? x : -x;
    return result;
  }
  if (result.dtype() != DType::kFloat32) throw Unsupported{"constants of " + to_string(result.dtype())};
  const auto all = operators();
  const Node node{.name = {},
                  .op = std::ranges::find(all, type, &OperatorInfo::name)->op,
                  .inputs = {},
                  .attributes = {}};
  for (float& x : result.data<float>()) x = apply_unary(node, x);
  return result;
}

Tensor fold_clip(NodeReader& reader) {
  Tensor result = operand(reader, 0);
  expect_no_batch(result);
  const bool attributes = reader.importer.opset() < 11;
  return of_type(result, [&](auto element) {
    using T = decltype(element);
    const auto bound = [&](int index, const char* name, T otherwise) {
      if (attributes) return static_cast<T>(reader.attributes.real(name, static_cast<float>(otherwise)));
      if (!reader.has(index)) return otherwise;
      const Tensor own = operand(reader, index);
      if (own.size() != 1 || own.dtype() != result.dtype()) reader.fail("a bound of another type");
      return own.data<T>()[0];
    };
    const T least = bound(1, "min", std::numeric_limits<T>::lowest());
    const T most = bound(2, "max", std::numeric_limits<T>::max());
    for (T& x : result.data<T>()) x = std::min(std::max(x, least), most);
    return result;
  });
}

/// As often as the batch has images, a first dimension of 1 stays as it is: it goes with any number of them.
Tensor fold_tile(NodeReader& reader) {
  const Tensor data = operand(reader, 0);
  std::vector<std::int64_t> repeats = reader.integers(1, /*batch=*/true);
  if (repeats.size() != data.rank()) reader.fail("repeats do not fit the input's dimensions");
  if (!repeats.empty() && batches_in(repeats[0]) == 1) {
    if (data.dim(0) != 1) throw Unsupported{"to the size of the batch, of more than one image"};
    repeats[0] = 1;
  }
  constexpr std::int64_t kLargest = std::numeric_limits<std::int32_t>::max();
  Shape shape = data.shape();
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (batches_in(repeats[i]) > 0) throw Unsupported{"to a size that depends on the batch"};
    if (repeats[i] < 0 || repeats[i] > kLargest / std::max<std::int64_t>(shape[i], 1))
      reader.fail(fmt::format("{} repeats", repeats[i]));
    shape[i] *= repeats[i];
  }
  // Each dimension twice: how often, and what of the tensor.
  Tensor result = result_of(reader, shape, data.dtype());
  const std::vector<std::int64_t> own = row_major(data.shape());
  const std::size_t unit = size_of(data.dtype());
  std::vector<std::int64_t> index(shape.size(), 0);
  for (std::int64_t i = 0; i < result.size(); ++i) {
    std::int64_t from = 0;
    for (std::size_t axis = 0; axis < shape.size(); ++axis) from += index[axis] % data.dim(axis) * own[axis];
    std::copy_n(data.raw() + static_cast<std::size_t>(from) * unit, unit,
                result.raw() + static_cast<std::size_t>(i) * unit);
    for (std::size_t axis = shape.size(); axis-- > 0;) {
      if (++index[axis] < shape[axis]) break;
      index[axis] = 0;
    }
  }
  return result;
}

Tensor fold_cumulative_sum(NodeReader& reader) {
  Tensor result = operand(reader, 0);
  const std::vector<std::int64_t> axes = [&] {
    const Tensor axis = operand(reader, 1);
    if (axis.size() != 1) reader.fail("not one axis");
    if (axis.dtype() == DType::kInt64) return std::vector{axis.data<std::int64_t>()[0]};
    if (axis.dtype() == DType::kInt32) return std::vector{std::int64_t{axis.data<std::int32_t>()[0]}};
    reader.fail("an axis that is no integer");
  }();
  const std::size_t axis = reader.axis(axes[0], result.rank());
  if (reader.attributes.integer("exclusive", 0) != 0 || reader.attributes.integer("reverse", 0) != 0)
    throw Unsupported{"exclusive or in reverse"};
  expect_no_batch(result);
  const std::int64_t step = row_major(result.shape())[axis];
  const std::int64_t size = result.dim(axis);
  return of_type(result, [&](auto element) {
    using T = decltype(element);
    const auto values = result.data<T>();
    for (std::int64_t i = 0; i < result.size(); ++i) {
      if (i / step % size == 0) continue;
      T& x = values[static_cast<std::size_t>(i)];
      const T before = values[static_cast<std::size_t>(i - step)];
      if constexpr (std::is_same_v<T, float>) {
        x += before;
      } else if (__builtin_add_overflow(x, before, &x)) {
        reader.fail("integers overflow");
      }
    }
    return result;
  });
}

/// Along a last dimension of its own.
Tensor fold_one_hot(NodeReader& reader) {
  const Tensor indices = operand(reader, 0);
  const Tensor depth = operand(reader, 1);
  const Tensor values = operand(reader, 2);
  if (reader.attributes.integer("axis", -1) != -1) throw Unsupported{"along another axis than a last one"};
  if (indices.dtype() != DType::kInt64 || depth.dtype() != DType::kInt64 || depth.size() != 1 ||
      values.size() != 2)
    throw Unsupported{"constants of " + to_string(indices.dtype())};
  const std::int64_t size = depth.data<std::int64_t>()[0];
  Shape shape = indices.shape();
  shape.push_back(size);
  Tensor result =
      take(values, sizes(reader, shape, values.dtype()), 0, std::vector<std::int64_t>(shape.size(), 0));
  const std::size_t unit = size_of(values.dtype());
  for (std::int64_t i = 0; i < indices.size(); ++i) {
    std::int64_t index = indices.data<std::int64_t>()[static_cast<std::size_t>(i)];
    if (index < 0) index += size;
    if (index < 0 || index >= size) continue;
    std::copy_n(values.raw() + unit, unit, result.raw() + static_cast<std::size_t>(i * size + index) * unit);
  }
  return result;
}

/// In double, rounded once.
Tensor fold_reduction(NodeReader& reader) {
  const Tensor data = operand(reader, 0);
  const std::string& type = reader.node.op_type();
  expect_no_batch(data);
  const auto wanted = read_axes(reader, data.rank(), type == "ReduceSum" ? 13 : 18);
  const bool keep = reader.attributes.integer("keepdims", 1) != 0;
  const bool nothing = reader.attributes.integer("noop_with_empty_axes", 0) != 0;
  if (nothing && (!wanted || wanted->empty())) return data;
  std::vector<bool> reduced(data.rank(), !wanted || wanted->empty());
  for (const std::size_t axis : wanted.value_or(std::vector<std::size_t>{})) reduced[axis] = true;
  Shape kept;
  Shape ones;
  for (std::size_t i = 0; i < data.rank(); ++i) {
    ones.push_back(reduced[i] ? 1 : data.dim(i));
    if (keep || !reduced[i]) kept.push_back(ones.back());
  }
  if (data.size() == 0) throw Unsupported{"of nothing"};
  const bool product = type == "ReduceProd";
  const bool most = type == "ReduceMax";
  const bool least = type == "ReduceMin";
  const bool squares = type == "ReduceL2" || type == "ReduceSumSquare";
  std::vector<std::int64_t> strides = row_major(ones);
  for (std::size_t i = 0; i < reduced.size(); ++i) {
    if (reduced[i]) strides[i] = 0;
  }
  const std::vector<std::int64_t> own = row_major(data.shape());
  reader.importer.budget().charge(static_cast<std::uint64_t>(element_count(ones)) * sizeof(double));
  reader.importer.budget().work(data.size_bytes());
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  std::vector<double> sums(static_cast<std::size_t>(element_count(ones)), product ? 1.0
                                                                          : most  ? -kInfinity
                                                                          : least ? kInfinity
                                                                                  : 0.0);
  const double count = static_cast<double>(data.size()) / static_cast<double>(sums.size());
  return of_type(data, [&](auto element) {
    using T = decltype(element);
    for (std::int64_t i = 0; i < data.size(); ++i) {
      std::int64_t to = 0;
      for (std::size_t axis = 0; axis < own.size(); ++axis)
        to += i / own[axis] % data.dim(axis) * strides[axis];
      double& sum = sums[static_cast<std::size_t>(to)];
      const auto x = static_cast<double>(data.data<T>()[static_cast<std::size_t>(i)]);
      sum = product ? sum * x
            : most  ? std::max(sum, x)
            : least ? std::min(sum, x)
                    : sum + (squares ? x * x : x);
    }
    Tensor result = result_of(reader, kept, data.dtype());
    const auto target = result.data<T>();
    for (std::size_t i = 0; i < sums.size(); ++i) {
      double value = sums[i];
      if (type == "ReduceMean") value = std::is_same_v<T, float> ? value / count : std::trunc(value / count);
      if (type == "ReduceL2") value = std::sqrt(value);
      if (!std::is_same_v<T, float> && !(std::abs(value) < 0x1p53)) reader.fail("integers overflow");
      target[i] = static_cast<T>(value);
    }
    return result;
  });
}

}  // namespace

Fold find_series_fold(const std::string& type) {
  if (type == "Min" || type == "Max") return fold_extreme;
  if (type == "Clip") return fold_clip;
  if (type == "Tile") return fold_tile;
  if (type == "CumSum") return fold_cumulative_sum;
  if (type == "OneHot") return fold_one_hot;
  static constexpr std::string_view kReductions[] = {"ReduceL2",  "ReduceMax",  "ReduceMean",     "ReduceMin",
                                                     "ReduceSum", "ReduceProd", "ReduceSumSquare"};
  if (std::ranges::count(kReductions, type) > 0) return fold_reduction;
  static constexpr std::string_view kFunctions[] = {"Abs",  "Ceil",       "Cos",      "Exp",   "Log",
                                                    "Neg",  "Reciprocal", "Relu",     "Round", "Sigmoid",
                                                    "Sign", "Sin",        "Softplus", "Tanh"};
  if (std::ranges::count(kFunctions, type) > 0) return fold_function;
  return nullptr;
}

}  // namespace octavo::onnx_format
