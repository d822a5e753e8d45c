/// TensorProto to Tensor and back, and what every message about a file needs.
#pragma once

#include <onnx/onnx_pb.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "octavo/core/tensor.h"

namespace octavo::onnx_format {

/// Metadata keys with this prefix hold the integer range of a constant that its values do not show:
/// "octavo.range.<value name>" = "<qmin>,<qmax>". They exist in files only, never in Graph::metadata.
inline constexpr std::string_view kRangePrefix = "octavo.range.";

/// `name` fit for a message: control characters as "\x1b", long names cut.
std::string printable(std::string_view name);

/// Element types of later versions of ONNX than that of our headers, by their numbers.
inline constexpr std::int32_t kFloat8E4M3Fn = 17;
inline constexpr std::int32_t kFloat8E4M3FnUz = 18;
inline constexpr std::int32_t kFloat8E5M2 = 19;
inline constexpr std::int32_t kFloat8E5M2FnUz = 20;
inline constexpr std::int32_t kUInt4 = 21;
inline constexpr std::int32_t kInt4 = 22;

/// The least and the greatest number of an integer type of 4, 8, 16 or 32 bits. Nothing for other types.
struct IntegerLimits {
  std::int32_t least = 0;
  std::int32_t greatest = 0;
};
std::optional<IntegerLimits> integer_limits(std::int32_t data_type);

/// Whether an element type of ONNX is a floating-point number of 16, 32 or 64 bits, all of which are float32
/// here.
bool is_real(std::int32_t data_type);

/// How the elements of `proto` lie in its raw data, checked: dimensions not negative, less than 2^31
/// elements.
struct StoredType {
  std::int32_t data_type = 0;  ///< ONNX's.
  /// What they are read as: booleans as uint8, all floats as float32, integers of 4 bits as those of 8, of 16
  /// as those of 32.
  DType dtype;
  Shape shape;
  std::uint64_t bytes = 0;  ///< Of the raw data.
};
StoredType read_type(const onnx::TensorProto& proto, const std::string& what);

/// The tensor of `type`, from its raw data: `read` is called once, with memory for type.bytes, and fills it.
/// Throws kBadInput, before anything is allocated, if there are not `raw_bytes` as needed, and for a double
/// beyond float32.
Tensor tensor_from_raw(const StoredType& type, std::uint64_t raw_bytes, const std::string& what,
                       const std::function<void(std::byte* to)>& read);

/// The tensor's contents, as StoredType::dtype says. `what` names it in errors:
/// "model.onnx: initializer 'w'". All sizes are checked against the bytes that are there before anything is
/// allocated. Throws kBadInput on inconsistent sizes, kUnsupported on external data and element types that
/// Octavo does not have.
Tensor read_tensor(const onnx::TensorProto& proto, const std::string& what);

/// Name, type, dimensions and raw data.
void write_tensor(const Tensor& tensor, const std::string& name, onnx::TensorProto& proto);

onnx::TensorProto::DataType data_type(DType dtype);

}  // namespace octavo::onnx_format
