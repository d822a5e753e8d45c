// What compiling float and integer groups has in common: where values are, memory, and the list of steps.
#pragma once

#include <initializer_list>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "octavo/graph/passes.h"
#include "runtime/float/onednn.h"
#include "runtime/lowering/walk.h"
#include "runtime/program/packed_constants.h"
#include "runtime/program/step.h"

namespace octavo {

/// A quantized value: dense uint8 whose dimensions are nested in any order.
struct IntegerOperand {
  BufferId buffer = -1;
  Strides strides;
};

class ProgramBuilder {
 public:
  ProgramBuilder(const Graph& graph, std::int64_t batch, const std::vector<ValueId>& observe,
                 PackedConstants& packed);

  const Graph& graph() const { return graph_; }
  std::int64_t batch() const { return batch_; }
  PackedConstants& packed() { return packed_; }
  const std::vector<FusedGroup>& groups() const { return groups_; }
  /// The group that has the node in it.
  const FusedGroup& group_of(int node) const;
  const Node& node(int index) const { return graph_.nodes[static_cast<std::size_t>(index)]; }
  const std::string& name(ValueId id) const { return graph_.value(id).name; }
  /// With the batch in the first dimension.
  Shape shape_of(ValueId id) const;
  /// Numbers in all of the graph's constants.
  std::int64_t weights() const { return weights_; }
  /// A constant in float: a quantized one as its integers say.
  Tensor constant(ValueId id) const;

  BufferId new_buffer(std::size_t bytes);
  /// One byte an element.
  BufferId new_bytes(ValueId id);
  void resize_buffer(BufferId id, std::size_t bytes);
  /// The caller's memory if `id` is the model's output and lies like that, else a new buffer.
  BufferId target(ValueId id, const onednn::Layout& layout);
  /// A step that makes `id`, or moves it about, and counts as `operations`.
  void emit(ValueId id, std::unique_ptr<Step> step, const std::vector<BufferId>& touched,
            std::int64_t operations = 0);

  /// Steps emitted from now on belong to group number `group`.
  void begin_group(int group, bool integer);
  /// From now on to none.
  void end_groups();
  /// Two per multiply-accumulate of the group's convolution or matrix product.
  std::int64_t operations(const FusedGroup& group) const;

  /// Counts what the group reads as needed, and as read.
  void expect_reads(const FusedGroup& group);
  void finish_reads(const FusedGroup& group);
  /// True if nothing reads `buffer`, where `id` is, after the group that reads `id` now.
  bool may_overwrite(ValueId id, BufferId buffer) const;

  /// True if the value has been made.
  bool made(ValueId id) const;
  /// True if the value's contents go to the run's observer: then it has to be made.
  bool observed(ValueId id) const;
  /// Records where a result is; quantizes a float one if the value is quantized. Shows it to the observer.
  void set_real(ValueId id, const onednn::Operand& operand);
  void set_integer(ValueId id, IntegerOperand operand);
  /// The value in float, dequantized if need be.
  onednn::Operand real_place(ValueId id);
  onednn::Operand real_plain(ValueId id);
  onednn::Operand in_layout(const onednn::Operand& from, const onednn::Layout& wanted, ValueId id);
  /// The value in uint8, however it lies.
  const IntegerOperand& integer_place(ValueId id);
  /// The value in uint8 with its dimensions in this order.
  BufferId integer_in(ValueId id, const Strides& wanted);

  /// Outputs of groups that the kernel of a group before them makes.
  std::set<ValueId> made_early;

  /// Copies the output to the caller and lays out memory.
  Program finish();

 private:
  /// Where a value is: in float, in uint8, or (after a conversion) both.
  struct Place {
    std::optional<onednn::Operand> real;
    std::optional<IntegerOperand> integer;
  };
  /// Memory of a buffer and the steps between which it is in use.
  struct Buffer {
    std::size_t bytes = 0;
    int first = -1;
    int last = -1;
  };

  Place& place(ValueId id) { return places_[static_cast<std::size_t>(id)]; }
  void quantize(ValueId id);
  void show(ValueId id);
  void lay_out();

  const Graph& graph_;
  std::int64_t batch_;
  std::int64_t weights_ = 0;
  const std::vector<ValueId>& observe_;
  PackedConstants& packed_;
  std::vector<FusedGroup> groups_;
  std::vector<Place> places_;
  std::vector<int> uses_;
  std::vector<Buffer> buffers_;
  int group_ = -1;
  bool integer_ = false;
  Program program_;
};

/// Emits the steps of a group, in float32 and in integers.
void compile_float_group(ProgramBuilder& program, const FusedGroup& group);
void compile_integer_group(ProgramBuilder& program, const FusedGroup& group);
/// Of those, products of two values, LayerNormalization and Softmax.
void compile_integer_product(ProgramBuilder& program, const FusedGroup& group);
void compile_integer_layer_norm(ProgramBuilder& program, const FusedGroup& group);
void compile_integer_softmax(ProgramBuilder& program, const FusedGroup& group);

}  // namespace octavo
