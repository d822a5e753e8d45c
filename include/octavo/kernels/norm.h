/// Training-mode batch normalization, alone or fused with ReLU and 2x2 max pooling, in float32 on NHWC
/// activations.
///
/// Ioffe and Szegedy, "Batch Normalization", 2015: over all n * h * w positions of a channel,
/// y = gamma * (x - mean) / sqrt(variance + epsilon) + beta, then optionally ReLU, then optionally max
/// pooling with window 2, stride 2 and no padding (an odd last row or column is dropped, as in PyTorch with
/// ceil_mode = false).
///
/// Threads, results, alignment and overlap as in conv3x3.h. Throws Error(kBadInput) on a size below 1, or
/// below 2 in h or w when pooling.
#pragma once

#include <cstdint>

namespace octavo {

struct BatchNormShape {
  std::int64_t n = 0;
  std::int64_t h = 0;  ///< Height of x, before pooling.
  std::int64_t w = 0;  ///< Width of x, before pooling.
  std::int64_t c = 0;  ///< Fastest in multiples of 8.
  bool relu = false;
  bool pool = false;
  float epsilon = 1e-5F;
};

/// What forward leaves for backward. Without pooling, x_max and argmax are neither read nor written and may
/// be null.
struct BatchNormSaved {
  float* mean = nullptr;      ///< [c], of the batch.
  float* variance = nullptr;  ///< [c], of the batch, biased (divided by n * h * w): running averages often
                              ///< want it times count / (count - 1).
  float* x_max = nullptr;     ///< [n, h/2, w/2, c]: the x that won each window.
  std::uint8_t* argmax =
      nullptr;  ///< [n, h/2, w/2, c]: 0..3, where in the window (row-major); 4 where ReLU gave 0.
};

/// y[n, h, w, c], or [n, h/2, w/2, c] with pooling. Writes every buffer of `saved` that the shape needs.
void batch_norm_forward(const BatchNormShape& shape, const float* x, const float* gamma, const float* beta,
                        float* y, const BatchNormSaved& saved);

/// dx like x, dgamma[c] and dbeta[c] from dy (like y) and what forward was given and saved. `dx` may be `dy`
/// without pooling.
void batch_norm_backward(const BatchNormShape& shape, const float* x, const float* gamma, const float* beta,
                         const BatchNormSaved& saved, const float* dy, float* dx, float* dgamma,
                         float* dbeta);

struct PoolShape {
  std::int64_t n = 0;
  std::int64_t h = 0;  ///< Height of x, before pooling.
  std::int64_t w = 0;  ///< Width of x, before pooling.
  std::int64_t c = 0;  ///< Fastest in multiples of 8.
};

/// ReLU and 2x2 max pooling without a normalization: y[n, h/2, w/2, c] and argmax as in BatchNormSaved, from
/// x[n, h, w, c].
void relu_pool_forward(const PoolShape& shape, const float* x, float* y, std::uint8_t* argmax);

/// dx[n, h, w, c] from dy (like y) and what forward saved.
void relu_pool_backward(const PoolShape& shape, const std::uint8_t* argmax, const float* dy, float* dx);

}  // namespace octavo
