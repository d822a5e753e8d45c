#include <fmt/format.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <cmath>
#include <limits>
#include <unordered_set>

#include "importer.h"
#include "octavo/core/error.h"
#include "octavo/core/file.h"
#include "octavo/core/version.h"
#include "octavo/onnx/onnx.h"
#include "tensor_proto.h"

namespace octavo {
namespace {

using namespace onnx_format;

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

void add_integer(onnx::NodeProto& node, const std::string& name, std::int64_t value) {
  onnx::AttributeProto& attribute = *node.add_attribute();
  attribute.set_name(name);
  attribute.set_type(onnx::AttributeProto::INT);
  attribute.set_i(value);
}

void add_real(onnx::NodeProto& node, const std::string& name, float value) {
  onnx::AttributeProto& attribute = *node.add_attribute();
  attribute.set_name(name);
  attribute.set_type(onnx::AttributeProto::FLOAT);
  attribute.set_f(value);
}

template <std::size_t N>
void add_integers(onnx::NodeProto& node, const std::string& name, const std::array<std::int64_t, N>& values) {
  onnx::AttributeProto& attribute = *node.add_attribute();
  attribute.set_name(name);
  attribute.set_type(onnx::AttributeProto::INTS);
  for (const std::int64_t value : values) attribute.add_ints(value);
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

/// Fills a GraphProto from a graph in stored form.
class Writer {
 public:
  Writer(const Graph& graph, onnx::GraphProto& proto) : graph_(graph), proto_(proto) {
    for (const Value& value : graph.values) tensor_names_.reserve(value.name);
    for (const Node& node : graph.nodes) node_names_.reserve(node.name);
  }

  void run() {
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

 private:
  std::string add_initializer(const std::string& wanted, const Tensor& tensor) {
    std::string name = tensor_names_.make(wanted);
    write_tensor(tensor, name, *proto_.add_initializer());
    return name;
  }

  onnx::NodeProto& add_node(const std::string& type, const std::string& wanted,
                            std::vector<std::string> inputs, const std::string& output) {
    onnx::NodeProto& node = *proto_.add_node();
    for (std::string& input : inputs) node.add_input(std::move(input));
    node.add_output(output);
    node.set_name(node_names_.make(wanted));
    node.set_op_type(type);
    return node;
  }

  /// One integer in the container of an activation or a weight, rank 0.
  static Tensor scalar(std::int32_t value, DType dtype) {
    if (dtype == DType::kInt8)
      return Tensor::from<std::int8_t>({}, std::vector{static_cast<std::int8_t>(value)});
    if (dtype == DType::kInt32) return Tensor::from<std::int32_t>({}, std::vector{value});
    return Tensor::from<std::uint8_t>({}, std::vector{static_cast<std::uint8_t>(value)});
  }

  /// Scale and zero point of `value` as initializers: rank 0 for a tensor, rank 1 for channels.
  std::vector<std::string> add_parameters(const Value& value) {
    const QuantParams& quant = *value.quant;
    const Shape shape = quant.per_channel() ? Shape{static_cast<std::int64_t>(quant.scales.size())} : Shape{};
    Tensor zero_points = Tensor::from<std::int32_t>(shape, quant.zero_points);
    if (quant.dtype == DType::kInt8) zero_points = narrowed<std::int8_t>(zero_points);
    if (quant.dtype == DType::kUInt8) zero_points = narrowed<std::uint8_t>(zero_points);
    return {add_initializer(value.name + "_scale", Tensor::from<float>(shape, quant.scales)),
            add_initializer(value.name + "_zero_point", zero_points)};
  }

  template <typename T>
  static Tensor narrowed(const Tensor& wide) {
    Tensor narrow(wide.shape(), DTypeOf<T>::value);
    const auto target = narrow.data<T>();
    const auto source = wide.data<std::int32_t>();
    for (std::size_t i = 0; i < target.size(); ++i) target[i] = static_cast<T>(source[i]);
    return narrow;
  }

  /// `name` holds the float tensor; the pair makes what readers of `id` read.
  void write_activation_pair(ValueId id, const std::string& name) {
    const Value& value = graph_.value(id);
    const QuantParams& quant = *value.quant;
    const std::vector<std::string> parameters = add_parameters(value);
    std::string integers = tensor_names_.make(value.name + "_quantized");
    add_node("QuantizeLinear", value.name + "_QuantizeLinear", {name, parameters[0], parameters[1]},
             integers);
    write_type(*proto_.add_value_info(), integers, DType::kUInt8, value.shape);
    if (quant.qmin > 0 || quant.qmax < 255) {
      const std::string low = add_initializer(value.name + "_qmin", scalar(quant.qmin, quant.dtype));
      const std::string high = add_initializer(value.name + "_qmax", scalar(quant.qmax, quant.dtype));
      std::string clipped = tensor_names_.make(value.name + "_clipped");
      add_node("Clip", value.name + "_Clip", {integers, low, high}, clipped);
      write_type(*proto_.add_value_info(), clipped, DType::kUInt8, value.shape);
      integers = std::move(clipped);
    }
    const bool is_output = id == graph_.output;
    const std::string real = is_output ? value.name : tensor_names_.make(value.name + "_dequantized");
    add_node("DequantizeLinear", value.name + "_DequantizeLinear", {integers, parameters[0], parameters[1]},
             real);
    if (!is_output) write_type(*proto_.add_value_info(), real, DType::kFloat32, value.shape);
    readable_[static_cast<std::size_t>(id)] = real;
  }

  /// Name under which nodes read `id`; constants are written when first read.
  const std::string& read(ValueId id) {
    std::string& name = readable_[static_cast<std::size_t>(id)];
    if (!name.empty()) return name;
    const Value& value = graph_.value(id);
    name = value.name;
    if (!value.quant) {
      write_tensor(*value.constant, value.name, *proto_.add_initializer());
      return name;
    }
    const std::string integers = add_initializer(value.name + "_quantized", *value.constant);
    const std::vector<std::string> parameters = add_parameters(value);
    onnx::NodeProto& node = add_node("DequantizeLinear", value.name + "_DequantizeLinear",
                                     {integers, parameters[0], parameters[1]}, value.name);
    if (value.quant->per_channel()) add_integer(node, "axis", value.quant->axis);
    write_type(*proto_.add_value_info(), value.name, DType::kFloat32, value.shape);
    return name;
  }

  void write_node(const Node& node) {
    std::vector<std::string> inputs;
    for (const ValueId id : node.inputs) inputs.push_back(read(id));
    const Value& output = graph_.value(node.output);
    const bool is_output = node.output == graph_.output;
    // The model's output keeps its name after the pair, so what comes before takes another.
    const std::string name =
        is_output && output.quant ? tensor_names_.make(output.name + "_float") : output.name;
    if (node.op == Op::kClip) add_bounds(node, inputs);
    onnx::NodeProto& proto = *proto_.add_node();
    for (std::string& input : inputs) proto.add_input(std::move(input));
    proto.add_output(name);
    proto.set_name(node.name);
    proto.set_op_type(to_string(node.op));
    write_attributes(node, proto);
    if (name != graph_.value(graph_.output).name)
      write_type(*proto_.add_value_info(), name, DType::kFloat32, output.shape);
    readable_[static_cast<std::size_t>(node.output)] = name;
    if (output.quant) write_activation_pair(node.output, name);
  }

  void add_bounds(const Node& node, std::vector<std::string>& inputs) {
    const auto& bounds = node.as<ClipAttributes>();
    const auto bound = [&](const char* suffix, float value) {
      inputs.push_back(std::isinf(value) ? std::string()
                                         : add_initializer(node.name + suffix,
                                                           Tensor::from<float>({}, std::vector{value})));
    };
    bound("_min", bounds.min);
    bound("_max", bounds.max);
    while (inputs.back().empty()) inputs.pop_back();
  }

  static void write_attributes(const Node& node, onnx::NodeProto& proto) {
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
      default:
        break;
    }
  }

  const Graph& graph_;
  onnx::GraphProto& proto_;
  Names tensor_names_;
  Names node_names_;
  std::vector<std::string> readable_;  ///< By value: the tensor that nodes read, empty until written.
};

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

std::vector<std::byte> serialize_onnx(const Graph& graph) {
  const Graph stored = stored_form(graph);
  onnx::ModelProto model;
  model.set_ir_version(7);
  model.set_producer_name("octavo");
  model.set_producer_version(version());
  onnx::OperatorSetIdProto& opset = *model.add_opset_import();
  opset.set_domain("");
  opset.set_version(13);
  Writer(stored, *model.mutable_graph()).run();
  write_metadata(stored, model);

  const std::size_t size = model.ByteSizeLong();
  if (size > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max())) {
    throw Error(ErrorCode::kBadInput, stored.name,
                fmt::format("too large for one ONNX file; expected at most 2 GiB, got {} bytes", size));
  }
  std::vector<std::byte> bytes(size);
  google::protobuf::io::ArrayOutputStream stream(bytes.data(), static_cast<int>(size));
  google::protobuf::io::CodedOutputStream output(&stream);
  output.SetSerializationDeterministic(true);
  model.SerializeWithCachedSizes(&output);
  return bytes;
}

void save_onnx(const Graph& graph, const std::filesystem::path& path) {
  write_file(path, serialize_onnx(graph));
}

}  // namespace octavo
