#include "batch_view.h"

#include <fmt/format.h>

#include <algorithm>

namespace octavo::onnx_format {
namespace {

/// Dimensions of the value that stand for the file's dimension of the batch, without the batch itself.
std::vector<std::int64_t> merged(const BatchView& view) {
  std::vector<std::int64_t> sizes;
  for (const std::int64_t size : {view.outer, view.inner}) {
    if (size != 1) sizes.push_back(size);
  }
  return sizes;
}

std::int64_t product(const Shape& shape, std::size_t first, std::size_t end) {
  std::int64_t result = 1;
  for (std::size_t i = first; i < end; ++i) result *= shape[i];
  return result;
}

}  // namespace

std::string describe(const BatchView& view) {
  if (!view.position) return "without a batch";
  if (view.outer == 1 && view.inner == 1)
    return fmt::format("with the batch in dimension {}", *view.position);
  return fmt::format("with the batch merged into dimension {}", *view.position);
}

std::size_t file_rank(std::size_t rank, const BatchView& view) {
  return view.position ? rank - merged(view).size() : rank - 1;
}

Shape file_shape(const Shape& value, const BatchView& view) {
  Shape result(value.begin() + 1, value.end());
  if (!view.position) return result;
  const auto at = result.begin() + static_cast<std::ptrdiff_t>(*view.position);
  const auto first = result.erase(at, at + static_cast<std::ptrdiff_t>(merged(view).size()));
  result.insert(first, view.outer * view.inner);
  return result;
}

Shape value_shape(const Shape& file, const BatchView& view) {
  Shape result = file;
  if (view.position) {
    const auto at = result.erase(result.begin() + static_cast<std::ptrdiff_t>(*view.position));
    const std::vector<std::int64_t> sizes = merged(view);
    result.insert(at, sizes.begin(), sizes.end());
  }
  result.insert(result.begin(), kDynamic);
  return result;
}

std::optional<std::size_t> value_axis(std::size_t axis, const BatchView& view) {
  if (!view.position || axis < *view.position) return axis + 1;
  if (axis == *view.position) return std::nullopt;
  return axis + merged(view).size();
}

TransposedView transposed_view(std::size_t rank, const BatchView& view,
                               const std::vector<std::int64_t>& permutation) {
  TransposedView result{.view = view, .permutation = {0}};
  result.permutation.reserve(rank);
  for (std::size_t i = 0; i < permutation.size(); ++i) {
    const auto from = static_cast<std::size_t>(permutation[i]);
    if (const auto axis = value_axis(from, view)) {
      result.permutation.push_back(static_cast<std::int64_t>(*axis));
      continue;
    }
    result.view.position = i;
    for (std::size_t k = 0; k < merged(view).size(); ++k)
      result.permutation.push_back(static_cast<std::int64_t>(from + 1 + k));
  }
  return result;
}

std::optional<BatchView> reshaped_view(const Shape& from, const BatchView& view, const Shape& to,
                                       std::size_t position) {
  // Elements of one image before and behind the batch.
  const std::size_t own = view.position.value_or(0);
  const std::int64_t before = view.position ? product(from, 0, own) * view.outer : 1;
  const std::int64_t behind =
      view.position ? product(from, own + 1, from.size()) * view.inner : product(from, 0, from.size());
  const std::int64_t before_there = product(to, 0, position);
  const std::int64_t behind_there = product(to, position + 1, to.size());
  if (before % before_there != 0 || behind % behind_there != 0) return std::nullopt;
  const BatchView result{
      .position = position, .outer = before / before_there, .inner = behind / behind_there};
  if (result.outer * result.inner != to[position]) return std::nullopt;
  return result;
}

}  // namespace octavo::onnx_format
