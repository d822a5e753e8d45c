/// The implementations behind conv3x3.h. All take sizes that have been checked.
#pragma once

#include "octavo/kernels/conv3x3.h"

namespace octavo::kernels {

/// Below this many input channels the direct kernels run instead of Winograd.
inline constexpr std::int64_t kThinChannels = 8;

/// Where weight(o, i, ky, kx) lies: base + o * out + i * in + (3 * ky + kx) * tap.
struct WeightStrides {
  std::int64_t out, in, tap;
};
inline WeightStrides weight_strides(const Conv3x3Shape& shape, WeightLayout layout) {
  if (layout == WeightLayout::kOihw) return {9 * shape.c_in, 9, 1};
  return {9 * shape.c_in, 1, shape.c_in};
}

namespace plain {
void forward(const Conv3x3Shape& shape, const float* x, const float* weight, WeightStrides strides,
             const float* bias, float* y);
void backward_data(const Conv3x3Shape& shape, const float* dy, const float* weight, WeightStrides strides,
                   float* dx);
void backward_weights(const Conv3x3Shape& shape, const float* x, const float* dy, float* dweight,
                      WeightStrides strides, float* dbias);
}  // namespace plain

namespace avx2::winograd {
void forward(const Conv3x3Shape& shape, const float* x, const float* weight, WeightStrides strides,
             const float* bias, float* y);
void backward_data(const Conv3x3Shape& shape, const float* dy, const float* weight, WeightStrides strides,
                   float* dx);
void backward_weights(const Conv3x3Shape& shape, const float* x, const float* dy, float* dweight,
                      WeightStrides strides, float* dbias);
/// Floats that transformed weights take, and the transformation of [c_out, c_in, 3, 3] to 64-byte aligned
/// `u`.
std::int64_t transformed_size(std::int64_t c_in, std::int64_t c_out);
void transform(std::int64_t c_in, std::int64_t c_out, const float* weight, float* u);
void inference(const Conv3x3Shape& shape, const float* x, const float* u, const Conv3x3Epilogue& epilogue,
               float* y);
}  // namespace avx2::winograd

/// For c_in < kThinChannels.
namespace avx2::direct {
void forward(const Conv3x3Shape& shape, const float* x, const float* weight, WeightStrides strides,
             const float* bias, float* y);
void backward_weights(const Conv3x3Shape& shape, const float* x, const float* dy, float* dweight,
                      WeightStrides strides, float* dbias);
}  // namespace avx2::direct

}  // namespace octavo::kernels
