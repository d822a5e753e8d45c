#include "runtime/compiler.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>

#include "octavo/core/error.h"
#include "octavo/graph/passes.h"
#include "runtime/int8_steps.h"
#include "runtime/integer_groups.h"
#include "runtime/onednn.h"

namespace octavo {
namespace {

using onednn::Layout;
using onednn::Operand;

/// Where a value is: in float, in uint8 NHWC, or (after a conversion) both.
struct Place {
  std::optional<Operand> real;
  std::optional<BufferId> integer;
};

/// Memory of a buffer and the steps between which it is in use.
struct Buffer {
  std::size_t bytes = 0;
  int first = -1;
  int last = -1;
};

class Compiler {
 public:
  Compiler(const Graph& graph, std::int64_t batch, const std::vector<ValueId>& observe)
      : graph_(graph),
        batch_(batch),
        observe_(observe),
        places_(graph.values.size()),
        uses_(graph.values.size(), 0),
        buffers_(2) {}

  Program run() {
    const std::vector<FusedGroup> groups = fuse(graph_);
    for (const FusedGroup& group : groups) {
      ++uses(group.input);
      if (group.residual != kNoValue) ++uses(group.residual);
    }
    ++uses(graph_.output);
    set_real(graph_.input, {kInputBuffer, Layout::plain(shape_of(graph_.input))});
    for (const FusedGroup& group : groups) {
      if (pooled_.contains(group.output)) {
        // The convolution before it has done this already.
      } else if (runs_in_integers(graph_, group)) {
        integer_group(group);
      } else {
        float_group(group);
      }
      --uses(group.input);
      if (group.residual != kNoValue) --uses(group.residual);
    }
    deliver_output();
    program_.batch = batch_;
    lay_out();
    return std::move(program_);
  }

 private:
  // ---- bookkeeping ----

  const Node& node(int index) const { return graph_.nodes[static_cast<std::size_t>(index)]; }
  Place& place(ValueId id) { return places_[static_cast<std::size_t>(id)]; }
  int& uses(ValueId id) { return uses_[static_cast<std::size_t>(id)]; }
  const std::string& name(ValueId id) const { return graph_.value(id).name; }
  static std::string label(const char* kernel, const std::string& what) {
    return std::string(kernel) + " " + what;
  }

  Shape shape_of(ValueId id) const {
    Shape shape = graph_.value(id).shape;
    shape[0] = batch_;
    return shape;
  }

  BufferId new_buffer(std::size_t bytes) {
    buffers_.push_back({bytes, -1, -1});
    return static_cast<BufferId>(buffers_.size() - 1);
  }
  BufferId new_bytes(ValueId id) { return new_buffer(static_cast<std::size_t>(element_count(shape_of(id)))); }

  void emit(std::unique_ptr<Step> step, std::initializer_list<BufferId> touched) {
    const int index = static_cast<int>(program_.steps.size());
    program_.steps.push_back(std::move(step));
    for (const BufferId id : touched) {
      if (id < 0) continue;
      Buffer& buffer = buffers_[static_cast<std::size_t>(id)];
      if (buffer.first < 0) buffer.first = index;
      buffer.last = index;
    }
  }

  /// Records where a float result is; quantizes it if the value is quantized, and shows it to the observer.
  void set_real(ValueId id, const Operand& operand) {
    place(id).real = operand;
    if (std::ranges::find(observe_, id) != observe_.end()) {
      const Operand plain = in_layout(operand, Layout::plain(shape_of(id)), name(id));
      emit(make_observe_step(label("observe", name(id)), id, element_count(shape_of(id)), plain.buffer),
           {plain.buffer});
    }
    if (graph_.value(id).quant) {
      integer_place(id);
      place(id).real.reset();  // What flows on is the quantized value.
    }
  }

  Operand in_layout(const Operand& from, const Layout& wanted, const std::string& what) {
    if (from.layout == wanted) return from;
    const Operand to{new_buffer(wanted.bytes()), wanted};
    emit(onednn::make_reorder(label("reorder", what), from, to), {from.buffer, to.buffer});
    return to;
  }

  /// The value in float, dequantized if need be.
  Operand real_place(ValueId id) {
    Place& p = place(id);
    if (!p.real) {
      const Layout plain = Layout::plain(shape_of(id));
      const Operand operand{new_buffer(plain.bytes()), plain};
      emit(make_dequantize_step(label("dequantize", name(id)), *graph_.value(id).quant, shape_of(id),
                                *p.integer, operand.buffer),
           {*p.integer, operand.buffer});
      p.real = operand;
    }
    return *p.real;
  }

  /// The value in uint8 NHWC.
  BufferId integer_place(ValueId id) {
    Place& p = place(id);
    if (!p.integer) {
      const Operand plain = in_layout(*p.real, Layout::plain(shape_of(id)), name(id));
      const BufferId buffer = new_bytes(id);
      emit(make_quantize_step(label("quantize", name(id)), *graph_.value(id).quant, shape_of(id),
                              plain.buffer, buffer),
           {plain.buffer, buffer});
      p.integer = buffer;
    }
    return *p.integer;
  }

  void deliver_output() {
    const Operand result = real_place(graph_.output);
    if (result.buffer == kOutputBuffer) return;
    const Operand caller{kOutputBuffer, Layout::plain(shape_of(graph_.output))};
    emit(onednn::make_reorder(label("copy", name(graph_.output)), result, caller), {result.buffer});
  }

  /// Greedy placement, largest first: buffers that live at the same time do not overlap.
  void lay_out() {
    constexpr std::size_t kAlign = 64;
    program_.offsets.assign(buffers_.size(), 0);
    std::vector<std::size_t> order;
    for (std::size_t i = 2; i < buffers_.size(); ++i) {
      buffers_[i].bytes = (buffers_[i].bytes + kReadSlack + kAlign - 1) / kAlign * kAlign;
      if (buffers_[i].first >= 0) order.push_back(i);
    }
    std::ranges::stable_sort(order, [&](auto a, auto b) { return buffers_[a].bytes > buffers_[b].bytes; });
    std::vector<std::size_t> placed;
    for (const std::size_t i : order) {
      std::size_t offset = 0;
      bool moved = true;
      while (moved) {
        moved = false;
        for (const std::size_t other : placed) {
          const bool together =
              buffers_[i].first <= buffers_[other].last && buffers_[other].first <= buffers_[i].last;
          const std::size_t end = program_.offsets[other] + buffers_[other].bytes;
          if (together && offset < end && program_.offsets[other] < offset + buffers_[i].bytes) {
            offset = end;
            moved = true;
          }
        }
      }
      program_.offsets[i] = offset;
      program_.arena_bytes = std::max(program_.arena_bytes, offset + buffers_[i].bytes);
      placed.push_back(i);
    }
  }

  // ---- float32 ----

  /// A float constant as a kernel needs it; a quantized one by its dequantized integers.
  Tensor constant(ValueId id) const {
    const Value& value = graph_.value(id);
    return value.quant ? dequantize(quantize(*value.constant, *value.quant), *value.quant) : *value.constant;
  }

  void float_group(const FusedGroup& group) {
    const Node& anchor = node(group.anchor);
    const ClipAttributes bounds = activation_bounds(graph_, group);
    switch (anchor.op) {
      case Op::kConv:
        return float_conv(group, bounds);
      case Op::kGemm: {
        const Operand x =
            in_layout(real_place(group.input), Layout::plain(shape_of(group.input)), name(group.input));
        const Tensor weight = constant(anchor.inputs[1]);
        const Tensor bias = anchor.inputs.size() > 2 ? constant(anchor.inputs[2]) : Tensor();
        const Layout layout = Layout::plain(shape_of(group.output));
        const BufferId y = target(group.output, layout);
        emit(onednn::make_gemm(label("gemm", name(group.output)), batch_, weight,
                               anchor.inputs.size() > 2 ? &bias : nullptr, bounds, x.buffer, y),
             {x.buffer, y});
        return set_real(group.output, {y, layout});
      }
      case Op::kBatchNormalization:
        return float_batch_norm(group, bounds);
      case Op::kRelu:
      case Op::kClip: {
        const ClipAttributes own =
            anchor.op == Op::kRelu ? ClipAttributes{.min = 0.0F} : anchor.as<ClipAttributes>();
        const Operand x = real_place(group.input);
        const BufferId y = new_buffer(x.layout.bytes());
        emit(onednn::make_clip(label("clip", name(group.output)), x, own, y), {x.buffer, y});
        return set_real(group.output, {y, x.layout});
      }
      case Op::kAdd: {
        const Operand a = real_place(group.input);
        const Operand b = in_layout(real_place(group.residual), a.layout, name(group.residual));
        const BufferId y = new_buffer(a.layout.bytes());
        emit(onednn::make_add(label("add", name(group.output)), a, b, bounds, y), {a.buffer, b.buffer, y});
        return set_real(group.output, {y, a.layout});
      }
      case Op::kMaxPool:
      case Op::kAveragePool:
      case Op::kGlobalAveragePool:
        return float_pool(group);
      case Op::kFlatten: {
        const Operand x =
            in_layout(real_place(group.input), Layout::plain(shape_of(group.input)), name(group.input));
        // The same bytes under another shape.
        return set_real(group.output, {x.buffer, Layout::plain(shape_of(group.output))});
      }
      default:
        throw Error(ErrorCode::kUnsupported, graph_.name,
                    "node '" + anchor.name + "': no kernel for " + to_string(anchor.op));
    }
  }

  /// The caller's memory for the model's output, an arena buffer for the rest.
  BufferId target(ValueId id, const Layout& layout) {
    const bool deliver =
        id == graph_.output && !graph_.value(id).quant && layout == Layout::plain(shape_of(id));
    return deliver ? kOutputBuffer : new_buffer(layout.bytes());
  }

  void float_conv(const FusedGroup& group, const ClipAttributes& bounds) {
    const Node& anchor = node(group.anchor);
    if (group.batch_norm >= 0)
      throw Error(ErrorCode::kInternal, graph_.name, "batch norm left after folding");
    const Tensor weight = constant(anchor.inputs[1]);
    const Tensor bias = anchor.inputs.size() > 2 ? constant(anchor.inputs[2]) : Tensor();
    onednn::ConvArguments arguments{.x_shape = shape_of(group.input),
                                    .y_shape = shape_of(group.output),
                                    .attributes = anchor.as<ConvAttributes>(),
                                    .weight = &weight,
                                    .bias = anchor.inputs.size() > 2 ? &bias : nullptr,
                                    .epilogue = {.accumulate = group.residual != kNoValue, .bounds = bounds},
                                    .output = {}};
    std::optional<Operand> residual;
    if (group.residual != kNoValue) {
      residual = real_place(group.residual);
      arguments.output = residual->layout;
    }
    const onednn::FloatConv conv(arguments);
    const Operand x = in_layout(real_place(group.input), conv.input(), name(group.input));
    BufferId y = -1;
    if (residual) {
      // The kernel adds onto its output: take the residual's own memory when nobody needs it afterwards.
      const bool reusable =
          uses(group.residual) == 1 && residual->buffer != kInputBuffer && group.residual != group.input;
      y = reusable ? residual->buffer : new_buffer(residual->layout.bytes());
      if (!reusable) {
        emit(onednn::make_reorder(label("copy", name(group.residual)), *residual, {y, residual->layout}),
             {residual->buffer, y});
      }
    } else {
      y = target(group.output, conv.output());
    }
    const BufferId scratch = conv.scratch_bytes() > 0 ? new_buffer(conv.scratch_bytes()) : -1;
    emit(conv.step(label("conv", name(group.output)), x.buffer, y, scratch), {x.buffer, y, scratch});
    set_real(group.output, {y, conv.output()});
  }

  void float_batch_norm(const FusedGroup& group, const ClipAttributes& bounds) {
    const Node& anchor = node(group.anchor);
    const auto parameter = [&](std::size_t i) {
      return graph_.value(anchor.inputs[i]).constant->data<float>();
    };
    std::vector<float> scale;
    std::vector<float> shift;
    for (std::size_t c = 0; c < parameter(1).size(); ++c) {
      const double factor = parameter(1)[c] / std::sqrt(static_cast<double>(parameter(4)[c]) +
                                                        anchor.as<BatchNormAttributes>().epsilon);
      scale.push_back(static_cast<float>(factor));
      shift.push_back(static_cast<float>(parameter(2)[c] - parameter(3)[c] * factor));
    }
    const Operand x = real_place(group.input);
    const BufferId y = new_buffer(x.layout.bytes());
    emit(onednn::make_scale_shift(label("batch-norm", name(group.output)), x, shape_of(group.input), scale,
                                  shift, bounds, y),
         {x.buffer, y});
    set_real(group.output, {y, x.layout});
  }

  void float_pool(const FusedGroup& group) {
    const Node& anchor = node(group.anchor);
    const Shape x_shape = shape_of(group.input);
    const Shape y_shape = shape_of(group.output);
    const bool max = anchor.op == Op::kMaxPool;
    PoolAttributes window{.kernel = {x_shape[2], x_shape[3]}};
    if (anchor.op != Op::kGlobalAveragePool) window = anchor.as<PoolAttributes>();
    const Operand x = real_place(group.input);
    const BufferId y = new_buffer(0);
    Layout layout;
    auto step = onednn::make_pool(label(max ? "max-pool" : "average-pool", name(group.output)),
                                  max ? onednn::PoolKind::kMax : onednn::PoolKind::kAverage, x, x_shape,
                                  y_shape, window, y, layout);
    buffers_[static_cast<std::size_t>(y)].bytes = layout.bytes();
    emit(std::move(step), {x.buffer, y});
    set_real(group.output, {y, layout});
  }

  // ---- integers ----

  void integer_group(const FusedGroup& group) {
    const Node& anchor = node(group.anchor);
    switch (anchor.op) {
      case Op::kConv:
      case Op::kGemm:
        return integer_conv(group);
      case Op::kMaxPool:
        return integer_pool(group, false);
      case Op::kAveragePool:
      case Op::kGlobalAveragePool:
        return integer_pool(group, true);
      case Op::kFlatten: {
        const BufferId x = integer_place(group.input);
        const Shape shape = shape_of(group.input);
        // With one pixel a channel NHWC and NCHW are the same bytes.
        if (element_count(shape) == shape[0] * shape[1]) {
          place(group.output).integer = x;
          return;
        }
        const BufferId y = new_bytes(group.output);
        emit(make_flatten_step(label("flatten", name(group.output)), shape, x, y), {x, y});
        place(group.output).integer = y;
        return;
      }
      case Op::kAdd: {
        const BufferId a = integer_place(group.input);
        const BufferId b = integer_place(group.residual);
        const BufferId y = new_bytes(group.output);
        emit(make_int8_add_step(label("add", name(group.output)), lower_integer_add(graph_, group),
                                element_count(shape_of(group.output)), a, b, y),
             {a, b, y});
        place(group.output).integer = y;
        return;
      }
      default:
        throw Error(ErrorCode::kInternal, graph_.name, "no integer form of " + to_string(anchor.op));
    }
  }

  void integer_conv(const FusedGroup& group) {
    const Node& anchor = node(group.anchor);
    const IntegerConv conv = lower_integer_conv(graph_, group);
    const bool gemm = anchor.op == Op::kGemm;
    const Shape x_shape = gemm ? Shape{batch_, conv.c_in, 1, 1} : shape_of(group.input);
    const Shape y_shape = gemm ? Shape{batch_, conv.c_out, 1, 1} : shape_of(group.output);
    const BufferId x = integer_place(group.input);
    const BufferId residual = conv.has_residual ? integer_place(group.residual) : -1;
    const std::string text = label(gemm ? "gemm" : "conv", name(group.output));
    if (onednn::exact_int8()) {
      const bool reusable = residual >= 0 && uses(group.residual) == 1 && group.residual != group.input;
      const BufferId y = reusable ? residual : new_bytes(group.output);
      auto step = onednn::make_int8_conv(text, conv, x_shape, y_shape, x, y);
      if (step) {
        if (residual >= 0 && !reusable) {
          emit(make_copy_step(label("copy", name(group.residual)),
                              static_cast<std::size_t>(element_count(y_shape)), residual, y),
               {residual, y});
        }
        emit(std::move(step), {x, y});
        place(group.output).integer = y;
        return;
      }
    }
    const auto algorithm = int8_kernels().winograd && winograd_applies(conv) ? Int8Conv::Algorithm::kWinograd
                                                                             : Int8Conv::Algorithm::kDirect;
    const ConvExtent extent{x_shape[2], x_shape[3], y_shape[2], y_shape[3]};
    if (const ValueId pooled = pool_that_follows(group); pooled != kNoValue) {
      const BufferId y = new_bytes(pooled);
      emit(make_int8_conv_step(text + " + max-pool " + name(pooled),
                               prepare_int8_conv(conv, extent, algorithm, true), batch_, x, residual, y),
           {x, y});
      place(pooled).integer = y;
      pooled_.insert(pooled);
      return;
    }
    const Layout layout = Layout::channels_last(shape_of(group.output));
    const BufferId y = conv.output_is_float ? target(group.output, layout) : new_bytes(group.output);
    emit(make_int8_conv_step(text, prepare_int8_conv(conv, extent, algorithm), batch_, x, residual, y),
         {x, residual, y});
    if (conv.output_is_float) {
      set_real(group.output, {y, layout});
    } else {
      place(group.output).integer = y;
    }
  }

  /// The output of a 2x2, stride 2 max pool that alone reads the group's integers, or kNoValue. The kernels
  /// pool before they round, which needs positive multipliers (they are: scales are) and no residual.
  ValueId pool_that_follows(const FusedGroup& group) const {
    const auto readers = graph_.consumers(group.output);
    if (readers.size() != 1 || group.output == graph_.output || group.residual != kNoValue) return kNoValue;
    const Node& pool = node(readers[0]);
    const PoolAttributes window{.kernel = {2, 2}, .strides = {2, 2}};
    if (pool.op != Op::kMaxPool || !(pool.as<PoolAttributes>() == window)) return kNoValue;
    if (!graph_.value(group.output).quant ||
        graph_.value(group.output).quant != graph_.value(pool.output).quant) {
      return kNoValue;
    }
    return pool.output;
  }

  void integer_pool(const FusedGroup& group, bool average) {
    const Node& anchor = node(group.anchor);
    const Shape x_shape = shape_of(group.input);
    const Shape y_shape = shape_of(group.output);
    Int8Pool pool{.in_h = x_shape[2],
                  .in_w = x_shape[3],
                  .out_h = y_shape[2],
                  .out_w = y_shape[3],
                  .channels = x_shape[1],
                  .parameters = {}};
    if (average) {
      pool.parameters = lower_integer_average(graph_, anchor);
    } else {
      pool.parameters.window = anchor.as<PoolAttributes>();
    }
    const BufferId x = integer_place(group.input);
    const BufferId y = new_bytes(group.output);
    emit(make_int8_pool_step(label(average ? "average-pool" : "max-pool", name(group.output)), average, pool,
                             batch_, x, y),
         {x, y});
    place(group.output).integer = y;
  }

  const Graph& graph_;
  std::int64_t batch_;
  const std::vector<ValueId>& observe_;
  std::vector<Place> places_;
  std::vector<int> uses_;
  std::vector<Buffer> buffers_;
  std::set<ValueId> pooled_;  ///< Pool outputs that a convolution wrote.
  Program program_;
};

}  // namespace

Program compile_program(const Graph& graph, std::int64_t batch, const std::vector<ValueId>& observe) {
  return Compiler(graph, batch, observe).run();
}

}  // namespace octavo
