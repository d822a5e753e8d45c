#include <fmt/format.h>

#include <cmath>

#include "importer.h"
#include "octavo/core/error.h"
#include "tensor_proto.h"

namespace octavo::onnx_format {
namespace {

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
    throw Unsupported{fmt::format("input of {} dimensions, not {}", shape.size(), rank)};
}

void expect_matrix(const NodeReader& reader, const Constant& weight) {
  if (weight.tensor->rank() == 2) return;
  reader.fail("weight of shape " + to_string(weight.tensor->shape()) + "; expected 2 dimensions");
}

}  // namespace

ConvAttributes read_conv(NodeReader& reader, const Shape& x, const Tensor& weight) {
  expect_rank(x, 4);
  if (weight.rank() != 4)
    reader.fail("weight of shape " + to_string(weight.shape()) + "; expected 4 dimensions");
  ConvAttributes a;
  a.kernel = reader.attributes.window<2>("kernel_shape", 1, {weight.dim(2), weight.dim(3)});
  a.strides = reader.attributes.window<2>("strides", 1, {1, 1});
  a.dilations = reader.attributes.window<2>("dilations", 1, {1, 1});
  a.pads = read_pads(reader, x, a.kernel, a.strides, a.dilations);
  a.group = reader.attributes.integer("group", 1);
  if (a.group < 1) reader.fail(fmt::format("group {}; expected 1 or more", a.group));
  return a;
}

void convert_conv(NodeReader& reader) {
  const Flow x = reader.flow(0);
  const Constant& weight = reader.constant(1);
  const ConvAttributes a = read_conv(reader, reader.shape(x), *weight.tensor);
  const std::int64_t channels = weight.tensor->dim(0);
  std::vector<ValueId> inputs{x.id, weight_value(reader, weight, {})};
  if (reader.has(2)) inputs.push_back(bias_value(reader, reader.constant(2), channels));
  reader.emit(Op::kConv, std::move(inputs), a);
}

PoolAttributes read_pool(NodeReader& reader, const Shape& x, bool max) {
  expect_rank(x, 4);
  if (!reader.attributes.has("kernel_shape")) reader.fail("has no attribute 'kernel_shape'");
  PoolAttributes a;
  a.kernel = reader.attributes.window<2>("kernel_shape", 1, {1, 1});
  a.strides = reader.attributes.window<2>("strides", 1, {1, 1});
  const auto dilations = reader.attributes.window<2>("dilations", 1, {1, 1});
  if (dilations != std::array<std::int64_t, 2>{1, 1}) throw Unsupported{"dilated pooling"};
  a.pads = read_pads(reader, x, a.kernel, a.strides, dilations);
  a.ceil_mode = reader.attributes.integer("ceil_mode", 0) != 0;
  // storage_order orders the indices, an output that is not supported.
  if (max) reader.attributes.integer("storage_order", 0);
  if (!max) a.count_include_pad = reader.attributes.integer("count_include_pad", 0) != 0;
  return a;
}

void convert_pool(NodeReader& reader) {
  const bool max = reader.node.op_type() == "MaxPool";
  const Flow x = max ? reader.moved(0) : reader.flow(0);
  const PoolAttributes a = read_pool(reader, reader.shape(x), max);
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
  for (int i = 1; i < 5; ++i) inputs.push_back(reader.real_value(i));
  for (const float variance :
       std::as_const(*reader.importer.graph().value(inputs[4]).constant).data<float>()) {
    // Its root is divided by.
    if (!(static_cast<double>(variance) + a.epsilon > 0))
      reader.fail(fmt::format("variance {} and epsilon {}; expected a sum above 0", variance, a.epsilon));
  }
  reader.emit(Op::kBatchNormalization, std::move(inputs), a);
}

void convert_gemm(NodeReader& reader) {
  const Flow x = reader.flow(0);
  expect_rank(reader.shape(x), 2);
  if (reader.attributes.integer("transA", 0) != 0)
    throw Unsupported{"transA 1, which mixes the images of a batch"};
  const bool transposed = reader.attributes.integer("transB", 0) == 0;
  const Constant& weight = reader.constant(1);
  expect_matrix(reader, weight);
  const float alpha = reader.attributes.real("alpha", 1.0F);
  const float beta = reader.attributes.real("beta", 1.0F);
  if (!std::isfinite(alpha) || !std::isfinite(beta)) reader.fail("alpha or beta is not finite");
  const std::int64_t features = weight.tensor->dim(transposed ? 1 : 0);
  std::vector<ValueId> inputs{
      x.id,
      weight_value(reader, weight, {.axis = transposed ? 1U : 0U, .transposed = transposed, .alpha = alpha})};
  if (reader.has(2) && beta != 0) inputs.push_back(bias_value(reader, reader.constant(2), features, beta));
  reader.emit(Op::kGemm, std::move(inputs));
}

/// By a constant on the right; what has two dimensions becomes a Gemm in stored_form.
void convert_matmul(NodeReader& reader) {
  const Flow x = reader.flow(0);
  const Constant& weight = reader.constant(1);
  if (weight.tensor->rank() != 2)
    throw Unsupported{fmt::format("a constant of {} dimensions on the right", weight.tensor->rank())};
  reader.emit(Op::kMatMul, {x.id, weight_value(reader, weight, {.axis = 1})});
}

void convert_global_pool(NodeReader& reader) {
  const bool max = reader.node.op_type() == "GlobalMaxPool";
  const Flow x = max ? reader.moved(0) : reader.flow(0);
  expect_rank(reader.shape(x), 4);
  reader.emit(max ? Op::kGlobalMaxPool : Op::kGlobalAveragePool, {x.id});
}

}  // namespace octavo::onnx_format
