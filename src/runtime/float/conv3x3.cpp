#include "runtime/float/conv3x3.h"

#include "octavo/core/cpu.h"
#include "octavo/core/parallel.h"
#include "octavo/kernels/conv3x3.h"
#include "runtime/program/function_step.h"

namespace octavo {
namespace {

using onednn::Layout;
using onednn::Operand;

/// F(4x4) needs a quarter of the products, but reads four times the weights, so it takes enough tiles to pay.
/// oneDNN's kernels for AVX-512 are twice as wide as ours.
bool pays(const Shape& x, std::int64_t c_out) {
  if (uses_avx512()) return false;
  const std::int64_t per_image = (x[2] + 3) / 4 * ((x[3] + 3) / 4);
  const bool wasteful = x[2] * x[3] * 3 < per_image * 16 * 2;  // A third of the tiles lies outside the image.
  const std::int64_t weight_bytes = 36 * x[1] * c_out * static_cast<std::int64_t>(sizeof(float));
  const std::int64_t least = weight_bytes > (1 << 18) ? 5 : 2;
  return !wasteful && x[0] * per_image >= least * num_threads();
}

}  // namespace

bool compile_float_conv3x3(ProgramBuilder& p, const FusedGroup& group, const ClipAttributes& bounds) {
  const Node& anchor = p.node(group.anchor);
  const Shape x_shape = p.shape_of(group.input);
  const Shape y_shape = p.shape_of(group.output);
  const ConvAttributes window{.kernel = {3, 3}, .pads = {1, 1, 1, 1}};
  if (!(anchor.as<ConvAttributes>() == window)) return false;
  if (!conv3x3_inference_applies(x_shape[1], y_shape[1]) || x_shape[1] < 16 || !pays(x_shape, y_shape[1]))
    return false;

  const auto weights = p.packed().get(group.output, 0, [&] {
    const Tensor weight = p.constant(anchor.inputs[1]);
    return Conv3x3Weights(x_shape[1], y_shape[1], weight.data<float>().data());
  });
  Tensor bias = anchor.inputs.size() > 2 ? p.constant(anchor.inputs[2]) : Tensor();
  const Layout layout = Layout::channels_last(y_shape);
  const BufferId x =
      p.in_layout(p.real_place(group.input), Layout::channels_last(x_shape), group.input).buffer;
  BufferId residual = -1;
  BufferId y = -1;
  if (group.residual != kNoValue) {
    const Operand given = p.real_place(group.residual);
    residual = p.in_layout(given, layout, group.residual).buffer;
    const bool own_copy = residual != given.buffer;
    // Each element is read before it is written, so the residual's memory will do if nobody needs it
    // afterwards.
    if (own_copy || (residual != x && p.may_overwrite(group.residual, residual))) y = residual;
  }
  if (y < 0) y = p.target(group.output, layout);
  const Conv3x3Shape shape{
      .n = x_shape[0], .h = x_shape[2], .w = x_shape[3], .c_in = x_shape[1], .c_out = y_shape[1]};
  const std::size_t bytes = weights->size_bytes();
  auto step = function_step(
      "conv winograd [fp32 avx2]",
      [=, bias = std::move(bias)](const StepArguments& a) {
        const Conv3x3Epilogue epilogue{.bias = bias.size() > 0 ? bias.data<float>().data() : nullptr,
                                       .residual = residual >= 0 ? a.buffer<const float>(residual) : nullptr,
                                       .low = bounds.min,
                                       .high = bounds.max};
        conv3x3_inference(shape, a.buffer<const float>(x), *weights, epilogue, a.buffer<float>(y));
      },
      bytes);
  p.emit(group.output, std::move(step), {x, residual, y}, p.operations(group));
  p.set_real(group.output, {y, layout});
  return true;
}

}  // namespace octavo
