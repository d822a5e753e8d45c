#include "octavo/kernels/norm.h"

#include <string>

#include "norm_impl.h"
#include "octavo/core/error.h"
#include "octavo/kernels/conv3x3.h"

namespace octavo {
namespace {

void check(const BatchNormShape& s) {
  const std::int64_t least = s.pool ? 2 : 1;
  if (s.n >= 1 && s.c >= 1 && s.h >= least && s.w >= least) return;
  throw Error(ErrorCode::kBadInput, "batch_norm",
              "bad sizes; expected n and c of at least 1, h and w of at least " + std::to_string(least) +
                  ", got n " + std::to_string(s.n) + ", h " + std::to_string(s.h) + ", w " +
                  std::to_string(s.w) + ", c " + std::to_string(s.c));
}

BatchNormShape pooled(const PoolShape& s) {
  const BatchNormShape result{.n = s.n, .h = s.h, .w = s.w, .c = s.c, .relu = true, .pool = true};
  check(result);
  return result;
}

}  // namespace

void batch_norm_forward(const BatchNormShape& shape, const float* x, const float* gamma, const float* beta,
                        float* y, const BatchNormSaved& saved) {
  check(shape);
  if (!fast_training_kernels_available())
    return kernels::plain::batch_norm_forward(shape, x, gamma, beta, y, saved);
  kernels::avx2::batch_norm_forward(shape, x, gamma, beta, y, saved);
}

void batch_norm_backward(const BatchNormShape& shape, const float* x, const float* gamma, const float* beta,
                         const BatchNormSaved& saved, const float* dy, float* dx, float* dgamma,
                         float* dbeta) {
  check(shape);
  if (!fast_training_kernels_available())
    return kernels::plain::batch_norm_backward(shape, x, gamma, beta, saved, dy, dx, dgamma, dbeta);
  kernels::avx2::batch_norm_backward(shape, x, gamma, beta, saved, dy, dx, dgamma, dbeta);
}

void relu_pool_forward(const PoolShape& shape, const float* x, float* y, std::uint8_t* argmax) {
  const BatchNormShape s = pooled(shape);
  if (!fast_training_kernels_available()) return kernels::plain::relu_pool_forward(s, x, y, argmax);
  kernels::avx2::relu_pool_forward(s, x, y, argmax);
}

void relu_pool_backward(const PoolShape& shape, const std::uint8_t* argmax, const float* dy, float* dx) {
  const BatchNormShape s = pooled(shape);
  if (!fast_training_kernels_available()) return kernels::plain::relu_pool_backward(s, argmax, dy, dx);
  kernels::avx2::relu_pool_backward(s, argmax, dy, dx);
}

}  // namespace octavo
