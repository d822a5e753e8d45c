// Stands in for the AVX2 files where the compiler has no such instructions. Nothing gets here, since
// fast_training_kernels_available() is false there; were it otherwise, the results would still be right.
#include "conv3x3_impl.h"
#include "norm_impl.h"

namespace octavo::kernels {

namespace avx2::winograd {
void forward(const Conv3x3Shape& shape, const float* x, const float* weight, WeightStrides strides,
             const float* bias, float* y) {
  plain::forward(shape, x, weight, strides, bias, y);
}
void backward_data(const Conv3x3Shape& shape, const float* dy, const float* weight, WeightStrides strides,
                   float* dx) {
  plain::backward_data(shape, dy, weight, strides, dx);
}
void backward_weights(const Conv3x3Shape& shape, const float* x, const float* dy, float* dweight,
                      WeightStrides strides, float* dbias) {
  plain::backward_weights(shape, x, dy, dweight, strides, dbias);
}
// conv3x3_inference_applies() is false without the instructions.
std::int64_t transformed_size(std::int64_t, std::int64_t) { return 0; }
void transform(std::int64_t, std::int64_t, const float*, float*) {}
void inference(const Conv3x3Shape&, const float*, const float*, const Conv3x3Epilogue&, float*) {}
}  // namespace avx2::winograd

namespace avx2::direct {
void forward(const Conv3x3Shape& shape, const float* x, const float* weight, WeightStrides strides,
             const float* bias, float* y) {
  plain::forward(shape, x, weight, strides, bias, y);
}
void backward_weights(const Conv3x3Shape& shape, const float* x, const float* dy, float* dweight,
                      WeightStrides strides, float* dbias) {
  plain::backward_weights(shape, x, dy, dweight, strides, dbias);
}
}  // namespace avx2::direct

namespace avx2 {
void batch_norm_forward(const BatchNormShape& shape, const float* x, const float* gamma, const float* beta,
                        float* y, const BatchNormSaved& saved) {
  plain::batch_norm_forward(shape, x, gamma, beta, y, saved);
}
void batch_norm_backward(const BatchNormShape& shape, const float* x, const float* gamma, const float* beta,
                         const BatchNormSaved& saved, const float* dy, float* dx, float* dgamma,
                         float* dbeta) {
  plain::batch_norm_backward(shape, x, gamma, beta, saved, dy, dx, dgamma, dbeta);
}
void relu_pool_forward(const BatchNormShape& shape, const float* x, float* y, std::uint8_t* argmax) {
  plain::relu_pool_forward(shape, x, y, argmax);
}
void relu_pool_backward(const BatchNormShape& shape, const std::uint8_t* argmax, const float* dy, float* dx) {
  plain::relu_pool_backward(shape, argmax, dy, dx);
}
}  // namespace avx2

}  // namespace octavo::kernels
