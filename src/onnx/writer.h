/// Writes one graph in stored form into a GraphProto.
#pragma once

#include <onnx/onnx_pb.h>

#include <string>
#include <unordered_set>
#include <vector>

#include "octavo/graph/graph.h"

namespace octavo::onnx_format {

/// The opset of the file that `graph` is written to: `wanted`, or the first that has all of its operators.
int written_opset(const Graph& graph, int wanted);

/// Hands out names that are in nobody else's use.
class Names {
 public:
  void reserve(const std::string& name) { used_.insert(name); }
  std::string make(std::string name) {
    while (!used_.insert(name).second) name += "_";
    return name;
  }

 private:
  std::unordered_set<std::string> used_;
};

class Writer {
 public:
  /// Activations become int8 if that is asked for, else they stay uint8.
  Writer(const Graph& graph, int opset, bool int8_activations, onnx::GraphProto& proto);

  void run();

 private:
  std::string add_initializer(const std::string& wanted, const Tensor& tensor);
  std::string add_row(const std::string& wanted, const std::vector<std::int64_t>& values);
  std::string add_scalar(const std::string& wanted, float value);
  onnx::NodeProto& add_node(const std::string& type, const std::string& wanted,
                            std::vector<std::string> inputs, const std::string& output);
  /// Scale and zero point, of the value `name`, as initializers: rank 0 for a tensor, rank 1 for channels.
  std::vector<std::string> add_parameters(const std::string& name, const QuantParams& quant);
  /// `name` holds the float tensor; the pair makes what readers of `id` read.
  void write_activation_pair(ValueId id, const std::string& name);
  /// Name under which nodes read `id`; constants are written when first read.
  const std::string& read(ValueId id);

  void write_node(const Node& node);
  struct OperandWriter;
  /// A node that the operator of `node` takes besides the last one; gives its output.
  std::string add_part(const Node& node, const std::string& type, std::vector<std::string> inputs);
  /// The inputs of the last of the nodes that an operator is made of that the opset lacks, and its type.
  struct LastPart {
    std::string type;
    std::vector<std::string> inputs;
  };
  LastPart decompose(const Node& node, const std::vector<std::string>& inputs);

  const Graph& graph_;
  const int opset_;
  const bool int8_activations_;
  onnx::GraphProto& proto_;
  Names tensor_names_;
  Names node_names_;
  std::vector<std::string> readable_;  ///< By value: the tensor that nodes read, empty until written.
};

void write_type(onnx::ValueInfoProto& info, const std::string& name, DType dtype, const Shape& shape);
void add_integer(onnx::NodeProto& node, const std::string& name, std::int64_t value);

}  // namespace octavo::onnx_format
