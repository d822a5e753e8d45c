#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "importer.h"
#include "octavo/core/error.h"
#include "tensor_proto.h"

namespace octavo::onnx_format {
namespace {

const Shape& shape_of(const NodeReader& reader, const Flow& flow) {
  return reader.importer.graph().value(flow.id).shape;
}

/// Pads of a window, from `pads` or auto_pad. `kernel` times dilation is at most 2^62, sizes at most 2^31.
std::array<std::int64_t, 4> read_pads(NodeReader& reader, const Shape& input,
                                      const std::array<std::int64_t, 2>& kernel,
                                      const std::array<std::int64_t, 2>& strides,
                                      const std::array<std::int64_t, 2>& dilations) {
  auto pads = reader.attributes.window<4>("pads", 0, {0, 0, 0, 0});
  const std::string mode = reader.attributes.text("auto_pad", "NOTSET");
  if (mode == "NOTSET") return pads;
  pads = {0, 0, 0, 0};
  if (mode == "VALID") return pads;
  if (mode != "SAME_UPPER" && mode != "SAME_LOWER") reader.fail("auto_pad '" + printable(mode) + "'");
  for (std::size_t i = 0; i < 2; ++i) {
    const std::int64_t size = input[i + 2];
    const std::int64_t output = (size + strides[i] - 1) / strides[i];
    const std::int64_t window = (kernel[i] - 1) * dilations[i] + 1;
    const std::int64_t total = std::max<std::int64_t>((output - 1) * strides[i] + window - size, 0);
    const std::int64_t less = total / 2;
    pads[i] = mode == "SAME_UPPER" ? less : total - less;
    pads[i + 2] = total - pads[i];
  }
  return pads;
}

void expect_rank(const Shape& shape, std::size_t rank) {
  if (shape.size() != rank)
    throw Unsupported{fmt::format("input of shape {}, not of {} dimensions", to_string(shape), rank)};
}

void convert_conv(NodeReader& reader) {
  const Flow x = reader.flow(0);
  expect_rank(shape_of(reader, x), 4);
  const Constant& weight = reader.constant(1);
  if (weight.tensor->rank() != 4)
    reader.fail("weight of shape " + to_string(weight.tensor->shape()) + "; expected 4 dimensions");
  ConvAttributes a;
  const std::array<std::int64_t, 2> kernel{weight.tensor->dim(2), weight.tensor->dim(3)};
  a.kernel = reader.attributes.window<2>("kernel_shape", 1, kernel);
  a.strides = reader.attributes.window<2>("strides", 1, {1, 1});
  a.dilations = reader.attributes.window<2>("dilations", 1, {1, 1});
  a.pads = read_pads(reader, shape_of(reader, x), a.kernel, a.strides, a.dilations);
  a.group = reader.attributes.integer("group", 1);
  if (a.group < 1) reader.fail(fmt::format("group {}; expected 1 or more", a.group));
  std::vector<ValueId> inputs{x.id, weight_value(reader, 1)};
  if (reader.has(2)) inputs.push_back(bias_value(reader, 2, inputs[1]));
  reader.emit(Op::kConv, std::move(inputs), a);
}

void convert_pool(NodeReader& reader) {
  const Flow x = reader.flow(0);
  expect_rank(shape_of(reader, x), 4);
  const bool max = reader.node.op_type() == "MaxPool";
  if (!reader.attributes.has("kernel_shape")) reader.fail("has no attribute 'kernel_shape'");
  PoolAttributes a;
  a.kernel = reader.attributes.window<2>("kernel_shape", 1, {1, 1});
  a.strides = reader.attributes.window<2>("strides", 1, {1, 1});
  const auto dilations = reader.attributes.window<2>("dilations", 1, {1, 1});
  if (dilations != std::array<std::int64_t, 2>{1, 1}) throw Unsupported{"dilated pooling"};
  a.pads = read_pads(reader, shape_of(reader, x), a.kernel, a.strides, dilations);
  a.ceil_mode = reader.attributes.integer("ceil_mode", 0) != 0;
  // storage_order orders the indices, an output that is not supported.
  if (max) reader.attributes.integer("storage_order", 0);
  if (!max) a.count_include_pad = reader.attributes.integer("count_include_pad", 0) != 0;
  reader.emit(max ? Op::kMaxPool : Op::kAveragePool, {x.id}, a);
}

void convert_batch_normalization(NodeReader& reader) {
  const Flow x = reader.flow(0);
  if (reader.attributes.integer("training_mode", 0) != 0) throw Unsupported{"training_mode 1"};
  if (reader.attributes.integer("spatial", 1) != 1) throw Unsupported{"spatial 0"};
  const BatchNormAttributes a{.epsilon = reader.attributes.real("epsilon", 1e-5F),
                              .momentum = reader.attributes.real("momentum", 0.9F)};
  if (!std::isfinite(a.epsilon) || !std::isfinite(a.momentum)) reader.fail("an attribute is not finite");
  std::vector<ValueId> inputs{x.id};
  for (int i = 1; i < 5; ++i) {
    inputs.push_back(reader.importer.constant_value(reader.constant(i), "real", [&] {
      return Importer::Made{reader.real(i), {}};
    }));
  }
  reader.emit(Op::kBatchNormalization, std::move(inputs), a);
}

void convert_relu(NodeReader& reader) { reader.emit(Op::kRelu, {reader.flow(0).id}); }

void convert_clip(NodeReader& reader) {
  if (const Integers* integers = std::get_if<Integers>(&reader.operand(0))) {
    convert_integer_clip(reader, *integers);
    return;
  }
  const Flow x = reader.flow(0);
  ClipAttributes bounds;
  if (reader.importer.opset() < 11) {
    constexpr float kLargest = std::numeric_limits<float>::max();
    bounds.min = reader.attributes.real("min", -kLargest);
    bounds.max = reader.attributes.real("max", kLargest);
    if (bounds.min == -kLargest) bounds.min = -std::numeric_limits<float>::infinity();
    if (bounds.max == kLargest) bounds.max = std::numeric_limits<float>::infinity();
  } else {
    if (reader.has(1)) bounds.min = reader.scalar(1);
    if (reader.has(2)) bounds.max = reader.scalar(2);
  }
  if (!(bounds.min <= bounds.max)) {
    reader.fail(fmt::format("bounds {} and {}; expected the lower one first", bounds.min, bounds.max));
  }
  reader.emit(Op::kClip, {x.id}, bounds);
}

void convert_global_average_pool(NodeReader& reader) {
  const Flow x = reader.flow(0);
  expect_rank(shape_of(reader, x), 4);
  reader.emit(Op::kGlobalAveragePool, {x.id});
}

void convert_flatten(NodeReader& reader) {
  const Flow x = reader.flow(0);
  const std::int64_t axis = reader.attributes.integer("axis", 1);
  const auto rank = static_cast<std::int64_t>(shape_of(reader, x).size());
  if (axis != 1 && axis != 1 - rank) throw Unsupported{fmt::format("axis {}", axis)};
  reader.emit(Op::kFlatten, {x.id});
}

/// Reshape to [N, everything else] is Flatten.
void convert_reshape(NodeReader& reader) {
  const Flow x = reader.flow(0);
  const Tensor& target = *reader.constant(1).tensor;
  if (target.dtype() != DType::kInt64 || target.rank() != 1) reader.fail("shape is not a row of int64");
  if (reader.attributes.integer("allowzero", 0) != 0) throw Unsupported{"allowzero 1"};
  const Shape& shape = shape_of(reader, x);
  const std::int64_t features = element_count(Shape(shape.begin() + 1, shape.end()));
  const auto sizes = target.data<std::int64_t>();
  bool flattens = sizes.size() == 2;
  if (flattens) {
    const bool keeps_batch = sizes[0] == 0 || (sizes[0] == 1 && reader.importer.fixed_batch_of_one());
    flattens =
        (keeps_batch && (sizes[1] == -1 || sizes[1] == features)) || (sizes[0] == -1 && sizes[1] == features);
  }
  if (!flattens) {
    throw Unsupported{
        fmt::format("{} to [{}], which is not a Flatten", to_string(shape), fmt::join(sizes, ", "))};
  }
  reader.emit(Op::kFlatten, {x.id});
}

void convert_gemm(NodeReader& reader) {
  const Flow x = reader.flow(0);
  expect_rank(shape_of(reader, x), 2);
  if (reader.attributes.integer("transA", 0) != 0)
    throw Unsupported{"transA 1, which mixes the images of a batch"};
  const bool transposed = reader.attributes.integer("transB", 0) == 0;
  const float alpha = reader.attributes.real("alpha", 1.0F);
  const float beta = reader.attributes.real("beta", 1.0F);
  if (!std::isfinite(alpha) || !std::isfinite(beta)) reader.fail("alpha or beta is not finite");
  std::vector<ValueId> inputs{x.id, weight_value(reader, 1, transposed, alpha)};
  if (reader.has(2) && beta != 0) inputs.push_back(bias_value(reader, 2, inputs[1], beta));
  reader.emit(Op::kGemm, std::move(inputs));
}

void convert_matmul(NodeReader& reader) {
  const Flow x = reader.flow(0);
  expect_rank(shape_of(reader, x), 2);
  reader.emit(Op::kGemm, {x.id, weight_value(reader, 1, /*transposed=*/true)});
}

/// MatMul, then Add of a constant row: the Gemm made last takes the row as its bias.
void add_gemm_bias(NodeReader& reader, int flow_index) {
  const Flow x = std::get<Flow>(reader.operand(flow_index));
  Graph& graph = reader.importer.graph();
  const bool reads_gemm = !graph.nodes.empty() && graph.nodes.back().output == x.id &&
                          graph.nodes.back().op == Op::kGemm && graph.nodes.back().inputs.size() == 2;
  if (!reads_gemm || x.dequantized || graph.value(x.id).quant ||
      reader.importer.readers(reader.node.input(flow_index)) != 1 ||
      graph.value(x.id).name != reader.node.input(flow_index)) {
    throw Unsupported{"adds a constant to what is not a MatMul read here alone"};
  }
  Node& gemm = graph.nodes.back();
  gemm.inputs.push_back(bias_value(reader, 1 - flow_index, gemm.inputs[1]));
  graph.value(gemm.output).name = reader.importer.unique_value_name(reader.node.output(0));
  reader.define(Flow{.id = gemm.output});
}

void convert_add(NodeReader& reader) {
  const bool constants[2] = {std::holds_alternative<Constant>(reader.operand(0)),
                             std::holds_alternative<Constant>(reader.operand(1))};
  if (constants[0] != constants[1] && std::holds_alternative<Flow>(reader.operand(constants[0] ? 1 : 0))) {
    add_gemm_bias(reader, constants[0] ? 1 : 0);
    return;
  }
  const Flow a = reader.flow(0);
  const Flow b = reader.flow(1);
  if (shape_of(reader, a) != shape_of(reader, b)) {
    throw Unsupported{
        fmt::format("broadcasts {} with {}", to_string(shape_of(reader, a)), to_string(shape_of(reader, b)))};
  }
  reader.emit(Op::kAdd, {a.id, b.id});
}

void convert_identity(NodeReader& reader) { reader.define(reader.operand(0)); }

void convert_dropout(NodeReader& reader) {
  reader.attributes.real("ratio", 0.5F);
  reader.attributes.integer("seed", 0);
  if (reader.has(2)) {
    const Constant* mode = std::get_if<Constant>(&reader.operand(2));
    if (!mode || !mode->is_false()) throw Unsupported{"training_mode may be true"};
  }
  reader.define(reader.operand(0));
}

void convert_constant(NodeReader& reader) {
  Tensor tensor;
  if (const onnx::TensorProto* proto = reader.attributes.tensor("value")) {
    tensor = read_tensor(*proto, reader.what);
  } else if (reader.attributes.has("value_float")) {
    tensor = Tensor::from<float>({}, std::vector{reader.attributes.real("value_float", 0)});
  } else if (reader.attributes.has("value_floats")) {
    const std::vector<float> values = reader.attributes.reals("value_floats");
    tensor = Tensor::from<float>({static_cast<std::int64_t>(values.size())}, values);
  } else if (reader.attributes.has("value_int")) {
    tensor = Tensor::from<std::int64_t>({}, std::vector{reader.attributes.integer("value_int", 0)});
  } else if (reader.attributes.has("value_ints")) {
    const std::vector<std::int64_t> values = *reader.attributes.integers("value_ints");
    tensor = Tensor::from<std::int64_t>({static_cast<std::int64_t>(values.size())}, values);
  } else {
    throw Unsupported{"a value of another kind"};
  }
  const std::string& name = reader.node.output(0);
  reader.define(Constant{name, std::make_shared<const Tensor>(std::move(tensor)), {}});
}

struct Entry {
  std::string_view op_type;
  Converter converter;
};

constexpr Entry kConverters[] = {
    {"Add", convert_add},
    {"AveragePool", convert_pool},
    {"BatchNormalization", convert_batch_normalization},
    {"Clip", convert_clip},
    {"Constant", convert_constant},
    {"Conv", convert_conv},
    {"DequantizeLinear", convert_dequantize_linear},
    {"Dropout", convert_dropout},
    {"Flatten", convert_flatten},
    {"Gemm", convert_gemm},
    {"GlobalAveragePool", convert_global_average_pool},
    {"Identity", convert_identity},
    {"MatMul", convert_matmul},
    {"MaxPool", convert_pool},
    {"QuantizeLinear", convert_quantize_linear},
    {"Relu", convert_relu},
    {"Reshape", convert_reshape},
};

}  // namespace

Converter find_converter(std::string_view op_type) {
  for (const Entry& entry : kConverters) {
    if (entry.op_type == op_type) return entry.converter;
  }
  return nullptr;
}

std::string supported_operators() {
  std::string names;
  for (const Entry& entry : kConverters) names += (names.empty() ? "" : ", ") + std::string(entry.op_type);
  return names;
}

}  // namespace octavo::onnx_format
