#include <fmt/format.h>

#include "importer.h"
#include "octavo/core/error.h"
#include "tensor_proto.h"

namespace octavo::onnx_format {

bool Constant::is_false() const {
  if (tensor->size() != 1) return false;
  return tensor->dtype() == DType::kUInt8 && tensor->data<std::uint8_t>()[0] == 0;
}

NodeReader::NodeReader(Importer& owner, const onnx::NodeProto& proto, std::string unique_name)
    : importer(owner),
      node(proto),
      name(std::move(unique_name)),
      what(fmt::format("{}: node '{}' ({})", owner.where(), printable(name), printable(proto.op_type()))),
      attributes(proto, what) {}

void NodeReader::fail(const std::string& problem) const { throw Error(ErrorCode::kBadInput, what, problem); }

const Symbol& NodeReader::operand(int index) const {
  if (!has(index)) fail(fmt::format("input {} is missing", index));
  return *importer.find(node.input(index));
}

Flow NodeReader::flow(int index) const {
  const Flow* flow = std::get_if<Flow>(&operand(index));
  if (!flow) throw Unsupported{fmt::format("input {} is a constant or an integer tensor", index)};
  if (!flow->dequantized) importer.note_float_reader(flow->id, *this);
  return *flow;
}

Flow NodeReader::moved(int index) {
  const Integers* integers = std::get_if<Integers>(&operand(index));
  if (!integers) return flow(index);
  importer.annotate(*integers);
  moved_ = integers->quant;
  return {.id = integers->id, .dequantized = true};
}

const Shape& NodeReader::shape(const Flow& flow) const { return importer.graph().value(flow.id).shape; }

const Constant& NodeReader::constant(int index) const {
  const Constant* constant = std::get_if<Constant>(&operand(index));
  if (!constant) throw Unsupported{fmt::format("input {} is computed, not a constant", index)};
  return *constant;
}

Tensor NodeReader::real(int index) const {
  const Constant& operand = constant(index);
  importer.budget().work(static_cast<std::uint64_t>(operand.tensor->size()) * sizeof(float));
  if (operand.quant) return dequantize(*operand.tensor, *operand.quant);
  if (operand.tensor->dtype() != DType::kFloat32) {
    fail(fmt::format("input {} is {}; expected float32", index, to_string(operand.tensor->dtype())));
  }
  return *operand.tensor;
}

float NodeReader::scalar(int index) const {
  const Tensor tensor = real(index);
  if (tensor.size() != 1) fail(fmt::format("input {} has {} elements; expected 1", index, tensor.size()));
  return tensor.data<float>()[0];
}

std::vector<std::int64_t> NodeReader::integers(int index, bool batch) const {
  const Constant& source = constant(index);
  const Tensor& tensor = *source.tensor;
  importer.budget().work(tensor.size_bytes());
  std::vector<std::int64_t> values;
  if (tensor.dtype() == DType::kInt64) {
    values.assign(tensor.data<std::int64_t>().begin(), tensor.data<std::int64_t>().end());
  } else if (tensor.dtype() == DType::kInt32) {
    values.assign(tensor.data<std::int32_t>().begin(), tensor.data<std::int32_t>().end());
  }
  if (source.quant || tensor.rank() > 1 || static_cast<std::int64_t>(values.size()) != tensor.size()) {
    fail(fmt::format("input {} is {} of shape {}; expected a row of int32 or int64", index,
                     to_string(tensor.dtype()), to_string(tensor.shape())));
  }
  if (!batch && std::ranges::count(values, kBatchSize) > 0)
    throw Unsupported{fmt::format("input {} depends on the size of the batch", index)};
  return values;
}

ValueId NodeReader::real_value(int index) const {
  return importer.constant_value(constant(index), "real", [&] { return Importer::Made{real(index), {}}; });
}

std::size_t NodeReader::axis(std::int64_t wanted, std::size_t rank) const {
  const auto count = static_cast<std::int64_t>(rank);
  if (wanted < -count || wanted >= count) {
    fail(fmt::format("axis {}; expected {} to {}", wanted, -count, count - 1));
  }
  return static_cast<std::size_t>(wanted < 0 ? wanted + count : wanted);
}

std::size_t NodeReader::image_axis(std::int64_t wanted, std::size_t rank) const {
  const std::size_t result = axis(wanted, rank);
  if (result == 0) throw Unsupported{fmt::format("axis {}, which is the batch", wanted)};
  return result;
}

void NodeReader::expect_outputs() const {
  for (int i = 1; i < node.output_size(); ++i) {
    const std::string& output = node.output(i);
    if (!output.empty() && importer.readers(output) > 0 && !importer.find(output))
      throw Unsupported{fmt::format("output {} is used", i)};
  }
}

void NodeReader::define(Symbol symbol, int output) const {
  importer.define(node.output(output), std::move(symbol));
}

ValueId NodeReader::append(const std::string& node_name, const std::string& value_name, Op op,
                           std::vector<ValueId> inputs, Attributes node_attributes) const {
  Graph& graph = importer.graph();
  // A graph of this node alone, without data, gives its output's shape.
  Graph alone;
  alone.name = importer.where();
  Node single{node_name, op, {}, static_cast<ValueId>(inputs.size()), node_attributes};
  for (const ValueId id : inputs) {
    single.inputs.push_back(static_cast<ValueId>(alone.values.size()));
    alone.values.push_back({{}, graph.value(id).shape, {}, {}});
  }
  alone.values.emplace_back();
  alone.nodes.push_back(std::move(single));
  infer_shapes(alone);

  const ValueId output = importer.add_value(value_name, alone.values.back().shape);
  graph.nodes.push_back({node_name, op, std::move(inputs), output, std::move(node_attributes)});
  return output;
}

ValueId NodeReader::emit(Op op, std::vector<ValueId> inputs, Attributes node_attributes, int output) const {
  const ValueId id = append(output == 0 ? name : importer.unique_node_name(name), node.output(output), op,
                            std::move(inputs), std::move(node_attributes));
  if (moved_) {
    define(Integers{id, *moved_}, output);
  } else {
    define(Flow{.id = id}, output);
  }
  return id;
}

ValueId NodeReader::emit_inner(const std::string& suffix, Op op, std::vector<ValueId> inputs,
                               Attributes node_attributes) const {
  return append(importer.unique_node_name(name + suffix), node.output(0) + suffix, op, std::move(inputs),
                std::move(node_attributes));
}

}  // namespace octavo::onnx_format
