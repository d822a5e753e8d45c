/// The attributes of windows, which files of quantized operators have too.
#pragma once

#include <array>
#include <cstdint>

#include "node_reader.h"
#include "octavo/graph/operators.h"

namespace octavo::onnx_format {

ConvAttributes read_conv(NodeReader& reader, const Shape& x, const Tensor& weight);
PoolAttributes read_average_pool(NodeReader& reader, const Shape& x);

/// MaxPool whose window has gaps.
void convert_dilated_max_pool(NodeReader& reader, const Flow& x, const PoolAttributes& pool,
                              const std::array<std::int64_t, 2>& dilations);

}  // namespace octavo::onnx_format
