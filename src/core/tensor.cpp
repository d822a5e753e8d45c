#include "octavo/core/tensor.h"

#include <fmt/format.h>

#include <cstring>
#include <limits>
#include <utility>

#include "octavo/core/error.h"

namespace octavo {

std::int64_t element_count(const Shape& shape) {
  std::int64_t count = 1;
  for (const std::int64_t dim : shape) {
    if (dim < 0)
      throw Error(ErrorCode::kBadInput, "tensor", "dynamic or negative dimension in " + to_string(shape));
    if (dim != 0 && count > std::numeric_limits<std::int64_t>::max() / dim) {
      throw Error(ErrorCode::kBadInput, "tensor", "more than 2^63 elements in " + to_string(shape));
    }
    count *= dim;
  }
  return count;
}

std::vector<std::int64_t> row_major(const Shape& shape) {
  std::vector<std::int64_t> strides(shape.size());
  std::int64_t stride = 1;
  for (std::size_t i = shape.size(); i-- > 0; stride *= shape[i]) strides[i] = stride;
  return strides;
}

std::string to_string(const Shape& shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (i > 0) text += ", ";
    text += shape[i] == kDynamic ? std::string("N") : std::to_string(shape[i]);
  }
  return text + "]";
}

std::size_t size_of(DType dtype) {
  switch (dtype) {
    case DType::kInt8:
    case DType::kUInt8:
      return 1;
    case DType::kFloat32:
    case DType::kInt32:
      return 4;
    case DType::kInt64:
      return 8;
  }
  throw Error(ErrorCode::kInternal, "tensor", "unknown element type");
}

std::string to_string(DType dtype) {
  switch (dtype) {
    case DType::kFloat32:
      return "float32";
    case DType::kInt8:
      return "int8";
    case DType::kUInt8:
      return "uint8";
    case DType::kInt32:
      return "int32";
    case DType::kInt64:
      return "int64";
  }
  throw Error(ErrorCode::kInternal, "tensor", "unknown element type");
}

Tensor::Tensor(Shape shape, DType dtype)
    : shape_(std::move(shape)), dtype_(dtype), size_(element_count(shape_)) {
  if (static_cast<std::size_t>(size_) > (std::numeric_limits<std::size_t>::max() >> 1) / size_of(dtype)) {
    throw Error(ErrorCode::kBadInput, "tensor", "too large: " + to_string(shape_));
  }
  if (size_bytes() == 0) return;
  buffer_ = allocate_memory(size_bytes());
  std::memset(buffer_.get(), 0, size_bytes());
}

Tensor::Tensor(const Tensor& other) : Tensor(other.shape_, other.dtype_) {
  if (other.buffer_) std::memcpy(buffer_.get(), other.buffer_.get(), size_bytes());
}

Tensor& Tensor::operator=(const Tensor& other) {
  if (this != &other) *this = Tensor(other);
  return *this;
}

Tensor::Tensor(Tensor&& other) noexcept
    : shape_(std::exchange(other.shape_, {})),
      dtype_(std::exchange(other.dtype_, DType::kFloat32)),
      size_(std::exchange(other.size_, 0)),
      buffer_(std::move(other.buffer_)) {}

Tensor& Tensor::operator=(Tensor&& other) noexcept {
  Tensor taken(std::move(other));
  shape_.swap(taken.shape_);
  dtype_ = taken.dtype_;
  size_ = taken.size_;
  buffer_.swap(taken.buffer_);
  return *this;
}

Tensor Tensor::reshaped(Shape shape) const {
  if (element_count(shape) != size_) {
    throw Error(ErrorCode::kInternal, "tensor",
                fmt::format("cannot view {} as {}", to_string(shape_), to_string(shape)));
  }
  Tensor result(*this);
  result.shape_ = std::move(shape);
  return result;
}

bool operator==(const Tensor& a, const Tensor& b) {
  return a.shape_ == b.shape_ && a.dtype_ == b.dtype_ &&
         (a.size_bytes() == 0 || std::memcmp(a.raw(), b.raw(), a.size_bytes()) == 0);
}

void Tensor::require(DType dtype) const {
  if (dtype == dtype_) return;
  throw Error(ErrorCode::kInternal, "tensor",
              fmt::format("read as {} but holds {}", to_string(dtype), to_string(dtype_)));
}

void Tensor::assign(const void* source, std::size_t bytes) {
  if (bytes != size_bytes()) {
    throw Error(ErrorCode::kInternal, "tensor",
                fmt::format("{} bytes do not fill {}", bytes, to_string(shape_)));
  }
  if (bytes > 0) std::memcpy(buffer_.get(), source, bytes);
}

Tensor transposed(const Tensor& matrix) {
  check_internal(matrix.rank() == 2, "transposed: not a matrix");
  Tensor result({matrix.dim(1), matrix.dim(0)}, matrix.dtype());
  const auto rows = static_cast<std::size_t>(matrix.dim(0));
  const auto columns = static_cast<std::size_t>(matrix.dim(1));
  const std::size_t bytes = size_of(matrix.dtype());
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t c = 0; c < columns; ++c) {
      std::memcpy(result.raw() + (c * rows + r) * bytes, matrix.raw() + (r * columns + c) * bytes, bytes);
    }
  }
  return result;
}

}  // namespace octavo
