/// What exporters compute the masks of shifted windows with, at import: ranges, elements put in places, and
/// remainders and powers.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "folding.h"
#include "importer.h"

namespace octavo::onnx_format {
namespace {

constexpr std::int64_t kLargest = std::numeric_limits<std::int32_t>::max();

/// Of whole numbers or of floats: start, the end that is not reached, and a step.
Tensor fold_range(NodeReader& reader) {
  const auto count_of = [&](double start, double end, double step) {
    if (step == 0 || !std::isfinite(start) || !std::isfinite(end) || !std::isfinite(step))
      reader.fail(fmt::format("from {} to {} by {}", start, end, step));
    const double count = std::max(std::ceil((end - start) / step), 0.0);
    if (!(count <= static_cast<double>(kLargest))) reader.fail(fmt::format("{} elements", count));
    return static_cast<std::int64_t>(count);
  };
  if (reader.constant(0).tensor->dtype() == DType::kFloat32) {
    const float start = reader.scalar(0);
    const float step = reader.scalar(2);
    Tensor result = result_of(reader, {count_of(start, reader.scalar(1), step)}, DType::kFloat32);
    std::int64_t at = 0;
    for (float& x : result.data<float>()) x = start + step * static_cast<float>(at++);
    return result;
  }
  const auto number = [&](int index) {
    const std::vector<std::int64_t> values = reader.integers(index);
    if (values.size() != 1 || std::abs(values[0]) > kLargest)
      reader.fail(fmt::format("input {} is no number of 32 bits", index));
    return values[0];
  };
  const std::int64_t start = number(0);
  const std::int64_t step = number(2);
  const std::int64_t count =
      count_of(static_cast<double>(start), static_cast<double>(number(1)), static_cast<double>(step));
  if (reader.constant(0).tensor->dtype() != DType::kInt64) throw Unsupported{"of other integers than int64"};
  Tensor result = result_of(reader, {count}, DType::kInt64);
  std::int64_t at = start;
  for (std::int64_t& x : result.data<std::int64_t>()) {
    x = at;
    at += step;
  }
  return result;
}

/// A copy of the first operand, with rows of the third where the second says.
Tensor fold_scatter_nd(NodeReader& reader) {
  if (reader.attributes.text("reduction", "none") != "none") throw Unsupported{"a reduction"};
  Tensor result = operand(reader, 0);
  const Tensor indices = operand(reader, 1);
  const Tensor updates = operand(reader, 2);
  const Shape shape = result.shape();
  if (indices.dtype() != DType::kInt64 || updates.dtype() != result.dtype() || indices.rank() == 0)
    reader.fail("operands of unexpected types");
  const auto depth = static_cast<std::size_t>(indices.shape().back());
  if (indices.shape().back() < 1 || depth > shape.size())
    reader.fail(fmt::format("indices of {} dimensions into {}", depth, to_string(shape)));
  Shape expected(indices.shape().begin(), indices.shape().end() - 1);
  expected.insert(expected.end(), shape.begin() + static_cast<std::ptrdiff_t>(depth), shape.end());
  if (updates.shape() != expected)
    reader.fail(fmt::format("updates of {}; expected {}", to_string(updates.shape()), to_string(expected)));
  if (updates.size() == 0) return result;
  const std::vector<std::int64_t> strides = row_major(shape);
  const std::size_t row = static_cast<std::size_t>(strides[depth - 1]) * size_of(result.dtype());
  const auto places = std::as_const(indices).data<std::int64_t>();
  for (std::size_t i = 0; i < places.size() / depth; ++i) {
    std::int64_t offset = 0;
    for (std::size_t axis = 0; axis < depth; ++axis) {
      std::int64_t index = places[i * depth + axis];
      const std::int64_t size = shape[axis];
      if (index < -size || index >= size)
        reader.fail(fmt::format("index {}; expected {} to {}", index, -size, size - 1));
      if (index < 0) index += size;
      offset += index * strides[axis];
    }
    std::memcpy(result.raw() + static_cast<std::size_t>(offset) * size_of(result.dtype()),
                std::as_const(updates).raw() + i * row, row);
  }
  return result;
}

/// The sign is the divisor's, or with fmod the dividend's.
Tensor fold_mod(NodeReader& reader) {
  const bool truncates = reader.attributes.integer("fmod", 0) != 0;
  const Tensor a = operand(reader, 0);
  const Tensor b = operand(reader, 1);
  if (a.dtype() != b.dtype()) reader.fail("inputs of different types");
  if (a.dtype() == DType::kFloat32 && truncates)
    return broadcast<float>(reader, a, b, [](float x, float y) { return std::fmod(x, y); });
  if (a.dtype() != DType::kInt64) throw Unsupported{"constants of " + to_string(a.dtype())};
  return broadcast<std::int64_t>(reader, a, b, [&](std::int64_t x, std::int64_t y) -> std::int64_t {
    if (y == 0) reader.fail("divides by 0");
    if (batches_in(y) > 0 || (batches_in(x) > 0 && batches_in(x) % y != 0))
      throw Unsupported{"computes with the size of the batch"};
    if (batches_in(x) > 0 || y == -1) return 0;
    const std::int64_t rest = x % y;
    return !truncates && rest != 0 && (rest < 0) != (y < 0) ? rest + y : rest;
  });
}

Tensor fold_pow(NodeReader& reader) {
  const Tensor a = operand(reader, 0);
  const Tensor b = operand(reader, 1);
  if (a.dtype() != DType::kFloat32 || b.dtype() != DType::kFloat32)
    throw Unsupported{"constants of " + to_string(a.dtype()) + " and " + to_string(b.dtype())};
  return broadcast<float>(reader, a, b, [](float x, float y) { return std::pow(x, y); });
}

}  // namespace

Fold find_index_fold(const std::string& type) {
  if (type == "Mod") return fold_mod;
  if (type == "Pow") return fold_pow;
  if (type == "Range") return fold_range;
  if (type == "ScatterND") return fold_scatter_nd;
  return nullptr;
}

}  // namespace octavo::onnx_format
