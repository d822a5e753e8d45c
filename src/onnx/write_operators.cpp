#include <fmt/format.h>

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

/// The opset since which ReduceMean reads its axes.
constexpr int kAxesOfMeansAreOperands = 18;

/// Adds what ONNX has as attributes of the operator: an overload for each type of Attributes, so that a new
/// one does not compile before it is written.
struct AttributeWriter {
  const Node& node;
  int opset;
  onnx::NodeProto& proto;

  void operator()(const std::monostate&) const {
    if (node.op == Op::kFlatten) add_integer(proto, "axis", 1);
    if (node.op == Op::kGemm) add_integer(proto, "transB", 1);
  }
  void operator()(const ConvAttributes& a) const {
    add_integers(proto, "dilations", a.dilations);
    add_integer(proto, "group", a.group);
    add_integers(proto, "kernel_shape", a.kernel);
    add_integers(proto, "pads", a.pads);
    add_integers(proto, "strides", a.strides);
  }
  void operator()(const PoolAttributes& a) const {
    add_integer(proto, "ceil_mode", a.ceil_mode ? 1 : 0);
    if (node.op == Op::kAveragePool) add_integer(proto, "count_include_pad", a.count_include_pad ? 1 : 0);
    add_integers(proto, "kernel_shape", a.kernel);
    add_integers(proto, "pads", a.pads);
    add_integers(proto, "strides", a.strides);
  }
  void operator()(const BatchNormAttributes& a) const {
    add_real(proto, "epsilon", a.epsilon);
    add_real(proto, "momentum", a.momentum);
  }
  void operator()(const ScalarAttributes& a) const {
    const auto& [alpha, beta] = operator_info(node.op).scalars;
    if (!alpha.name.empty()) add_real(proto, std::string(alpha.name), a.alpha);
    if (!beta.name.empty()) add_real(proto, std::string(beta.name), a.beta);
  }
  void operator()(const AxisAttributes& a) const { add_integer(proto, "axis", a.axis); }
  void operator()(const LayerNormAttributes& a) const { add_real(proto, "epsilon", a.epsilon); }
  void operator()(const TransposeAttributes& a) const { add_integers(proto, "perm", a.permutation); }
  void operator()(const ReduceAttributes& a) const {
    if (opset < kAxesOfMeansAreOperands) add_integers(proto, "axes", a.axes);
    add_integer(proto, "keepdims", a.keep_dims ? 1 : 0);
  }
  // Operands in ONNX.
  void operator()(const ClipAttributes&) const {}
  void operator()(const SliceAttributes&) const {}
  void operator()(const PadAttributes&) const {}
  void operator()(const ReshapeAttributes&) const {}
};

}  // namespace

/// Adds the operands that ONNX has where the graph has attributes.
struct Writer::OperandWriter {
  Writer& writer;
  const Node& node;
  std::vector<std::string>& inputs;

  void row(const char* suffix, const std::vector<std::int64_t>& values) const {
    inputs.push_back(writer.add_row(node.name + suffix, values));
  }
  void scalar(const char* suffix, float value) const {
    inputs.push_back(writer.add_scalar(node.name + suffix, value));
  }

  void operator()(const ClipAttributes& a) const {
    const auto bound = [&](const char* suffix, float value) {
      if (std::isinf(value)) return inputs.emplace_back(), void();
      scalar(suffix, value);
    };
    bound("_min", a.min);
    bound("_max", a.max);
    while (inputs.back().empty()) inputs.pop_back();
  }
  void operator()(const ScalarAttributes& a) const {
    if (node.op == Op::kPow) scalar("_exponent", a.alpha);
  }
  void operator()(const ReshapeAttributes& a) const {
    // 0 keeps the size of the batch.
    Shape shape = a.shape;
    shape[0] = 0;
    row("_shape", shape);
  }
  void operator()(const PadAttributes& a) const {
    std::vector<std::int64_t> pads = a.before;
    pads.insert(pads.end(), a.after.begin(), a.after.end());
    row("_pads", pads);
    scalar("_value", a.value);
  }
  void operator()(const SliceAttributes& a) const {
    std::vector<std::int64_t> axes;
    std::vector<std::int64_t> ends = a.ends;
    for (std::size_t i = 0; i < ends.size(); ++i) {
      axes.push_back(static_cast<std::int64_t>(i));
      // Negative ends count from the last element; this one is before the first.
      if (a.steps[i] < 0 && ends[i] < 0) ends[i] = -SliceAttributes::kWhole;
    }
    const auto row_of_image = [&](const char* suffix, const std::vector<std::int64_t>& all) {
      row(suffix, {all.begin() + 1, all.end()});
    };
    row_of_image("_starts", a.starts);
    row_of_image("_ends", ends);
    row_of_image("_axes", axes);
    row_of_image("_steps", a.steps);
  }
  void operator()(const ReduceAttributes& a) const {
    if (writer.opset_ >= kAxesOfMeansAreOperands) row("_axes", {a.axes.begin(), a.axes.end()});
  }
  // Attributes in ONNX too.
  void operator()(const std::monostate&) const {}
  void operator()(const ConvAttributes&) const {}
  void operator()(const PoolAttributes&) const {}
  void operator()(const BatchNormAttributes&) const {}
  void operator()(const AxisAttributes&) const {}
  void operator()(const TransposeAttributes&) const {}
  void operator()(const LayerNormAttributes&) const {}
};

/// True if the node says more than ONNX's operator of its name does.
bool has_second_node(const Node& node) {
  if (node.op == Op::kMatMul) return node.inputs.size() > 2;
  return node.op == Op::kMatMulOfValues && node.as<ScalarAttributes>().alpha != 1.0F;
}

std::string Writer::add_part(const Node& node, const std::string& type, std::vector<std::string> inputs) {
  const Value& output = graph_.value(node.output);
  std::string name = tensor_names_.make(output.name + "_" + type);
  add_node(type, node.name + "_" + type, std::move(inputs), name);
  write_type(*proto_.add_value_info(), name, DType::kFloat32, output.shape);
  return name;
}

Writer::LastPart Writer::decompose(const Node& node, const std::vector<std::string>& inputs) {
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
    case Op::kMish: {
      const std::string softplus = add_part(node, "Softplus", {x});
      return {"Mul", {x, add_part(node, "Tanh", {softplus})}};
    }
    case Op::kMatMul:
      return {"Add", {add_part(node, "MatMul", {x, inputs[1]}), inputs[2]}};
    case Op::kMatMulOfValues:
      return {"Mul",
              {add_part(node, "MatMul", {x, inputs[1]}),
               add_scalar(node.name + "_alpha", node.as<ScalarAttributes>().alpha)}};
    default:
      throw Error(ErrorCode::kInternal, node.name,
                  fmt::format("{} is none of ONNX's operators up to opset {}", to_string(node.op), opset_));
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
  const OperatorInfo& info = operator_info(node.op);
  const bool one_node = info.since_opset > 0 && info.since_opset <= opset_ && !has_second_node(node);
  if (one_node) std::visit(OperandWriter{*this, node, inputs}, node.attributes);
  LastPart last =
      one_node ? LastPart{std::string(info.onnx_name.empty() ? info.name : info.onnx_name), std::move(inputs)}
               : decompose(node, inputs);
  onnx::NodeProto& proto = *proto_.add_node();
  for (std::string& input : last.inputs) proto.add_input(std::move(input));
  proto.add_output(name);
  proto.set_name(node.name);
  proto.set_op_type(last.type);
  if (one_node) std::visit(AttributeWriter{node, opset_, proto}, node.attributes);
  if (name != graph_.value(graph_.output).name)
    write_type(*proto_.add_value_info(), name, DType::kFloat32, output.shape);
  readable_[static_cast<std::size_t>(node.output)] = name;
  if (output.quant) write_activation_pair(node.output, name);
}

}  // namespace octavo::onnx_format
