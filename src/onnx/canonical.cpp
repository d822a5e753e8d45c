#include "canonical.h"

#include <cmath>

#include "importer.h"

namespace octavo::onnx_format {

Rewriter::Rewriter(Graph& rewritten, WorkBudget* budget) : graph(rewritten), budget_(budget) {
  const std::size_t values = graph.values.size();
  maker_.assign(values, -1);
  readers_.assign(values, 0);
  alias_.assign(values, kNoValue);
  removed_.assign(graph.nodes.size(), true);
  for (const Value& value : graph.values) value_names_.take(value.name);
  readers_[static_cast<std::size_t>(graph.output)] = 1;
  for (std::size_t i = graph.nodes.size(); i-- > 0;) {
    const Node& node = graph.nodes[i];
    if (readers(node.output) == 0) continue;
    removed_[i] = false;
    maker_[static_cast<std::size_t>(node.output)] = static_cast<int>(i);
    count(node, 1);
  }
}

void Rewriter::count(const Node& node, int change) {
  for (const ValueId id : node.inputs) readers_[static_cast<std::size_t>(id)] += change;
}

int Rewriter::inner(ValueId id, Op op) const {
  const int made_by = maker(id);
  if (made_by < 0 || node(made_by).op != op || readers(id) != 1 || id == graph.output ||
      graph.value(id).quant)
    return -1;
  return made_by;
}

bool Rewriter::is_scalar(ValueId id, float value, float tolerance) const {
  const Value& constant = graph.value(id);
  if (!constant.constant || constant.constant->dtype() != DType::kFloat32 || constant.constant->size() != 1)
    return false;
  return std::abs(constant.constant->data<float>()[0] - value) <= tolerance;
}

void Rewriter::set(int index, Op op, std::vector<ValueId> inputs, Attributes attributes) {
  Node& changed = node(index);
  count(changed, -1);
  changed.op = op;
  changed.inputs = std::move(inputs);
  changed.attributes = std::move(attributes);
  count(changed, 1);
}

void Rewriter::remove(int index) {
  const Node& gone = node(index);
  count(gone, -1);
  maker_[static_cast<std::size_t>(gone.output)] = -1;
  removed_[static_cast<std::size_t>(index)] = true;
}

void Rewriter::bypass(int index, ValueId to) {
  const ValueId from = node(index).output;
  remove(index);
  alias_[static_cast<std::size_t>(from)] = to;
  readers_[static_cast<std::size_t>(to)] += readers(from);
  readers_[static_cast<std::size_t>(from)] = 0;
}

void Rewriter::absorb(int index, ValueId input, int from) {
  const ValueId output = node(from).output;
  ++readers_[static_cast<std::size_t>(input)];
  remove(from);
  maker_[static_cast<std::size_t>(node(index).output)] = -1;
  node(index).inputs.push_back(input);
  node(index).output = output;
  maker_[static_cast<std::size_t>(output)] = index;
}

void Rewriter::update_inputs(int index) {
  for (ValueId& id : node(index).inputs) {
    const ValueId alias = alias_[static_cast<std::size_t>(id)];
    if (alias != kNoValue) id = alias;
  }
}

ValueId Rewriter::add_constant(const std::string& wanted, Tensor tensor) {
  graph.values.push_back({value_names_.take(wanted), tensor.shape(), std::move(tensor), {}});
  maker_.push_back(-1);
  readers_.push_back(0);
  alias_.push_back(kNoValue);
  return static_cast<ValueId>(graph.values.size() - 1);
}

namespace {

/// ReduceMean over height and width as GlobalAveragePool, and a Flatten where the dimensions go.
void expand_means(Graph& graph) {
  UniqueNames node_names, value_names;
  const auto is_pool = [&](const Node& node) {
    return node.op == Op::kReduceMean && graph.value(node.inputs.at(0)).shape.size() == 4 &&
           node.as<ReduceAttributes>().axes == std::vector<std::int64_t>{2, 3};
  };
  if (std::ranges::none_of(graph.nodes, is_pool)) return;
  for (const Node& node : graph.nodes) node_names.take(node.name);
  for (const Value& value : graph.values) value_names.take(value.name);
  std::vector<Node> nodes;
  for (Node& node : graph.nodes) {
    if (is_pool(node)) {
      if (!node.as<ReduceAttributes>().keep_dims) {
        const Shape& x = graph.value(node.inputs[0]).shape;
        graph.values.push_back(
            {value_names.take(graph.value(node.output).name + "_pool"), {x[0], x[1], 1, 1}, {}, {}});
        const auto pooled = static_cast<ValueId>(graph.values.size() - 1);
        nodes.push_back(
            {node_names.take(node.name + "_pool"), Op::kGlobalAveragePool, node.inputs, pooled, {}});
        node.op = Op::kFlatten;
        node.inputs = {pooled};
      } else {
        node.op = Op::kGlobalAveragePool;
      }
      node.attributes = {};
    }
    nodes.push_back(std::move(node));
  }
  graph.nodes = std::move(nodes);
}

}  // namespace

Graph canonical(Graph graph, WorkBudget* budget) {
  graph.value(graph.input).shape.front() = kDynamic;
  for (Node& node : graph.nodes) {
    if (node.op == Op::kReshape) std::get<ReshapeAttributes>(node.attributes).shape.front() = kDynamic;
  }
  infer_shapes(graph);
  expand_means(graph);
  Rewriter rewriter(graph, budget);
  bool changed = true;
  while (changed) {
    changed = false;
    if (budget) budget->work(graph.nodes.size());
    for (int i = 0; i < static_cast<int>(graph.nodes.size()); ++i) {
      if (rewriter.removed(i)) continue;
      rewriter.update_inputs(i);
      changed = rewrite_patterns(rewriter, i) || changed;
    }
  }
  std::vector<Node> kept;
  for (int i = 0; i < static_cast<int>(graph.nodes.size()); ++i) {
    if (!rewriter.removed(i)) kept.push_back(std::move(rewriter.node(i)));
  }
  graph.nodes = std::move(kept);
  return graph;
}

}  // namespace octavo::onnx_format
