/// Builds a Graph from a ModelProto. The symbol table holds what each ONNX tensor name stands for;
/// operators.cpp and quantization.cpp turn one node each into graph nodes, annotations or constants.
#pragma once

#include <onnx/onnx_pb.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <variant>
#include <vector>

#include "attributes.h"
#include "octavo/graph/graph.h"

namespace octavo::onnx_format {

struct IntegerRange {
  std::int32_t qmin, qmax;
};

/// The range that a reader assumes for integer constants: [-127, 127] for symmetric int8 that never holds
/// -128, else the whole container. A different one is kept in the file's metadata.
IntegerRange apparent_range(const Tensor& integers, const QuantParams& quant);

/// Hands out each name once: "x", then "x_1", "x_2".
class UniqueNames {
 public:
  std::string take(const std::string& wanted);

 private:
  std::unordered_set<std::string> taken_;
  std::unordered_map<std::string, int>
      last_;  ///< Suffix tried last, so that many equal names cost no more than few.
};

/// A tensor that a node may read as an operand. Integers with `quant` stand for real numbers.
struct Constant {
  std::string name;
  std::shared_ptr<const Tensor> tensor;
  std::optional<QuantParams> quant;

  /// One boolean or integer 0.
  bool is_false() const;
};

/// A float tensor that depends on the input. `dequantized`: read through QuantizeLinear and DequantizeLinear.
struct Flow {
  ValueId id = kNoValue;
  bool dequantized = false;
};

/// What QuantizeLinear makes of a Flow, as uint8.
struct Integers {
  ValueId id = kNoValue;
  QuantParams quant;
};

/// Made by a node that is not supported, which is reported already.
struct Poison {};

using Symbol = std::variant<Poison, Flow, Integers, Constant>;

class Importer;

/// One node under conversion: its operands and attributes, with errors that name it.
class NodeReader {
 public:
  NodeReader(Importer& importer, const onnx::NodeProto& node, std::string name);

  Importer& importer;
  const onnx::NodeProto& node;
  const std::string name;  ///< Unique among the graph's nodes.
  const std::string what;  ///< "model.onnx: node 'conv1' (Conv)"
  AttributeReader attributes;

  [[noreturn]] void fail(const std::string& problem) const;

  bool has(int index) const { return index < node.input_size() && !node.input(index).empty(); }
  /// Throws kBadInput if the operand is missing.
  const Symbol& operand(int index) const;
  /// A float tensor that flows; throws Unsupported for anything else. Notes who reads it.
  Flow flow(int index) const;
  /// A constant; throws Unsupported for anything else.
  const Constant& constant(int index) const;
  /// A constant in float32, dequantized if need be.
  Tensor real(int index) const;
  /// A float constant of one element.
  float scalar(int index) const;
  /// Throws Unsupported if the node makes more than its first output.
  void expect_one_output() const;

  void define(Symbol symbol) const;
  /// Appends a graph node whose output takes the ONNX output's name, infers its shape and defines the output.
  ValueId emit(Op op, std::vector<ValueId> inputs, Attributes attributes = {}) const;
};

class Importer {
 public:
  /// `bytes` is the size of the file; it bounds what constants may expand to.
  Importer(const onnx::ModelProto& model, std::string where, std::size_t bytes);

  Graph run();

  const std::string& where() const { return where_; }
  std::int64_t opset() const { return opset_; }
  bool fixed_batch_of_one() const { return fixed_batch_of_one_; }
  Graph& graph() { return graph_; }

  const Symbol* find(const std::string& name) const;
  void define(const std::string& name, Symbol symbol);
  /// Number of live nodes and outputs that read a tensor.
  int readers(const std::string& name) const;
  void note_float_reader(ValueId id, const NodeReader& node);

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
  /// Takes `bytes` from what constants may still expand to. Throws kUnsupported if there is less.
  void charge(std::size_t bytes);
  /// A value name like `wanted` that nothing has.
  std::string unique_value_name(const std::string& wanted);
  /// Appends a value named like `wanted`.
  ValueId add_value(const std::string& wanted, Shape shape);

 private:
  void read_opset();
  void read_initializers();
  void read_input();
  void find_live_nodes();
  void convert(const onnx::NodeProto& node);
  void read_output();
  void check_float_readers();
  void report_unsupported() const;
  ValueId add_constant(const std::string& wanted, Made made);
  std::string unique_node_name(const onnx::NodeProto& node);
  std::string missing_tensor(const std::string& name) const;
  void note_unsupported(const onnx::NodeProto& node, const std::string& reason);

  struct FloatReader {
    ValueId id;
    std::string node, op;
  };

  const onnx::ModelProto& model_;
  const onnx::GraphProto& proto_;
  const std::string where_;
  std::size_t budget_;  ///< Bytes that constants may still take.
  std::int64_t opset_ = 0;
  bool fixed_batch_of_one_ = false;
  Graph graph_;
  std::unordered_map<std::string, Symbol> symbols_;
  std::unordered_map<std::string, int> makers_;  ///< ONNX tensor name to index of the node that makes it.
  std::unordered_map<std::string, int> readers_;
  std::vector<bool> live_;
  UniqueNames node_names_;
  UniqueNames value_names_;
  std::map<std::pair<std::string, std::string>, ValueId> constants_;
  std::map<std::string, std::string> ranges_;
  std::vector<FloatReader> float_readers_;
  std::vector<std::string> unsupported_;  ///< Nodes and tensors, as the error names them.
};

/// Converts one node; null if the operator is not supported.
using Converter = void (*)(NodeReader&);
Converter find_converter(std::string_view op_type);
std::string supported_operators();

void convert_quantize_linear(NodeReader& reader);
void convert_dequantize_linear(NodeReader& reader);
/// Clip between QuantizeLinear and DequantizeLinear: a range narrower than the container.
void convert_integer_clip(NodeReader& reader, const Integers& integers);

/// Weight operand of a Conv or, with `transposed` and `alpha`, of a Gemm, with parameters along its first
/// dimension.
ValueId weight_value(const NodeReader& reader, int index, bool transposed = false, float alpha = 1.0F);
/// Bias operand [M] of a layer with `weight`. int32 ones stay so; stored_form sees whether they fit the
/// contract.
ValueId bias_value(const NodeReader& reader, int index, ValueId weight, float beta = 1.0F);

}  // namespace octavo::onnx_format
