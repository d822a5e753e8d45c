/// One way to say each thing: the rewrites that make a graph what a reader of its file gives back.
#pragma once

#include <string>
#include <vector>

#include "octavo/graph/graph.h"
#include "unique_names.h"
#include "work_budget.h"

namespace octavo::onnx_format {

/// A graph under rewriting: who makes and who reads each value, kept true while nodes change or vanish.
/// A node never moves, so ids and indices stay.
class Rewriter {
 public:
  /// Drops what the output does not depend on.
  explicit Rewriter(Graph& graph, WorkBudget* budget = nullptr);

  Graph& graph;

  Node& node(int index) { return graph.nodes[static_cast<std::size_t>(index)]; }
  const Node& node(int index) const { return graph.nodes[static_cast<std::size_t>(index)]; }
  bool removed(int index) const { return removed_[static_cast<std::size_t>(index)]; }
  int maker(ValueId id) const { return maker_[static_cast<std::size_t>(id)]; }

  /// The node that makes `id` if it is of `op` and nothing but the node at hand would miss the value: it has
  /// one reader, is not the model's output and is not quantized. -1 otherwise.
  int inner(ValueId id, Op op) const;
  /// The number that a constant of one element holds.
  bool is_scalar(ValueId id, float value, float tolerance = 0) const;

  void set(int index, Op op, std::vector<ValueId> inputs, Attributes attributes);
  /// Removes a node; nobody may read its output any more.
  void remove(int index);
  /// Removes a node and lets the readers of its output read `to`.
  void bypass(int index, ValueId to);
  /// Gives `index` the output of the later node `from`, which is removed.
  void take_output(int index, int from);
  /// The same, and one more input.
  void absorb(int index, ValueId input, int from);
  /// Lets the node read what is left of values that are gone.
  void update_inputs(int index);
  int readers(ValueId id) const { return readers_[static_cast<std::size_t>(id)]; }
  /// Before a constant of so many bytes is made. One that many nodes share may become one for each.
  void charge(std::size_t bytes) const {
    if (budget_) budget_->charge(bytes);
  }
  ValueId add_constant(const std::string& wanted, Tensor tensor);

 private:
  void count(const Node& node, int change);

  std::vector<int> maker_, readers_;
  std::vector<bool> removed_;
  std::vector<ValueId> alias_;
  UniqueNames value_names_;
  WorkBudget* budget_;
};

/// Rewrites at node `index`; true if something changed.
bool rewrite_patterns(Rewriter& rewriter, int index);

/// Silu, HardSwish, HardSigmoid, Mish and Gelu from their parts, constants added to convolutions and matrix
/// products as their biases, MatMul of matrices as Gemm, ReduceMean over the image as GlobalAveragePool,
/// Reshape to rows as Flatten, nothing that changes nothing, no dead nodes, shapes inferred with a dynamic
/// batch. Computes the same but for rounding. What it makes of a file is on `budget`. canonical(canonical(g))
/// == canonical(g).
Graph canonical(Graph graph, WorkBudget* budget = nullptr);

/// stored_form() of octavo/onnx/onnx.h, without a copy of what is given away, on `budget` if there is one.
/// `float_biases`: but for biases, which all stay or become float32.
Graph to_stored_form(Graph graph, WorkBudget* budget = nullptr, bool float_biases = false);

}  // namespace octavo::onnx_format
