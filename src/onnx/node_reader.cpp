#include <fmt/format.h>

#include <algorithm>

#include "importer.h"
#include "moves.h"
#include "octavo/core/error.h"
#include "tensor_proto.h"

namespace octavo::onnx_format {

bool Constant::is_false() const {
  if (tensor->size() != 1) return false;
  return tensor->dtype() == DType::kUInt8 && tensor->data<std::uint8_t>()[0] == 0;
}

NodeReader::NodeReader(Importer& owner, const onnx::NodeProto& proto, std::string unique_name)
    : importer(owner),
      node(proto),
      name(std::move(unique_name)),
      what(fmt::format("{}: node '{}' ({})", owner.where(), printable(name), printable(proto.op_type()))),
      attributes(proto, what) {}

void NodeReader::fail(const std::string& problem) const { throw Error(ErrorCode::kBadInput, what, problem); }

const Symbol& NodeReader::operand(int index) const {
  if (!has(index)) fail(fmt::format("input {} is missing", index));
  return *importer.find(node.input(index));
}

Flow NodeReader::flow_as_it_is(int index) const {
  const Flow* flow = std::get_if<Flow>(&operand(index));
  if (!flow) throw Unsupported{fmt::format("input {} is a constant or an integer tensor", index)};
  if (!flow->dequantized) importer.note_float_reader(flow->id, *this);
  return *flow;
}

Flow NodeReader::flow(int index) const { return plain(flow_as_it_is(index)); }

Flow NodeReader::viewed(int index) {
  const Flow flow = flow_as_it_is(index);
  view = flow.view;
  return flow;
}

Flow NodeReader::moved(int index) {
  const Integers* integers = std::get_if<Integers>(&operand(index));
  if (!integers) return viewed(index);
  importer.annotate(*integers);
  moved_ = integers->quant;
  view = integers->view;
  return {.id = integers->id, .dequantized = true, .view = integers->view};
}

Flow NodeReader::moved_images(int index) {
  const Flow flow = plain(moved(index));
  view = {};
  return flow;
}

const Shape& NodeReader::shape(const Flow& flow) const { return importer.graph().value(flow.id).shape; }

std::size_t NodeReader::rank(const Flow& flow) const { return file_rank(shape(flow).size(), flow.view); }

Flow NodeReader::plain(const Flow& flow) const {
  if (flow.view.plain()) return flow;
  const Shape file = file_shape(shape(flow), flow.view);
  if (importer.fixed_batch() != 1 || file.empty() || file[0] != 1) throw Unsupported{describe(flow.view)};
  Flow result{.id = kNoValue, .dequantized = flow.dequantized};
  result.id =
      emit_inner("_batch", Op::kReshape, {flow.id}, ReshapeAttributes{value_shape(file, result.view)});
  return result;
}

Flow NodeReader::one_image(const Flow& flow, const std::string& reason) const {
  if (!flow.view.position) return flow;
  if (importer.fixed_batch() != 1) throw Unsupported{reason};
  Flow result{.id = kNoValue, .dequantized = flow.dequantized, .view = kOneImage};
  const Shape file = file_shape(shape(flow), flow.view);
  result.id = emit_inner("_image", Op::kReshape, {flow.id}, ReshapeAttributes{value_shape(file, kOneImage)});
  return result;
}

Flow NodeReader::lifted(const Flow& flow, std::size_t wanted) const {
  Shape file = file_shape(shape(flow), flow.view);
  if (file.size() >= wanted) return flow;
  const std::size_t more = wanted - file.size();
  file.insert(file.begin(), more, 1);
  Flow result = flow;
  if (result.view.position) *result.view.position += more;
  result.id =
      emit_inner("_lifted", Op::kReshape, {flow.id}, ReshapeAttributes{value_shape(file, result.view)});
  return result;
}

void NodeReader::align(std::vector<Flow>& flows) {
  const bool same = std::ranges::all_of(flows, [&](const Flow& flow) { return flow.view == flows[0].view; });
  if (!same && importer.fixed_batch() == 1) {
    const bool first = std::ranges::all_of(flows, [&](const Flow& flow) {
      const Shape file = file_shape(shape(flow), flow.view);
      return !file.empty() && file[0] == 1;
    });
    for (Flow& flow : flows) flow = first ? plain(flow) : one_image(flow, "");
  } else if (!same) {
    for (const Flow& flow : flows) {
      if (flow.view != flows[0].view)
        throw Unsupported{
            fmt::format("a tensor {} and one {}", describe(flows[0].view), describe(flow.view))};
    }
  }
  view = flows[0].view;
}

void NodeReader::emit_reshaped(const Flow& flow, const Shape& file, const BatchView& to) {
  view = to;
  Shape wanted = value_shape(file, to);
  // As for constants. Each value that follows has a shape of as many dimensions.
  if (wanted.size() > 8) throw Unsupported{fmt::format("{} dimensions, more than 8", wanted.size())};
  emit(Op::kReshape, {flow.id}, ReshapeAttributes{std::move(wanted)});
}

const Constant& NodeReader::constant(int index) const {
  const Constant* constant = std::get_if<Constant>(&operand(index));
  if (!constant) throw Unsupported{fmt::format("input {} is computed, not a constant", index)};
  return *constant;
}

Tensor NodeReader::real(int index) const {
  const Constant& operand = constant(index);
  importer.budget().work(static_cast<std::uint64_t>(operand.tensor->size()) * sizeof(float));
  if (operand.quant) return dequantize(*operand.tensor, *operand.quant);
  if (operand.tensor->dtype() != DType::kFloat32) {
    fail(fmt::format("input {} is {}; expected float32", index, to_string(operand.tensor->dtype())));
  }
  return *operand.tensor;
}

float NodeReader::scalar(int index) const {
  const Tensor tensor = real(index);
  if (tensor.size() != 1) fail(fmt::format("input {} has {} elements; expected 1", index, tensor.size()));
  return tensor.data<float>()[0];
}

std::vector<std::int64_t> NodeReader::integers(int index, bool batch) const {
  const Constant& source = constant(index);
  const Tensor& tensor = *source.tensor;
  importer.budget().work(tensor.size_bytes());
  std::vector<std::int64_t> values;
  if (tensor.dtype() == DType::kInt64) {
    values.assign(tensor.data<std::int64_t>().begin(), tensor.data<std::int64_t>().end());
  } else if (tensor.dtype() == DType::kInt32) {
    values.assign(tensor.data<std::int32_t>().begin(), tensor.data<std::int32_t>().end());
  }
  if (source.quant || tensor.rank() > 1 || static_cast<std::int64_t>(values.size()) != tensor.size()) {
    fail(fmt::format("input {} is {} of shape {}; expected a row of int32 or int64", index,
                     to_string(tensor.dtype()), to_string(tensor.shape())));
  }
  if (!batch && std::ranges::any_of(values, [](std::int64_t size) { return batches_in(size) > 0; }))
    throw Unsupported{fmt::format("input {} depends on the size of the batch", index)};
  return values;
}

ValueId NodeReader::real_value(int index) const {
  return importer.constant_value(constant(index), "real", [&] { return Importer::Made{real(index), {}}; });
}

ValueId NodeReader::real_value(int index, const Shape& wanted) const {
  const Constant& operand = constant(index);
  return importer.constant_value(operand, "real " + to_string(wanted), [&] {
    const Tensor tensor = real(index);
    if (tensor.size() != element_count(wanted)) {
      fail(fmt::format("input {} has {} elements; expected {}", index, tensor.size(), element_count(wanted)));
    }
    return Importer::Made{tensor.reshaped(wanted), {}};
  });
}

Tensor NodeReader::real_in_view(int index, std::size_t rank) const {
  Tensor tensor = real(index);
  Shape file = tensor.shape();
  if (file.size() > rank) throw Unsupported{fmt::format("a constant of {} dimensions", file.size())};
  file.insert(file.begin(), rank - file.size(), 1);
  if (!view.position) {
    file.insert(file.begin(), 1);
    return tensor.reshaped(file);
  }
  const std::size_t at = *view.position;
  const std::int64_t size = file[at];
  if (size == 1) {
    // As many dimensions of 1 as the value has there.
    const std::size_t merged = value_shape(file, view).size() - file.size();
    file.insert(file.begin() + static_cast<std::ptrdiff_t>(at), merged, 1);
    std::rotate(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(at),
                file.begin() + static_cast<std::ptrdiff_t>(at) + 1);
    return tensor.reshaped(file);
  }
  const std::int64_t images = importer.fixed_batch().value_or(0);
  const std::int64_t each = view.outer * view.inner;
  const Unsupported differs{
      fmt::format("a constant of {} numbers along dimension {}, {}", size, at, describe(view))};
  if (images < 1 || size % each != 0 || size / each != images) throw Unsupported{differs};
  // Numbers for all images, which have to be the same.
  std::vector<std::int64_t> strides = row_major(file);
  const std::int64_t step = strides[at] * view.inner;
  Shape one = file;
  one[at] = view.outer;
  strides[at] = step * images;
  one.insert(one.begin() + static_cast<std::ptrdiff_t>(at) + 1, view.inner);
  strides.insert(strides.begin() + static_cast<std::ptrdiff_t>(at) + 1, step / view.inner);
  importer.budget().work(2 * tensor.size_bytes());
  const Tensor first = take(tensor, one, 0, strides);
  for (std::int64_t image = 1; image < images; ++image) {
    if (take(tensor, one, image * step, strides) != first) throw Unsupported{differs};
  }
  file[at] = each;
  Shape result = value_shape(file, view);
  result[0] = 1;
  return first.reshaped(result);
}

ValueId NodeReader::real_value_in_view(int index, std::size_t rank) const {
  const Constant& operand = constant(index);
  const Shape& own = operand.tensor->shape();
  // The trailing dimensions are the value's own; so are all behind a batch that is first.
  const std::size_t behind = view.position ? rank - 1 - *view.position : rank;
  if (own.size() <= behind || (view.plain() && own.size() == rank && own[0] == 1)) return real_value(index);
  const std::string key = fmt::format(
      "view {} {} {} {}", static_cast<std::int64_t>(view.position.value_or(0)), view.outer, view.inner, rank);
  return importer.constant_value(operand, key, [&] { return Importer::Made{real_in_view(index, rank), {}}; });
}

ValueId NodeReader::number(const std::string& suffix, float value) const {
  const Constant made{
      name + suffix, std::make_shared<Tensor>(Tensor::from<float>({1}, std::vector{value})), {}};
  return importer.constant_value(made, "number", [&] { return Importer::Made{*made.tensor, {}}; });
}

std::size_t NodeReader::axis(std::int64_t wanted, std::size_t rank) const {
  const auto count = static_cast<std::int64_t>(rank);
  if (wanted < -count || wanted >= count) {
    fail(fmt::format("axis {}; expected {} to {}", wanted, -count, count - 1));
  }
  return static_cast<std::size_t>(wanted < 0 ? wanted + count : wanted);
}

std::size_t NodeReader::image_axis(std::int64_t wanted, Flow& flow) {
  const std::size_t own = axis(wanted, rank(flow));
  if (own == flow.view.position) {
    flow = one_image(flow, fmt::format("axis {}, which is the batch", wanted));
    view = flow.view;
  }
  return value_axis(own, flow.view).value();
}

std::size_t NodeReader::first_image_axis(std::int64_t wanted, Flow& flow) {
  const std::size_t own = axis(wanted, rank(flow));
  if (flow.view.position >= own) {
    flow = one_image(flow, own == flow.view.position
                               ? fmt::format("axis {}, which is the batch", wanted)
                               : fmt::format("axis {} and those behind it, {}", wanted, describe(flow.view)));
    view = flow.view;
  }
  return value_axis(own, flow.view).value();
}

void NodeReader::expect_outputs() const {
  for (int i = 1; i < node.output_size(); ++i) {
    const std::string& output = node.output(i);
    if (!output.empty() && importer.readers(output) > 0 && !importer.find(output))
      throw Unsupported{fmt::format("output {} is used", i)};
  }
}

void NodeReader::define(Symbol symbol, int output) const {
  importer.define(node.output(output), std::move(symbol));
}

ValueId NodeReader::append(const std::string& node_name, const std::string& value_name, Op op,
                           std::vector<ValueId> inputs, Attributes node_attributes) const {
  Graph& graph = importer.graph();
  // A graph of this node alone, without data, gives its output's shape.
  Graph alone;
  alone.name = importer.where();
  Node single{node_name, op, {}, static_cast<ValueId>(inputs.size()), node_attributes};
  for (const ValueId id : inputs) {
    single.inputs.push_back(static_cast<ValueId>(alone.values.size()));
    alone.values.push_back({{}, graph.value(id).shape, {}, {}});
  }
  alone.values.emplace_back();
  alone.nodes.push_back(std::move(single));
  infer_shapes(alone);

  const ValueId output = importer.add_value(value_name, alone.values.back().shape);
  graph.nodes.push_back({node_name, op, std::move(inputs), output, std::move(node_attributes)});
  return output;
}

ValueId NodeReader::emit(Op op, std::vector<ValueId> inputs, Attributes node_attributes, int output) const {
  const ValueId id = append(output == 0 ? name : importer.unique_node_name(name), node.output(output), op,
                            std::move(inputs), std::move(node_attributes));
  if (moved_) {
    define(Integers{id, *moved_, view}, output);
  } else {
    define(Flow{.id = id, .view = view}, output);
  }
  return id;
}

ValueId NodeReader::emit_inner(const std::string& suffix, Op op, std::vector<ValueId> inputs,
                               Attributes node_attributes) const {
  return append(importer.unique_node_name(name + suffix), node.output(0) + suffix, op, std::move(inputs),
                std::move(node_attributes));
}

}  // namespace octavo::onnx_format
