// The int8 convolution on oneDNN, exact on CPUs with VNNI or AMX.
#include <fmt/format.h>

#include <algorithm>

#include "octavo/core/cpu.h"
#include "runtime/float/onednn_common.h"

namespace octavo::onednn {

namespace d = dnnl;

bool exact_int8() {
  static const bool exact = isa_in_use() >= Isa::kAvxVnni;
  return exact;
}

bool faster_int8() {
  static const bool faster = isa_in_use() == Isa::kAvxVnni || isa_in_use() == Isa::kAmx;
  return faster;
}

std::unique_ptr<Step> make_int8_conv(const std::string& kernel, const IntegerConv& conv, const Shape& x_shape,
                                     const Shape& y_shape, BufferId x, BufferId y) {
  using Tag = d::memory::format_tag;
  using Type = d::memory::data_type;
  const bool padded = std::ranges::any_of(conv.window.pads, [](std::int64_t p) { return p != 0; });
  // The bias already makes up for the input's zero point, as long as no padding has to hold it.
  if (padded && conv.x_zero_point != 0) return nullptr;
  if (conv.output_is_float || conv.y_zero_point != 0) return nullptr;

  const std::int64_t group_in = conv.c_in / conv.window.group;
  Shape w_shape{conv.c_out, group_in, conv.window.kernel[0], conv.window.kernel[1]};
  if (conv.window.group > 1)
    w_shape = {conv.window.group, conv.c_out / conv.window.group, group_in, w_shape[2], w_shape[3]};
  const d::memory::desc x_desc(x_shape, Type::u8, Tag::nhwc);
  const d::memory::desc y_desc(y_shape, Type::u8, Tag::nhwc);
  const d::memory::desc w_any(w_shape, Type::s8, Tag::any);
  const d::memory::desc b_desc({conv.c_out}, Type::s32, Tag::a);
  const WindowDims window = window_dims(conv.window);
  d::post_ops ops;
  if (conv.y_min != 0 || conv.y_max != 255) {
    ops.append_eltwise(1.0F, d::algorithm::eltwise_clip, static_cast<float>(conv.y_min),
                       static_cast<float>(conv.y_max));
  }
  d::primitive_attr attributes = attributes_for_threads();
  attributes.set_output_scales(2, conv.multiplier);
  attributes.set_post_ops(ops);
  const d::convolution_forward::desc desc(d::prop_kind::forward_inference, d::algorithm::convolution_direct,
                                          x_desc, w_any, b_desc, y_desc, window.strides, window.dilations,
                                          window.pads_begin, window.pads_end);
  const d::convolution_forward::primitive_desc pd(desc, attributes, engine(), /*allow_empty=*/true);
  if (!pd) return nullptr;
  const Tensor bias = Tensor::from<std::int32_t>({conv.c_out}, conv.bias);
  return std::make_unique<PrimitiveStep>(
      fmt::format("{} [onednn {}]", kernel, pd.impl_info_str()), d::convolution_forward(pd),
      std::vector<BoundBuffer>{{DNNL_ARG_SRC, x, x_desc}, {DNNL_ARG_DST, y, y_desc}},
      std::vector<std::pair<int, d::memory>>{
          {DNNL_ARG_WEIGHTS, prepack(conv.weight, plain_desc(w_shape, Type::s8), pd.weights_desc())},
          {DNNL_ARG_BIAS, prepack(bias, b_desc, b_desc)}},
      pd.scratchpad_desc());
}

}  // namespace octavo::onednn
