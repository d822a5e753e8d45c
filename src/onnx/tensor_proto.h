/// TensorProto to Tensor and back, and what every message about a file needs.
#pragma once

#include <onnx/onnx_pb.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "octavo/core/tensor.h"

namespace octavo::onnx_format {

/// Metadata keys with this prefix hold the integer range of a constant that its values do not show:
/// "octavo.range.<value name>" = "<qmin>,<qmax>". They exist in files only, never in Graph::metadata.
inline constexpr std::string_view kRangePrefix = "octavo.range.";

/// `name` fit for a message: control characters as "\x1b", long names cut.
std::string printable(std::string_view name);

/// Element type (booleans are uint8) and dimensions, checked: none negative, less than 2^31 elements.
std::pair<DType, Shape> read_type(const onnx::TensorProto& proto, const std::string& what);

/// A tensor of the type and shape of `proto`, to be filled with its raw data. Throws kBadInput, before
/// anything is allocated, if `raw_bytes` are not as many as it needs; kUnsupported as read_tensor() does.
Tensor tensor_of_size(const onnx::TensorProto& proto, std::uint64_t raw_bytes, const std::string& what);

/// The tensor's contents, booleans as uint8. `what` names it in errors: "model.onnx: initializer 'w'". All
/// sizes are checked against the bytes that are there before anything is allocated. Throws kBadInput on
/// inconsistent sizes, kUnsupported on external data and element types that Octavo does not have.
Tensor read_tensor(const onnx::TensorProto& proto, const std::string& what);

/// Name, type, dimensions and raw data.
void write_tensor(const Tensor& tensor, const std::string& name, onnx::TensorProto& proto);

onnx::TensorProto::DataType data_type(DType dtype);

}  // namespace octavo::onnx_format
