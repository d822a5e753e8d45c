#include "inlining.h"

#include <fmt/format.h>
#include <google/protobuf/unknown_field_set.h>

#include <algorithm>

#include "octavo/core/error.h"
#include "tensor_proto.h"

namespace octavo::onnx_format {
namespace {

std::string domain_of(const std::string& domain) { return domain == "ai.onnx" ? "" : domain; }

bool is_graph(const onnx::AttributeProto& attribute) {
  return attribute.has_g() || attribute.graphs_size() > 0;
}

/// Later versions of ONNX than that of our headers have these as field 11.
std::vector<onnx::AttributeProto> default_attributes(const onnx::FunctionProto& function) {
  constexpr int kAttributeProtos = 11;
  std::vector<onnx::AttributeProto> attributes;
  const google::protobuf::UnknownFieldSet& fields = function.GetReflection()->GetUnknownFields(function);
  for (int i = 0; i < fields.field_count(); ++i) {
    const google::protobuf::UnknownField& field = fields.field(i);
    if (field.number() != kAttributeProtos ||
        field.type() != google::protobuf::UnknownField::TYPE_LENGTH_DELIMITED)
      continue;
    onnx::AttributeProto attribute;
    if (attribute.ParseFromString(field.length_delimited())) attributes.push_back(std::move(attribute));
  }
  return attributes;
}

template <typename Attributes>
const onnx::AttributeProto* find_attribute(const Attributes& attributes, const std::string& name) {
  const auto found = std::ranges::find_if(
      attributes, [&](const onnx::AttributeProto& attribute) { return attribute.name() == name; });
  return found == attributes.end() ? nullptr : &*found;
}

}  // namespace

bool is_standard(const onnx::NodeProto& node) { return domain_of(node.domain()).empty(); }

bool has_graphs(const onnx::NodeProto& node) { return std::ranges::any_of(node.attribute(), is_graph); }

Inliner::Inliner(const onnx::ModelProto& model, std::string where, WorkBudget& budget)
    : where_(std::move(where)), budget_(budget) {
  const std::int64_t opset = standard_opset(model.opset_import(), 0);
  for (const onnx::FunctionProto& proto : model.functions()) {
    Function function{.proto = &proto,
                      .opset = standard_opset(proto.opset_import(), opset),
                      .defaults = default_attributes(proto)};
    if (!functions_.try_emplace({domain_of(proto.domain()), proto.name()}, std::move(function)).second) {
      throw Error(ErrorCode::kUnsupported, where_,
                  fmt::format("two functions are named '{}::{}'; expected one (overloads are not supported)",
                              printable(proto.domain()), printable(proto.name())));
    }
  }
  const onnx::GraphProto& graph = model.graph();
  if (functions_.empty() && std::ranges::none_of(graph.node(), has_graphs)) return;
  for (const onnx::ValueInfoProto& input : graph.input()) names_.take(input.name());
  for (const onnx::TensorProto& tensor : graph.initializer()) names_.take(tensor.name());
  for (const onnx::SparseTensorProto& tensor : graph.sparse_initializer())
    names_.take(tensor.values().name());
  for (const onnx::NodeProto& node : graph.node()) {
    for (const std::string& name : node.input()) names_.take(name);
    for (const std::string& name : node.output()) names_.take(name);
  }
}

const Function* Inliner::function_of(const onnx::NodeProto& node) const {
  if (functions_.empty()) return nullptr;
  const auto found = functions_.find({domain_of(node.domain()), node.op_type()});
  return found == functions_.end() ? nullptr : &found->second;
}

std::string Inliner::rename(const std::string& name, Scope& scope) {
  if (name.empty()) return name;
  for (Scope* at = &scope; at; at = at->outer) {
    const auto found = at->names.find(name);
    if (found != at->names.end()) return found->second;
    if (at->closed) return at->names[name] = names_.take(name);
  }
  return name;
}

const onnx::AttributeProto* Inliner::argument(const std::string& name, const Arguments& arguments) const {
  if (!arguments.call) return nullptr;
  const onnx::AttributeProto* given = find_attribute(arguments.call->attribute(), name);
  return given ? given : find_attribute(arguments.function->defaults, name);
}

onnx::NodeProto Inliner::copy(const onnx::NodeProto& node, Scope& scope, const Arguments& arguments) {
  std::uint64_t bytes = sizeof node + node.name().size() + node.op_type().size() + node.domain().size();
  for (const std::string& name : node.input()) bytes += sizeof name + name.size();
  for (const std::string& name : node.output()) bytes += sizeof name + name.size();
  pay(bytes);
  onnx::NodeProto result;
  result.set_name(node.name());
  result.set_op_type(node.op_type());
  result.set_domain(node.domain());
  for (const std::string& name : node.input()) result.add_input(rename(name, scope));
  for (const std::string& name : node.output()) result.add_output(rename(name, scope));
  for (const onnx::AttributeProto& attribute : node.attribute()) {
    const bool refers = !attribute.ref_attr_name().empty();
    const onnx::AttributeProto* source = refers ? argument(attribute.ref_attr_name(), arguments) : &attribute;
    if (!source) continue;  // Neither call nor function say anything: as if it were not there.
    onnx::AttributeProto& added = *result.add_attribute();
    if (!is_graph(*source)) {
      pay(source->ByteSizeLong());
      added = *source;
    } else {
      added.set_type(source->type());
      // A graph of the call's has names of where the call is, which are unique already.
      Scope none;
      Scope& around = refers ? none : scope;
      const Arguments& given = refers ? Arguments{} : arguments;
      if (source->has_g()) *added.mutable_g() = copy(source->g(), around, given);
      for (const onnx::GraphProto& graph : source->graphs()) *added.add_graphs() = copy(graph, around, given);
    }
    added.set_name(attribute.name());
  }
  return result;
}

onnx::GraphProto Inliner::copy(const onnx::GraphProto& graph, Scope& outer, const Arguments& arguments) {
  Scope scope{.outer = &outer, .names = {}, .closed = false};
  const auto own = [&](const std::string& name) {
    if (!name.empty() && !scope.names.contains(name)) scope.names[name] = names_.take(name);
  };
  for (const onnx::ValueInfoProto& input : graph.input()) own(input.name());
  for (const onnx::TensorProto& tensor : graph.initializer()) own(tensor.name());
  for (const onnx::SparseTensorProto& tensor : graph.sparse_initializer()) own(tensor.values().name());
  for (const onnx::NodeProto& node : graph.node()) {
    for (const std::string& name : node.output()) own(name);
  }
  onnx::GraphProto result;
  for (const onnx::ValueInfoProto& input : graph.input())
    result.add_input()->set_name(rename(input.name(), scope));
  for (const onnx::TensorProto& tensor : graph.initializer()) {
    pay(sizeof tensor + tensor.ByteSizeLong());
    onnx::TensorProto& added = *result.add_initializer();
    added = tensor;
    added.set_name(rename(tensor.name(), scope));
  }
  for (const onnx::SparseTensorProto& tensor : graph.sparse_initializer()) {
    pay(sizeof tensor + tensor.ByteSizeLong());
    onnx::SparseTensorProto& added = *result.add_sparse_initializer();
    added = tensor;
    added.mutable_values()->set_name(rename(tensor.values().name(), scope));
  }
  for (const onnx::NodeProto& node : graph.node()) *result.add_node() = copy(node, scope, arguments);
  for (const onnx::ValueInfoProto& output : graph.output())
    result.add_output()->set_name(rename(output.name(), scope));
  return result;
}

onnx::NodeProto Inliner::with_unique_graphs(const onnx::NodeProto& node) {
  Scope none;
  return copy(node, none, {});
}

std::vector<onnx::NodeProto> Inliner::body(const Function& function, const onnx::NodeProto& call) {
  const onnx::FunctionProto& proto = *function.proto;
  const std::string what =
      fmt::format("{}: node '{}' ({})", where_, printable(call.name()), printable(call.op_type()));
  if (call.input_size() > proto.input_size() || call.output_size() > proto.output_size()) {
    throw Error(ErrorCode::kBadInput, what,
                fmt::format("{} inputs and {} outputs for a function of {} and {}", call.input_size(),
                            call.output_size(), proto.input_size(), proto.output_size()));
  }
  if (function.opset < 7) {
    throw Error(ErrorCode::kUnsupported, what,
                fmt::format("a function of ONNX opset {}; expected 7 or later", function.opset));
  }
  Scope scope{.outer = nullptr, .names = {}, .closed = true};
  pay(sizeof(std::string) * static_cast<std::uint64_t>(proto.input_size()));
  for (int i = 0; i < proto.input_size(); ++i)
    scope.names.emplace(proto.input(i), i < call.input_size() ? call.input(i) : std::string());
  std::vector<onnx::NodeProto> nodes;
  for (int i = 0; i < call.output_size(); ++i) {
    if (call.output(i).empty()) continue;
    const auto [known, is_new] = scope.names.emplace(proto.output(i), call.output(i));
    if (is_new) continue;
    // An input that is an output too, or an output twice.
    onnx::NodeProto& same = nodes.emplace_back();
    same.set_name(call.name());
    same.set_op_type("Identity");
    same.add_input(known->second);
    same.add_output(call.output(i));
  }
  for (const onnx::NodeProto& node : proto.node()) {
    nodes.push_back(copy(node, scope, {&function, &call}));
    const std::string& own = node.name().empty() ? node.op_type() : node.name();
    pay(call.name().size());
    nodes.back().set_name(call.name().empty() ? own : call.name() + "/" + own);
  }
  return nodes;
}

}  // namespace octavo::onnx_format
