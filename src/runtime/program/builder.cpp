#include "runtime/program/builder.h"

#include <algorithm>

#include "octavo/core/error.h"
#include "octavo/core/quant.h"
#include "octavo/graph/costs.h"
#include "runtime/int8/steps.h"

namespace octavo {

using onednn::Layout;
using onednn::Operand;

ProgramBuilder::ProgramBuilder(const Graph& graph, std::int64_t batch, const std::vector<ValueId>& observe,
                               PackedConstants& packed)
    : graph_(graph),
      batch_(batch),
      observe_(observe),
      packed_(packed),
      groups_(fuse(graph, observe)),
      places_(graph.values.size()),
      uses_(graph.values.size(), 0),
      buffers_(2) {
  program_.batch = batch;
  for (const Value& value : graph.values)
    if (value.constant) weights_ += value.constant->size();
  ++uses_[static_cast<std::size_t>(graph.output)];
}

const FusedGroup& ProgramBuilder::group_of(int node) const {
  const auto found = std::ranges::find_if(groups_, [node](const FusedGroup& group) {
    return group.anchor == node || group.batch_norm == node || group.add == node || group.activation == node;
  });
  check_internal(found != groups_.end(), "compile: a node is in no group");
  return *found;
}

bool ProgramBuilder::made(ValueId id) const {
  const Place& place = places_[static_cast<std::size_t>(id)];
  return place.real || place.integer;
}

Shape ProgramBuilder::shape_of(ValueId id) const {
  Shape shape = graph_.value(id).shape;
  shape[0] = batch_;
  return shape;
}

Tensor ProgramBuilder::constant(ValueId id) const {
  const Value& value = graph_.value(id);
  return value.quant ? dequantize(octavo::quantize(*value.constant, *value.quant), *value.quant)
                     : *value.constant;
}

BufferId ProgramBuilder::new_buffer(std::size_t bytes) {
  buffers_.push_back({bytes, -1, -1});
  return static_cast<BufferId>(buffers_.size() - 1);
}

BufferId ProgramBuilder::new_bytes(ValueId id) {
  return new_buffer(static_cast<std::size_t>(element_count(shape_of(id))));
}

void ProgramBuilder::resize_buffer(BufferId id, std::size_t bytes) {
  buffers_[static_cast<std::size_t>(id)].bytes = bytes;
}

BufferId ProgramBuilder::target(ValueId id, const Layout& layout) {
  const bool deliver =
      id == graph_.output && !graph_.value(id).quant && layout == Layout::plain(shape_of(id));
  return deliver ? kOutputBuffer : new_buffer(layout.bytes());
}

void ProgramBuilder::begin_group(int group, bool integer) {
  group_ = group;
  integer_ = integer;
}

void ProgramBuilder::end_groups() {
  group_ = -1;
  integer_ = false;
}

std::int64_t ProgramBuilder::operations(const FusedGroup& group) const {
  return 2 * batch_ * mac_count(graph_, node(group.anchor));
}

void ProgramBuilder::emit(ValueId id, std::unique_ptr<Step> step, const std::vector<BufferId>& touched,
                          std::int64_t operations) {
  const int index = static_cast<int>(program_.steps.size());
  program_.infos.push_back({.kernel = step->kernel(),
                            .value = name(id),
                            .shape = shape_of(id),
                            .operations = operations,
                            .conversion = Conversion::kNone,
                            .integer = integer_,
                            .group = group_});
  program_.steps.push_back(std::move(step));
  for (const BufferId used : touched) {
    if (used < 0) continue;
    Buffer& buffer = buffers_[static_cast<std::size_t>(used)];
    if (buffer.first < 0) buffer.first = index;
    buffer.last = index;
  }
}

void ProgramBuilder::expect_reads(const FusedGroup& group) {
  for (const ValueId id : flowing_inputs(graph_, group)) ++uses_[static_cast<std::size_t>(id)];
}

void ProgramBuilder::finish_reads(const FusedGroup& group) {
  for (const ValueId id : flowing_inputs(graph_, group)) --uses_[static_cast<std::size_t>(id)];
}

bool ProgramBuilder::may_overwrite(ValueId id, BufferId buffer) const {
  if (buffer == kInputBuffer || buffer == kOutputBuffer) return false;
  // Reshaped values share memory.
  for (std::size_t i = 0; i < places_.size(); ++i) {
    const Place& p = places_[i];
    const bool here = (p.real && p.real->buffer == buffer) || (p.integer && p.integer->buffer == buffer);
    if (here && uses_[i] > (static_cast<ValueId>(i) == id ? 1 : 0)) return false;
  }
  return true;
}

bool ProgramBuilder::observed(ValueId id) const { return std::ranges::find(observe_, id) != observe_.end(); }

void ProgramBuilder::show(ValueId id) {
  if (!observed(id)) return;
  const BufferId x = real_plain(id).buffer;
  emit(id, make_observe_step("observe", id, element_count(shape_of(id)), x), {x});
}

void ProgramBuilder::set_real(ValueId id, const Operand& operand) {
  place(id).real = operand;
  if (graph_.value(id).quant) {
    quantize(id);
    place(id).real.reset();  // What flows on is the quantized value.
  }
  show(id);
}

void ProgramBuilder::set_integer(ValueId id, IntegerOperand operand) {
  place(id).integer = std::move(operand);
  show(id);
}

Operand ProgramBuilder::in_layout(const Operand& from, const Layout& wanted, ValueId id) {
  if (from.layout == wanted) return from;
  const Operand to{new_buffer(wanted.bytes()), wanted};
  emit(id, onednn::make_reorder("reorder", from, to), {from.buffer, to.buffer});
  return to;
}

Operand ProgramBuilder::real_place(ValueId id) {
  if (!place(id).real) {
    const Shape shape = shape_of(id);
    const bool last = same_order(shape, integer_place(id).strides, channels_last(shape));
    const BufferId x = last ? integer_place(id).buffer : integer_in(id, row_major(shape));
    const Layout layout = last ? Layout::channels_last(shape) : Layout::plain(shape);
    const BufferId y = new_buffer(layout.bytes());
    emit(id, make_dequantize_step("dequantize", *graph_.value(id).quant, element_count(shape), x, y), {x, y});
    program_.infos.back().conversion = Conversion::kDequantize;
    place(id).real = Operand{y, layout};
  }
  return *place(id).real;
}

Operand ProgramBuilder::real_plain(ValueId id) {
  return in_layout(real_place(id), Layout::plain(shape_of(id)), id);
}

const IntegerOperand& ProgramBuilder::integer_place(ValueId id) {
  if (!place(id).integer) quantize(id);
  return *place(id).integer;
}

BufferId ProgramBuilder::integer_in(ValueId id, const Strides& wanted) {
  const Shape shape = shape_of(id);
  const IntegerOperand from = integer_place(id);
  if (same_order(shape, from.strides, wanted)) return from.buffer;
  const BufferId to = new_bytes(id);
  emit(id, make_int8_map_step("reorder", {shape, {wanted, from.strides}, {}}, {}, from.buffer, to),
       {from.buffer, to});
  place(id).integer = IntegerOperand{to, wanted};
  return to;
}

void ProgramBuilder::quantize(ValueId id) {
  const Shape shape = shape_of(id);
  const QuantParams& params = *graph_.value(id).quant;
  Operand x = *place(id).real;
  const BufferId y = new_bytes(id);
  // NHWC as the convolutions want it, unless it is matrix products that read the value.
  const auto readers = graph_.consumers(id);
  const bool matrices =
      shape.size() != 4 || (!readers.empty() && std::ranges::all_of(readers, [&](int reader) {
        return node(reader).op == Op::kMatMul || node(reader).op == Op::kMatMulOfValues;
      }));
  const bool is_last = x.layout == Layout::channels_last(shape);
  if (!is_last || matrices) x = in_layout(x, Layout::plain(shape), id);
  const bool transposes = !is_last && !matrices;
  emit(id, make_quantize_step("quantize", params, shape, transposes, x.buffer, y), {x.buffer, y});
  program_.infos.back().conversion = Conversion::kQuantize;
  place(id).integer = IntegerOperand{y, matrices ? row_major(shape) : channels_last(shape)};
}

Program ProgramBuilder::finish() {
  const Operand result = real_place(graph_.output);
  if (result.buffer != kOutputBuffer) {
    const Operand caller{kOutputBuffer, Layout::plain(shape_of(graph_.output))};
    emit(graph_.output, onednn::make_reorder("copy", result, caller), {result.buffer});
  }
  lay_out();
  return std::move(program_);
}

/// Greedy placement, largest first: buffers that live at the same time do not overlap.
void ProgramBuilder::lay_out() {
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

}  // namespace octavo
