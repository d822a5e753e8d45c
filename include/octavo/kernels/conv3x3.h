/// 3x3 convolution in float32 for CPUs with AVX2 and FMA: forward and backward for training, forward for
/// inference.
///
/// Stride 1, padding 1, dilation 1, one group. Activations are NHWC (PyTorch's channels_last) and dense;
/// weights are [c_out, c_in, 3, 3] in either of the two orders PyTorch keeps them in. With 8 or more input
/// channels this is Winograd's F(4x4, 3x3) (Lavin and Gray, "Fast Algorithms for Convolutional Neural
/// Networks", 2016); fewer take a direct kernel. Other CPUs take plain loops: same results within rounding,
/// no speed.
///
/// Every function runs on octavo::num_threads() threads and gives the same bits for any number of them.
/// Scratch memory belongs to the calling thread and is kept for its next call; see
/// release_kernel_workspace(). Pointers need the alignment of float alone; 64 bytes are faster. Inputs and
/// outputs must not overlap. Throws Error(kBadInput) on a size below 1.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace octavo {

/// True if the AVX2 and FMA kernels run here (uses() of core/cpu.h says so); otherwise the functions here and
/// in norm.h are correct but slow.
bool fast_training_kernels_available();

/// Gives back the scratch memory that the calling thread's kernels keep.
void release_kernel_workspace();

struct Conv3x3Shape {
  std::int64_t n = 0;      ///< Images.
  std::int64_t h = 0;      ///< Height of input and output.
  std::int64_t w = 0;      ///< Width of input and output.
  std::int64_t c_in = 0;   ///< Fastest in multiples of 8, or below 8.
  std::int64_t c_out = 0;  ///< Fastest in multiples of 16.
};

/// Order of the weights in memory; the logical shape is [c_out, c_in, 3, 3] in both.
enum class WeightLayout {
  kOihw,  ///< A contiguous PyTorch parameter.
  kOhwi   ///< The same parameter in channels_last memory format.
};

/// y[n, h, w, c_out] = x[n, h, w, c_in] convolved with weight, plus bias[c_out] unless that is null.
void conv3x3_forward(const Conv3x3Shape& shape, const float* x, const float* weight, const float* bias,
                     float* y, WeightLayout layout = WeightLayout::kOihw);

/// dx[n, h, w, c_in], the gradient of the input, from dy[n, h, w, c_out].
void conv3x3_backward_data(const Conv3x3Shape& shape, const float* dy, const float* weight, float* dx,
                           WeightLayout layout = WeightLayout::kOihw);

/// dweight (in `layout`) and, unless null, dbias[c_out]. Both are overwritten, not added to.
void conv3x3_backward_weights(const Conv3x3Shape& shape, const float* x, const float* dy, float* dweight,
                              float* dbias, WeightLayout layout = WeightLayout::kOihw);

/// Weights of a 3x3 convolution, transformed once: what inference does not do again for every batch. A value.
class Conv3x3Weights {
 public:
  Conv3x3Weights() = default;
  /// weight: [c_out, c_in, 3, 3]. Takes four times its memory. Throws kUnsupported unless
  /// conv3x3_inference_applies().
  Conv3x3Weights(std::int64_t c_in, std::int64_t c_out, const float* weight);
  std::int64_t c_in() const { return c_in_; }
  std::int64_t c_out() const { return c_out_; }
  std::size_t size_bytes() const { return bytes_; }
  const float* data() const { return data_.get(); }

 private:
  std::int64_t c_in_ = 0, c_out_ = 0;
  std::size_t bytes_ = 0;
  std::shared_ptr<const float> data_;
};

/// True if this CPU has the kernel and there are enough channels for it.
bool conv3x3_inference_applies(std::int64_t c_in, std::int64_t c_out);

/// What follows the convolution in the same pass: y = min(max(convolution + bias + residual, low), high).
struct Conv3x3Epilogue {
  const float* bias = nullptr;      ///< [c_out], or null.
  const float* residual = nullptr;  ///< Lies like y, and may be y; or null.
  float low = 0, high = 0;
};

/// conv3x3_forward() with weights transformed before; shape.c_in and c_out are those of the weights.
void conv3x3_inference(const Conv3x3Shape& shape, const float* x, const Conv3x3Weights& weights,
                       const Conv3x3Epilogue& epilogue, float* y);

}  // namespace octavo
