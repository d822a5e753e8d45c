#include <fmt/format.h>

#include <cmath>
#include <cstdint>
#include <set>

#include "octavo/core/error.h"
#include "octavo/core/finite.h"
#include "octavo/graph/graph.h"

namespace octavo {
namespace {

/// Checks one graph; members are what every step needs.
class Validator {
 public:
  explicit Validator(const Graph& graph) : graph_(graph), made_(graph.values.size(), false) {}

  void run() {
    check_values();
    check_id(graph_.input, "graph input");
    check_id(graph_.output, "graph output");
    if (constant(graph_.input)) fail("the graph's input is a constant");
    const Shape& input = graph_.value(graph_.input).shape;
    if (input.size() != 4) fail("input has shape " + to_string(input) + "; expected [N, C, H, W]");
    check_dims(graph_.value(graph_.input));
    made_[static_cast<std::size_t>(graph_.input)] = true;
    std::set<std::string> names;
    for (const Node& node : graph_.nodes) {
      if (!names.insert(node.name).second) fail(fmt::format("two nodes are named '{}'", node.name));
      check_node(node);
    }
    if (!made_[static_cast<std::size_t>(graph_.output)]) fail("nothing makes the graph's output");
    check_inferred_shapes();
  }

 private:
  [[noreturn]] void fail(const std::string& problem) const {
    throw Error(ErrorCode::kBadInput, graph_.name, problem);
  }
  [[noreturn]] void fail(const Node& node, const std::string& problem) const {
    fail(fmt::format("node '{}' ({}): {}", node.name, to_string(node.op), problem));
  }

  bool constant(ValueId id) const { return graph_.value(id).constant.has_value(); }

  void check_id(ValueId id, const std::string& what) const {
    if (id < 0 || static_cast<std::size_t>(id) >= graph_.values.size())
      fail(fmt::format("{}: no value {}", what, id));
  }

  void check_dims(const Value& value) const {
    for (std::size_t i = 0; i < value.shape.size(); ++i) {
      if (value.shape[i] < 1 && !(i == 0 && value.shape[i] == kDynamic)) {
        fail(fmt::format("value '{}' has shape {}; expected positive dimensions", value.name,
                         to_string(value.shape)));
      }
    }
  }

  void check_values() const {
    std::set<std::string> names;
    for (const Value& value : graph_.values) {
      if (!names.insert(value.name).second) fail(fmt::format("two values are named '{}'", value.name));
      if (value.quant) octavo::validate(*value.quant, graph_.name + ": value '" + value.name + "'");
      if (!value.constant) continue;
      check_dims(value);
      if (value.constant->shape() != value.shape) {
        fail(fmt::format("constant '{}' holds {} but is declared {}", value.name,
                         to_string(value.constant->shape()), to_string(value.shape)));
      }
      if (value.constant->dtype() == DType::kFloat32) {
        if (!all_finite(value.constant->data<float>()))
          fail(fmt::format("constant '{}' holds a value that is not finite", value.name));
      } else if (!value.quant || value.quant->dtype != value.constant->dtype()) {
        fail(fmt::format("constant '{}' is {} without matching quantization parameters", value.name,
                         to_string(value.constant->dtype())));
      }
      if (value.quant && value.quant->per_channel()) {
        const auto axis = static_cast<std::size_t>(value.quant->axis);
        if (value.quant->axis < 0 || axis >= value.shape.size() ||
            value.shape[axis] != static_cast<std::int64_t>(value.quant->scales.size())) {
          fail(fmt::format("constant '{}' of shape {} has {} scales along axis {}", value.name,
                           to_string(value.shape), value.quant->scales.size(), value.quant->axis));
        }
      }
    }
  }

  void check_node(const Node& node) {
    const OperatorInfo& info = operator_info(node.op);
    if (node.inputs.size() < info.least_inputs || node.inputs.size() > info.most_inputs) {
      fail(node, fmt::format("{} inputs; expected {} to {}", node.inputs.size(), info.least_inputs,
                             info.most_inputs));
    }
    if (node.attributes.index() != info.attributes) fail(node, "attributes of another operator");
    bool flows = false;
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      check_id(node.inputs[i], "node '" + node.name + "'");
      const bool is_constant = constant(node.inputs[i]);
      if (info.operands != Operands::kAnyFlows) {
        const bool wanted = info.operands == Operands::kFirstFlows && i > 0;
        if (is_constant && !wanted) fail(node, fmt::format("input {} is a constant", i));
        if (!is_constant && wanted) fail(node, fmt::format("input {} must be a constant", i));
      }
      if (!is_constant && !made_[static_cast<std::size_t>(node.inputs[i])]) {
        fail(node, fmt::format("reads '{}' before it is made", graph_.value(node.inputs[i]).name));
      }
      flows = flows || !is_constant;
    }
    if (!flows) fail(node, "has constant inputs alone; expected one that depends on the image");
    check_id(node.output, "node '" + node.name + "'");
    if (constant(node.output) || made_[static_cast<std::size_t>(node.output)]) {
      fail(node, fmt::format("makes '{}', which exists already", graph_.value(node.output).name));
    }
    made_[static_cast<std::size_t>(node.output)] = true;
    if (node.op == Op::kClip && !(node.as<ClipAttributes>().min <= node.as<ClipAttributes>().max)) {
      fail(node, "min is above max");
    }
    if (const auto* scalars = std::get_if<ScalarAttributes>(&node.attributes);
        scalars && !(std::isfinite(scalars->alpha) && std::isfinite(scalars->beta))) {
      fail(node, "an attribute is not finite");
    }
    if (node.op == Op::kBatchNormalization && !(node.as<BatchNormAttributes>().epsilon >= 0)) {
      fail(node, "epsilon is negative");
    }
  }

  void check_inferred_shapes() const {
    Graph copy;
    copy.name = graph_.name;
    copy.nodes = graph_.nodes;
    copy.values.reserve(graph_.values.size());
    for (const Value& value : graph_.values) copy.values.push_back({value.name, value.shape, {}, {}});
    infer_shapes(copy);
    for (std::size_t i = 0; i < copy.values.size(); ++i) {
      if (!graph_.values[i].constant && made_[i] && copy.values[i].shape != graph_.values[i].shape) {
        fail(fmt::format("value '{}' is declared {} but comes out as {}", copy.values[i].name,
                         to_string(graph_.values[i].shape), to_string(copy.values[i].shape)));
      }
    }
  }

  const Graph& graph_;
  std::vector<bool> made_;
};

}  // namespace

void validate(const Graph& graph) { Validator(graph).run(); }

}  // namespace octavo
