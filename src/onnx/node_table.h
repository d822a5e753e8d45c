/// The nodes of a file in one list, whether they are written in its graph, in a function or in the branch of
/// an If, and who makes and who reads each tensor.
#pragma once

#include <onnx/onnx_pb.h>

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "inlining.h"
#include "work_budget.h"

namespace octavo::onnx_format {

/// A constant tensor of the file. One of both.
struct StoredTensor {
  const onnx::TensorProto* dense = nullptr;
  const onnx::SparseTensorProto* sparse = nullptr;
  std::optional<int> initializer;  ///< Which of the file's graph it is, if it is a dense one of those.
};

class NodeTable {
 public:
  /// All three outlive this. Calls of functions are replaced by their bodies. Throws kBadInput for a tensor
  /// that is made twice and for a function that calls itself.
  NodeTable(const onnx::ModelProto& model, std::string where, WorkBudget& budget);

  int size() const { return static_cast<int>(entries_.size()); }
  const onnx::NodeProto& node(int index) const { return *entry(index).node; }
  std::int64_t opset(int index) const { return entry(index).opset; }

  /// What makes a tensor: a node, the file as a constant, or whoever runs the model.
  struct Maker {
    enum class Kind : std::uint8_t { kNode, kStored, kInput } kind = Kind::kNode;
    int index = 0;
  };
  const Maker* maker(const std::string& tensor) const;
  const StoredTensor& stored(int index) const { return stored_[static_cast<std::size_t>(index)]; }
  /// Throws kBadInput if a node makes it.
  void add_input(const std::string& tensor);

  /// Finds the nodes that `output` depends on, whatever the conditions of Ifs are, and counts who reads what;
  /// what only branches read is counted, too, so that readers() is never too low.
  void find_live(const std::string& output);
  bool live(int index) const { return live_[static_cast<std::size_t>(index)]; }
  /// Number of nodes and outputs that read a tensor.
  int readers(const std::string& tensor) const;
  /// Those of them that are QuantizeLinear of it.
  const std::vector<const onnx::NodeProto*>& quantize_readers(const std::string& tensor) const;

  /// Adds the nodes of a branch of the If at `index`, which make the If's outputs from now on.
  void enter(int index, const onnx::GraphProto& branch);

 private:
  static constexpr int kNoCall = -1;
  struct Entry {
    const onnx::NodeProto* node = nullptr;
    std::int64_t opset = 0;
    int call = kNoCall;  ///< In calls_: the call whose body it is from.
  };
  struct Call {
    const Function* function = nullptr;
    int caller = kNoCall;
  };

  const Entry& entry(int index) const { return entries_[static_cast<std::size_t>(index)]; }
  void add_stored(const std::string& tensor, StoredTensor stored);
  void add(const onnx::NodeProto& node, std::int64_t opset, int call);
  void add_body(const Function& function, const onnx::NodeProto& node, int caller);
  const onnx::NodeProto& keep(onnx::NodeProto node);
  void count_readers(const onnx::NodeProto& node, int change);

  const std::string where_;
  Inliner inliner_;
  std::deque<onnx::NodeProto> kept_;  ///< Nodes that are not the file's own.
  std::vector<Entry> entries_;
  std::vector<Call> calls_;
  std::vector<StoredTensor> stored_;
  std::unordered_map<std::string, Maker> makers_;
  std::unordered_map<std::string, int> readers_;
  std::unordered_map<std::string, std::vector<const onnx::NodeProto*>> quantize_readers_;
  std::vector<bool> live_;
};

}  // namespace octavo::onnx_format
