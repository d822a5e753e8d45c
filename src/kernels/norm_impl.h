/// The implementations behind norm.h. All take sizes that have been checked.
#pragma once

#include "octavo/kernels/norm.h"

namespace octavo::kernels {

namespace plain {
void batch_norm_forward(const BatchNormShape& shape, const float* x, const float* gamma, const float* beta,
                        float* y, const BatchNormSaved& saved);
void batch_norm_backward(const BatchNormShape& shape, const float* x, const float* gamma, const float* beta,
                         const BatchNormSaved& saved, const float* dy, float* dx, float* dgamma,
                         float* dbeta);
void relu_pool_forward(const BatchNormShape& shape, const float* x, float* y, std::uint8_t* argmax);
void relu_pool_backward(const BatchNormShape& shape, const std::uint8_t* argmax, const float* dy, float* dx);
}  // namespace plain

namespace avx2 {
void batch_norm_forward(const BatchNormShape& shape, const float* x, const float* gamma, const float* beta,
                        float* y, const BatchNormSaved& saved);
void batch_norm_backward(const BatchNormShape& shape, const float* x, const float* gamma, const float* beta,
                         const BatchNormSaved& saved, const float* dy, float* dx, float* dgamma,
                         float* dbeta);
void relu_pool_forward(const BatchNormShape& shape, const float* x, float* y, std::uint8_t* argmax);
void relu_pool_backward(const BatchNormShape& shape, const std::uint8_t* argmax, const float* dy, float* dx);
}  // namespace avx2

}  // namespace octavo::kernels
