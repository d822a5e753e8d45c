#include "node_table.h"

#include <fmt/format.h>

#include <utility>

#include "octavo/core/error.h"
#include "tensor_proto.h"

namespace octavo::onnx_format {
namespace {

/// body(name) for each tensor that the graphs of a node read or give back, their own among them.
template <typename Body>
void for_each_read_in_graphs(const onnx::NodeProto& node, const Body& body) {
  const auto visit = [&](const onnx::GraphProto& graph) {
    for (const onnx::NodeProto& inner : graph.node()) {
      for (const std::string& name : inner.input()) {
        if (!name.empty()) body(name);
      }
      for_each_read_in_graphs(inner, body);
    }
    for (const onnx::ValueInfoProto& output : graph.output()) body(output.name());
  };
  for (const onnx::AttributeProto& attribute : node.attribute()) {
    if (attribute.has_g()) visit(attribute.g());
    for (const onnx::GraphProto& graph : attribute.graphs()) visit(graph);
  }
}

}  // namespace

NodeTable::NodeTable(const onnx::ModelProto& model, std::string where, WorkBudget& budget)
    : where_(std::move(where)), inliner_(model, where_, budget) {
  const onnx::GraphProto& graph = model.graph();
  for (int i = 0; i < graph.initializer_size(); ++i)
    add_stored(graph.initializer(i).name(),
               {.dense = &graph.initializer(i), .sparse = nullptr, .initializer = i});
  for (const onnx::SparseTensorProto& tensor : graph.sparse_initializer())
    add_stored(tensor.values().name(), {.dense = nullptr, .sparse = &tensor, .initializer = {}});
  const std::int64_t opset = standard_opset(model.opset_import(), 0);
  for (const onnx::NodeProto& node : graph.node())
    add(has_graphs(node) ? keep(inliner_.with_unique_graphs(node)) : node, opset, kNoCall);
}

const NodeTable::Maker* NodeTable::maker(const std::string& tensor) const {
  const auto found = makers_.find(tensor);
  return found == makers_.end() ? nullptr : &found->second;
}

int NodeTable::readers(const std::string& tensor) const {
  const auto found = readers_.find(tensor);
  return found == readers_.end() ? 0 : found->second;
}

const std::vector<const onnx::NodeProto*>& NodeTable::quantize_readers(const std::string& tensor) const {
  static const std::vector<const onnx::NodeProto*> kNone;
  const auto found = quantize_readers_.find(tensor);
  return found == quantize_readers_.end() ? kNone : found->second;
}

void NodeTable::add_input(const std::string& tensor) {
  if (!makers_.emplace(tensor, Maker{.kind = Maker::Kind::kInput, .index = 0}).second)
    throw Error(ErrorCode::kBadInput, where_, fmt::format("tensor '{}' is made twice", printable(tensor)));
}

void NodeTable::add_stored(const std::string& tensor, StoredTensor stored) {
  const Maker maker{.kind = Maker::Kind::kStored, .index = static_cast<int>(stored_.size())};
  if (!makers_.emplace(tensor, maker).second) {
    throw Error(ErrorCode::kBadInput, where_,
                fmt::format("two initializers are named '{}'", printable(tensor)));
  }
  stored_.push_back(stored);
}

const onnx::NodeProto& NodeTable::keep(onnx::NodeProto node) {
  kept_.push_back(std::move(node));
  return kept_.back();
}

void NodeTable::add(const onnx::NodeProto& node, std::int64_t opset, int call) {
  if (const Function* function = inliner_.function_of(node)) {
    add_body(*function, node, call);
    return;
  }
  for (const std::string& output : node.output()) {
    if (output.empty()) continue;
    if (!makers_.emplace(output, Maker{.kind = Maker::Kind::kNode, .index = size()}).second) {
      throw Error(ErrorCode::kBadInput, where_, fmt::format("tensor '{}' is made twice", printable(output)));
    }
  }
  entries_.push_back({&node, opset, call});
}

void NodeTable::add_body(const Function& function, const onnx::NodeProto& node, int caller) {
  constexpr int kMostNested = 64;
  const auto name = [&] {
    return fmt::format("function '{}::{}'", printable(function.proto->domain()),
                       printable(function.proto->name()));
  };
  int depth = 0;
  for (int at = caller; at != kNoCall; at = calls_[static_cast<std::size_t>(at)].caller) {
    if (calls_[static_cast<std::size_t>(at)].function == &function)
      throw Error(ErrorCode::kBadInput, where_, name() + " calls itself");
    if (++depth == kMostNested) {
      throw Error(ErrorCode::kUnsupported, where_,
                  fmt::format("{} is called {} functions deep; expected less", name(), depth));
    }
  }
  const int call = static_cast<int>(calls_.size());
  calls_.push_back({&function, caller});
  for (onnx::NodeProto& inner : inliner_.body(function, node))
    add(keep(std::move(inner)), function.opset, call);
}

void NodeTable::count_readers(const onnx::NodeProto& node, int change) {
  for (const std::string& name : node.input()) {
    if (!name.empty()) readers_[name] += change;
  }
  for_each_read_in_graphs(node, [&](const std::string& name) { readers_[name] += change; });
  if (change > 0 && node.op_type() == "QuantizeLinear" && node.input_size() > 0)
    quantize_readers_[node.input(0)].push_back(&node);
}

void NodeTable::find_live(const std::string& output) {
  live_.assign(entries_.size(), false);
  std::vector<bool> counted(entries_.size(), false);
  std::vector<std::string> pending{output};
  std::vector<std::string> perhaps;
  ++readers_[output];
  for (const bool surely : {true, false}) {
    while (!pending.empty()) {
      const Maker* made = maker(pending.back());
      pending.pop_back();
      if (!made || made->kind != Maker::Kind::kNode) continue;
      const auto index = static_cast<std::size_t>(made->index);
      if (counted[index]) continue;
      counted[index] = true;
      live_[index] = surely;
      count_readers(node(made->index), 1);
      for (const std::string& input : node(made->index).input()) {
        if (!input.empty()) pending.push_back(input);
      }
      for_each_read_in_graphs(node(made->index),
                              [&](const std::string& name) { (surely ? perhaps : pending).push_back(name); });
    }
    std::swap(pending, perhaps);
  }
}

void NodeTable::enter(int index, const onnx::GraphProto& branch) {
  const onnx::NodeProto& node = this->node(index);
  const Entry from = entry(index);
  if (node.output_size() != branch.output_size()) {
    throw Error(ErrorCode::kBadInput, fmt::format("{}: node '{}' (If)", where_, printable(node.name())),
                fmt::format("{} outputs, but {} of its branch '{}'", node.output_size(), branch.output_size(),
                            printable(branch.name())));
  }
  count_readers(node, -1);
  for (const std::string& output : node.output()) makers_.erase(output);
  for (const onnx::TensorProto& tensor : branch.initializer())
    add_stored(tensor.name(), {.dense = &tensor, .sparse = nullptr, .initializer = {}});
  for (const onnx::SparseTensorProto& tensor : branch.sparse_initializer())
    add_stored(tensor.values().name(), {.dense = nullptr, .sparse = &tensor, .initializer = {}});
  const auto first = static_cast<int>(entries_.size());
  for (const onnx::NodeProto& inner : branch.node()) add(inner, from.opset, from.call);
  for (int i = 0; i < node.output_size(); ++i) {
    if (node.output(i).empty()) continue;
    onnx::NodeProto same;
    same.set_name(node.name());
    same.set_op_type("Identity");
    same.add_input(branch.output(i).name());
    same.add_output(node.output(i));
    add(keep(std::move(same)), from.opset, from.call);
  }
  for (int i = first; i < size(); ++i) count_readers(this->node(i), 1);
  live_.resize(entries_.size(), false);
}

}  // namespace octavo::onnx_format
