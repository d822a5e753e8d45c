#include "octavo/onnx/file_form.h"

#include <algorithm>
#include <unordered_map>

#include "model_file.h"
#include "octavo/core/error.h"
#include "tensor_proto.h"

namespace octavo {
namespace {

using namespace onnx_format;

/// The model's constants by name, and what makes every other tensor.
class Tensors {
 public:
  explicit Tensors(const ModelFile& file, std::string where) : file_(file), where_(std::move(where)) {
    const onnx::GraphProto& graph = file.model().graph();
    for (int i = 0; i < graph.initializer_size(); ++i) initializers_.emplace(graph.initializer(i).name(), i);
    for (const onnx::NodeProto& node : graph.node()) {
      for (const std::string& output : node.output()) makers_.emplace(output, &node);
    }
  }

  const onnx::NodeProto* maker(const std::string& name) const {
    const auto found = makers_.find(name);
    return found == makers_.end() ? nullptr : found->second;
  }

  /// The constant of that name, without what it holds if that lies beside the model; null if it is none.
  const onnx::TensorProto* constant(const std::string& name) const {
    if (const auto found = initializers_.find(name); found != initializers_.end())
      return &file_.model().graph().initializer(found->second);
    const onnx::NodeProto* node = maker(name);
    if (node == nullptr || node->op_type() != "Constant") return nullptr;
    for (const onnx::AttributeProto& attribute : node->attribute()) {
      if (attribute.name() == "value") return &attribute.t();
    }
    return nullptr;
  }

  /// Its elements; nothing for what is no constant of the file itself.
  std::optional<Tensor> values(const std::string& name) const {
    const onnx::TensorProto* proto = constant(name);
    if (proto == nullptr || proto->data_location() == onnx::TensorProto::EXTERNAL) return std::nullopt;
    const std::string what = where_ + ": '" + printable(name) + "'";
    const auto found = initializers_.find(name);
    if (found == initializers_.end() || !file_.raw_data(found->second)) return read_tensor(*proto, what);
    const Extent extent = *file_.raw_data(found->second);
    return tensor_from_raw(read_type(*proto, what), extent.size, what,
                           [&](std::byte* to) { file_.read(extent, to); });
  }

 private:
  const ModelFile& file_;
  std::string where_;
  std::unordered_map<std::string, int> initializers_;
  std::unordered_map<std::string, const onnx::NodeProto*> makers_;
};

std::string type_name(std::int32_t type) {
  constexpr std::pair<std::int32_t, std::string_view> kLater[] = {{kFloat8E4M3Fn, "FLOAT8E4M3FN"},
                                                                  {kFloat8E4M3FnUz, "FLOAT8E4M3FNUZ"},
                                                                  {kFloat8E5M2, "FLOAT8E5M2"},
                                                                  {kFloat8E5M2FnUz, "FLOAT8E5M2FNUZ"},
                                                                  {kUInt4, "UINT4"},
                                                                  {kInt4, "INT4"}};
  const auto* found = std::ranges::find(kLater, type, &std::pair<std::int32_t, std::string_view>::first);
  if (found != std::end(kLater)) return std::string(found->second);
  return onnx::TensorProto::DataType_IsValid(type)
             ? onnx::TensorProto::DataType_Name(static_cast<onnx::TensorProto::DataType>(type))
             : "type " + std::to_string(type);
}

bool holds_other_than_0(const Tensor& tensor) {
  const auto* bytes = reinterpret_cast<const std::byte*>(tensor.raw());
  return std::any_of(bytes, bytes + tensor.size_bytes(), [](std::byte b) { return b != std::byte{0}; });
}

bool is_pair_op(const onnx::NodeProto& node) {
  return node.op_type() == "QuantizeLinear" || node.op_type() == "DequantizeLinear";
}

/// ONNX's type of the integers that a QuantizeLinear makes or a DequantizeLinear reads.
std::int32_t integers_of(const onnx::NodeProto& node, const Tensors& tensors) {
  if (node.input_size() > 2) {
    if (const onnx::TensorProto* zero = tensors.constant(node.input(2))) return zero->data_type();
  }
  for (const onnx::AttributeProto& attribute : node.attribute()) {
    if (attribute.name() == "output_dtype" && attribute.i() != 0)
      return static_cast<std::int32_t>(attribute.i());
  }
  if (node.op_type() == "QuantizeLinear" || node.input_size() == 0) return onnx::TensorProto::UINT8;
  if (const onnx::TensorProto* constant = tensors.constant(node.input(0))) return constant->data_type();
  const onnx::NodeProto* maker = tensors.maker(node.input(0));
  return maker != nullptr && maker->op_type() == "QuantizeLinear" ? integers_of(*maker, tensors)
                                                                  : onnx::TensorProto::UINT8;
}

FileNode describe(const onnx::NodeProto& node, const Tensors& tensors) {
  FileNode result{.name = printable(!node.name().empty()     ? node.name()
                                    : node.output_size() > 0 ? node.output(0)
                                                             : std::string()),
                  .op = node.op_type()};
  if (!node.domain().empty() && node.domain() != "ai.onnx") result.op = node.domain() + "." + result.op;
  const auto makes_integers = [&](const std::string& name) {
    const onnx::NodeProto* maker = tensors.maker(name);
    return maker != nullptr && maker->op_type() == "QuantizeLinear" &&
           tensors.constant(maker->input_size() > 0 ? maker->input(0) : std::string()) == nullptr;
  };
  if (!is_pair_op(node)) {
    result.of_integers = std::ranges::any_of(node.input(), makes_integers);
    return result;
  }
  if (node.input_size() < 2) return result;
  result.type = type_name(integers_of(node, tensors));
  const onnx::NodeProto* maker = tensors.maker(node.input(0));
  // What a QuantizeLinear made of a constant is one too.
  result.constant = tensors.constant(node.input(0)) != nullptr ||
                    (maker != nullptr && maker->op_type() == "QuantizeLinear" && maker->input_size() > 0 &&
                     tensors.constant(maker->input(0)) != nullptr);
  if (maker != nullptr && node.op_type() == "QuantizeLinear") result.maker = maker->op_type();
  if (const std::optional<Tensor> scales = tensors.values(node.input(1))) {
    result.per_channel = scales->size() > 1;
    if (scales->size() > 0 && scales->dtype() == DType::kFloat32) result.scale = scales->data<float>()[0];
  }
  if (node.input_size() > 2) {
    const std::optional<Tensor> zero_points = tensors.values(node.input(2));
    result.zero_points = zero_points && holds_other_than_0(*zero_points);
  }
  return result;
}

}  // namespace

FileForm read_file_form(const std::filesystem::path& path) {
  const ModelFile file(path);
  const Tensors tensors(file, path.string());
  FileForm form;
  for (const onnx::OperatorSetIdProto& opset : file.model().opset_import()) {
    if (opset.domain().empty() || opset.domain() == "ai.onnx")
      form.opset = std::max(form.opset, static_cast<int>(opset.version()));
  }
  for (const onnx::NodeProto& node : file.model().graph().node())
    form.nodes.push_back(describe(node, tensors));
  return form;
}

}  // namespace octavo
