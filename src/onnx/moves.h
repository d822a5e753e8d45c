/// What the conversion of moves and their folding over constants share.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "node_reader.h"

namespace octavo::onnx_format {

/// Start, end and step within a dimension of `size`, normalized as SliceAttributes has them; an end at or
/// beyond the last element is kWhole. Nothing if they take nothing.
struct SliceBounds {
  std::int64_t start, end, step;
};
std::optional<SliceBounds> slice_bounds(std::int64_t size, std::int64_t start, std::int64_t end,
                                        std::int64_t step);
/// A Slice along `axis` alone of a tensor of `rank` dimensions.
SliceAttributes slice_of(std::size_t rank, std::size_t axis, const SliceBounds& bounds);
/// The operands of a Slice, one entry per axis, in both their forms.
struct SliceOperands {
  std::vector<std::int64_t> starts, ends, axes, steps;
};
SliceOperands read_slice(NodeReader& reader, std::size_t rank);
/// Axes in both forms, the attribute `axes` or, from `operand_since` on, operand 1; sorted, from 0, each
/// once. `rank` is the input's, of Unsqueeze the output's.
std::optional<std::vector<std::size_t>> read_axes(NodeReader& reader, std::size_t rank,
                                                  std::int64_t operand_since = 13);

/// The axes of a reduction of x, operand 1 from `operand_since` on. Nothing if it reduces nothing. Throws
/// Unsupported if it mixes the images of a batch.
std::optional<ReduceAttributes> read_reduction(NodeReader& reader, Flow& x, std::int64_t operand_since);
/// Max or Min of x along axes, one slice after the other, as the node's output.
void reduce_by_slices(NodeReader& reader, ValueId x, const ReduceAttributes& along, Op op);

/// The elements of `source` from `offset` on at `strides`, as a tensor of `shape`.
Tensor take(const Tensor& source, const Shape& shape, std::int64_t offset,
            const std::vector<std::int64_t>& strides);

}  // namespace octavo::onnx_format
