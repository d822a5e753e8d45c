#include <onnx/onnx_pb.h>

#include <limits>
#include <unordered_map>

#include "octavo/core/error.h"
#include "octavo/onnx/onnx.h"

namespace octavo {

ExposedModel expose_integers(const Graph& graph, const ExportOptions& options) {
  const std::vector<std::byte> plain = serialize_onnx(graph, options);
  onnx::ModelProto model;
  check_internal(model.ParseFromArray(plain.data(), static_cast<int>(plain.size())),
                 "expose_integers: what was written cannot be read");
  onnx::GraphProto& proto = *model.mutable_graph();
  std::unordered_map<std::string, const onnx::NodeProto*> makers;
  for (const onnx::NodeProto& node : proto.node()) makers[node.output(0)] = &node;

  ExposedModel result;
  std::vector<std::string> tensors;
  for (const onnx::NodeProto& node : proto.node()) {
    if (node.op_type() != "DequantizeLinear") continue;
    // Integers come from QuantizeLinear, with a Clip between for narrow ranges; weights from an initializer.
    auto maker = makers.find(node.input(0));
    if (maker != makers.end() && maker->second->op_type() == "Clip")
      maker = makers.find(maker->second->input(0));
    if (maker == makers.end() || maker->second->op_type() != "QuantizeLinear") continue;
    const std::string& real = maker->second->input(0);
    // The model's output is named after the pair; its float tensor has another name.
    const bool known = graph.find_value(real) != kNoValue;
    result.tensors[known ? real : node.output(0)] = node.input(0);
    tensors.push_back(node.input(0));
  }
  for (const std::string& name : tensors) {
    onnx::ValueInfoProto& output = *proto.add_output();
    output.set_name(name);
    output.mutable_type()->mutable_tensor_type()->set_elem_type(
        options.int8_activations ? onnx::TensorProto::INT8 : onnx::TensorProto::UINT8);
  }
  result.bytes.resize(model.ByteSizeLong());
  check_internal(result.bytes.size() <= std::numeric_limits<int>::max() &&
                     model.SerializeToArray(result.bytes.data(), static_cast<int>(result.bytes.size())),
                 "expose_integers: too large to write");
  return result;
}

}  // namespace octavo
