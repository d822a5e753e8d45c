/// A tensor in host memory: shape, element type and one owned, 64-byte aligned buffer. A value type.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "octavo/core/memory.h"

namespace octavo {

/// Sizes of the dimensions, outermost first. `kDynamic` stands for a batch size known only when a model runs.
using Shape = std::vector<std::int64_t>;
inline constexpr std::int64_t kDynamic = -1;

/// Number of elements. Throws kBadInput if a dimension is negative or the product does not fit in 63 bits.
std::int64_t element_count(const Shape& shape);

/// By dimension, the elements between neighbours along it in a dense row-major tensor.
std::vector<std::int64_t> row_major(const Shape& shape);

/// "[128, 3, 32, 32]"; a dynamic dimension prints as "N".
std::string to_string(const Shape& shape);

enum class DType : std::uint8_t { kFloat32, kInt8, kUInt8, kInt32, kInt64 };

/// Bytes of one element.
std::size_t size_of(DType dtype);
/// "float32", "int8", ...
std::string to_string(DType dtype);

template <typename T>
struct DTypeOf;
template <>
struct DTypeOf<float> {
  static constexpr DType value = DType::kFloat32;
};
template <>
struct DTypeOf<std::int8_t> {
  static constexpr DType value = DType::kInt8;
};
template <>
struct DTypeOf<std::uint8_t> {
  static constexpr DType value = DType::kUInt8;
};
template <>
struct DTypeOf<std::int32_t> {
  static constexpr DType value = DType::kInt32;
};
template <>
struct DTypeOf<std::int64_t> {
  static constexpr DType value = DType::kInt64;
};

/// Dense, row-major, owned. Copies are deep; moves are cheap and leave an empty tensor behind, as Tensor()
/// makes.
class Tensor {
 public:
  Tensor() = default;
  /// Zero-filled. Throws kBadInput on a dynamic or overflowing shape.
  Tensor(Shape shape, DType dtype);
  Tensor(const Tensor& other);
  Tensor& operator=(const Tensor& other);
  Tensor(Tensor&& other) noexcept;
  Tensor& operator=(Tensor&& other) noexcept;
  ~Tensor() = default;

  /// A tensor holding a copy of `values`, whose size must be that of `shape`.
  template <typename T>
  static Tensor from(Shape shape, std::span<const T> values) {
    Tensor tensor(std::move(shape), DTypeOf<T>::value);
    tensor.assign(values.data(), values.size_bytes());
    return tensor;
  }
  template <typename T>
  static Tensor from(Shape shape, const std::vector<T>& values) {
    return from(std::move(shape), std::span<const T>(values));
  }

  const Shape& shape() const noexcept { return shape_; }
  std::int64_t dim(std::size_t axis) const { return shape_.at(axis); }
  std::size_t rank() const noexcept { return shape_.size(); }
  DType dtype() const noexcept { return dtype_; }
  std::int64_t size() const noexcept { return size_; }
  std::size_t size_bytes() const noexcept { return static_cast<std::size_t>(size_) * size_of(dtype_); }

  /// The elements. Throws kInternal if T is not the element type.
  template <typename T>
  std::span<T> data() {
    require(DTypeOf<T>::value);
    return {reinterpret_cast<T*>(buffer_.get()), static_cast<std::size_t>(size_)};
  }
  template <typename T>
  std::span<const T> data() const {
    require(DTypeOf<T>::value);
    return {reinterpret_cast<const T*>(buffer_.get()), static_cast<std::size_t>(size_)};
  }
  std::byte* raw() noexcept { return buffer_.get(); }
  const std::byte* raw() const noexcept { return buffer_.get(); }

  /// The same elements under another shape of the same size.
  Tensor reshaped(Shape shape) const;

  /// Equal shape, type and bytes.
  friend bool operator==(const Tensor& a, const Tensor& b);

 private:
  void require(DType dtype) const;
  void assign(const void* source, std::size_t bytes);

  Shape shape_;
  DType dtype_ = DType::kFloat32;
  std::int64_t size_ = 0;
  std::unique_ptr<std::byte[], FreeMemory> buffer_;
};

/// [K, M] as [M, K]. Throws kInternal for another rank.
Tensor transposed(const Tensor& matrix);

}  // namespace octavo
