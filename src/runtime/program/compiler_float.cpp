// Float32 groups to steps.
#include <algorithm>
#include <cmath>

#include "octavo/core/error.h"
#include "runtime/float/conv3x3.h"
#include "runtime/float/steps.h"
#include "runtime/lowering/move.h"
#include "runtime/program/builder.h"

namespace octavo {
namespace {

using onednn::Layout;
using onednn::Operand;

void compile_conv(ProgramBuilder& p, const FusedGroup& group, const ClipAttributes& bounds) {
  const Node& anchor = p.node(group.anchor);
  if (group.batch_norm >= 0)
    throw Error(ErrorCode::kInternal, p.graph().name, "batch norm left after folding");
  if (compile_float_conv3x3(p, group, bounds)) return;
  const Tensor weight = p.constant(anchor.inputs[1]);
  const Tensor bias = anchor.inputs.size() > 2 ? p.constant(anchor.inputs[2]) : Tensor();
  onednn::ConvArguments arguments{.x_shape = p.shape_of(group.input),
                                  .y_shape = p.shape_of(group.output),
                                  .attributes = anchor.as<ConvAttributes>(),
                                  .weight = &weight,
                                  .bias = anchor.inputs.size() > 2 ? &bias : nullptr,
                                  .epilogue = {.accumulate = group.residual != kNoValue, .bounds = bounds},
                                  .output = {}};
  std::optional<Operand> residual;
  if (group.residual != kNoValue) {
    residual = p.real_place(group.residual);
    arguments.output = residual->layout;
  }
  const onednn::FloatConv conv(arguments);
  const Operand x = p.in_layout(p.real_place(group.input), conv.input(), group.input);
  BufferId y = -1;
  if (residual) {
    // The kernel adds onto its output: take the residual's own memory when nobody needs it afterwards.
    const bool reusable = group.residual != group.input && p.may_overwrite(group.residual, residual->buffer);
    y = reusable ? residual->buffer : p.new_buffer(residual->layout.bytes());
    if (!reusable) {
      p.emit(group.residual, onednn::make_reorder("copy", *residual, {y, residual->layout}),
             {residual->buffer, y});
    }
  } else {
    y = p.target(group.output, conv.output());
  }
  const BufferId scratch = conv.scratch_bytes() > 0 ? p.new_buffer(conv.scratch_bytes()) : -1;
  p.emit(group.output, conv.step("conv", x.buffer, y, scratch), {x.buffer, y, scratch}, p.operations(group));
  p.set_real(group.output, {y, conv.output()});
}

void compile_product(ProgramBuilder& p, const FusedGroup& group, const ClipAttributes& bounds) {
  const Node& anchor = p.node(group.anchor);
  const Operand x = p.real_plain(group.input);
  Tensor weight = p.constant(anchor.inputs[1]);
  if (anchor.op == Op::kMatMul) weight = transposed(weight);
  const Tensor bias = anchor.inputs.size() > 2 ? p.constant(anchor.inputs[2]) : Tensor();
  const Layout layout = Layout::plain(p.shape_of(group.output));
  const BufferId y = p.target(group.output, layout);
  const std::int64_t rows = element_count(p.shape_of(group.input)) / weight.dim(1);
  p.emit(group.output,
         onednn::make_gemm("gemm", rows, weight, anchor.inputs.size() > 2 ? &bias : nullptr, bounds, x.buffer,
                           y),
         {x.buffer, y}, p.operations(group));
  p.set_real(group.output, {y, layout});
}

void compile_product_of_values(ProgramBuilder& p, const FusedGroup& group) {
  const Node& anchor = p.node(group.anchor);
  const Shape x_shape = p.shape_of(anchor.inputs[0]);
  const Shape y_shape = p.shape_of(group.output);
  const Operand x = p.real_plain(anchor.inputs[0]);
  const Operand w = p.real_plain(anchor.inputs[1]);
  const std::int64_t m = x_shape[x_shape.size() - 2];
  const float alpha = anchor.as<ScalarAttributes>().alpha;
  const onednn::Products sizes{.batch = element_count(x_shape) / (m * x_shape.back()),
                               .m = m,
                               .k = x_shape.back(),
                               .p = y_shape.back()};
  const Layout layout = Layout::plain(y_shape);
  const BufferId y = p.target(group.output, layout);
  p.emit(group.output, onednn::make_matmul("matmul", sizes, alpha, x.buffer, w.buffer, y),
         {x.buffer, w.buffer, y}, p.operations(group));
  p.set_real(group.output, {y, layout});
}

enum class Numbers : std::uint8_t { kForAllImages, kForEachImage };

/// y and x of `shape` with `block` channels innermost, and a number for each channel.
Walk channel_walk(const Shape& shape, std::int64_t block, Numbers numbers) {
  const std::int64_t blocks = (shape[1] + block - 1) / block;
  const std::int64_t plane = shape[2] * shape[3];
  const std::int64_t image = blocks * block * plane;
  return {{shape[0], blocks, plane, block},
          {{image, plane * block, block, 1},
           {image, plane * block, block, 1},
           {numbers == Numbers::kForEachImage ? blocks * block : 0, block, 0, 1}},
          {}};
}

void compile_batch_norm(ProgramBuilder& p, const FusedGroup& group, const ClipAttributes& bounds) {
  const Node& anchor = p.node(group.anchor);
  const auto parameter = [&](std::size_t i, std::size_t c) {
    return static_cast<double>(p.graph().value(anchor.inputs[i]).constant->data<float>()[c]);
  };
  std::vector<float> scale;
  std::vector<float> shift;
  const auto channels = static_cast<std::size_t>(p.shape_of(group.input)[1]);
  for (std::size_t c = 0; c < channels; ++c) {
    const double deviation = std::sqrt(parameter(4, c) + anchor.as<BatchNormAttributes>().epsilon);
    const double factor = parameter(1, c) / deviation;
    scale.push_back(static_cast<float>(factor));
    shift.push_back(static_cast<float>(parameter(2, c) - parameter(3, c) * factor));
  }
  const Shape shape = p.shape_of(group.input);
  Operand x = p.real_place(group.input);
  Walk walk;
  if (const auto block = x.layout.channel_block()) {
    walk = channel_walk(shape, *block, Numbers::kForAllImages);
    const auto padded = static_cast<std::size_t>(walk.dims[1] * *block);
    scale.resize(padded, 0.0F);
    shift.resize(padded, 0.0F);
  } else {
    x = p.real_plain(group.input);
    Strides channel(shape.size(), 0);
    channel[1] = 1;
    walk = {shape, {row_major(shape), row_major(shape), channel}, {}};
  }
  const BufferId y = p.target(group.output, x.layout);
  p.emit(group.output, make_scale_shift_step("batch-norm", bounds, walk, scale, shift, x.buffer, y),
         {x.buffer, y});
  p.set_real(group.output, {y, x.layout});
}

void compile_unary(ProgramBuilder& p, const FusedGroup& group) {
  const Node& anchor = p.node(group.anchor);
  const std::string text = to_string(anchor.op);
  const bool own = !onednn::has_unary(anchor);
  const Operand x = own ? p.real_plain(group.input) : p.real_place(group.input);
  const BufferId y = p.target(group.output, x.layout);
  p.emit(group.output,
         own ? make_float_unary_step(text, anchor, element_count(p.shape_of(group.output)), x.buffer, y)
             : onednn::make_unary(text, anchor, x, y),
         {x.buffer, y});
  if (anchor.op == Op::kHardSigmoid) {  // As a post-op of the line the bounds would be slow.
    const Node bounds{.name = anchor.name,
                      .op = Op::kClip,
                      .inputs = {},
                      .output = kNoValue,
                      .attributes = ClipAttributes{.min = 0.0F, .max = 1.0F}};
    p.emit(group.output, onednn::make_unary(text, bounds, {y, x.layout}, y), {y});
  }
  p.set_real(group.output, {y, x.layout});
}

/// An operand of a binary step: a constant, or what flows in row-major order.
FloatSource plain_source(ProgramBuilder& p, ValueId id) {
  if (!p.graph().value(id).constant) return {p.real_plain(id).buffer, {}};
  const Tensor tensor = p.constant(id);
  return {-1, {tensor.data<float>().begin(), tensor.data<float>().end()}};
}

/// Any broadcast, row-major.
void compile_plain_binary(ProgramBuilder& p, const FusedGroup& group, const ClipAttributes& bounds) {
  const Node& anchor = p.node(group.anchor);
  const Shape shape = p.shape_of(group.output);
  const auto strides = [&](ValueId id) {
    const bool constant = p.graph().value(id).constant.has_value();
    const Shape own = constant ? p.graph().value(id).shape : p.shape_of(id);
    return broadcast(own, row_major(own), shape.size());
  };
  const Walk walk{shape, {row_major(shape), strides(anchor.inputs[0]), strides(anchor.inputs[1])}, {}};
  const FloatSource a = plain_source(p, anchor.inputs[0]);
  const FloatSource b = plain_source(p, anchor.inputs[1]);
  const Layout layout = Layout::plain(shape);
  const BufferId y = p.target(group.output, layout);
  p.emit(group.output, make_float_binary_step(to_string(anchor.op), anchor.op, bounds, walk, a, b, y),
         {a.buffer, b.buffer, y});
  p.set_real(group.output, {y, layout});
}

/// One number per channel, for each image or for all: in whatever layout x has. False if it does not apply.
bool compile_channel_binary(ProgramBuilder& p, const FusedGroup& group, const ClipAttributes& bounds) {
  const Node& anchor = p.node(group.anchor);
  const Shape shape = p.shape_of(group.output);
  if (shape.size() != 4) return false;
  const bool commutes = anchor.op != Op::kSub && anchor.op != Op::kDiv && anchor.op != Op::kPRelu;
  const bool swapped =
      commutes && (p.graph().value(anchor.inputs[0]).constant || p.shape_of(anchor.inputs[0]) != shape);
  const ValueId x_id = anchor.inputs[swapped ? 1 : 0];
  const ValueId other = anchor.inputs[swapped ? 0 : 1];
  const Value& second = p.graph().value(other);
  if (p.graph().value(x_id).constant || p.shape_of(x_id) != shape) return false;
  // Division would make the channels that pad a blocked layout infinite.
  if (anchor.op == Op::kDiv && !second.constant) return false;
  const Shape channels{second.constant ? 1 : shape[0], shape[1], 1, 1};
  Shape other_shape = second.constant ? second.shape : p.shape_of(other);
  while (other_shape.size() < 4) other_shape.insert(other_shape.begin(), 1);
  const bool single = element_count(other_shape) == 1;
  if (other_shape != channels && !(single && second.constant)) return false;

  const Operand x = p.real_place(x_id);
  const auto block = x.layout.channel_block();
  if (!block) return false;
  const Walk walk =
      channel_walk(shape, *block, second.constant ? Numbers::kForAllImages : Numbers::kForEachImage);
  FloatSource b;
  if (second.constant) {
    const Tensor tensor = p.constant(other);
    const auto values = tensor.data<float>();
    b.constant.assign(static_cast<std::size_t>(walk.dims[1] * *block), anchor.op == Op::kDiv ? 1.0F : 0.0F);
    for (std::size_t c = 0; c < static_cast<std::size_t>(shape[1]); ++c)
      b.constant[c] = values[single ? 0 : c];
  } else {
    b.buffer = p.in_layout(p.real_place(other), Layout::blocked(channels, *block), other).buffer;
  }
  const BufferId y = p.target(group.output, x.layout);
  p.emit(group.output,
         make_float_binary_step(to_string(anchor.op), anchor.op, bounds, walk, {x.buffer, {}}, b, y),
         {x.buffer, b.buffer, y});
  p.set_real(group.output, {y, x.layout});
  return true;
}

void compile_binary(ProgramBuilder& p, const FusedGroup& group, const ClipAttributes& bounds) {
  const Node& anchor = p.node(group.anchor);
  const auto flowing = flowing_inputs(p.graph(), group);
  const bool alike = flowing.size() == 2 && p.shape_of(flowing[0]) == p.shape_of(flowing[1]);
  if (alike && anchor.op != Op::kDiv) {
    const Operand a = p.real_place(flowing[0]);
    const Operand b = p.in_layout(p.real_place(flowing[1]), a.layout, flowing[1]);
    const BufferId y = p.target(group.output, a.layout);
    p.emit(group.output, onednn::make_binary(to_string(anchor.op), anchor.op, a, b, bounds, y),
           {a.buffer, b.buffer, y});
    return p.set_real(group.output, {y, a.layout});
  }
  if (!compile_channel_binary(p, group, bounds)) compile_plain_binary(p, group, bounds);
}

void compile_pool(ProgramBuilder& p, ValueId input, ValueId output, const PoolAttributes& window, bool max) {
  const Shape x_shape = p.shape_of(input);
  const Shape y_shape = p.shape_of(output);
  const std::string text = max ? "max-pool" : "average-pool";
  if (!max && !onednn::average_pool_applies(x_shape, y_shape, window)) {
    const Operand x = p.real_plain(input);
    const Layout layout = Layout::plain(y_shape);
    const BufferId y = p.target(output, layout);
    p.emit(output, make_float_average_pool_step(text, x_shape, y_shape, window, x.buffer, y), {x.buffer, y});
    return p.set_real(output, {y, layout});
  }
  const Operand x = p.real_place(input);
  const BufferId y = p.new_buffer(0);
  Layout layout;
  // oneDNN's takes several times as long for images as small as those of CIFAR-10.
  if (const auto inner = x.layout.channel_block(); max && inner && *inner >= 4) {
    layout = Layout::blocked(y_shape, *inner);
    p.resize_buffer(y, layout.bytes());
    p.emit(output, make_float_max_pool_step(text + " [fp32]", *inner, x_shape, y_shape, window, x.buffer, y),
           {x.buffer, y});
    return p.set_real(output, {y, layout});
  }
  auto step = onednn::make_pool(text, max ? onednn::PoolKind::kMax : onednn::PoolKind::kAverage, x, x_shape,
                                y_shape, window, y, layout);
  p.resize_buffer(y, layout.bytes());
  p.emit(output, std::move(step), {x.buffer, y});
  p.set_real(output, {y, layout});
}

void compile_global_pool(ProgramBuilder& p, const FusedGroup& group, bool max) {
  const Shape& x = p.graph().value(group.input).shape;
  compile_pool(p, group.input, group.output, {.kernel = {x[2], x[3]}}, max);
}

void compile_concat(ProgramBuilder& p, const FusedGroup& group) {
  const Node& anchor = p.node(group.anchor);
  std::vector<Operand> inputs;
  std::vector<BufferId> touched;
  for (const ValueId id : anchor.inputs) {
    inputs.push_back(p.real_place(id));
    touched.push_back(inputs.back().buffer);
  }
  const BufferId y = p.new_buffer(0);
  Layout layout;
  auto step = onednn::make_concat("concat", inputs, anchor.as<AxisAttributes>().axis, y, layout);
  p.resize_buffer(y, layout.bytes());
  touched.push_back(y);
  p.emit(group.output, std::move(step), touched);
  p.set_real(group.output, {y, layout});
}

/// Slice, Pad or Transpose: a copy from and to row-major order.
void compile_move(ProgramBuilder& p, const FusedGroup& group) {
  const Node& anchor = p.node(group.anchor);
  const Shape x_shape = p.shape_of(group.input);
  const Shape y_shape = p.shape_of(group.output);
  const Operand x = p.real_plain(group.input);
  const Layout layout = Layout::plain(y_shape);
  const BufferId y = p.target(group.output, layout);
  if (const auto* pad = std::get_if<PadAttributes>(&anchor.attributes))
    p.emit(group.output, make_float_fill_step("fill", pad->value, element_count(y_shape), y), {y});
  const Walk walk = lower_move(anchor, x_shape, row_major(x_shape), y_shape, row_major(y_shape));
  p.emit(group.output, make_float_copy_step(to_string(anchor.op), walk, x.buffer, y), {x.buffer, y});
  p.set_real(group.output, {y, layout});
}

void compile_reduce_mean(ProgramBuilder& p, const FusedGroup& group) {
  const auto& a = p.node(group.anchor).as<ReduceAttributes>();
  const Operand x = p.real_plain(group.input);
  const Layout layout = Layout::plain(p.shape_of(group.output));
  const BufferId y = p.target(group.output, layout);
  p.emit(group.output, make_reduce_mean_step("mean", p.shape_of(group.input), a.axes, x.buffer, y),
         {x.buffer, y});
  p.set_real(group.output, {y, layout});
}

void compile_layer_norm(ProgramBuilder& p, const FusedGroup& group) {
  const Node& anchor = p.node(group.anchor);
  const auto row = [&](std::size_t input) {
    const Tensor tensor = p.constant(anchor.inputs[input]);
    return std::vector<float>(tensor.data<float>().begin(), tensor.data<float>().end());
  };
  const Operand x = p.real_plain(group.input);
  const BufferId y = p.target(group.output, x.layout);
  const std::int64_t length = p.shape_of(group.input).back();
  const std::int64_t rows = element_count(p.shape_of(group.input)) / length;
  p.emit(group.output,
         make_float_layer_norm_step("layer-norm", rows, anchor.as<LayerNormAttributes>().epsilon, row(1),
                                    row(2), x.buffer, y),
         {x.buffer, y});
  p.set_real(group.output, {y, x.layout});
}

void compile_softmax(ProgramBuilder& p, const FusedGroup& group) {
  const Node& anchor = p.node(group.anchor);
  const Operand x = p.real_plain(group.input);
  const BufferId y = p.target(group.output, x.layout);
  p.emit(
      group.output,
      onednn::make_softmax("softmax", anchor.op == Op::kLogSoftmax, x, anchor.as<AxisAttributes>().axis, y),
      {x.buffer, y});
  p.set_real(group.output, {y, x.layout});
}

}  // namespace

void compile_float_group(ProgramBuilder& p, const FusedGroup& group) {
  const Node& anchor = p.node(group.anchor);
  const ClipAttributes bounds = activation_bounds(p.graph(), group);
  switch (operator_info(anchor.op).form) {
    case Form::kConvolution:
      return compile_conv(p, group, bounds);
    case Form::kProduct:
      return compile_product(p, group, bounds);
    case Form::kProductOfValues:
      return compile_product_of_values(p, group);
    case Form::kBatchNormalization:
      return compile_batch_norm(p, group, bounds);
    case Form::kLayerNormalization:
      return compile_layer_norm(p, group);
    case Form::kUnary:
      return compile_unary(p, group);
    case Form::kBinary:
    case Form::kPRelu:
      return compile_binary(p, group, bounds);
    case Form::kPool:
      return compile_pool(p, group.input, group.output, anchor.as<PoolAttributes>(),
                          anchor.op == Op::kMaxPool);
    case Form::kGlobalPool:
      return compile_global_pool(p, group, anchor.op == Op::kGlobalMaxPool);
    case Form::kConcat:
      return compile_concat(p, group);
    case Form::kReshape:
      // The same bytes under another shape.
      return p.set_real(group.output,
                        {p.real_plain(group.input).buffer, Layout::plain(p.shape_of(group.output))});
    case Form::kMove:
      return compile_move(p, group);
    case Form::kReduce:
      return compile_reduce_mean(p, group);
    case Form::kSoftmax:
      return compile_softmax(p, group);
  }
}

}  // namespace octavo
