#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "importer.h"
#include "octavo/graph/elementwise.h"

namespace octavo::onnx_format {
namespace {

/// The operator of ours that has the name of the node's.
Op op_of(const NodeReader& reader, std::initializer_list<Op> candidates) {
  for (const Op op : candidates) {
    if (to_string(op) == reader.node.op_type()) return op;
  }
  throw Unsupported{"no such operator"};
}

}  // namespace

void convert_unary(NodeReader& reader) {
  const Op op = op_of(reader, {Op::kRelu, Op::kSigmoid, Op::kErf, Op::kSqrt, Op::kHardSwish});
  reader.emit(op, {reader.flow(0).id});
}

/// With alpha and beta.
void convert_scalar_unary(NodeReader& reader) {
  const bool leaky = reader.node.op_type() == "LeakyRelu";
  ScalarAttributes a{.alpha = reader.attributes.real("alpha", leaky ? 0.01F : 0.2F)};
  if (!leaky) a.beta = reader.attributes.real("beta", 0.5F);
  if (!std::isfinite(a.alpha) || !std::isfinite(a.beta)) reader.fail("an attribute is not finite");
  reader.emit(leaky ? Op::kLeakyRelu : Op::kHardSigmoid, {reader.flow(0).id}, a);
}

void convert_binary(NodeReader& reader) {
  const Op op = op_of(reader, {Op::kAdd, Op::kSub, Op::kMul, Op::kDiv});
  std::vector<ValueId> inputs;
  bool flows[2];
  for (const int i : {0, 1}) {
    flows[i] = !std::holds_alternative<Constant>(reader.operand(i));
    inputs.push_back(flows[i] ? reader.flow(i).id : reader.real_value(i));
  }
  const Shape& a = reader.importer.graph().value(inputs[0]).shape;
  const Shape& b = reader.importer.graph().value(inputs[1]).shape;
  // A batch of 1 goes with any size: what does not broadcast then never does.
  const auto with_batch_of_one = [](Shape shape) {
    if (!shape.empty() && shape[0] == kDynamic) shape[0] = 1;
    return shape;
  };
  const std::optional<Shape> result = broadcast_shapes(with_batch_of_one(a), with_batch_of_one(b));
  if (!result) reader.fail(fmt::format("shapes {} and {} do not broadcast", to_string(a), to_string(b)));
  // The images of a batch stay apart: its dimension comes from what flows, and first.
  for (const int i : {0, 1}) {
    const Shape& shape = i == 0 ? a : b;
    const bool leads = shape.size() == result->size() && !shape.empty();
    if (flows[i] ? !leads : leads && shape[0] != 1)
      throw Unsupported{fmt::format("broadcasts {} with {}", to_string(a), to_string(b))};
  }
  reader.emit(op, std::move(inputs));
}

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

void convert_pow(NodeReader& reader) {
  const Flow x = reader.flow(0);
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
  const Flow x = reader.flow(0);
  const Shape& slope = reader.constant(1).tensor->shape();
  const Shape& shape = reader.shape(x);
  if (slope.size() == shape.size() && slope[0] != 1) throw Unsupported{"a slope for each image of the batch"};
  const ValueId slopes = reader.real_value(1);
  reader.emit(Op::kPRelu, {x.id, slopes});
}

/// A float tensor to float32: nothing. Constants are folded.
void convert_cast(NodeReader& reader) {
  const std::int64_t to = reader.attributes.integer("to", 0);
  if (to != onnx::TensorProto::FLOAT) throw Unsupported{"to another type than float32"};
  if (!std::holds_alternative<Flow>(reader.operand(0))) throw Unsupported{"of what is not float32"};
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

}  // namespace octavo::onnx_format
