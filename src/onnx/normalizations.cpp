/// Normalizations of ONNX: that along the last dimension as LayerNormalization, all others as the operators
/// that they are defined by, in float32.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "converters.h"
#include "importer.h"
#include "octavo/core/error.h"

namespace octavo::onnx_format {
namespace {

float epsilon_of(NodeReader& reader, float otherwise = 1e-5F) {
  const float epsilon = reader.attributes.real("epsilon", otherwise);
  if (!(epsilon >= 0) || !std::isfinite(epsilon)) reader.fail(fmt::format("epsilon {}", epsilon));
  return epsilon;
}

std::vector<std::int64_t> axes_from(std::size_t first, std::size_t rank) {
  std::vector<std::int64_t> axes(rank - first);
  std::iota(axes.begin(), axes.end(), static_cast<std::int64_t>(first));
  return axes;
}

/// x / sqrt(mean of x * x over `along` + epsilon)
ValueId divided_by_deviation(const NodeReader& reader, ValueId x, const ReduceAttributes& along,
                             float epsilon) {
  const ValueId squares = reader.emit_inner("_squares", Op::kPow, {x}, ScalarAttributes{.alpha = 2.0F});
  const ValueId mean = reader.emit_inner("_variance", Op::kReduceMean, {squares}, along);
  const ValueId above = reader.emit_inner("_above", Op::kAdd, {mean, reader.number("_epsilon", epsilon)});
  const ValueId deviation = reader.emit_inner("_deviation", Op::kSqrt, {above});
  return reader.emit_inner("_normalized", Op::kDiv, {x, deviation});
}

/// The same of what is left of x without its mean.
ValueId normalized(const NodeReader& reader, ValueId x, const ReduceAttributes& along, float epsilon) {
  const ValueId mean = reader.emit_inner("_mean", Op::kReduceMean, {x}, along);
  const ValueId centred = reader.emit_inner("_centred", Op::kSub, {x, mean});
  return divided_by_deviation(reader, centred, along, epsilon);
}

/// The axes of x from the attribute `axis` on.
ReduceAttributes trailing_axes(NodeReader& reader, Flow& x) {
  reader.attributes.integer("stash_type", 1);
  const std::size_t first = reader.first_image_axis(reader.attributes.integer("axis", -1), x);
  return {.axes = axes_from(first, reader.shape(x).size()), .keep_dims = true};
}

/// A constant of the converter's own.
ValueId zeros(const NodeReader& reader, const std::string& suffix, std::int64_t count) {
  reader.importer.budget().charge(static_cast<std::uint64_t>(count) * sizeof(float));
  const Constant made{reader.name + suffix, std::make_shared<Tensor>(Shape{count}, DType::kFloat32), {}};
  return reader.importer.constant_value(made, "zeros", [&] { return Importer::Made{*made.tensor, {}}; });
}

void convert_layer_normalization(NodeReader& reader) {
  Flow x = reader.viewed(0);
  const ReduceAttributes along = trailing_axes(reader, x);
  const float epsilon = epsilon_of(reader);
  if (along.axes.size() == 1) {
    const Shape row{reader.shape(x).back()};
    const ValueId scale = reader.real_value(1, row);
    const ValueId bias = reader.has(2) ? reader.real_value(2, row) : zeros(reader, "_bias", row[0]);
    reader.emit(Op::kLayerNormalization, {x.id, scale, bias}, LayerNormAttributes{epsilon});
    return;
  }
  const ValueId y = normalized(reader, x.id, along, epsilon);
  const ValueId scale = reader.real_value(1);
  if (!reader.has(2)) {
    reader.emit(Op::kMul, {y, scale});
    return;
  }
  const ValueId scaled = reader.emit_inner("_scaled", Op::kMul, {y, scale});
  reader.emit(Op::kAdd, {scaled, reader.real_value(2)});
}

/// Of the sum of two tensors and a row, which may be read as well.
void convert_skip_layer_normalization(NodeReader& reader) {
  const bool first = std::holds_alternative<Flow>(reader.operand(0));
  const bool second = std::holds_alternative<Flow>(reader.operand(1));
  if (!first && !second) throw Unsupported{"of constants"};
  std::vector<Flow> flows;
  for (int i = 0; i < 2; ++i) {
    if (i == 0 ? first : second) flows.push_back(reader.viewed(i));
  }
  if (flows.size() == 2) {
    if (reader.rank(flows[0]) != reader.rank(flows[1])) throw Unsupported{"of tensors of different rank"};
    reader.align(flows);
  }
  const std::size_t rank = reader.rank(flows[0]);
  const ValueId other = flows.size() == 2 ? flows[1].id : reader.real_value_in_view(first ? 1 : 0, rank);
  if (reader.first_image_axis(-1, flows[0]) == 0) throw Unsupported{"along the batch"};
  const bool keeps = reader.node.output_size() > 3 && !reader.node.output(3).empty();
  const auto add = [&](const std::string& suffix, ValueId a, ValueId b, bool last) {
    return last && keeps ? reader.emit(Op::kAdd, {a, b}, {}, 3) : reader.emit_inner(suffix, Op::kAdd, {a, b});
  };
  const bool biased = reader.has(4);
  ValueId sum = add("_sum", flows[0].id, other, !biased);
  const Shape row{reader.importer.graph().value(sum).shape.back()};
  if (biased) sum = add("_biased", sum, reader.real_value(4, row), true);
  const ValueId scale = reader.real_value(2, row);
  const ValueId bias = reader.has(3) ? reader.real_value(3, row) : zeros(reader, "_bias", row[0]);
  reader.emit(Op::kLayerNormalization, {sum, scale, bias}, LayerNormAttributes{epsilon_of(reader, 1e-12F)});
}

void convert_rms_normalization(NodeReader& reader) {
  Flow x = reader.viewed(0);
  const ReduceAttributes along = trailing_axes(reader, x);
  const ValueId y = divided_by_deviation(reader, x.id, along, epsilon_of(reader));
  reader.emit(Op::kMul, {y, reader.real_value(1)});
}

/// [C, 1, 1]: a number for each channel of [N, C, H, W].
Shape by_channel(const Shape& shape) {
  Shape result(shape.size() - 1, 1);
  result[0] = shape[1];
  return result;
}

void expect_spatial(const NodeReader& reader, const Shape& shape) {
  if (shape.size() < 3) reader.fail("input has shape " + to_string(shape) + "; expected [N, C, ...]");
}

void convert_instance_normalization(NodeReader& reader) {
  const Flow x = reader.flow(0);
  const Shape shape = reader.shape(x);
  expect_spatial(reader, shape);
  const ReduceAttributes along{.axes = axes_from(2, shape.size()), .keep_dims = true};
  const ValueId y = normalized(reader, x.id, along, epsilon_of(reader));
  const ValueId scaled = reader.emit_inner("_scaled", Op::kMul, {y, reader.real_value(1, by_channel(shape))});
  reader.emit(Op::kAdd, {scaled, reader.real_value(2, by_channel(shape))});
}

/// Scale and bias by channel, as of opset 21.
void convert_group_normalization(NodeReader& reader) {
  if (reader.importer.opset() < 21) throw Unsupported{"before opset 21, with a scale for each group"};
  const Flow x = reader.flow(0);
  const Shape shape = reader.shape(x);
  expect_spatial(reader, shape);
  reader.attributes.integer("stash_type", 1);
  const std::int64_t groups = reader.attributes.integer("num_groups", 0);
  if (groups < 1 || shape[1] % groups != 0)
    reader.fail(fmt::format("num_groups {} of {} channels; expected a divisor", groups, shape[1]));
  const std::int64_t image = element_count(Shape(shape.begin() + 1, shape.end()));
  const ValueId grouped = reader.emit_inner("_groups", Op::kReshape, {x.id},
                                            ReshapeAttributes{{kDynamic, groups, image / groups}});
  const ValueId y = normalized(reader, grouped, {.axes = {2}, .keep_dims = true}, epsilon_of(reader));
  const ValueId back = reader.emit_inner("_channels", Op::kReshape, {y}, ReshapeAttributes{shape});
  const ValueId scaled =
      reader.emit_inner("_scaled", Op::kMul, {back, reader.real_value(1, by_channel(shape))});
  reader.emit(Op::kAdd, {scaled, reader.real_value(2, by_channel(shape))});
}

/// x / (bias + alpha * mean of x * x over `size` channels)^beta: the mean is an AveragePool with channels
/// last.
void convert_lrn(NodeReader& reader) {
  const Flow x = reader.flow(0);
  const Shape shape = reader.shape(x);
  if (shape.size() != 4) throw Unsupported{fmt::format("input of {} dimensions, not 4", shape.size())};
  const std::int64_t size = reader.attributes.integer("size", 0);
  const float alpha = reader.attributes.real("alpha", 1e-4F);
  const float beta = reader.attributes.real("beta", 0.75F);
  const float bias = reader.attributes.real("bias", 1.0F);
  if (size < 1 || size > shape[1] * 2) reader.fail(fmt::format("size {} of {} channels", size, shape[1]));
  if (!std::isfinite(alpha) || !std::isfinite(beta) || !std::isfinite(bias))
    reader.fail("an attribute is not finite");
  const ValueId squares = reader.emit_inner("_squares", Op::kPow, {x.id}, ScalarAttributes{.alpha = 2.0F});
  const ValueId last =
      reader.emit_inner("_last", Op::kTranspose, {squares}, TransposeAttributes{{0, 2, 3, 1}});
  const PoolAttributes window{.kernel = {1, size},
                              .strides = {1, 1},
                              .pads = {0, (size - 1) / 2, 0, size - 1 - (size - 1) / 2},
                              .count_include_pad = true};
  const ValueId mean = reader.emit_inner("_mean", Op::kAveragePool, {last}, window);
  const ValueId first =
      reader.emit_inner("_first", Op::kTranspose, {mean}, TransposeAttributes{{0, 3, 1, 2}});
  const ValueId scaled = reader.emit_inner("_scaled", Op::kMul, {first, reader.number("_alpha", alpha)});
  const ValueId above = reader.emit_inner("_above", Op::kAdd, {scaled, reader.number("_bias", bias)});
  const ValueId power = reader.emit_inner("_power", Op::kPow, {above}, ScalarAttributes{.alpha = beta});
  reader.emit(Op::kDiv, {x.id, power});
}

}  // namespace

std::span<const ConverterEntry> fused_normalization_converters() {
  static constexpr ConverterEntry kEntries[] = {{"SkipLayerNormalization", convert_skip_layer_normalization}};
  return kEntries;
}

std::span<const ConverterEntry> normalization_converters() {
  static constexpr ConverterEntry kEntries[] = {
      {"GroupNormalization", convert_group_normalization},
      {"InstanceNormalization", convert_instance_normalization},
      {"LRN", convert_lrn},
      {"LayerNormalization", convert_layer_normalization},
      {"RMSNormalization", convert_rms_normalization},
  };
  return kEntries;
}

}  // namespace octavo::onnx_format
