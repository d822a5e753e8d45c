/// How a tensor of the file lies in a value of the graph. A value has the batch first, always; files of
/// transformers move it between two operators, or merge it with the dimension beside it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "octavo/core/tensor.h"

namespace octavo::onnx_format {

/// Dimension `position` of the file's tensor has the size outer * N * inner: N images, in rows of `inner`,
/// all of them `outer` times. The value has the dimensions [N, those before, outer, inner, those behind],
/// `outer` and `inner` where they are not 1. Without a position the file's batch is one image, and the
/// tensor's dimensions are those of the image alone: the value has them all behind its N.
struct BatchView {
  std::optional<std::size_t> position = 0;
  std::int64_t outer = 1, inner = 1;

  /// The file's tensor is the value.
  bool plain() const { return *this == BatchView{}; }
  friend bool operator==(const BatchView&, const BatchView&) = default;
};

/// Of one image, without a batch.
inline constexpr BatchView kOneImage{.position = std::nullopt};

/// "in dimension 1", for messages.
std::string describe(const BatchView& view);

/// Dimensions of the file's tensor behind a value of `rank` dimensions.
std::size_t file_rank(std::size_t rank, const BatchView& view);
/// Its sizes; that of the batch in images (outer * inner).
Shape file_shape(const Shape& value, const BatchView& view);
/// And back.
Shape value_shape(const Shape& file, const BatchView& view);
/// The value's dimension for one of the file's; nothing for the batch, merged or alone.
std::optional<std::size_t> value_axis(std::size_t axis, const BatchView& view);

/// What becomes of a view when dimension i of the file's tensor is made of its dimension permutation[i], and
/// the value's permutation that makes it true.
struct TransposedView {
  BatchView view;
  std::vector<std::int64_t> permutation;
};
TransposedView transposed_view(std::size_t rank, const BatchView& view,
                               const std::vector<std::int64_t>& permutation);

/// The view of the same elements in the shape `to`, with the batch in dimension `position` of it; both shapes
/// as file_shape() gives them. Nothing if the batch's place among the elements is another there.
std::optional<BatchView> reshaped_view(const Shape& from, const BatchView& view, const Shape& to,
                                       std::size_t position);

}  // namespace octavo::onnx_format
