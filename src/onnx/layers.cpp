#include "layers.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "converters.h"
#include "importer.h"
#include "octavo/core/error.h"
#include "quantization.h"
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

/// What both pools have, and how far the window's pixels lie apart.
struct Pool {
  PoolAttributes attributes;
  std::array<std::int64_t, 2> dilations;
};

Pool read_pool(NodeReader& reader, const Shape& x) {
  expect_rank(x, 4);
  if (!reader.attributes.has("kernel_shape")) reader.fail("has no attribute 'kernel_shape'");
  PoolAttributes a;
  a.kernel = reader.attributes.window<2>("kernel_shape", 1, {1, 1});
  a.strides = reader.attributes.window<2>("strides", 1, {1, 1});
  const auto dilations = reader.attributes.window<2>("dilations", 1, {1, 1});
  // ONNX Runtime chooses these pads as if there were no dilations.
  if (dilations != std::array<std::int64_t, 2>{1, 1} &&
      reader.attributes.text("auto_pad", "NOTSET").starts_with("SAME"))
    throw Unsupported{"dilated pooling with auto_pad SAME, which programs count differently"};
  a.pads = read_pads(reader, x, a.kernel, a.strides, dilations);
  a.ceil_mode = reader.attributes.integer("ceil_mode", 0) != 0;
  return {a, dilations};
}

constexpr std::array<std::int64_t, 2> kUndilated{1, 1};

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

PoolAttributes read_average_pool(NodeReader& reader, const Shape& x) {
  auto [a, dilations] = read_pool(reader, x);
  if (dilations != kUndilated) throw Unsupported{"dilated pooling by the mean"};
  a.count_include_pad = reader.attributes.integer("count_include_pad", 0) != 0;
  return a;
}

namespace {

struct Convolution {
  std::vector<ValueId> inputs;
  ConvAttributes attributes;
};

/// `count` times the same numbers.
Constant repeated(const NodeReader& reader, const Constant& constant, std::int64_t count) {
  if (constant.quant) throw Unsupported{"quantized, with the batch merged into the windows"};
  const Tensor tensor = *constant.tensor;
  Shape shape = tensor.shape();
  if (shape.empty() || tensor.dtype() != DType::kFloat32) reader.fail("weights that are no floats");
  shape[0] *= count;
  reader.importer.budget().charge(static_cast<std::uint64_t>(count) * tensor.size_bytes());
  Tensor result(shape, DType::kFloat32);
  for (std::int64_t i = 0; i < count; ++i)
    std::ranges::copy(tensor.data<float>(), result.data<float>().begin() + i * tensor.size());
  return {fmt::format("{}_{}_times", constant.name, count), std::make_shared<Tensor>(std::move(result)), {}};
}

/// Of windows that are in the batch's dimension: those of an image as so many groups of channels.
void convert_conv_of_windows(NodeReader& reader, const Flow& x) {
  const Shape shape = reader.shape(x);
  const std::int64_t windows = x.view.outer * x.view.inner;
  constexpr std::int64_t kMost = 64;
  if (x.view.position != 0 || shape.size() < 5 || windows > kMost) throw Unsupported{describe(x.view)};
  const std::size_t rank = shape.size();
  const Shape joined{kDynamic, windows * shape[rank - 3], shape[rank - 2], shape[rank - 1]};
  const Constant weight = repeated(reader, reader.constant(1), windows);
  ConvAttributes a = read_conv(reader, joined, *weight.tensor);
  a.group *= windows;
  const std::int64_t channels = weight.tensor->dim(0);
  std::vector<ValueId> inputs{reader.emit_inner("_channels", Op::kReshape, {x.id}, ReshapeAttributes{joined}),
                              weight_value(reader, weight, {})};
  if (reader.has(2))
    inputs.push_back(bias_value(reader, repeated(reader, reader.constant(2), windows), channels));
  const ValueId y = reader.emit_inner("_groups", Op::kConv, std::move(inputs), a);
  const Shape& made = reader.importer.graph().value(y).shape;
  Shape apart(shape.begin(), shape.end() - 3);
  apart.insert(apart.end(), {made[1] / windows, made[2], made[3]});
  reader.emit(Op::kReshape, {y}, ReshapeAttributes{std::move(apart)});
}

/// Along a row: of an image one pixel high.
void convert_conv_of_rows(NodeReader& reader, const Flow& x) {
  const Shape shape = reader.shape(x);
  const Constant& weight = reader.constant(1);
  const Shape own = weight.tensor->shape();
  if (own.size() != 3) reader.fail("weight of shape " + to_string(own) + "; expected 3 dimensions");
  ConvAttributes a;
  a.kernel[1] = reader.attributes.window<1>("kernel_shape", 1, {own[2]})[0];
  a.strides[1] = reader.attributes.window<1>("strides", 1, {1})[0];
  a.dilations[1] = reader.attributes.window<1>("dilations", 1, {1})[0];
  const auto pads = reader.attributes.window<2>("pads", 0, {0, 0});
  a.pads = {0, pads[0], 0, pads[1]};
  if (reader.attributes.text("auto_pad", "NOTSET") != "NOTSET") throw Unsupported{"auto_pad of rows"};
  a.group = reader.attributes.integer("group", 1);
  if (a.group < 1) reader.fail(fmt::format("group {}; expected 1 or more", a.group));
  const Constant high{weight.name + "_high",
                      std::make_shared<Tensor>(weight.tensor->reshaped({own[0], own[1], 1, own[2]})),
                      weight.quant};
  std::vector<ValueId> inputs{
      reader.emit_inner("_high", Op::kReshape, {x.id}, ReshapeAttributes{{kDynamic, shape[1], 1, shape[2]}}),
      weight_value(reader, high, {})};
  if (reader.has(2)) inputs.push_back(bias_value(reader, reader.constant(2), own[0]));
  const ValueId y = reader.emit_inner("_image", Op::kConv, std::move(inputs), a);
  const Shape& made = reader.importer.graph().value(y).shape;
  reader.emit(Op::kReshape, {y}, ReshapeAttributes{{kDynamic, made[1], made[3]}});
}

Convolution read_convolution(NodeReader& reader) {
  const Flow x = reader.flow(0);
  const Constant& weight = reader.constant(1);
  Convolution result{.inputs = {x.id}, .attributes = read_conv(reader, reader.shape(x), *weight.tensor)};
  const std::int64_t channels = weight.tensor->dim(0);
  result.inputs.push_back(weight_value(reader, weight, {}));
  if (reader.has(2)) result.inputs.push_back(bias_value(reader, reader.constant(2), channels));
  return result;
}

void convert_conv(NodeReader& reader) {
  const Flow x = reader.viewed(0);
  if (x.view.position && !x.view.plain() && reader.importer.fixed_batch() != 1)
    return convert_conv_of_windows(reader, x);
  reader.view = {};
  if (x.view.plain() && reader.rank(x) == 3) return convert_conv_of_rows(reader, x);
  Convolution conv = read_convolution(reader);
  reader.emit(Op::kConv, std::move(conv.inputs), conv.attributes);
}

/// With an activation behind it, and no residual.
void convert_fused_conv(NodeReader& reader) {
  if (reader.has(3)) throw Unsupported{"a residual"};
  Convolution conv = read_convolution(reader);
  const std::string activation = reader.attributes.text("activation", "");
  const std::vector<float> parameters = reader.attributes.reals("activation_params");
  const auto parameter = [&](std::size_t i, float otherwise) {
    return i < parameters.size() ? parameters[i] : otherwise;
  };
  Attributes attributes;
  Op op = Op::kRelu;
  if (activation == "LeakyRelu") {
    op = Op::kLeakyRelu;
    attributes = ScalarAttributes{.alpha = parameter(0, 0.01F)};
  } else if (activation == "Clip") {
    op = Op::kClip;
    attributes = ClipAttributes{parameter(0, -std::numeric_limits<float>::infinity()),
                                parameter(1, std::numeric_limits<float>::infinity())};
  } else if (activation == "HardSigmoid") {
    op = Op::kHardSigmoid;
    attributes = ScalarAttributes{.alpha = parameter(0, 0.2F), .beta = parameter(1, 0.5F)};
  } else if (activation == "Sigmoid") {
    op = Op::kSigmoid;
  } else if (activation == "Tanh") {
    op = Op::kTanh;
  } else if (activation != "Relu") {
    throw Unsupported{"activation '" + printable(activation) + "'"};
  }
  const ValueId y = reader.emit_inner("_conv", Op::kConv, std::move(conv.inputs), conv.attributes);
  reader.emit(op, {y}, std::move(attributes));
}

void convert_max_pool(NodeReader& reader) {
  const Flow x = reader.moved_images(0);
  // storage_order orders the indices, an output that is not supported.
  reader.attributes.integer("storage_order", 0);
  const auto [pool, dilations] = read_pool(reader, reader.shape(x));
  if (dilations != kUndilated) return convert_dilated_max_pool(reader, x, pool, dilations);
  reader.emit(Op::kMaxPool, {x.id}, pool);
}

/// Along a row: of an image one pixel high.
void convert_average_pool_of_rows(NodeReader& reader, const Flow& x) {
  const Shape shape = reader.shape(x);
  if (!reader.attributes.has("kernel_shape")) reader.fail("has no attribute 'kernel_shape'");
  PoolAttributes a{.kernel = {1, reader.attributes.window<1>("kernel_shape", 1, {1})[0]}};
  a.strides = {1, reader.attributes.window<1>("strides", 1, {1})[0]};
  if (reader.attributes.window<1>("dilations", 1, {1})[0] != 1) throw Unsupported{"dilated pooling"};
  const auto pads = reader.attributes.window<2>("pads", 0, {0, 0});
  a.pads = {0, pads[0], 0, pads[1]};
  if (reader.attributes.text("auto_pad", "NOTSET") != "NOTSET") throw Unsupported{"auto_pad of rows"};
  a.count_include_pad = reader.attributes.integer("count_include_pad", 0) != 0;
  if (reader.attributes.integer("ceil_mode", 0) != 0) throw Unsupported{"ceil_mode of rows"};
  const ValueId high =
      reader.emit_inner("_high", Op::kReshape, {x.id}, ReshapeAttributes{{kDynamic, shape[1], 1, shape[2]}});
  const ValueId y = reader.emit_inner("_image", Op::kAveragePool, {high}, a);
  const Shape& made = reader.importer.graph().value(y).shape;
  reader.emit(Op::kReshape, {y}, ReshapeAttributes{{kDynamic, made[1], made[3]}});
}

/// With ceil_mode, windows that hang over count their pads but not what lies beyond. Written so, other
/// programs count otherwise; padded apart, there is no doubt.
void convert_average_pool(NodeReader& reader) {
  const Flow x = reader.flow(0);
  if (reader.rank(x) == 3) return convert_average_pool_of_rows(reader, x);
  PoolAttributes a = read_average_pool(reader, reader.shape(x));
  if (!a.ceil_mode || !a.count_include_pad || a.pads == std::array<std::int64_t, 4>{}) {
    reader.emit(Op::kAveragePool, {x.id}, a);
    return;
  }
  PadAttributes pads{.before = {0, 0, a.pads[0], a.pads[1]}, .after = {0, 0, a.pads[2], a.pads[3]}};
  a.pads = {};
  a.count_include_pad = false;
  const ValueId padded = reader.emit_inner("_padded", Op::kPad, {x.id}, std::move(pads));
  reader.emit(Op::kAveragePool, {padded}, a);
}

/// A product and a sum for each channel, where the batch is not first or not alone there.
void convert_batch_normalization_of_view(NodeReader& reader, Flow x, const BatchNormAttributes& a) {
  const std::size_t rank = reader.rank(x);
  if (rank < 2) reader.fail("input without channels");
  const std::int64_t channels = reader.shape(x)[reader.image_axis(1, x)];
  Shape row(rank - 1, 1);
  row[0] = channels;
  std::vector<Tensor> rows;
  for (int i = 1; i < 5; ++i) {
    rows.push_back(reader.real(i));
    if (rows.back().size() != channels)
      reader.fail(fmt::format("input {} has no number for each channel", i));
  }
  for (std::size_t c = 0; c < static_cast<std::size_t>(channels); ++c) {
    const double sum = static_cast<double>(rows[3].data<float>()[c]) + static_cast<double>(a.epsilon);
    if (!(sum > 0)) reader.fail("variance and epsilon; expected a sum above 0");
    float& factor = rows[0].data<float>()[c];
    factor = static_cast<float>(static_cast<double>(factor) / std::sqrt(sum));
    rows[1].data<float>()[c] -= rows[2].data<float>()[c] * factor;
  }
  if (x.view.position > 0U) throw Unsupported{describe(x.view)};
  const auto constant = [&](const std::string& suffix, const Tensor& tensor) {
    const Constant made{reader.name + suffix, std::make_shared<Tensor>(tensor.reshaped(row)), {}};
    return reader.importer.constant_value(made, "row", [&] { return Importer::Made{*made.tensor, {}}; });
  };
  const ValueId scaled = reader.emit_inner("_scaled", Op::kMul, {x.id, constant("_scale", rows[0])});
  reader.emit(Op::kAdd, {scaled, constant("_shift", rows[1])});
}

void convert_batch_normalization(NodeReader& reader) {
  Flow x = reader.viewed(0);
  if (reader.attributes.integer("training_mode", 0) != 0) throw Unsupported{"training_mode 1"};
  // Before opset 14, more outputs than one meant training: statistics of the batch.
  for (int i = 1; reader.importer.opset() < 14 && i < reader.node.output_size(); ++i) {
    if (!reader.node.output(i).empty()) throw Unsupported{"several outputs, which is training mode"};
  }
  if (reader.attributes.integer("spatial", 1) != 1) throw Unsupported{"spatial 0"};
  const BatchNormAttributes a{.epsilon = reader.attributes.real("epsilon", 1e-5F),
                              .momentum = reader.attributes.real("momentum", 0.9F)};
  if (!std::isfinite(a.epsilon) || !std::isfinite(a.momentum)) reader.fail("an attribute is not finite");
  if (!x.view.plain() && reader.importer.fixed_batch() != 1)
    return convert_batch_normalization_of_view(reader, x, a);
  x = reader.plain(x);
  reader.view = {};
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
  Flow x = reader.viewed(0);
  if (reader.rank(x) != 2) throw Unsupported{fmt::format("input of {} dimensions, not 2", reader.rank(x))};
  if (reader.attributes.integer("transA", 0) != 0)
    throw Unsupported{"transA 1, which mixes the images of a batch"};
  const bool transposed = reader.attributes.integer("transB", 0) == 0;
  const Constant& weight = reader.constant(1);
  expect_matrix(reader, weight);
  const float alpha = reader.attributes.real("alpha", 1.0F);
  const float beta = reader.attributes.real("beta", 1.0F);
  if (!std::isfinite(alpha) || !std::isfinite(beta)) reader.fail("alpha or beta is not finite");
  const std::int64_t features = weight.tensor->dim(transposed ? 1 : 0);
  reader.first_image_axis(-1, x);
  // Rows of images, as a matrix: a product of all of them.
  if (reader.shape(x).size() != 2) {
    const ValueId factor = weight_value(
        reader, weight, {.axis = transposed ? 1U : 0U, .transposed = !transposed, .alpha = alpha});
    std::vector<ValueId> inputs{x.id, factor};
    if (reader.has(2) && beta != 0) inputs.push_back(bias_value(reader, reader.constant(2), features, beta));
    reader.emit(Op::kMatMul, std::move(inputs));
    return;
  }
  std::vector<ValueId> inputs{
      x.id,
      weight_value(reader, weight, {.axis = transposed ? 1U : 0U, .transposed = transposed, .alpha = alpha})};
  if (reader.has(2) && beta != 0) inputs.push_back(bias_value(reader, reader.constant(2), features, beta));
  reader.emit(Op::kGemm, std::move(inputs));
}

/// Of two values, image by image, times `alpha`.
void convert_matmul_of_values(NodeReader& reader, std::vector<Flow> flows, float alpha) {
  const std::size_t rank = reader.rank(flows[0]);
  if (reader.rank(flows[1]) != rank || rank < 2)
    throw Unsupported{fmt::format("of {} by {} dimensions", rank, reader.rank(flows[1]))};
  reader.align(flows);
  if (flows[0].view.position >= rank - 2) {
    for (Flow& flow : flows) flow = reader.one_image(flow, "mixes images");
    reader.view = kOneImage;
  }
  const Shape a = reader.shape(flows[0]);
  const Shape b = reader.shape(flows[1]);
  if (a.size() == b.size() && a.size() > 3 && a.back() == b[b.size() - 2] &&
      !std::equal(a.begin(), a.end() - 2, b.begin()) &&
      std::all_of(b.begin() + 1, b.end() - 2, [](std::int64_t size) { return size == 1; })) {
    // One matrix on the right for all on the left: their rows together.
    const Shape rows{kDynamic, element_count(Shape(a.begin() + 1, a.end() - 1)), a.back()};
    const ValueId left = reader.emit_inner("_rows", Op::kReshape, {flows[0].id}, ReshapeAttributes{rows});
    const ValueId right = reader.emit_inner("_matrix", Op::kReshape, {flows[1].id},
                                            ReshapeAttributes{{kDynamic, b[b.size() - 2], b.back()}});
    const ValueId product =
        reader.emit_inner("_product", Op::kMatMulOfValues, {left, right}, ScalarAttributes{.alpha = alpha});
    Shape apart(a.begin(), a.end() - 1);
    apart.push_back(b.back());
    reader.emit(Op::kReshape, {product}, ReshapeAttributes{std::move(apart)});
    return;
  }
  if (a.size() != b.size() || a.size() < 3 || !std::equal(a.begin(), a.end() - 2, b.begin()))
    throw Unsupported{fmt::format("{} by {}, which broadcasts or mixes images", to_string(a), to_string(b))};
  if (a.back() != b[b.size() - 2])
    reader.fail(fmt::format("{} by {} do not fit", to_string(a), to_string(b)));
  reader.emit(Op::kMatMulOfValues, {flows[0].id, flows[1].id}, ScalarAttributes{.alpha = alpha});
}

/// By a constant on the right; what has two dimensions becomes a Gemm in stored_form.
void convert_matmul(NodeReader& reader) {
  Flow x = reader.viewed(0);
  if (std::holds_alternative<Flow>(reader.operand(1)))
    return convert_matmul_of_values(reader, {x, reader.viewed(1)}, 1);
  reader.first_image_axis(-1, x);
  const Constant& weight = reader.constant(1);
  if (weight.tensor->rank() != 2)
    throw Unsupported{fmt::format("a constant of {} dimensions on the right", weight.tensor->rank())};
  reader.emit(Op::kMatMul, {x.id, weight_value(reader, weight, {.axis = 1})});
}

/// An operand of FusedMatMul, its last two dimensions exchanged if `attribute` says so.
Flow read_factor(NodeReader& reader, int index, const std::string& attribute) {
  if (reader.attributes.integer("transBatch" + attribute.substr(5), 0) != 0)
    throw Unsupported{"the batch among the dimensions that are transposed"};
  if (reader.attributes.integer(attribute, 0) == 0) return reader.viewed(index);
  Flow flow = reader.flow(index);
  const std::size_t rank = reader.shape(flow).size();
  if (rank < 3) throw Unsupported{attribute + ", which mixes the images of a batch"};
  std::vector<std::int64_t> permutation(rank);
  std::iota(permutation.begin(), permutation.end(), 0);
  std::swap(permutation[rank - 2], permutation[rank - 1]);
  flow.id = reader.emit_inner("_" + attribute, Op::kTranspose, {flow.id},
                              TransposeAttributes{std::move(permutation)});
  return flow;
}

/// MatMul with the Transposes and the factor around it that ONNX Runtime's optimizer found.
void convert_fused_matmul(NodeReader& reader) {
  const float alpha = reader.attributes.real("alpha", 1.0F);
  if (!std::isfinite(alpha)) reader.fail("alpha is not finite");
  Flow x = read_factor(reader, 0, "transA");
  if (std::holds_alternative<Flow>(reader.operand(1)))
    return convert_matmul_of_values(reader, {x, read_factor(reader, 1, "transB")}, alpha);
  reader.first_image_axis(-1, x);
  const Constant& weight = reader.constant(1);
  expect_matrix(reader, weight);
  const bool turned = reader.attributes.integer("transB", 0) != 0;
  reader.attributes.integer("transBatchB", 0);
  const ValueId factor =
      weight_value(reader, weight, {.axis = turned ? 0U : 1U, .transposed = turned, .alpha = alpha});
  reader.emit(Op::kMatMul, {x.id, factor});
}

void convert_global_pool(NodeReader& reader) {
  const bool max = reader.node.op_type() == "GlobalMaxPool";
  const Flow x = max ? reader.moved_images(0) : reader.flow(0);
  expect_rank(reader.shape(x), 4);
  reader.emit(max ? Op::kGlobalMaxPool : Op::kGlobalAveragePool, {x.id});
}

}  // namespace

std::span<const ConverterEntry> fused_converters() {
  static constexpr ConverterEntry kEntries[] = {{"FusedConv", convert_fused_conv},
                                                {"FusedMatMul", convert_fused_matmul}};
  return kEntries;
}

std::span<const ConverterEntry> layer_converters() {
  static constexpr ConverterEntry kEntries[] = {
      {"AveragePool", convert_average_pool},
      {"BatchNormalization", convert_batch_normalization},
      {"Conv", convert_conv},
      {"Gemm", convert_gemm},
      {"GlobalAveragePool", convert_global_pool},
      {"GlobalMaxPool", convert_global_pool},
      {"MatMul", convert_matmul},
      {"MaxPool", convert_max_pool},
  };
  return kEntries;
}

}  // namespace octavo::onnx_format
