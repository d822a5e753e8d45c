#include <cmath>
#include <limits>

#include "octavo/core/error.h"
#include "tensor_proto.h"
#include "writer.h"

namespace octavo::onnx_format {
namespace {

void add_real(onnx::NodeProto& node, const std::string& name, float value) {
  onnx::AttributeProto& attribute = *node.add_attribute();
  attribute.set_name(name);
  attribute.set_type(onnx::AttributeProto::FLOAT);
  attribute.set_f(value);
}

template <typename Integers>
void add_integers(onnx::NodeProto& node, const std::string& name, const Integers& values) {
  onnx::AttributeProto& attribute = *node.add_attribute();
  attribute.set_name(name);
  attribute.set_type(onnx::AttributeProto::INTS);
  for (const std::int64_t value : values) attribute.add_ints(value);
}

void write_attributes(const Node& node, onnx::NodeProto& proto) {
  switch (node.op) {
    case Op::kConv: {
      const auto& a = node.as<ConvAttributes>();
      add_integers(proto, "dilations", a.dilations);
      add_integer(proto, "group", a.group);
      add_integers(proto, "kernel_shape", a.kernel);
      add_integers(proto, "pads", a.pads);
      add_integers(proto, "strides", a.strides);
      break;
    }
    case Op::kMaxPool:
    case Op::kAveragePool: {
      const auto& a = node.as<PoolAttributes>();
      add_integer(proto, "ceil_mode", a.ceil_mode ? 1 : 0);
      if (node.op == Op::kAveragePool) add_integer(proto, "count_include_pad", a.count_include_pad ? 1 : 0);
      add_integers(proto, "kernel_shape", a.kernel);
      add_integers(proto, "pads", a.pads);
      add_integers(proto, "strides", a.strides);
      break;
    }
    case Op::kBatchNormalization:
      add_real(proto, "epsilon", node.as<BatchNormAttributes>().epsilon);
      add_real(proto, "momentum", node.as<BatchNormAttributes>().momentum);
      break;
    case Op::kFlatten:
      add_integer(proto, "axis", 1);
      break;
    case Op::kGemm:
      add_integer(proto, "transB", 1);
      break;
    case Op::kLeakyRelu:
      add_real(proto, "alpha", node.as<ScalarAttributes>().alpha);
      break;
    case Op::kHardSigmoid:
      add_real(proto, "alpha", node.as<ScalarAttributes>().alpha);
      add_real(proto, "beta", node.as<ScalarAttributes>().beta);
      break;
    case Op::kConcat:
    case Op::kSoftmax:
    case Op::kLogSoftmax:
      add_integer(proto, "axis", node.as<AxisAttributes>().axis);
      break;
    case Op::kTranspose:
      add_integers(proto, "perm", node.as<TransposeAttributes>().permutation);
      break;
    case Op::kReduceMean:
      add_integers(proto, "axes", node.as<ReduceAttributes>().axes);
      add_integer(proto, "keepdims", node.as<ReduceAttributes>().keep_dims ? 1 : 0);
      break;
    default:
      break;
  }
}

}  // namespace

/// Operands that ONNX has and the graph keeps as attributes.
void Writer::add_operands(const Node& node, std::vector<std::string>& inputs) {
  switch (node.op) {
    case Op::kClip: {
      const auto& bounds = node.as<ClipAttributes>();
      const auto bound = [&](const char* suffix, float value) {
        inputs.push_back(std::isinf(value) ? std::string() : add_scalar(node.name + suffix, value));
      };
      bound("_min", bounds.min);
      bound("_max", bounds.max);
      while (inputs.back().empty()) inputs.pop_back();
      break;
    }
    case Op::kPow:
      inputs.push_back(add_scalar(node.name + "_exponent", node.as<ScalarAttributes>().alpha));
      break;
    case Op::kReshape: {
      // 0 keeps the size of the batch.
      Shape shape = node.as<ReshapeAttributes>().shape;
      shape[0] = 0;
      inputs.push_back(add_row(node.name + "_shape", shape));
      break;
    }
    case Op::kPad: {
      const auto& a = node.as<PadAttributes>();
      std::vector<std::int64_t> pads = a.before;
      pads.insert(pads.end(), a.after.begin(), a.after.end());
      inputs.push_back(add_row(node.name + "_pads", pads));
      inputs.push_back(add_scalar(node.name + "_value", a.value));
      break;
    }
    case Op::kSlice: {
      SliceAttributes a = node.as<SliceAttributes>();
      std::vector<std::int64_t> axes;
      for (std::size_t i = 0; i < a.starts.size(); ++i) axes.push_back(static_cast<std::int64_t>(i));
      for (std::size_t i = 0; i < a.ends.size(); ++i) {
        // Negative ends count from the last element; this one is before the first.
        if (a.steps[i] < 0 && a.ends[i] < 0) a.ends[i] = -SliceAttributes::kWhole;
      }
      const auto row = [&](const char* suffix, const std::vector<std::int64_t>& all) {
        inputs.push_back(add_row(node.name + suffix, {all.begin() + 1, all.end()}));
      };
      row("_starts", a.starts);
      row("_ends", a.ends);
      row("_axes", axes);
      row("_steps", a.steps);
      break;
    }
    default:
      break;
  }
}

std::string Writer::add_part(const Node& node, const std::string& type, std::vector<std::string> inputs) {
  const Value& output = graph_.value(node.output);
  std::string name = tensor_names_.make(output.name + "_" + type);
  add_node(type, node.name + "_" + type, std::move(inputs), name);
  write_type(*proto_.add_value_info(), name, DType::kFloat32, output.shape);
  return name;
}

Writer::LastPart Writer::decompose(const Node& node, std::vector<std::string> inputs) {
  const std::string& x = inputs[0];
  switch (node.op) {
    case Op::kSilu:
      return {"Mul", {x, add_part(node, "Sigmoid", {x})}};
    case Op::kHardSwish: {
      const std::string gate = add_part(node, "HardSigmoid", {x});
      onnx::NodeProto& proto = *proto_.mutable_node(proto_.node_size() - 1);
      add_real(proto, "alpha", 1.0F / 6.0F);
      add_real(proto, "beta", 0.5F);
      return {"Mul", {x, gate}};
    }
    case Op::kGelu: {
      const std::string scaled =
          add_part(node, "Div", {x, add_scalar(node.name + "_sqrt2", std::sqrt(2.0F))});
      const std::string erf = add_part(node, "Erf", {scaled});
      const std::string plus = add_part(node, "Add", {erf, add_scalar(node.name + "_one", 1.0F)});
      const std::string product = add_part(node, "Mul", {x, plus});
      return {"Mul", {product, add_scalar(node.name + "_half", 0.5F)}};
    }
    default:
      return {to_string(node.op), std::move(inputs)};
  }
}

void Writer::write_node(const Node& node) {
  std::vector<std::string> inputs;
  for (const ValueId id : node.inputs) inputs.push_back(read(id));
  const Value& output = graph_.value(node.output);
  const bool is_output = node.output == graph_.output;
  // The model's output keeps its name after the pair, so what comes before takes another.
  const std::string name =
      is_output && output.quant ? tensor_names_.make(output.name + "_float") : output.name;
  add_operands(node, inputs);
  LastPart last = decompose(node, std::move(inputs));
  onnx::NodeProto& proto = *proto_.add_node();
  for (std::string& input : last.inputs) proto.add_input(std::move(input));
  proto.add_output(name);
  proto.set_name(node.name);
  proto.set_op_type(last.type);
  write_attributes(node, proto);
  if (name != graph_.value(graph_.output).name)
    write_type(*proto_.add_value_info(), name, DType::kFloat32, output.shape);
  readable_[static_cast<std::size_t>(node.output)] = name;
  if (output.quant) write_activation_pair(node.output, name);
}

}  // namespace octavo::onnx_format
