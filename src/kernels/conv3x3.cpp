#include "octavo/kernels/conv3x3.h"

#include <string>

#include "conv3x3_impl.h"
#include "octavo/core/cpu.h"
#include "octavo/core/error.h"
#include "octavo/core/memory.h"
#include "workspace.h"

namespace octavo {
namespace {

void check(const Conv3x3Shape& s) {
  if (s.n >= 1 && s.h >= 1 && s.w >= 1 && s.c_in >= 1 && s.c_out >= 1) return;
  throw Error(ErrorCode::kBadInput, "conv3x3",
              "bad sizes; expected n, h, w, c_in and c_out of at least 1, got " + std::to_string(s.n) + ", " +
                  std::to_string(s.h) + ", " + std::to_string(s.w) + ", " + std::to_string(s.c_in) + " and " +
                  std::to_string(s.c_out));
}

}  // namespace

bool fast_training_kernels_available() {
  static const bool available = uses(Isa::kAvx2);
  return available;
}

void release_kernel_workspace() { kernels::release_scratch(); }

void conv3x3_forward(const Conv3x3Shape& shape, const float* x, const float* weight, const float* bias,
                     float* y, WeightLayout layout) {
  check(shape);
  const auto strides = kernels::weight_strides(shape, layout);
  if (!fast_training_kernels_available()) return kernels::plain::forward(shape, x, weight, strides, bias, y);
  if (shape.c_in < kernels::kThinChannels)
    return kernels::avx2::direct::forward(shape, x, weight, strides, bias, y);
  kernels::avx2::winograd::forward(shape, x, weight, strides, bias, y);
}

bool conv3x3_inference_applies(std::int64_t c_in, std::int64_t c_out) {
  return fast_training_kernels_available() && c_in >= kernels::kThinChannels &&
         c_out >= kernels::kThinChannels;
}

Conv3x3Weights::Conv3x3Weights(std::int64_t c_in, std::int64_t c_out, const float* weight)
    : c_in_(c_in), c_out_(c_out) {
  if (!conv3x3_inference_applies(c_in, c_out)) {
    throw Error(
        ErrorCode::kUnsupported, "conv3x3",
        "no kernel for " + std::to_string(c_in) + " to " + std::to_string(c_out) + " channels on this CPU");
  }
  bytes_ = static_cast<std::size_t>(kernels::avx2::winograd::transformed_size(c_in, c_out)) * sizeof(float);
  const std::shared_ptr<std::byte[]> memory = allocate_memory(bytes_);
  auto* u = reinterpret_cast<float*>(memory.get());
  data_ = {memory, u};
  kernels::avx2::winograd::transform(c_in, c_out, weight, u);
}

void conv3x3_inference(const Conv3x3Shape& shape, const float* x, const Conv3x3Weights& weights,
                       const Conv3x3Epilogue& epilogue, float* y) {
  check(shape);
  check_internal(shape.c_in == weights.c_in() && shape.c_out == weights.c_out(),
                 "conv3x3_inference: weights of other sizes");
  kernels::avx2::winograd::inference(shape, x, weights.data(), epilogue, y);
}

void conv3x3_backward_data(const Conv3x3Shape& shape, const float* dy, const float* weight, float* dx,
                           WeightLayout layout) {
  check(shape);
  const auto strides = kernels::weight_strides(shape, layout);
  if (!fast_training_kernels_available())
    return kernels::plain::backward_data(shape, dy, weight, strides, dx);
  kernels::avx2::winograd::backward_data(shape, dy, weight, strides, dx);
}

void conv3x3_backward_weights(const Conv3x3Shape& shape, const float* x, const float* dy, float* dweight,
                              float* dbias, WeightLayout layout) {
  check(shape);
  const auto strides = kernels::weight_strides(shape, layout);
  if (!fast_training_kernels_available())
    return kernels::plain::backward_weights(shape, x, dy, dweight, strides, dbias);
  if (shape.c_in < kernels::kThinChannels)
    return kernels::avx2::direct::backward_weights(shape, x, dy, dweight, strides, dbias);
  kernels::avx2::winograd::backward_weights(shape, x, dy, dweight, strides, dbias);
}

}  // namespace octavo
