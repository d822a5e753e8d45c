#include "tensor_proto.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <span>
#include <type_traits>
#include <vector>

#include "octavo/core/error.h"

namespace octavo::onnx_format {
namespace {

static_assert(std::endian::native == std::endian::little, "raw_data is little-endian");

using onnx::TensorProto;

DType element_type(const TensorProto& proto, const std::string& what) {
  switch (proto.data_type()) {
    case TensorProto::FLOAT:
    case TensorProto::FLOAT16:
    case TensorProto::BFLOAT16:
    case TensorProto::DOUBLE:
    case kFloat8E4M3Fn:
    case kFloat8E4M3FnUz:
    case kFloat8E5M2:
    case kFloat8E5M2FnUz:
      return DType::kFloat32;
    case TensorProto::INT8:
    case kInt4:
      return DType::kInt8;
    case TensorProto::UINT8:
    case TensorProto::BOOL:
    case kUInt4:
      return DType::kUInt8;
    case TensorProto::INT32:
    case TensorProto::INT16:
    case TensorProto::UINT16:
      return DType::kInt32;
    case TensorProto::INT64:
      return DType::kInt64;
    case TensorProto::UNDEFINED:
      throw Error(ErrorCode::kBadInput, what, "has no element type");
    default:
      throw Error(
          ErrorCode::kUnsupported, what,
          fmt::format("element type {}; expected floats of 8 to 64 bits, integers of 4 to 32 or int64",
                      onnx::TensorProto_DataType_IsValid(proto.data_type())
                          ? TensorProto::DataType_Name(static_cast<TensorProto::DataType>(proto.data_type()))
                          : std::to_string(proto.data_type())));
  }
}

std::size_t stored_bits(std::int32_t type, DType dtype) {
  switch (type) {
    case kInt4:
    case kUInt4:
      return 4;
    case kFloat8E4M3Fn:
    case kFloat8E4M3FnUz:
    case kFloat8E5M2:
    case kFloat8E5M2FnUz:
      return 8;
    case TensorProto::FLOAT16:
    case TensorProto::BFLOAT16:
    case TensorProto::INT16:
    case TensorProto::UINT16:
      return 16;
    case TensorProto::DOUBLE:
      return 64;
    default:
      return 8 * size_of(dtype);
  }
}

bool is_float8(std::int32_t type) { return type >= kFloat8E4M3Fn && type <= kFloat8E5M2FnUz; }

/// Of 8 bits: 4 of exponent and 3 of fraction, or 5 and 2. "Fn" has no infinity, "Uz" no -0 but NaN in its
/// place, and an exponent that is one less.
float from_float8(std::uint8_t bits, std::int32_t type) {
  const bool wide = type == kFloat8E5M2 || type == kFloat8E5M2FnUz;
  const bool unsigned_zero = type == kFloat8E4M3FnUz || type == kFloat8E5M2FnUz;
  const int fraction_bits = wide ? 2 : 3;
  const int exponent = (bits & 127) >> fraction_bits;
  const int fraction = bits & ((1 << fraction_bits) - 1);
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  if (unsigned_zero && bits == 128) return kNan;
  if (type == kFloat8E4M3Fn && (bits & 127) == 127) return kNan;
  float value = 0;
  if (type == kFloat8E5M2 && exponent == 31) {
    value = fraction == 0 ? std::numeric_limits<float>::infinity() : kNan;
  } else {
    const int bias = (wide ? 15 : 7) + (unsigned_zero ? 1 : 0);
    const int implied = exponent == 0 ? 0 : 1 << fraction_bits;
    value = std::ldexp(static_cast<float>(fraction + implied), std::max(exponent, 1) - bias - fraction_bits);
  }
  return bits >> 7 != 0 ? -value : value;
}

/// Integers of 4 bits, two in a byte, the low half first.
template <typename T>
void unpack(std::span<const std::byte> packed, std::span<T> target) {
  for (std::size_t i = 0; i < target.size(); ++i) {
    const int both = std::to_integer<int>(packed[i / 2]);
    const int half = i % 2 == 0 ? both & 15 : both >> 4;
    target[i] = static_cast<T>(std::is_signed_v<T> && half > 7 ? half - 16 : half);
  }
}

/// IEEE 754 binary16: 1 bit of sign, 5 of exponent, 10 of fraction.
float from_half(std::uint16_t bits) {
  const int exponent = bits >> 10 & 31;
  const int fraction = bits & 1023;
  float value = 0;
  if (exponent == 31) {
    value = fraction == 0 ? std::numeric_limits<float>::infinity() : std::numeric_limits<float>::quiet_NaN();
  } else {
    value = exponent == 0 ? std::ldexp(static_cast<float>(fraction), -24)
                          : std::ldexp(static_cast<float>(fraction + 1024), exponent - 25);
  }
  return bits >> 15 != 0 ? -value : value;
}

/// The upper half of a float32.
float from_bfloat16(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

float from_double(double value, const std::string& what) {
  if (std::isfinite(value) && std::abs(value) > static_cast<double>(std::numeric_limits<float>::max()))
    throw Error(ErrorCode::kBadInput, what, fmt::format("value {} does not fit float32", value));
  return static_cast<float>(value);
}

/// Numbers of another size, from raw data.
template <typename Stored, typename T, typename Convert>
void convert_raw(const std::vector<std::byte>& raw, std::span<T> target, const Convert& convert) {
  for (std::size_t i = 0; i < target.size(); ++i) {
    Stored stored;
    std::memcpy(&stored, raw.data() + i * sizeof stored, sizeof stored);
    target[i] = convert(stored);
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

std::optional<IntegerLimits> integer_limits(std::int32_t data_type) {
  switch (data_type) {
    case kInt4:
      return IntegerLimits{-8, 7};
    case kUInt4:
      return IntegerLimits{0, 15};
    case TensorProto::INT8:
      return IntegerLimits{-128, 127};
    case TensorProto::UINT8:
      return IntegerLimits{0, 255};
    case TensorProto::INT16:
      return IntegerLimits{-32768, 32767};
    case TensorProto::UINT16:
      return IntegerLimits{0, 65535};
    case TensorProto::INT32:
      return IntegerLimits{std::numeric_limits<std::int32_t>::min(),
                           std::numeric_limits<std::int32_t>::max()};
    default:
      return std::nullopt;
  }
}

bool is_real(std::int32_t data_type) {
  return data_type == TensorProto::FLOAT || data_type == TensorProto::FLOAT16 ||
         data_type == TensorProto::BFLOAT16 || data_type == TensorProto::DOUBLE;
}

StoredType read_type(const TensorProto& proto, const std::string& what) {
  if (proto.has_segment()) throw Error(ErrorCode::kUnsupported, what, "is stored in segments");
  StoredType type{
      .data_type = proto.data_type(), .dtype = element_type(proto, what), .shape = dimensions(proto, what)};
  type.bytes =
      (static_cast<std::uint64_t>(element_count(type.shape)) * stored_bits(type.data_type, type.dtype) + 7) /
      8;
  return type;
}

Tensor tensor_from_raw(const StoredType& type, std::uint64_t raw_bytes, const std::string& what,
                       const std::function<void(std::byte* to)>& read) {
  if (raw_bytes != type.bytes) {
    throw Error(ErrorCode::kBadInput, what,
                fmt::format("shape {} needs {} bytes, got {}", to_string(type.shape), type.bytes, raw_bytes));
  }
  Tensor tensor(type.shape, type.dtype);
  if (tensor.size() == 0) return tensor;
  if (stored_bits(type.data_type, type.dtype) == 8 * size_of(type.dtype)) {
    read(tensor.raw());
    return tensor;
  }
  std::vector<std::byte> raw(type.bytes);
  read(raw.data());
  switch (type.data_type) {
    case kInt4:
      unpack(raw, tensor.data<std::int8_t>());
      break;
    case kUInt4:
      unpack(raw, tensor.data<std::uint8_t>());
      break;
    case TensorProto::INT16:
      convert_raw<std::int16_t>(raw, tensor.data<std::int32_t>(), [](std::int16_t value) { return value; });
      break;
    case TensorProto::UINT16:
      convert_raw<std::uint16_t>(raw, tensor.data<std::int32_t>(), [](std::uint16_t value) { return value; });
      break;
    case TensorProto::DOUBLE:
      convert_raw<double>(raw, tensor.data<float>(), [&](double value) { return from_double(value, what); });
      break;
    case TensorProto::FLOAT16:
      convert_raw<std::uint16_t>(raw, tensor.data<float>(), from_half);
      break;
    case TensorProto::BFLOAT16:
      convert_raw<std::uint16_t>(raw, tensor.data<float>(), from_bfloat16);
      break;
    default:
      convert_raw<std::uint8_t>(raw, tensor.data<float>(),
                                [&](std::uint8_t bits) { return from_float8(bits, type.data_type); });
  }
  return tensor;
}

Tensor read_tensor(const TensorProto& proto, const std::string& what) {
  if (proto.data_location() == TensorProto::EXTERNAL || proto.external_data_size() > 0)
    throw Error(ErrorCode::kUnsupported, what, "its data are in another file");
  const StoredType type = read_type(proto, what);
  if (proto.has_raw_data()) {
    return tensor_from_raw(type, proto.raw_data().size(), what, [&](std::byte* to) {
      std::memcpy(to, proto.raw_data().data(), proto.raw_data().size());
    });
  }
  const bool packed = type.data_type == kInt4 || type.data_type == kUInt4;
  const std::int64_t elements = element_count(type.shape);
  const std::int64_t count = packed ? (elements + 1) / 2 : elements;
  // Floats of 8 and 16 bits lie in the field of int32 as their bits, integers of 4 two at a time.
  const auto present =
      static_cast<std::int64_t>(type.data_type == TensorProto::FLOAT    ? proto.float_data_size()
                                : type.data_type == TensorProto::DOUBLE ? proto.double_data_size()
                                : type.dtype == DType::kInt64           ? proto.int64_data_size()
                                                                        : proto.int32_data_size());
  if (present != count) {
    throw Error(ErrorCode::kBadInput, what,
                fmt::format("shape {} needs {} values, got {}", to_string(type.shape), count, present));
  }
  Tensor tensor(type.shape, type.dtype);
  if (packed) {
    std::vector<std::byte> bytes(static_cast<std::size_t>(count));
    std::ranges::transform(proto.int32_data(), bytes.begin(),
                           [](std::int32_t both) { return static_cast<std::byte>(both & 255); });
    if (type.dtype == DType::kInt8) {
      unpack(bytes, tensor.data<std::int8_t>());
    } else {
      unpack(bytes, tensor.data<std::uint8_t>());
    }
    return tensor;
  }
  switch (type.dtype) {
    case DType::kFloat32:
      if (type.data_type == TensorProto::FLOAT) {
        copy_field<float>(proto.float_data(), tensor, what);
      } else if (type.data_type == TensorProto::DOUBLE) {
        std::ranges::transform(proto.double_data(), tensor.data<float>().begin(),
                               [&](double value) { return from_double(value, what); });
      } else if (is_float8(type.data_type)) {
        std::ranges::transform(proto.int32_data(), tensor.data<float>().begin(), [&](std::int32_t bits) {
          return from_float8(static_cast<std::uint8_t>(bits), type.data_type);
        });
      } else {
        const bool half = type.data_type == TensorProto::FLOAT16;
        std::ranges::transform(proto.int32_data(), tensor.data<float>().begin(), [&](std::int32_t value) {
          const auto bits = static_cast<std::uint16_t>(value);
          return half ? from_half(bits) : from_bfloat16(bits);
        });
      }
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
