#include "octavo/runtime/reference.h"

#include <algorithm>

#include "octavo/core/error.h"
#include "octavo/core/quant.h"
#include "octavo/graph/passes.h"
#include "runtime/lowering/integer_groups.h"
#include "runtime/reference/parts.h"

namespace octavo {
namespace {

class Interpreter {
 public:
  Interpreter(const Graph& graph, const Tensor& input) : graph_(graph) {
    const Shape& expected = graph.value(graph.input).shape;
    if (input.dtype() != DType::kFloat32 || input.rank() != 4 ||
        !std::equal(expected.begin() + 1, expected.end(), input.shape().begin() + 1)) {
      throw Error(ErrorCode::kBadInput, graph.name,
                  "input has shape " + to_string(input.shape()) + "; expected " + to_string(expected));
    }
    batch_ = input.dim(0);
    store(graph.input, input);
  }

  std::map<ValueId, Tensor> run() {
    for (const FusedGroup& group : fuse(graph_)) {
      if (runs_in_integers(graph_, group)) {
        values_[group.output] = reference::evaluate_integer(graph_, group, values_, shape_of(group.output));
      } else {
        run_float_group(group);
      }
    }
    return std::move(values_);
  }

 private:
  Shape shape_of(ValueId id) const {
    Shape shape = graph_.value(id).shape;
    shape[0] = batch_;
    return shape;
  }

  /// Keeps a float result, quantized if its value is.
  void store(ValueId id, const Tensor& real) {
    const auto& quant = graph_.value(id).quant;
    values_[id] = quant ? quantize(real, *quant) : real;
  }

  /// A constant, or what flows through `id`, as real numbers.
  Tensor real(ValueId id) const {
    const Value& value = graph_.value(id);
    if (value.constant) {
      return value.quant ? dequantize(quantize(*value.constant, *value.quant), *value.quant)
                         : *value.constant;
    }
    const Tensor& tensor = values_.at(id);
    return tensor.dtype() == DType::kFloat32 ? tensor : dequantize(tensor, *value.quant);
  }

  /// The group's nodes one after the other; values between them are never quantized, but kept.
  void run_float_group(const FusedGroup& group) {
    Tensor made;
    ValueId made_id = kNoValue;
    for (const int index : {group.anchor, group.batch_norm, group.add, group.activation}) {
      if (index < 0) continue;
      const Node& node = graph_.nodes[static_cast<std::size_t>(index)];
      std::vector<Tensor> operands;
      for (const ValueId id : node.inputs) operands.push_back(id == made_id ? made : real(id));
      made = reference::evaluate_float(node, operands, shape_of(node.output));
      made_id = node.output;
      store(made_id, made);
    }
  }

  const Graph& graph_;
  std::int64_t batch_ = 0;
  reference::Values values_;
};

}  // namespace

std::map<ValueId, Tensor> interpret_all(const Graph& graph, const Tensor& input) {
  validate(graph);
  return Interpreter(graph, input).run();
}

Tensor interpret(const Graph& graph, const Tensor& input) {
  auto values = interpret_all(graph, input);
  return std::move(values.at(graph.output));
}

}  // namespace octavo
