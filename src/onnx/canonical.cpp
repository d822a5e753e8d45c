#include "canonical.h"

#include <cmath>

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

void Rewriter::take_output(int index, int from) {
  const ValueId output = node(from).output;
  remove(from);
  maker_[static_cast<std::size_t>(node(index).output)] = -1;
  node(index).output = output;
  maker_[static_cast<std::size_t>(output)] = index;
}

void Rewriter::absorb(int index, ValueId input, int from) {
  ++readers_[static_cast<std::size_t>(input)];
  node(index).inputs.push_back(input);
  take_output(index, from);
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

/// Means over an image's pixels or tokens as GlobalAveragePool, which has an integer form: over height and
/// width with channels first or last, and over the T of [N, T, C].
class MeanExpander {
 public:
  explicit MeanExpander(Graph& graph) : graph_(graph) {}

  void run() {
    if (std::ranges::none_of(graph_.nodes,
                             [&](const Node& node) { return layout_of(node) != Layout::kOther; }))
      return;
    for (const Node& node : graph_.nodes) node_names_.take(node.name);
    for (const Value& value : graph_.values) value_names_.take(value.name);
    std::vector<Node> nodes = std::move(graph_.nodes);
    graph_.nodes.clear();
    for (Node& node : nodes) {
      const Layout layout = layout_of(node);
      if (layout == Layout::kOther) {
        graph_.nodes.push_back(std::move(node));
      } else {
        expand(std::move(node), layout);
      }
    }
  }

 private:
  enum class Layout : std::uint8_t { kOther, kChannelsFirst, kChannelsLast, kTokens };

  Layout layout_of(const Node& node) const {
    if (node.op != Op::kReduceMean) return Layout::kOther;
    const std::size_t rank = graph_.value(node.inputs.at(0)).shape.size();
    const std::vector<std::int64_t>& axes = node.as<ReduceAttributes>().axes;
    if (rank == 4 && axes == std::vector<std::int64_t>{2, 3}) return Layout::kChannelsFirst;
    if (rank == 4 && axes == std::vector<std::int64_t>{1, 2}) return Layout::kChannelsLast;
    if (rank == 3 && axes == std::vector<std::int64_t>{1}) return Layout::kTokens;
    return Layout::kOther;
  }

  /// A node before `mean`; what it moves keeps its parameters.
  ValueId before(const Node& mean, const std::string& suffix, Op op, ValueId x, Shape shape,
                 Attributes attributes) {
    std::optional<QuantParams> quant;
    if (op != Op::kGlobalAveragePool) quant = graph_.value(x).quant;
    graph_.values.push_back(
        {value_names_.take(graph_.value(mean.output).name + suffix), std::move(shape), {}, quant});
    const auto made = static_cast<ValueId>(graph_.values.size() - 1);
    graph_.nodes.push_back({node_names_.take(mean.name + suffix), op, {x}, made, std::move(attributes)});
    return made;
  }

  void expand(Node mean, Layout layout) {
    ValueId x = mean.inputs[0];
    Shape s = graph_.value(x).shape;
    const bool keeps = mean.as<ReduceAttributes>().keep_dims;
    if (layout == Layout::kTokens) {
      s = {s[0], s[1], 1, s[2]};
      x = before(mean, "_image", Op::kReshape, x, s, ReshapeAttributes{s});
    }
    if (layout != Layout::kChannelsFirst) {
      s = {s[0], s[3], s[1], s[2]};
      x = before(mean, "_first", Op::kTranspose, x, s, TransposeAttributes{{0, 3, 1, 2}});
    }
    mean.attributes = {};
    if (keeps && layout == Layout::kChannelsFirst) {
      mean.op = Op::kGlobalAveragePool;
      mean.inputs = {x};
    } else {
      mean.inputs = {before(mean, "_pool", Op::kGlobalAveragePool, x, {s[0], s[1], 1, 1}, {})};
      mean.op = keeps ? Op::kReshape : Op::kFlatten;
      if (keeps) mean.attributes = ReshapeAttributes{graph_.value(mean.output).shape};
    }
    graph_.nodes.push_back(std::move(mean));
  }

  Graph& graph_;
  UniqueNames node_names_, value_names_;
};

}  // namespace

Graph canonical(Graph graph, WorkBudget* budget) {
  graph.value(graph.input).shape.front() = kDynamic;
  for (Node& node : graph.nodes) {
    if (node.op == Op::kReshape) std::get<ReshapeAttributes>(node.attributes).shape.front() = kDynamic;
  }
  infer_shapes(graph);
  MeanExpander(graph).run();
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
