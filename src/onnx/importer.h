/// Builds a Graph from a ModelProto. The symbol table holds what each ONNX tensor name stands for; a
/// converter (converters.h) turns one node each into graph nodes, annotations or constants.
#pragma once

#include <onnx/onnx_pb.h>

#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "external_data.h"
#include "model_file.h"
#include "node_reader.h"
#include "node_table.h"
#include "octavo/graph/graph.h"
#include "octavo/onnx/onnx.h"
#include "symbols.h"
#include "unique_names.h"
#include "work_budget.h"

namespace octavo::onnx_format {

class Importer {
 public:
  /// `budget` outlives this, and bounds what constants may expand to. `folders` are where tensors in other
  /// files are looked for.
  Importer(const ModelFile& file, std::string where, DataFolders folders, WorkBudget& budget,
           ImportOptions options);

  Graph run();

  const std::string& where() const { return where_; }
  /// Of the node under conversion.
  std::int64_t opset() const { return opset_; }
  /// The batch size that the file fixes; our graph leaves it open.
  std::optional<std::int64_t> fixed_batch() const { return fixed_batch_; }
  /// Whether the file's input is of bytes: what reads it, reads their numbers.
  bool input_is_bytes() const { return input_is_bytes_; }
  Graph& graph() { return graph_; }

  const Symbol* find(const std::string& name) const;
  void define(const std::string& name, Symbol symbol);
  /// Number of live nodes and outputs that read a tensor.
  int readers(const std::string& name) const { return nodes_.readers(name); }
  /// Whether all of them are QuantizeLinear with the same scale and zero point.
  bool read_as_same_integers(const std::string& name);
  void note_float_reader(ValueId id, const NodeReader& node);
  /// Writes the parameters of integers that are read into the graph. Throws Unsupported if the value has
  /// others.
  void annotate(const Integers& integers);
  /// The copy of `id` that is quantized with `quant`, which `copy` makes once.
  template <typename Copy>
  ValueId quantized_copy(ValueId id, const QuantParams& quant, const Copy& copy) {
    // Parameters of activations are one scale and one zero point.
    const auto [known, is_new] = quantized_.try_emplace({id, quant.scale(), quant.zero_point()}, kNoValue);
    if (is_new) known->second = copy();
    return known->second;
  }
  std::string unique_node_name(const std::string& wanted) { return node_names_.take(wanted); }
  /// A tensor of an attribute.
  Tensor read(const onnx::TensorProto& proto, const std::string& what);
  Tensor read_sparse(const onnx::SparseTensorProto& proto, const std::string& what);
  /// The tensor of a constant: moved out if nobody else will ask for it, copied otherwise.
  Tensor take(const Constant& constant) const;

  /// The graph value of a constant, made once for each `key` (which tells apart forms of the same tensor).
  /// `make` returns the tensor and its parameters.
  struct Made {
    Tensor tensor;
    std::optional<QuantParams> quant;
  };
  template <typename Make>
  ValueId constant_value(const Constant& constant, const std::string& key, const Make& make) {
    const auto [known, is_new] = constants_.try_emplace({constant.name, key}, kNoValue);
    if (is_new) known->second = add_constant(constant.name, make());
    return known->second;
  }
  WorkBudget& budget() { return budget_; }
  /// A value name like `wanted` that nothing has.
  std::string unique_value_name(const std::string& wanted);
  /// Appends a value named like `wanted`.
  ValueId add_value(const std::string& wanted, Shape shape);

 private:
  void read_opset();
  void read_input();
  std::string choose_output() const;
  void make_live();
  void make(int node);
  std::optional<int> wanted_node(const std::string& name);
  std::string without_arg_max(const std::string& output) const;
  void convert(int node);
  void enter_branch(int node);
  void read_stored(const std::string& name, const StoredTensor& stored);
  Tensor read(const StoredTensor& stored, const std::string& what);
  ValueId batch_first(const Flow& flow);
  void read_output();
  void check_float_readers();
  void report_unsupported() const;
  ValueId add_constant(const std::string& wanted, Made made);
  bool compare_integer_readers(const std::string& name);
  std::string missing_tensor(const std::string& name) const;
  void note_unsupported(const std::string& subject, const std::string& problem);
  void note_unsupported(const onnx::NodeProto& node, const std::string& reason);

  struct FloatReader {
    ValueId id;
    std::string node, op;
  };

  const ModelFile& file_;
  const onnx::ModelProto& model_;
  const onnx::GraphProto& proto_;
  const std::string where_;
  const DataFolders folders_;
  const ImportOptions options_;
  WorkBudget& budget_;
  std::int64_t opset_ = 0;
  std::optional<std::int64_t> fixed_batch_;
  bool input_is_bytes_ = false;
  std::string output_;  ///< The tensor that becomes the graph's output.
  Graph graph_;
  std::unordered_map<std::string, Symbol> symbols_;
  NodeTable nodes_;
  enum class State : std::uint8_t { kNew, kOpen, kDone };
  std::vector<State> states_;  ///< One per node.
  std::unordered_map<std::string, bool> same_integers_;
  UniqueNames node_names_;
  UniqueNames value_names_;
  std::map<std::pair<std::string, std::string>, ValueId> constants_;
  std::map<std::string, std::string> ranges_;
  std::vector<FloatReader> float_readers_;
  std::map<std::tuple<ValueId, float, std::int32_t>, ValueId> quantized_;
  /// What is refused, by why; `first` is the first node or tensor of `count`.
  struct Refusal {
    std::string first, problem;
    int count = 0;
  };
  std::vector<Refusal> unsupported_;
  std::unordered_map<std::string, std::size_t> refusals_;  ///< Index in unsupported_, by why.
};

}  // namespace octavo::onnx_format
