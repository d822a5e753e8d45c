/// Nodes that are written once and meant elsewhere: the bodies of a file's own functions, and the branches of
/// If, whose names mean something in them alone.
#pragma once

#include <onnx/onnx_pb.h>

#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "unique_names.h"
#include "work_budget.h"

namespace octavo::onnx_format {

bool is_standard(const onnx::NodeProto& node);
/// Whether an attribute of the node is a graph.
bool has_graphs(const onnx::NodeProto& node);

/// The opset of ONNX's own domain in the list; `otherwise` if it is not in it.
template <typename Entries>
std::int64_t standard_opset(const Entries& entries, std::int64_t otherwise) {
  for (const onnx::OperatorSetIdProto& entry : entries) {
    if (entry.domain().empty() || entry.domain() == "ai.onnx") otherwise = entry.version();
  }
  return otherwise;
}

/// A function of the file, and the opset that its body is in.
struct Function {
  const onnx::FunctionProto* proto = nullptr;
  std::int64_t opset = 0;
  std::vector<onnx::AttributeProto> defaults;  ///< Of attributes that a call need not have.
};

/// Copies nodes so that all names in the copies are unique in the file. What it copies is on the budget.
class Inliner {
 public:
  /// The model and the budget outlive this. Throws kBadInput or kUnsupported for functions that cannot be
  /// told apart.
  Inliner(const onnx::ModelProto& model, std::string where, WorkBudget& budget);

  /// The function that a node calls; null if it is an operator.
  const Function* function_of(const onnx::NodeProto& node) const;

  /// A node of the file's graph, with unique names in its graphs.
  onnx::NodeProto with_unique_graphs(const onnx::NodeProto& node);
  /// The body of a function in place of a call, whose attributes and names it has.
  std::vector<onnx::NodeProto> body(const Function& function, const onnx::NodeProto& call);

 private:
  /// What names mean; those that are not in it mean what they mean outside.
  struct Scope {
    Scope* outer = nullptr;
    std::unordered_map<std::string, std::string> names;
    bool closed = false;  ///< A function: nothing outside has a meaning inside.
  };
  /// Where a copied node's attributes come from if they only name one of the call's.
  struct Arguments {
    const Function* function = nullptr;
    const onnx::NodeProto* call = nullptr;
  };

  std::string rename(const std::string& name, Scope& scope);
  onnx::NodeProto copy(const onnx::NodeProto& node, Scope& scope, const Arguments& arguments);
  onnx::GraphProto copy(const onnx::GraphProto& graph, Scope& outer, const Arguments& arguments);
  const onnx::AttributeProto* argument(const std::string& name, const Arguments& arguments) const;
  void pay(std::uint64_t bytes) { budget_.work(bytes, "its functions and branches"); }

  const std::string where_;
  WorkBudget& budget_;
  std::map<std::pair<std::string, std::string>, Function> functions_;  ///< By domain and name.
  UniqueNames names_;
};

}  // namespace octavo::onnx_format
