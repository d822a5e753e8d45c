#include "tensor_proto.h"

#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "octavo/core/error.h"

namespace octavo::onnx_format {
namespace {

static_assert(std::endian::native == std::endian::little, "raw_data is little-endian");

using onnx::TensorProto;

DType element_type(const TensorProto& proto, const std::string& what) {
  switch (proto.data_type()) {
    case TensorProto::FLOAT:
      return DType::kFloat32;
    case TensorProto::INT8:
      return DType::kInt8;
    case TensorProto::UINT8:
    case TensorProto::BOOL:
      return DType::kUInt8;
    case TensorProto::INT32:
      return DType::kInt32;
    case TensorProto::INT64:
      return DType::kInt64;
    case TensorProto::UNDEFINED:
      throw Error(ErrorCode::kBadInput, what, "has no element type");
    default:
      throw Error(
          ErrorCode::kUnsupported, what,
          fmt::format("element type {}; expected float32, int8, uint8, int32 or int64",
                      onnx::TensorProto_DataType_IsValid(proto.data_type())
                          ? TensorProto::DataType_Name(static_cast<TensorProto::DataType>(proto.data_type()))
                          : std::to_string(proto.data_type())));
  }
}

Shape dimensions(const TensorProto& proto, const std::string& what) {
  constexpr int kMaxRank = 8;
  if (proto.dims_size() > kMaxRank) {
    throw Error(ErrorCode::kBadInput, what,
                fmt::format("{} dimensions; expected at most {}", proto.dims_size(), kMaxRank));
  }
  Shape shape(proto.dims().begin(), proto.dims().end());
  // Zero hides the size of the other dimensions from the product, so they are checked one by one.
  constexpr std::int64_t kMaxElements = std::numeric_limits<std::int32_t>::max();
  std::int64_t count = 1;
  for (const std::int64_t dim : shape) {
    if (dim < 0 || dim > kMaxElements || count > kMaxElements / std::max<std::int64_t>(dim, 1)) {
      throw Error(ErrorCode::kBadInput, what,
                  fmt::format("dimensions [{}]; expected none below 0 and less than 2^31 elements",
                              fmt::join(shape, ", ")));
    }
    count *= std::max<std::int64_t>(dim, 1);
  }
  return shape;
}

/// Copies a typed repeated field, as small or hand-made files use instead of raw_data.
template <typename T, typename Field>
void copy_field(const Field& field, Tensor& tensor, const std::string& what) {
  const auto target = tensor.data<T>();
  for (std::size_t i = 0; i < target.size(); ++i) {
    const auto value = field[static_cast<int>(i)];
    if constexpr (std::is_integral_v<T>) {
      if (value < std::numeric_limits<T>::min() || value > std::numeric_limits<T>::max()) {
        throw Error(ErrorCode::kBadInput, what,
                    fmt::format("value {} does not fit {}", value, to_string(tensor.dtype())));
      }
    }
    target[i] = static_cast<T>(value);
  }
}

}  // namespace

std::string printable(std::string_view name) {
  constexpr std::size_t kLongest = 200;
  std::string text;
  for (const char c : name.substr(0, kLongest)) {
    const auto code = static_cast<unsigned char>(c);
    text += code < 0x20 || code == 0x7f ? fmt::format("\\x{:02x}", code) : std::string(1, c);
  }
  return name.size() > kLongest ? text + "..." : text;
}

TensorProto::DataType data_type(DType dtype) {
  switch (dtype) {
    case DType::kFloat32:
      return TensorProto::FLOAT;
    case DType::kInt8:
      return TensorProto::INT8;
    case DType::kUInt8:
      return TensorProto::UINT8;
    case DType::kInt32:
      return TensorProto::INT32;
    case DType::kInt64:
      return TensorProto::INT64;
  }
  throw Error(ErrorCode::kInternal, "onnx", "unknown element type");
}

std::pair<DType, Shape> read_type(const TensorProto& proto, const std::string& what) {
  if (proto.has_segment()) throw Error(ErrorCode::kUnsupported, what, "is stored in segments");
  return {element_type(proto, what), dimensions(proto, what)};
}

Tensor tensor_of_size(const TensorProto& proto, std::uint64_t raw_bytes, const std::string& what) {
  auto [dtype, shape] = read_type(proto, what);
  const std::uint64_t needed = static_cast<std::uint64_t>(element_count(shape)) * size_of(dtype);
  if (raw_bytes != needed) {
    throw Error(ErrorCode::kBadInput, what,
                fmt::format("shape {} needs {} bytes, got {}", to_string(shape), needed, raw_bytes));
  }
  return Tensor(std::move(shape), dtype);
}

Tensor read_tensor(const TensorProto& proto, const std::string& what) {
  if (proto.data_location() == TensorProto::EXTERNAL || proto.external_data_size() > 0)
    throw Error(ErrorCode::kUnsupported, what, "its data are in another file");
  if (proto.has_raw_data()) {
    Tensor tensor = tensor_of_size(proto, proto.raw_data().size(), what);
    if (tensor.size() > 0) std::memcpy(tensor.raw(), proto.raw_data().data(), tensor.size_bytes());
    return tensor;
  }
  auto [dtype, shape] = read_type(proto, what);
  const std::int64_t count = element_count(shape);
  const auto present = static_cast<std::int64_t>(dtype == DType::kFloat32 ? proto.float_data_size()
                                                 : dtype == DType::kInt64 ? proto.int64_data_size()
                                                                          : proto.int32_data_size());
  if (present != count) {
    throw Error(ErrorCode::kBadInput, what,
                fmt::format("shape {} needs {} values, got {}", to_string(shape), count, present));
  }
  Tensor tensor(std::move(shape), dtype);
  switch (dtype) {
    case DType::kFloat32:
      copy_field<float>(proto.float_data(), tensor, what);
      break;
    case DType::kInt64:
      copy_field<std::int64_t>(proto.int64_data(), tensor, what);
      break;
    case DType::kInt32:
      copy_field<std::int32_t>(proto.int32_data(), tensor, what);
      break;
    case DType::kInt8:
      copy_field<std::int8_t>(proto.int32_data(), tensor, what);
      break;
    case DType::kUInt8:
      copy_field<std::uint8_t>(proto.int32_data(), tensor, what);
      break;
  }
  return tensor;
}

void write_tensor(const Tensor& tensor, const std::string& name, TensorProto& proto) {
  proto.set_name(name);
  proto.set_data_type(data_type(tensor.dtype()));
  for (const std::int64_t dim : tensor.shape()) proto.add_dims(dim);
  proto.set_raw_data(tensor.raw(), tensor.size_bytes());
}

}  // namespace octavo::onnx_format
