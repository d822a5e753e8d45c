// Integer groups to steps.
#include <algorithm>

#include "octavo/core/error.h"
#include "runtime/int8/steps.h"
#include "runtime/lowering/integer_groups.h"
#include "runtime/lowering/move.h"
#include "runtime/program/builder.h"

namespace octavo {
namespace {

using onednn::Layout;

/// How an operator's output lies that keeps the order of its input's dimensions.
Strides kept_order(const Shape& x, const Strides& strides, const Shape& y) {
  return same_order(x, strides, channels_last(x)) ? channels_last(y) : dense_like(y, strides);
}

/// The output of a 2x2, stride 2 max pool that alone reads the group's integers, or kNoValue. The kernels
/// pool before they round, which needs positive multipliers (they are: scales are).
ValueId pool_that_follows(const Graph& graph, const FusedGroup& group) {
  const auto readers = graph.consumers(group.output);
  if (readers.size() != 1 || group.output == graph.output) return kNoValue;
  const Node& pool = graph.nodes[static_cast<std::size_t>(readers[0])];
  const PoolAttributes window{.kernel = {2, 2}, .strides = {2, 2}};
  if (pool.op != Op::kMaxPool || !(pool.as<PoolAttributes>() == window)) return kNoValue;
  if (!graph.value(group.output).quant || graph.value(group.output).quant != graph.value(pool.output).quant) {
    return kNoValue;
  }
  return pool.output;
}

/// The group of an Add that alone reads the group's integers and whose other operand, of the same shape, is
/// there already; or null.
const FusedGroup* addition_that_follows(const ProgramBuilder& p, const FusedGroup& group) {
  const Graph& graph = p.graph();
  const auto readers = graph.consumers(group.output);
  if (readers.size() != 1 || group.output == graph.output || p.observed(group.output)) return nullptr;
  const Node& add = p.node(readers[0]);
  if (add.op != Op::kAdd || !graph.value(group.output).quant) return nullptr;
  const FusedGroup& result = p.group_of(readers[0]);
  const auto operand_fits = [&](ValueId id) {
    return p.made(id) != (id == group.output) && graph.value(id).shape == graph.value(add.output).shape;
  };
  const bool fits = result.anchor == readers[0] && runs_in_integers(graph, result) &&
                    add.inputs[0] != add.inputs[1] && std::ranges::all_of(add.inputs, operand_fits);
  return fits ? &result : nullptr;
}

/// A convolution, the Add behind it, and where the Add's other operand is: one kernel.
void emit_conv_add(ProgramBuilder& p, const FusedGroup& group, const FusedGroup& add, const IntegerConv& conv,
                   const ConvExtent& extent, Int8Conv::Algorithm algorithm, BufferId x,
                   const Strides& y_strides) {
  const bool first = p.node(add.anchor).inputs[0] == group.output;
  const Int8Conv::Addition addition{.sum = lower_integer_binary(p.graph(), add), .conv_is_first = first};
  const auto packed = p.packed().get(group.output, static_cast<int>(algorithm), [&] {
    return prepare_int8_conv(conv, extent, algorithm, {.addition = addition});
  });
  const BufferId other = p.integer_in(p.node(add.anchor).inputs[first ? 1 : 0], y_strides);
  const BufferId y = p.new_bytes(add.output);
  p.emit(add.output, make_int8_conv_step("conv + add", packed, p.batch(), x, other, y), {x, other, y},
         p.operations(group));
  p.set_integer(add.output, {y, y_strides});
  p.made_early.insert(add.output);
}

/// oneDNN's convolution, where it is faster and gives the same bits.
bool emit_onednn_conv(ProgramBuilder& p, const FusedGroup& group, const std::string& text,
                      const IntegerConv& conv, const Shape& x_shape, const Shape& y_shape, BufferId x,
                      const Strides& y_strides) {
  if (!onednn::faster_int8()) return false;
  const BufferId y = p.new_bytes(group.output);
  auto step = onednn::make_int8_conv(text, conv, x_shape, y_shape, x, y);
  if (!step) return false;
  p.emit(group.output, std::move(step), {x, y}, p.operations(group));
  p.set_integer(group.output, {y, y_strides});
  return true;
}

void compile_conv(ProgramBuilder& p, const FusedGroup& group) {
  const bool matrix = p.node(group.anchor).op != Op::kConv;
  const IntegerConv conv = lower_integer_conv(p.graph(), group);
  const Shape x_real = p.shape_of(group.input);
  const Shape y_real = p.shape_of(group.output);
  const std::int64_t rows = element_count(x_real) / conv.c_in;
  const Shape x_shape = matrix ? Shape{rows, conv.c_in, 1, 1} : x_real;
  const Shape y_shape = matrix ? Shape{rows, conv.c_out, 1, 1} : y_real;
  const Strides y_strides = matrix ? row_major(y_real) : channels_last(y_real);
  const BufferId x = p.integer_in(group.input, matrix ? row_major(x_real) : channels_last(x_real));
  const std::string text = matrix ? "gemm" : "conv";
  if (emit_onednn_conv(p, group, text, conv, x_shape, y_shape, x, y_strides)) return;

  const ConvExtent extent{x_shape[2], x_shape[3], y_shape[2], y_shape[3]};
  const Int8Conv::Algorithm algorithm = best_algorithm(int8_kernels(), conv, extent, x_shape[0], p.weights());
  const FusedGroup* add = matrix || depthwise_applies(conv) ? nullptr : addition_that_follows(p, group);
  if (add != nullptr) return emit_conv_add(p, group, *add, conv, extent, algorithm, x, y_strides);
  const bool may_pool = algorithm != Int8Conv::Algorithm::kDepthwise && !p.observed(group.output);
  const ValueId pooled = may_pool ? pool_that_follows(p.graph(), group) : kNoValue;
  const auto packed = p.packed().get(group.output, static_cast<int>(algorithm), [&] {
    return prepare_int8_conv(conv, extent, algorithm, {.pool2x2 = pooled != kNoValue});
  });
  if (pooled != kNoValue) {
    const BufferId y = p.new_bytes(pooled);
    p.emit(pooled, make_int8_conv_step(text + " + max-pool", packed, x_shape[0], x, -1, y), {x, y},
           p.operations(group));
    p.set_integer(pooled, {y, channels_last(p.shape_of(pooled))});
    p.made_early.insert(pooled);
    return;
  }
  const Layout layout = matrix ? Layout::plain(y_real) : Layout::channels_last(y_real);
  const BufferId y = conv.output_is_float ? p.target(group.output, layout) : p.new_bytes(group.output);
  p.emit(group.output, make_int8_conv_step(text, packed, x_shape[0], x, -1, y), {x, y}, p.operations(group));
  if (conv.output_is_float) {
    p.set_real(group.output, {y, layout});
  } else {
    p.set_integer(group.output, {y, y_strides});
  }
}

void compile_pool(ProgramBuilder& p, const FusedGroup& group) {
  const Node& anchor = p.node(group.anchor);
  const Shape x_shape = p.shape_of(group.input);
  const Shape y_shape = p.shape_of(group.output);
  const bool max = operator_info(anchor.op).integer_form == IntegerForm::kMaxPool;
  Int8Pool pool{.in_h = x_shape[2],
                .in_w = x_shape[3],
                .out_h = y_shape[2],
                .out_w = y_shape[3],
                .channels = x_shape[1],
                .parameters = {}};
  if (!max) {
    pool.parameters = lower_integer_average(p.graph(), group);
  } else if (anchor.op == Op::kMaxPool) {
    pool.parameters.window = anchor.as<PoolAttributes>();
  } else {
    pool.parameters.window.kernel = {x_shape[2], x_shape[3]};
  }
  const BufferId x = p.integer_in(group.input, channels_last(x_shape));
  const Layout layout = Layout::channels_last(y_shape);
  const BufferId y =
      pool.parameters.output_is_float ? p.target(group.output, layout) : p.new_bytes(group.output);
  p.emit(group.output, make_int8_pool_step(max ? "max-pool" : "average-pool", !max, pool, p.batch(), x, y),
         {x, y});
  if (pool.parameters.output_is_float) {
    p.set_real(group.output, {y, layout});
  } else {
    p.set_integer(group.output, {y, channels_last(y_shape)});
  }
}

void compile_reshape(ProgramBuilder& p, const FusedGroup& group) {
  const Shape x_shape = p.shape_of(group.input);
  const Shape y_shape = p.shape_of(group.output);
  const IntegerOperand x = p.integer_place(group.input);
  if (const auto strides = reshaped(x_shape, x.strides, y_shape)) {
    p.set_integer(group.output, {x.buffer, *strides});
    return;
  }
  // Written in the order that the output's readers want, where the input's elements allow it: one copy.
  const Strides wanted = channels_last(y_shape);
  if (const auto as_input = reshaped(y_shape, wanted, x_shape)) {
    const BufferId y = p.new_bytes(group.output);
    p.emit(group.output,
           make_int8_map_step("reshape", {x_shape, {*as_input, x.strides}, {}}, {}, x.buffer, y),
           {x.buffer, y});
    p.set_integer(group.output, {y, wanted});
    return;
  }
  const BufferId plain = p.integer_in(group.input, row_major(x_shape));
  p.set_integer(group.output, {plain, row_major(y_shape)});
}

void compile_transpose(ProgramBuilder& p, const FusedGroup& group) {
  const IntegerOperand x = p.integer_place(group.input);
  IntegerOperand y{x.buffer, {}};
  for (const std::int64_t from : p.node(group.anchor).as<TransposeAttributes>().permutation)
    y.strides.push_back(x.strides[static_cast<std::size_t>(from)]);
  p.set_integer(group.output, std::move(y));
}

/// Slice or Pad: a copy that keeps the order of dimensions in memory. A Transpose copies nothing.
void compile_move(ProgramBuilder& p, const FusedGroup& group) {
  const Node& anchor = p.node(group.anchor);
  if (anchor.op == Op::kTranspose) return compile_transpose(p, group);
  const Shape x_shape = p.shape_of(group.input);
  const Shape y_shape = p.shape_of(group.output);
  const IntegerOperand x = p.integer_place(group.input);
  const Strides y_strides = kept_order(x_shape, x.strides, y_shape);
  const BufferId y = p.new_bytes(group.output);
  if (std::holds_alternative<PadAttributes>(anchor.attributes)) {
    const auto zero_point = static_cast<std::uint8_t>(p.graph().value(group.input).quant->zero_point());
    p.emit(group.output,
           make_fill_step("fill", zero_point, static_cast<std::size_t>(element_count(y_shape)), y), {y});
  }
  const Walk walk = lower_move(anchor, x_shape, x.strides, y_shape, y_strides);
  p.emit(group.output, make_int8_map_step(to_string(anchor.op), walk, {}, x.buffer, y), {x.buffer, y});
  p.set_integer(group.output, {y, y_strides});
}

void compile_concat(ProgramBuilder& p, const FusedGroup& group) {
  const Node& node = p.node(group.anchor);
  const auto axis = static_cast<std::size_t>(node.as<AxisAttributes>().axis);
  const Shape y_shape = p.shape_of(group.output);
  const Strides y_strides =
      kept_order(p.shape_of(group.input), p.integer_place(group.input).strides, y_shape);
  const QuantParams& to = *p.graph().value(group.output).quant;
  const BufferId y = p.new_bytes(group.output);
  std::int64_t start = 0;
  for (const ValueId id : node.inputs) {
    const IntegerOperand x = p.integer_place(id);
    const Shape x_shape = p.shape_of(id);
    const QuantParams& from = *p.graph().value(id).quant;
    const IntegerTable table = from == to ? IntegerTable{} : lower_integer_rescale(from, to);
    p.emit(id,
           make_int8_map_step("concat", {x_shape, {y_strides, x.strides}, {start, 0}}, table.values, x.buffer,
                              y),
           {x.buffer, y});
    start += x_shape[axis] * y_strides[axis];
  }
  p.set_integer(group.output, {y, y_strides});
}

void compile_binary(ProgramBuilder& p, const FusedGroup& group) {
  const Node& node = p.node(group.anchor);
  const Shape y_shape = p.shape_of(group.output);
  const auto shaped_like_output = [&](ValueId id) { return p.shape_of(id) == y_shape; };
  // The output lies like the operand of its shape.
  Strides y_strides = channels_last(y_shape);
  for (const ValueId id : {node.inputs[1], node.inputs[0]}) {
    if (shaped_like_output(id)) y_strides = p.integer_place(id).strides;
  }
  const auto operand = [&](ValueId id) {
    return broadcast(p.shape_of(id), p.integer_place(id).strides, y_shape.size());
  };
  const Walk walk{y_shape, {y_strides, operand(node.inputs[0]), operand(node.inputs[1])}, {}};
  const BufferId a = p.integer_place(node.inputs[0]).buffer;
  const BufferId b = p.integer_place(node.inputs[1]).buffer;
  const BufferId y = p.new_bytes(group.output);
  const char* const kernel = node.op == Op::kMul ? "mul" : node.op == Op::kSub ? "sub" : "add";
  p.emit(group.output, make_int8_binary_step(kernel, lower_integer_binary(p.graph(), group), walk, a, b, y),
         {a, b, y});
  p.set_integer(group.output, {y, y_strides});
}

void compile_table(ProgramBuilder& p, const FusedGroup& group) {
  const IntegerTable table = lower_integer_table(p.graph(), group);
  const IntegerOperand x = p.integer_place(group.input);
  const Shape shape = p.shape_of(group.output);
  Walk walk{shape, {x.strides, x.strides}, {}};
  if (table.axis != QuantParams::kPerTensor) {
    walk.strides.emplace_back(shape.size(), 0);
    walk.strides.back()[static_cast<std::size_t>(table.axis)] = 1;
  }
  const BufferId y = p.new_bytes(group.output);
  p.emit(group.output, make_int8_map_step("table", walk, table.values, x.buffer, y), {x.buffer, y});
  p.set_integer(group.output, {y, x.strides});
}

void compile_affine(ProgramBuilder& p, const FusedGroup& group) {
  const IntegerOperand x = p.integer_place(group.input);
  const Shape shape = p.shape_of(group.output);
  Strides channel(shape.size(), 0);
  channel[1] = 1;
  const BufferId y = p.new_bytes(group.output);
  p.emit(group.output,
         make_int8_affine_step("batch-norm", lower_integer_affine(p.graph(), group),
                               {shape, {x.strides, x.strides, channel}, {}}, x.buffer, y),
         {x.buffer, y});
  p.set_integer(group.output, {y, x.strides});
}

}  // namespace

void compile_integer_group(ProgramBuilder& p, const FusedGroup& group) {
  const Node& anchor = p.node(group.anchor);
  switch (operator_info(anchor.op).integer_form) {
    case IntegerForm::kConvolution:
      return compile_conv(p, group);
    case IntegerForm::kMaxPool:
    case IntegerForm::kAveragePool:
      return compile_pool(p, group);
    case IntegerForm::kReshape:
      return compile_reshape(p, group);
    case IntegerForm::kMove:
      return compile_move(p, group);
    case IntegerForm::kConcat:
      return compile_concat(p, group);
    case IntegerForm::kAffine:
      return compile_affine(p, group);
    case IntegerForm::kBinary:
      if (flowing_inputs(p.graph(), group).size() == 2) return compile_binary(p, group);
      [[fallthrough]];
    case IntegerForm::kTable:
      return compile_table(p, group);
    case IntegerForm::kProductOfValues:
      return compile_integer_product(p, group);
    case IntegerForm::kLayerNormalization:
      return compile_integer_layer_norm(p, group);
    case IntegerForm::kSoftmax:
      return compile_integer_softmax(p, group);
    case IntegerForm::kNone:
      break;
  }
  throw Error(ErrorCode::kInternal, p.graph().name, "no integer form of " + to_string(anchor.op));
}

}  // namespace octavo
