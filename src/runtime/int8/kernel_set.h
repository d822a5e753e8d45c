// What the folder of an instruction set has to provide: a set of kernels. A set that forgets one does not
// compile.
#pragma once

#include <concepts>
#include <cstdint>

#include "octavo/core/cpu.h"
#include "runtime/int8/kernels.h"

namespace octavo {

/// Facts about the kernels of type `K`, and a static function for each member of Int8Kernels; what they mean
/// stands there.
template <typename K>
concept Int8KernelSet = requires(const Int8Conv& conv, const Int8Pool& pool, const IntegerBinary& binary,
                                 const IntegerAffine& affine, const QuantParams& params, const Walk& walk,
                                 std::int64_t count, const std::uint8_t* x, std::uint8_t* y, void* any,
                                 const float* real, float* floats, const Int8Product& product,
                                 const IntegerLayerNorm& norm, const IntegerRows& rows, int threads) {
  { K::kIsa } -> std::convertible_to<Isa>;
  { K::kDirect } -> std::convertible_to<Int8Conv::Algorithm>;
  { K::kDirectFew } -> std::convertible_to<Int8Conv::Algorithm>;
  { K::kDirectProductsPerCycle } -> std::convertible_to<double>;
  { K::kWinograd } -> std::convertible_to<bool>;
  { K::conv(conv, count, x, x, any, threads) } -> std::same_as<void>;
  { K::max_pool(pool, count, x, y, threads) } -> std::same_as<void>;
  { K::average_pool(pool, count, x, any, threads) } -> std::same_as<void>;
  { K::binary(binary, walk, x, x, y, threads) } -> std::same_as<void>;
  { K::affine(affine, walk, x, y, threads) } -> std::same_as<void>;
  { K::map(walk, x, x, y, threads) } -> std::same_as<void>;
  { K::quantize(params, count, count, count, real, y, threads) } -> std::same_as<void>;
  { K::dequantize(params, count, x, floats, threads) } -> std::same_as<void>;
  { K::product(product, count, x, x, any, threads) } -> std::same_as<void>;
  { K::layer_norm(norm, count, any, y, threads) } -> std::same_as<void>;
  { K::softmax(rows, count, any, y, threads) } -> std::same_as<void>;
};

/// The table through which the rest of the runtime calls a set.
template <Int8KernelSet K>
constexpr Int8Kernels table_of() {
  return {.isa = K::kIsa,
          .direct = K::kDirect,
          .direct_few = K::kDirectFew,
          .direct_products_per_cycle = K::kDirectProductsPerCycle,
          .winograd = K::kWinograd,
          .conv = K::conv,
          .max_pool = K::max_pool,
          .average_pool = K::average_pool,
          .binary = K::binary,
          .affine = K::affine,
          .map = K::map,
          .quantize = K::quantize,
          .dequantize = K::dequantize,
          .product = K::product,
          .layer_norm = K::layer_norm,
          .softmax = K::softmax};
}

}  // namespace octavo
