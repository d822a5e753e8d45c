/// Builds a Graph from a ModelProto. The symbol table holds what each ONNX tensor name stands for;
/// operators.cpp and quantization.cpp turn one node each into graph nodes, annotations or constants.
#pragma once

#include <onnx/onnx_pb.h>

#include <filesystem>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <variant>
#include <vector>

#include "attributes.h"
#include "model_file.h"
#include "octavo/graph/graph.h"
#include "unique_names.h"
#include "work_budget.h"

namespace octavo::onnx_format {

struct IntegerRange {
  std::int32_t qmin, qmax;
};

/// The range that a reader assumes for integer constants: [-127, 127] for symmetric int8 that never holds
/// -128, else the whole container. A different one is kept in the file's metadata.
IntegerRange apparent_range(const Tensor& integers, const QuantParams& quant);

/// Stands for the batch size among the integers of a constant that is computed from a shape.
inline constexpr std::int64_t kBatchSize = std::numeric_limits<std::int64_t>::min() + 0xBA7C4;

/// A tensor that a node may read as an operand. Integers with `quant` stand for real numbers.
struct Constant {
  std::string name;
  std::shared_ptr<Tensor> tensor;
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
  /// As flow(), for operators that move elements and do not change them: they may read the integers between
  /// QuantizeLinear and DequantizeLinear too, and what emit() defines then are integers as well.
  Flow moved(int index);
  const Shape& shape(const Flow& flow) const;
  /// A constant; throws Unsupported for anything else.
  const Constant& constant(int index) const;
  /// A constant in float32, dequantized if need be.
  Tensor real(int index) const;
  /// A float constant of one element.
  float scalar(int index) const;
  /// A constant row of int32 or int64. Throws Unsupported if the batch size is among them, unless `batch`.
  std::vector<std::int64_t> integers(int index, bool batch = false) const;
  /// A float constant as a value of the graph.
  ValueId real_value(int index) const;

  /// `wanted` as an index from 0. Throws kBadInput if there is no such dimension.
  std::size_t axis(std::int64_t wanted, std::size_t rank) const;
  /// Throws Unsupported besides if it is the batch.
  std::size_t image_axis(std::int64_t wanted, std::size_t rank) const;

  /// Throws Unsupported if an output is read that the converter did not define.
  void expect_outputs() const;

  void define(Symbol symbol, int output = 0) const;
  /// Appends a graph node whose output takes the ONNX output's name, infers its shape and defines the output.
  ValueId emit(Op op, std::vector<ValueId> inputs, Attributes attributes = {}, int output = 0) const;
  /// A node before the one that emit() appends; both names end in `suffix`.
  ValueId emit_inner(const std::string& suffix, Op op, std::vector<ValueId> inputs,
                     Attributes attributes = {}) const;

 private:
  ValueId append(const std::string& node_name, const std::string& value_name, Op op,
                 std::vector<ValueId> inputs, Attributes node_attributes) const;

  std::optional<QuantParams> moved_;
};

class Importer {
 public:
  /// `budget` outlives this, and bounds what constants may expand to. `folder` is where tensors in other
  /// files are looked for; empty if there is none.
  Importer(const ModelFile& file, std::string where, std::filesystem::path folder, WorkBudget& budget);

  Graph run();

  const std::string& where() const { return where_; }
  std::int64_t opset() const { return opset_; }
  /// The batch size that the file fixes; our graph leaves it open.
  std::optional<std::int64_t> fixed_batch() const { return fixed_batch_; }
  Graph& graph() { return graph_; }

  const Symbol* find(const std::string& name) const;
  void define(const std::string& name, Symbol symbol);
  /// Number of live nodes and outputs that read a tensor.
  int readers(const std::string& name) const;
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
  void read_initializers();
  void read_input();
  void find_live_nodes();
  void convert(const onnx::NodeProto& node);
  Tensor read_initializer(int index, const std::string& what);
  void read_output();
  void check_float_readers();
  void report_unsupported() const;
  ValueId add_constant(const std::string& wanted, Made made);
  bool compare_integer_readers(const std::string& name);
  std::string missing_tensor(const std::string& name) const;
  void note_unsupported(const onnx::NodeProto& node, const std::string& reason);

  struct FloatReader {
    ValueId id;
    std::string node, op;
  };

  const ModelFile& file_;
  const onnx::ModelProto& model_;
  const onnx::GraphProto& proto_;
  const std::string where_;
  const std::filesystem::path folder_;
  WorkBudget& budget_;
  std::int64_t opset_ = 0;
  std::optional<std::int64_t> fixed_batch_;
  Graph graph_;
  std::unordered_map<std::string, Symbol> symbols_;
  std::unordered_map<std::string, int> makers_;  ///< ONNX tensor name to index of the node that makes it.
  std::unordered_map<std::string, int> readers_;
  std::unordered_map<std::string, std::vector<const onnx::NodeProto*>> quantize_readers_;
  std::unordered_map<std::string, bool> same_integers_;
  std::vector<bool> live_;
  UniqueNames node_names_;
  UniqueNames value_names_;
  std::map<std::pair<std::string, std::string>, ValueId> constants_;
  std::map<std::string, std::string> ranges_;
  std::vector<FloatReader> float_readers_;
  std::map<std::tuple<ValueId, float, std::int32_t>, ValueId> quantized_;
  std::vector<std::string> unsupported_;  ///< Nodes and tensors, as the error names them.
};

/// Converts one node; null if the operator is not supported.
using Converter = void (*)(NodeReader&);
Converter find_converter(const onnx::NodeProto& node);
std::string supported_operators();

/// Computes a node that reads constants alone (or a shape) and defines its output. False if it is none.
bool fold_constants(NodeReader& reader);

// layers.cpp
ConvAttributes read_conv(NodeReader& reader, const Shape& x, const Tensor& weight);
PoolAttributes read_pool(NodeReader& reader, const Shape& x, bool max);
void convert_conv(NodeReader& reader);
void convert_pool(NodeReader& reader);
void convert_global_pool(NodeReader& reader);
void convert_batch_normalization(NodeReader& reader);
void convert_gemm(NodeReader& reader);
void convert_matmul(NodeReader& reader);

// elementwise.cpp
void convert_unary(NodeReader& reader);
void convert_scalar_unary(NodeReader& reader);
void convert_binary(NodeReader& reader);
void convert_clip(NodeReader& reader);
void convert_pow(NodeReader& reader);
void convert_prelu(NodeReader& reader);
void convert_cast(NodeReader& reader);
void convert_identity(NodeReader& reader);
void convert_dropout(NodeReader& reader);

// moves.cpp
void convert_concat(NodeReader& reader);
void convert_slice(NodeReader& reader);
void convert_split(NodeReader& reader);
void convert_pad(NodeReader& reader);
void convert_reshape(NodeReader& reader);
void convert_flatten(NodeReader& reader);
void convert_squeeze(NodeReader& reader);
void convert_unsqueeze(NodeReader& reader);
void convert_transpose(NodeReader& reader);
void convert_reduce_mean(NodeReader& reader);
void convert_softmax(NodeReader& reader);

/// Start, end and step within a dimension of `size`, normalized as SliceAttributes has them; an end at or
/// beyond the last element is kWhole. Nothing if they take nothing.
struct SliceBounds {
  std::int64_t start, end, step;
};
std::optional<SliceBounds> slice_bounds(std::int64_t size, std::int64_t start, std::int64_t end,
                                        std::int64_t step);
/// The operands of a Slice, one entry an axis, in both their forms.
struct SliceOperands {
  std::vector<std::int64_t> starts, ends, axes, steps;
};
SliceOperands read_slice(NodeReader& reader, std::size_t rank);
/// The axes of Squeeze and Unsqueeze in both their forms, sorted, for an output or input of `rank`.
std::optional<std::vector<std::size_t>> read_axes(NodeReader& reader, std::size_t rank);

// quantization.cpp
void convert_quantize_linear(NodeReader& reader);
void convert_dequantize_linear(NodeReader& reader);
/// Clip between QuantizeLinear and DequantizeLinear: a range narrower than the container.
void convert_integer_clip(NodeReader& reader, const Integers& integers);

// qlinear.cpp
void convert_qlinear_conv(NodeReader& reader);
void convert_qlinear_matmul(NodeReader& reader);
void convert_qlinear_binary(NodeReader& reader);
void convert_qlinear_pool(NodeReader& reader);
void convert_qlinear_concat(NodeReader& reader);

/// Where a node has a scale and a zero point, and along which dimension a row of them lies.
struct ParamOperands {
  int scale = 1;
  int zero_point = 2;
  std::optional<std::int64_t> axis;  ///< Nothing: one scale for the tensor.
};
/// Parameters of integers of `shape`. `otherwise` is the container where there is no zero point.
QuantParams read_params(NodeReader& reader, const Shape& shape, DType otherwise,
                        const ParamOperands& operands);
/// Per-tensor parameters of an activation, as uint8.
QuantParams read_activation_params(NodeReader& reader, const ParamOperands& operands);

/// Weight operand of a Conv or, with `transposed` and `alpha`, of a Gemm. Parameters lie along `axis` of the
/// operand, that of the output channel; integers that the contract has no place for (with a zero point, or
/// scales along another axis) become their real numbers. `key` tells apart forms of the same tensor.
struct WeightForm {
  std::size_t axis = 0;
  bool transposed = false;
  float alpha = 1.0F;
};
ValueId weight_value(const NodeReader& reader, const Constant& constant, const WeightForm& form,
                     const std::string& key = "");
/// Bias operand [M] of a layer with `channels` outputs. int32 ones stay so; stored_form sees whether they fit
/// the contract.
ValueId bias_value(const NodeReader& reader, const Constant& constant, std::int64_t channels,
                   float beta = 1.0F, const std::string& key = "");

/// Dimensions of a row-major tensor as steps in elements.
std::vector<std::int64_t> strides_of(const Shape& shape);
/// The elements of `source` from `offset` on at `strides`, as a tensor of `shape`.
Tensor take(const Tensor& source, const Shape& shape, std::int64_t offset,
            const std::vector<std::int64_t>& strides);

}  // namespace octavo::onnx_format
