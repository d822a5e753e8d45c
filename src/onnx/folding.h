/// What the files that compute constants at import share.
#pragma once

#include <fmt/format.h>

#include <optional>
#include <string>
#include <vector>

#include "node_reader.h"
#include "octavo/graph/elementwise.h"

namespace octavo::onnx_format {

/// Computes the output of a node whose operands are constants.
using Fold = Tensor (*)(NodeReader&);

/// Add, Sub, Mul, Div, Sqrt, Floor, Cast, Where, comparisons and logic; null for others.
Fold find_arithmetic_fold(const std::string& type);
/// Mod, Pow, Range, ScatterND; null for others.
Fold find_index_fold(const std::string& type);

/// Min, Max, Clip, Tile, CumSum, OneHot, reductions, functions of each number; null for others.
Fold find_series_fold(const std::string& type);

/// MatMul, BatchNormalization, Conv, Softmax; null for others.
Fold find_layer_fold(const std::string& type);

/// Sizes that a constant is to have: none negative, charged before anything is allocated. Dimensions are
/// bounded one by one and together, also where one of them is zero: loops and strides may rely on it.
Shape sizes(const NodeReader& reader, std::vector<std::int64_t> wanted, DType dtype);

/// A tensor to be filled, paid for.
Tensor result_of(const NodeReader& reader, const Shape& shape, DType dtype);

/// The node's operand as it is stored, or in float32 where it stands for real numbers.
Tensor operand(const NodeReader& reader, int index);

/// `source`, repeated along the dimensions where `shape` has more.
Tensor spread(const NodeReader& reader, const Tensor& source, const Shape& shape);

/// body(a, b) for each pair of elements of two tensors of type T, broadcast.
template <typename T, typename Body>
Tensor broadcast(const NodeReader& reader, const Tensor& a, const Tensor& b, const Body& body) {
  const std::optional<Shape> shape = broadcast_shapes(a.shape(), b.shape());
  if (!shape) {
    reader.fail(fmt::format("shapes {} and {} do not broadcast", to_string(a.shape()), to_string(b.shape())));
  }
  Tensor result = spread(reader, a, *shape);
  const Tensor right = spread(reader, b, *shape);
  const auto target = result.data<T>();
  for (std::size_t i = 0; i < target.size(); ++i) target[i] = body(target[i], right.data<T>()[i]);
  return result;
}

}  // namespace octavo::onnx_format
