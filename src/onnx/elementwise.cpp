#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <utility>

#include "converters.h"
#include "importer.h"
#include "octavo/graph/elementwise.h"
#include "quantization.h"
#include "tensor_proto.h"

namespace octavo::onnx_format {
namespace {

/// One operand of a binary operator.
struct Side {
  ValueId id = kNoValue;
  bool flows = false;
};

/// All operands, as values that broadcast as the file's tensors do.
std::vector<Side> read_sides(NodeReader& reader) {
  const int count = reader.node.input_size();
  std::vector<Flow> flows;
  std::size_t rank = 0;
  const auto shape_of_constant = [&](int i) -> const Shape* {
    const auto* constant = std::get_if<Constant>(&reader.operand(i));
    return constant ? &constant->tensor->shape() : nullptr;
  };
  for (int i = 0; i < count; ++i) {
    const Shape* constant = shape_of_constant(i);
    if (!constant) flows.push_back(reader.viewed(i));
    rank = std::max(rank, constant ? constant->size() : reader.rank(flows.back()));
  }
  if (!flows.empty()) {
    for (Flow& flow : flows) flow = reader.lifted(flow, rank);
    reader.align(flows);
    // A constant may have more than one number where the one image is.
    for (int i = 0; reader.importer.fixed_batch() == 1 && reader.view.position && i < count; ++i) {
      const Shape* constant = shape_of_constant(i);
      const std::size_t from_end = rank - *reader.view.position;
      if (!constant || constant->size() < from_end || (*constant)[constant->size() - from_end] == 1) continue;
      for (Flow& flow : flows) flow = reader.one_image(flow, "");
      reader.view = kOneImage;
    }
  }
  std::vector<Side> sides;
  for (int i = 0, next = 0; i < count; ++i) {
    const bool constant = shape_of_constant(i) != nullptr;
    sides.push_back(
        {constant ? reader.real_value_in_view(i, rank) : flows[static_cast<std::size_t>(next++)].id,
         !constant});
  }
  return sides;
}

/// Throws kBadInput where the shapes do not broadcast, Unsupported where they mix the images of a batch.
void expect_broadcast(const NodeReader& reader, const Side& first, const Side& second) {
  const Shape& a = reader.importer.graph().value(first.id).shape;
  const Shape& b = reader.importer.graph().value(second.id).shape;
  // A batch of 1 goes with any size: what does not broadcast then never does.
  const auto with_batch_of_one = [](Shape shape) {
    if (!shape.empty() && shape[0] == kDynamic) shape[0] = 1;
    return shape;
  };
  const std::optional<Shape> result = broadcast_shapes(with_batch_of_one(a), with_batch_of_one(b));
  if (!result) reader.fail(fmt::format("shapes {} and {} do not broadcast", to_string(a), to_string(b)));
  // The images of a batch stay apart: its dimension comes from what flows, and first.
  for (const Side* side : {&first, &second}) {
    const Shape& shape = side == &first ? a : b;
    const bool leads = shape.size() == result->size() && !shape.empty();
    if (side->flows ? !leads : leads && shape[0] != 1)
      throw Unsupported{fmt::format("broadcasts {} with {}", to_string(a), to_string(b))};
  }
}

/// The Add of an int32 constant, operand `index`, behind a quantized matrix product that has it for a bias:
/// emits the product with its bias. The one without is left to nobody.
bool emit_product_with_bias(const NodeReader& reader, int index) {
  if (reader.node.input_size() != 2) return false;
  const auto* constant = std::get_if<Constant>(&reader.operand(index));
  const auto* product = std::get_if<Flow>(&reader.operand(1 - index));
  if (!constant || !product || !product->view.plain() || !constant->quant ||
      constant->quant->dtype != DType::kInt32)
    return false;
  const Graph& graph = reader.importer.graph();
  const auto makes = [&](const Node& node) { return node.output == product->id; };
  const auto maker = std::find_if(graph.nodes.rbegin(), graph.nodes.rend(), makes);
  const bool takes = maker != graph.nodes.rend() && maker->op == Op::kMatMul && maker->inputs.size() == 2 &&
                     !graph.value(product->id).quant &&
                     reader.importer.readers(reader.node.input(1 - index)) == 1;
  const std::int64_t channels = graph.value(product->id).shape.back();
  if (!takes || constant->tensor->shape() != Shape{channels}) return false;
  std::vector<ValueId> inputs = maker->inputs;
  inputs.push_back(bias_value(reader, *constant, channels));
  reader.emit(Op::kMatMul, std::move(inputs));
  return true;
}

template <Op kOp>
void convert_binary(NodeReader& reader) {
  if (kOp == Op::kAdd && (emit_product_with_bias(reader, 0) || emit_product_with_bias(reader, 1))) return;
  const std::vector<Side> sides = read_sides(reader);
  if (sides.size() != 2) reader.fail(fmt::format("{} inputs; expected 2", sides.size()));
  expect_broadcast(reader, sides[0], sides[1]);
  reader.emit(kOp, {sides[0].id, sides[1].id});
}

/// The bound that a constant of one element is to Min or Max.
std::optional<ClipAttributes> as_bound(const NodeReader& reader, Op op, const Side& side) {
  if (side.flows || reader.importer.graph().value(side.id).constant->size() != 1) return std::nullopt;
  const float bound = std::as_const(*reader.importer.graph().value(side.id).constant).data<float>()[0];
  if (op == Op::kMin) return ClipAttributes{.max = bound};
  if (op == Op::kMax) return ClipAttributes{.min = bound};
  return std::nullopt;
}

/// Sum, Min and Max of any number of operands: one after the other, what flows first. Bounds are Clips.
template <Op kOp>
void convert_variadic(NodeReader& reader) {
  std::vector<Side> sides = read_sides(reader);
  std::ranges::stable_sort(sides, std::greater<>(), &Side::flows);
  if (sides.empty()) reader.fail("has no input");
  if (sides.size() == 1) return reader.define(reader.operand(0));
  Side result = sides[0];
  for (std::size_t i = 1; i < sides.size(); ++i) {
    std::vector<ValueId> inputs{result.id};
    Attributes attributes;
    Op op = kOp;
    if (const auto bound = as_bound(reader, kOp, sides[i])) {
      op = Op::kClip;
      attributes = *bound;
    } else {
      expect_broadcast(reader, result, sides[i]);
      inputs.push_back(sides[i].id);
    }
    const bool last = i + 1 == sides.size();
    result = {last ? reader.emit(op, std::move(inputs), std::move(attributes))
                   : reader.emit_inner("_" + std::to_string(i), op, std::move(inputs), std::move(attributes)),
              true};
  }
}

void convert_clip(NodeReader& reader) {
  if (const Integers* integers = std::get_if<Integers>(&reader.operand(0))) {
    convert_integer_clip(reader, *integers);
    return;
  }
  const Flow x = reader.viewed(0);
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
  if (std::isnan(bounds.min) || std::isnan(bounds.max)) reader.fail("a bound is not a number");
  bounds.min = std::min(bounds.min, bounds.max);  // Of bounds that cross, the upper one holds.
  reader.emit(Op::kClip, {x.id}, bounds);
}

void convert_pow(NodeReader& reader) {
  const Flow x = reader.viewed(0);
  const Constant& exponent = reader.constant(1);
  if (exponent.tensor->size() != 1) throw Unsupported{"an exponent of more than one element"};
  const DType dtype = exponent.tensor->dtype();
  const bool whole = dtype == DType::kInt64 || dtype == DType::kInt32;
  float power = 0;
  if (!whole) {
    power = reader.scalar(1);
  } else if (dtype == DType::kInt64) {
    power = static_cast<float>(exponent.tensor->data<std::int64_t>()[0]);
  } else {
    power = static_cast<float>(exponent.tensor->data<std::int32_t>()[0]);
  }
  if (!std::isfinite(power)) reader.fail("the exponent is not finite");
  reader.emit(Op::kPow, {x.id}, ScalarAttributes{.alpha = power});
}

void convert_prelu(NodeReader& reader) {
  const Flow x = reader.viewed(0);
  const Shape& slope = reader.constant(1).tensor->shape();
  const std::size_t rank = reader.rank(x);
  if (slope.size() == rank && x.view.position && slope[*x.view.position] != 1)
    throw Unsupported{"a slope for each image of the batch"};
  if (slope.size() > rank) reader.fail(fmt::format("slopes of {} dimensions for {}", slope.size(), rank));
  reader.emit(Op::kPRelu, {x.id, reader.real_value_in_view(1, rank)});
}

/// From one float type to another: nothing, as all are float32 here. Constants are folded.
void convert_cast(NodeReader& reader) {
  const std::int64_t to = reader.attributes.integer("to", 0);
  reader.attributes.integer("saturate", 1);  // Of 8-bit floats alone.
  if (!is_real(static_cast<std::int32_t>(to))) throw Unsupported{"to another type than a float"};
  if (!std::holds_alternative<Flow>(reader.operand(0))) throw Unsupported{"of what is no float tensor"};
  reader.define(reader.operand(0));
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

}  // namespace

std::span<const ConverterEntry> elementwise_converters() {
  static constexpr ConverterEntry kEntries[] = {
      {"Add", convert_binary<Op::kAdd>},
      {"Cast", convert_cast},
      {"Clip", convert_clip},
      {"Div", convert_binary<Op::kDiv>},
      {"Dropout", convert_dropout},
      {"Identity", convert_identity},
      {"Max", convert_variadic<Op::kMax>},
      {"Min", convert_variadic<Op::kMin>},
      {"Sum", convert_variadic<Op::kAdd>},
      {"Mul", convert_binary<Op::kMul>},
      {"PRelu", convert_prelu},
      {"Pow", convert_pow},
      {"Sub", convert_binary<Op::kSub>},
  };
  return kEntries;
}

}  // namespace octavo::onnx_format
