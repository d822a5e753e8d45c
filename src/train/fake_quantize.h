/// Quantize-dequantize with gradients: the arithmetic of core/quant.h, differentiated by the straight-through
/// estimator (Bengio et al. 2013, arXiv 1308.3432).
#pragma once

#include <ATen/ATen.h>

#include <cstdint>

namespace octavo::train_detail {

/// Integers a tensor is rounded to. Its scale is a float tensor: one element, or one per channel along the
/// first axis.
struct QuantGrid {
  std::int32_t zero_point = 0;
  std::int32_t qmin = 0;
  std::int32_t qmax = 255;
};

/// Equals octavo::fake_quantize() exactly. The gradient passes where x rounds to an integer in range and is
/// zero where x was clipped. If `scale` requires a gradient it gets LSQ's (Esser et al. 2020, arXiv
/// 1902.08153): the sum over the elements of a scale of dy * (round(x/s) - x/s), or dy * the bound where
/// clipped, times `scale_gradient`. x is dense float32 in any memory format whose first axis is outermost.
at::Tensor fake_quantize(const at::Tensor& x, const at::Tensor& scale, const QuantGrid& grid,
                         double scale_gradient = 1.0);

}  // namespace octavo::train_detail
