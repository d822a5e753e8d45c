/// Octavo's training kernels (octavo/kernels) as differentiable operators.
#pragma once

#include <ATen/ATen.h>

#include "octavo/graph/graph.h"

namespace octavo::train_detail {

/// Whether convolve_3x3() may stand for this convolution and is worth it on this CPU.
bool fast_convolution_applies(const ConvAttributes& attributes);

/// 3x3 convolution, stride 1, padding 1, one group; x, weight and result float32 in channels-last memory.
/// `bias` may be undefined.
at::Tensor convolve_3x3(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);

/// Batch normalization's operands.
struct NormTensors {
  const at::Tensor& scale;
  const at::Tensor& bias;
  const at::Tensor& running_mean;
  const at::Tensor& running_variance;
};

/// Batch normalization in training mode, then ReLU and 2x2 max pooling if asked for; updates the running
/// statistics. `shift`, if defined, is what a convolution's bias would have added to x: it moves the running
/// mean and nothing else, so the convolution need not add it. x is float32 in channels-last memory.
at::Tensor fast_batch_norm(const at::Tensor& x, const NormTensors& norm, const at::Tensor& shift,
                           const BatchNormAttributes& attributes, bool relu, bool pool);

/// ReLU and 2x2 max pooling by 2; x is float32 in channels-last memory.
at::Tensor relu_pool(const at::Tensor& x);

}  // namespace octavo::train_detail
