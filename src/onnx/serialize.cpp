#include <fmt/format.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <exception>
#include <limits>

#include "canonical.h"
#include "octavo/core/error.h"
#include "octavo/core/file.h"
#include "octavo/core/version.h"
#include "octavo/onnx/onnx.h"
#include "quantization.h"
#include "tensor_proto.h"
#include "writer.h"

namespace octavo {
namespace onnx_format {
namespace {

/// One integer in the container of an activation or a weight, rank 0.
Tensor scalar(std::int32_t value, DType dtype) {
  if (dtype == DType::kInt8)
    return Tensor::from<std::int8_t>({}, std::vector{static_cast<std::int8_t>(value)});
  if (dtype == DType::kInt32) return Tensor::from<std::int32_t>({}, std::vector{value});
  return Tensor::from<std::uint8_t>({}, std::vector{static_cast<std::uint8_t>(value)});
}

template <typename T>
Tensor narrowed(const Tensor& wide) {
  Tensor narrow(wide.shape(), DTypeOf<T>::value);
  const auto target = narrow.data<T>();
  const auto source = wide.data<std::int32_t>();
  for (std::size_t i = 0; i < target.size(); ++i) target[i] = static_cast<T>(source[i]);
  return narrow;
}

}  // namespace

void add_integer(onnx::NodeProto& node, const std::string& name, std::int64_t value) {
  onnx::AttributeProto& attribute = *node.add_attribute();
  attribute.set_name(name);
  attribute.set_type(onnx::AttributeProto::INT);
  attribute.set_i(value);
}

void write_type(onnx::ValueInfoProto& info, const std::string& name, DType dtype, const Shape& shape) {
  info.set_name(name);
  onnx::TypeProto_Tensor& type = *info.mutable_type()->mutable_tensor_type();
  type.set_elem_type(data_type(dtype));
  type.mutable_shape();
  for (const std::int64_t dim : shape) {
    auto& entry = *type.mutable_shape()->add_dim();
    if (dim == kDynamic) {
      entry.set_dim_param("N");
    } else {
      entry.set_dim_value(dim);
    }
  }
}

int written_opset(const Graph& graph, int wanted) {
  if (wanted < ExportOptions::kLeastOpset || wanted > ExportOptions::kNewestOpset) {
    throw Error(ErrorCode::kUsage, graph.name,
                fmt::format("cannot be written with this opset; expected {} to {}, got {}",
                            ExportOptions::kLeastOpset, ExportOptions::kNewestOpset, wanted));
  }
  // All else that is of a later opset can be said by other nodes.
  const bool normalizes =
      std::ranges::any_of(graph.nodes, [](const Node& n) { return n.op == Op::kLayerNormalization; });
  return normalizes ? std::max(wanted, operator_info(Op::kLayerNormalization).since_opset) : wanted;
}

Writer::Writer(const Graph& graph, int opset, bool int8_activations, onnx::GraphProto& proto)
    : graph_(graph), opset_(opset), int8_activations_(int8_activations), proto_(proto) {
  for (const Value& value : graph.values) tensor_names_.reserve(value.name);
  for (const Node& node : graph.nodes) node_names_.reserve(node.name);
}

void Writer::run() {
  proto_.set_name(graph_.name);
  const Value& input = graph_.value(graph_.input);
  const Value& output = graph_.value(graph_.output);
  write_type(*proto_.add_input(), input.name, DType::kFloat32, input.shape);
  write_type(*proto_.add_output(), output.name, DType::kFloat32, output.shape);
  readable_.resize(graph_.values.size());
  readable_[static_cast<std::size_t>(graph_.input)] = input.name;
  if (input.quant) write_activation_pair(graph_.input, input.name);
  for (const Node& node : graph_.nodes) write_node(node);
}

std::string Writer::add_initializer(const std::string& wanted, const Tensor& tensor) {
  std::string name = tensor_names_.make(wanted);
  write_tensor(tensor, name, *proto_.add_initializer());
  return name;
}

std::string Writer::add_row(const std::string& wanted, const std::vector<std::int64_t>& values) {
  return add_initializer(wanted,
                         Tensor::from<std::int64_t>({static_cast<std::int64_t>(values.size())}, values));
}

std::string Writer::add_scalar(const std::string& wanted, float value) {
  return add_initializer(wanted, Tensor::from<float>({}, std::vector{value}));
}

onnx::NodeProto& Writer::add_node(const std::string& type, const std::string& wanted,
                                  std::vector<std::string> inputs, const std::string& output) {
  onnx::NodeProto& node = *proto_.add_node();
  for (std::string& input : inputs) node.add_input(std::move(input));
  node.add_output(output);
  node.set_name(node_names_.make(wanted));
  node.set_op_type(type);
  return node;
}

std::vector<std::string> Writer::add_parameters(const std::string& name, const QuantParams& quant) {
  const Shape shape = quant.per_channel() ? Shape{static_cast<std::int64_t>(quant.scales.size())} : Shape{};
  Tensor zero_points = Tensor::from<std::int32_t>(shape, quant.zero_points);
  if (quant.dtype == DType::kInt8) zero_points = narrowed<std::int8_t>(zero_points);
  if (quant.dtype == DType::kUInt8) zero_points = narrowed<std::uint8_t>(zero_points);
  return {add_initializer(name + "_scale", Tensor::from<float>(shape, quant.scales)),
          add_initializer(name + "_zero_point", zero_points)};
}

void Writer::write_activation_pair(ValueId id, const std::string& name) {
  const Value& value = graph_.value(id);
  const QuantParams quant = int8_activations_ ? as_int8(*value.quant) : *value.quant;
  const std::vector<std::string> parameters = add_parameters(value.name, quant);
  std::string integers = tensor_names_.make(value.name + "_quantized");
  add_node("QuantizeLinear", value.name + "_QuantizeLinear", {name, parameters[0], parameters[1]}, integers);
  write_type(*proto_.add_value_info(), integers, quant.dtype, value.shape);
  if (value.quant->qmin > 0 || value.quant->qmax < 255) {
    const std::string low = add_initializer(value.name + "_qmin", scalar(quant.qmin, quant.dtype));
    const std::string high = add_initializer(value.name + "_qmax", scalar(quant.qmax, quant.dtype));
    std::string clipped = tensor_names_.make(value.name + "_clipped");
    add_node("Clip", value.name + "_Clip", {integers, low, high}, clipped);
    write_type(*proto_.add_value_info(), clipped, quant.dtype, value.shape);
    integers = std::move(clipped);
  }
  const bool is_output = id == graph_.output;
  const std::string real = is_output ? value.name : tensor_names_.make(value.name + "_dequantized");
  add_node("DequantizeLinear", value.name + "_DequantizeLinear", {integers, parameters[0], parameters[1]},
           real);
  if (!is_output) write_type(*proto_.add_value_info(), real, DType::kFloat32, value.shape);
  readable_[static_cast<std::size_t>(id)] = real;
}

const std::string& Writer::read(ValueId id) {
  std::string& name = readable_[static_cast<std::size_t>(id)];
  if (!name.empty()) return name;
  const Value& value = graph_.value(id);
  name = value.name;
  if (!value.quant) {
    write_tensor(*value.constant, value.name, *proto_.add_initializer());
    return name;
  }
  const std::string integers = add_initializer(value.name + "_quantized", *value.constant);
  const std::vector<std::string> parameters = add_parameters(value.name, *value.quant);
  onnx::NodeProto& node = add_node("DequantizeLinear", value.name + "_DequantizeLinear",
                                   {integers, parameters[0], parameters[1]}, value.name);
  if (value.quant->per_channel()) add_integer(node, "axis", value.quant->axis);
  write_type(*proto_.add_value_info(), value.name, DType::kFloat32, value.shape);
  return name;
}

}  // namespace onnx_format

namespace {

using namespace onnx_format;

void write_metadata(const Graph& graph, onnx::ModelProto& model) {
  std::map<std::string, std::string> properties = graph.metadata;
  for (const Value& value : graph.values) {
    if (!value.constant || !value.quant || value.quant->dtype == DType::kInt32) continue;
    const IntegerRange apparent = apparent_range(*value.constant, *value.quant);
    if (apparent.qmin == value.quant->qmin && apparent.qmax == value.quant->qmax) continue;
    properties[std::string(kRangePrefix) + value.name] =
        fmt::format("{},{}", value.quant->qmin, value.quant->qmax);
  }
  for (const auto& [key, text] : properties) {
    onnx::StringStringEntryProto& entry = *model.add_metadata_props();
    entry.set_key(key);
    entry.set_value(text);
  }
}

}  // namespace

namespace {

/// The IR version that ONNX had when it had that opset.
int ir_version(int opset) {
  if (opset <= 14) return 7;
  if (opset <= 18) return 8;
  if (opset <= 20) return 9;
  return opset <= 22 ? 10 : 11;
}

/// The file of `graph`, with its size computed.
onnx::ModelProto to_model(const Graph& graph, const ExportOptions& options) {
  const Graph stored = to_stored_form(graph, nullptr, options.float_biases);
  onnx::ModelProto model;
  const int written = written_opset(stored, options.opset);
  model.set_ir_version(ir_version(written));
  model.set_producer_name("octavo");
  model.set_producer_version(version());
  onnx::OperatorSetIdProto& opset = *model.add_opset_import();
  opset.set_domain("");
  opset.set_version(written);
  Writer(stored, written, options.int8_activations, *model.mutable_graph()).run();
  write_metadata(stored, model);

  const std::size_t size = model.ByteSizeLong();
  if (size > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max())) {
    throw Error(ErrorCode::kBadInput, stored.name,
                fmt::format("too large for one ONNX file; expected at most 2 GiB, got {} bytes", size));
  }
  return model;
}

void write(const onnx::ModelProto& model, google::protobuf::io::ZeroCopyOutputStream& stream) {
  google::protobuf::io::CodedOutputStream output(&stream);
  output.SetSerializationDeterministic(true);
  model.SerializeWithCachedSizes(&output);
}

/// Protocol buffers' output, as it comes, into a file. An error waits until their code is left, whose
/// destructors would end the program.
class FileStream final : public google::protobuf::io::CopyingOutputStream {
 public:
  explicit FileStream(AtomicFile& file) : file_(file) {}
  bool Write(const void* bytes, int size) override {
    try {
      file_.write({static_cast<const std::byte*>(bytes), static_cast<std::size_t>(size)});
    } catch (...) {
      error_ = std::current_exception();
    }
    return !error_;
  }
  void rethrow() const {
    if (error_) std::rethrow_exception(error_);
  }

 private:
  AtomicFile& file_;
  std::exception_ptr error_;
};

}  // namespace

QuantParams as_int8(const QuantParams& activation) {
  constexpr std::int32_t kShift = 128;
  QuantParams params = activation;
  params.dtype = DType::kInt8;
  params.qmin -= kShift;
  params.qmax -= kShift;
  for (std::int32_t& zero_point : params.zero_points) zero_point -= kShift;
  return params;
}

std::vector<std::byte> serialize_onnx(const Graph& graph, const ExportOptions& options) {
  const onnx::ModelProto model = to_model(graph, options);
  std::vector<std::byte> bytes(static_cast<std::size_t>(model.GetCachedSize()));
  google::protobuf::io::ArrayOutputStream stream(bytes.data(), static_cast<int>(bytes.size()));
  write(model, stream);
  return bytes;
}

void save_onnx(const Graph& graph, const std::filesystem::path& path, const ExportOptions& options) {
  const onnx::ModelProto model = to_model(graph, options);
  AtomicFile file(path);
  FileStream target(file);
  bool written = false;
  {
    google::protobuf::io::CopyingOutputStreamAdaptor stream(&target, 1 << 20);
    write(model, stream);
    written = stream.Flush();
  }
  target.rethrow();
  check_internal(written, "save_onnx: bytes were left over");
  file.commit();
}

}  // namespace octavo
