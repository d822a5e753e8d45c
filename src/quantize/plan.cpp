#include "plan.h"

#include <algorithm>

#include "octavo/graph/passes.h"
#include "octavo/runtime/placement.h"

namespace octavo {
namespace {

class Planner {
 public:
  /// `integer`: which groups may run in integers; empty: all.
  Planner(const Graph& graph, const std::vector<bool>& integer)
      : graph_(graph),
        groups_(quantizable_groups(graph)),
        integer_(groups_.size()),
        maker_(graph.values.size(), -1),
        readers_(graph.values.size()) {
    for (std::size_t g = 0; g < groups_.size(); ++g) {
      integer_[g] = (integer.empty() || integer[g]) && has_integer_form(graph, groups_[g]);
      maker_[index(groups_[g].output)] = static_cast<int>(g);
      for (const ValueId id : flowing_inputs(graph, groups_[g])) readers_[index(id)].push_back(g);
    }
  }

  std::vector<ValueId> run() {
    drop_groups_without_operands();
    drop_elementwise_behind_float();
    std::vector<ValueId> owners(graph_.values.size(), kNoValue);
    for (std::size_t i = 0; i < owners.size(); ++i) {
      if (quantized(static_cast<ValueId>(i))) owners[i] = owner(static_cast<ValueId>(i));
    }
    return owners;
  }

 private:
  static std::size_t index(ValueId id) { return static_cast<std::size_t>(id); }

  bool quantized(ValueId id) const {
    return id != graph_.output && std::ranges::any_of(readers_[index(id)], [&](std::size_t g) {
             return integer_[g] && (!may_take_real(graph_, groups_[g]) || !is_sum(id));
           });
  }

  /// True of sums of two values and of float32 results, wherever they have been moved since. A
  /// LayerNormalization or Softmax that is their only reader has more from them unrounded: what flows past
  /// the layers of a transformer, and the scores of its attention.
  bool is_sum(ValueId id) const {
    const int maker = maker_[index(id)];
    if (maker < 0 || !integer_[static_cast<std::size_t>(maker)]) return true;
    const FusedGroup& group = groups_[static_cast<std::size_t>(maker)];
    const Op op = graph_.nodes[static_cast<std::size_t>(group.anchor)].op;
    if (op == Op::kConcat || moves_integers(graph_, group)) {
      return std::ranges::any_of(flowing_inputs(graph_, group), [&](ValueId input) { return is_sum(input); });
    }
    return op == Op::kMatMulOfValues || (is_binary(op) && flowing_inputs(graph_, group).size() == 2);
  }

  void drop_groups_without_operands() {
    for (bool changed = true; changed;) {
      changed = false;
      for (std::size_t g = groups_.size(); g-- > 0;) {  // Backwards: most groups lose what they feed.
        if (!integer_[g]) continue;
        const FusedGroup& group = groups_[g];
        const bool output = quantized(group.output) || may_return_real(graph_, group);
        const bool inputs =
            may_take_real(graph_, group) ||
            std::ranges::all_of(flowing_inputs(graph_, group), [&](ValueId id) { return quantized(id); });
        if (output && inputs) continue;
        integer_[g] = false;
        changed = true;
      }
    }
  }

  bool elementwise(const FusedGroup& group) const {
    const Op op = graph_.nodes[static_cast<std::size_t>(group.anchor)].op;
    return !may_return_real(graph_, group) && !may_take_real(graph_, group) && op != Op::kConcat &&
           flowing_inputs(graph_, group).size() == 1;
  }

  void drop_elementwise_behind_float() {
    for (std::size_t g = 0; g < groups_.size(); ++g) {
      const int maker = maker_[index(groups_[g].input)];
      if (!integer_[g] || !elementwise(groups_[g]) || maker < 0 || integer_[static_cast<std::size_t>(maker)])
        continue;
      const auto& readers = readers_[index(groups_[g].input)];
      if (std::ranges::all_of(readers,
                              [&](std::size_t r) { return elementwise(groups_[r]) || !integer_[r]; }))
        integer_[g] = false;
    }
  }

  /// Moves pass parameters forwards, Concats backwards; no value does both.
  ValueId owner(ValueId id) const {
    const int maker = maker_[index(id)];
    if (maker < 0) return id;
    const FusedGroup& group = groups_[static_cast<std::size_t>(maker)];
    if (integer_[static_cast<std::size_t>(maker)] && moves_integers(graph_, group)) return owner(group.input);
    const auto& readers = readers_[index(id)];
    if (readers.size() != 1 || !integer_[readers[0]]) return id;
    const FusedGroup& reader = groups_[readers[0]];
    const bool joins = graph_.nodes[static_cast<std::size_t>(reader.anchor)].op == Op::kConcat;
    return joins ? owner(reader.output) : id;
  }

  const Graph& graph_;
  std::vector<FusedGroup> groups_;
  std::vector<bool> integer_;                      ///< By group.
  std::vector<int> maker_;                         ///< By value: the group, -1 for input and constants.
  std::vector<std::vector<std::size_t>> readers_;  ///< By value: groups, one entry per use.
};

}  // namespace

std::vector<ValueId> parameter_owners(const Graph& folded, const Target& target) {
  std::vector<bool> integer;
  for (const FusedGroup& group : quantizable_groups(folded))
    integer.push_back(!runs_in_float(target, folded.nodes[static_cast<std::size_t>(group.anchor)].op));
  return Planner(folded, integer).run();
}

std::vector<ValueId> parameter_owners(const Graph& folded, const std::vector<bool>& integer) {
  return Planner(folded, integer).run();
}

}  // namespace octavo
