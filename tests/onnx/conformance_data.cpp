#include <algorithm>
#include <cstring>
#include <optional>
#include <set>

#include "octavo/core/error.h"
#include "octavo/core/file.h"
#include "onnx/conformance.h"
#include "onnx/protos.h"

namespace octavo::test {
namespace {

namespace fs = std::filesystem;

onnx::TensorProto read_pb(const fs::path& path) {
  onnx::TensorProto proto;
  const std::vector<std::byte> bytes = read_file(path);
  if (!proto.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
    throw std::runtime_error("not a tensor: " + path.string());
  return proto;
}

Shape shape_of(const onnx::TensorProto& proto) { return {proto.dims().begin(), proto.dims().end()}; }

std::vector<float> floats(const onnx::TensorProto& proto) {
  std::vector<float> values(proto.float_data().begin(), proto.float_data().end());
  if (proto.has_raw_data()) {
    values.resize(proto.raw_data().size() / sizeof(float));
    std::memcpy(values.data(), proto.raw_data().data(), values.size() * sizeof(float));
  }
  if (static_cast<std::int64_t>(values.size()) != element_count(shape_of(proto)))
    throw std::runtime_error("not float32: " + proto.name());
  return values;
}

onnx::NodeProto& add_node(onnx::GraphProto& graph, const std::string& op,
                          const std::vector<std::string>& inputs, const std::vector<std::string>& outputs) {
  onnx::NodeProto& node = *graph.add_node();
  node.set_op_type(op);
  for (const std::string& input : inputs) node.add_input(input);
  for (const std::string& output : outputs) node.add_output(output);
  return node;
}

void add_integers(onnx::NodeProto& node, const std::string& name, const std::vector<std::int64_t>& values) {
  onnx::AttributeProto& attribute = *node.add_attribute();
  attribute.set_name(name);
  attribute.set_type(onnx::AttributeProto::INTS);
  for (const std::int64_t value : values) attribute.add_ints(value);
}

std::string add_row(onnx::ModelProto& model, const std::string& name,
                    const std::vector<std::int64_t>& values) {
  add_initializer(model, name,
                  Tensor::from<std::int64_t>({static_cast<std::int64_t>(values.size())}, values));
  return name;
}

/// Operators that read several tensors which all depend on the image.
bool takes_several(const std::string& op) {
  static const std::set<std::string> kSeveral{"Add", "Concat", "Div", "Mul", "Sub"};
  return kSeveral.contains(op);
}

/// The case as it is stored.
struct Stored {
  onnx::ModelProto model;
  std::vector<std::string> inputs;  ///< Those that are no initializers.
  std::vector<onnx::TensorProto> values;
  std::vector<onnx::TensorProto> outputs;
  bool old = false;  ///< Of opset 6.
};

/// Inference, and broadcasting as it is since opset 7.
void drop_what_opset_7_implies(onnx::NodeProto& node) {
  const auto attributes = node.attribute();
  const auto is = [&](const char* name) {
    return std::ranges::any_of(attributes, [&](const auto& a) { return a.name() == name; });
  };
  node.clear_attribute();
  for (const auto& attribute : attributes) {
    const bool implied = (attribute.name() == "is_test" && attribute.i() == 1) ||
                         (attribute.name() == "broadcast" && attribute.i() == 1 && !is("axis"));
    if (!implied) *node.add_attribute() = attribute;
  }
}

Stored read_stored(const fs::path& folder) {
  Stored stored{
      .model = from_bytes(read_file(folder / "model.onnx")), .inputs = {}, .values = {}, .outputs = {}};
  // pytorch-converted is opset 6, whose operators used here are those of opset 7.
  for (auto& opset : *stored.model.mutable_opset_import()) {
    if (!opset.domain().empty() || opset.version() >= 7) continue;
    opset.set_version(7);
    stored.old = true;
    for (auto& node : *stored.model.mutable_graph()->mutable_node()) drop_what_opset_7_implies(node);
  }
  const onnx::GraphProto& graph = stored.model.graph();
  for (const auto& input : graph.input()) {
    const bool known = std::ranges::any_of(graph.initializer(),
                                           [&](const auto& tensor) { return tensor.name() == input.name(); });
    if (!known) stored.inputs.push_back(input.name());
  }
  const fs::path data = folder / "test_data_set_0";
  for (std::size_t i = 0; i < stored.inputs.size(); ++i)
    stored.values.push_back(read_pb(data / ("input_" + std::to_string(i) + ".pb")));
  for (int i = 0; i < graph.output_size(); ++i)
    stored.outputs.push_back(read_pb(data / ("output_" + std::to_string(i) + ".pb")));
  return stored;
}

/// Feeds the inputs at `flowing` from one image [N, C, H, W]; all others become initializers.
ConformanceCase wrap(const Stored& stored, const std::vector<std::size_t>& flowing, int output) {
  ConformanceCase result{.model = stored.model,
                         .input = {},
                         .expected = floats(stored.outputs[static_cast<std::size_t>(output)])};
  onnx::GraphProto& graph = *result.model.mutable_graph();
  const auto nodes = graph.node();
  graph.clear_node();
  graph.clear_input();
  graph.clear_value_info();
  for (std::size_t i = 0; i < stored.inputs.size(); ++i) {
    if (std::ranges::count(flowing, i) > 0) continue;
    onnx::TensorProto tensor = stored.values[i];
    tensor.set_name(stored.inputs[i]);
    *graph.add_initializer() = tensor;
  }
  const Shape first = shape_of(stored.values[flowing[0]]);
  const std::int64_t batch = first[0];
  Shape image = first;
  if (flowing.size() == 1 && first.size() == 4) {
    result.input = Tensor::from<float>(image, floats(stored.values[flowing[0]]));
  } else {
    std::vector<std::int64_t> sizes;
    for (const std::size_t i : flowing) sizes.push_back(element_count(shape_of(stored.values[i])) / batch);
    std::int64_t features = 0;
    for (const std::int64_t size : sizes) features += size;
    image = {batch, features, 1, 1};
    Tensor input(image, DType::kFloat32);
    std::vector<std::string> parts;
    std::int64_t at = 0;
    for (std::size_t k = 0; k < flowing.size(); ++k) {
      const std::vector<float> values = floats(stored.values[flowing[k]]);
      for (std::int64_t n = 0; n < batch; ++n) {
        std::copy_n(values.begin() + n * sizes[k], sizes[k], input.data<float>().begin() + n * features + at);
      }
      at += sizes[k];
      parts.push_back("octavo_part_" + std::to_string(k));
    }
    result.input = std::move(input);
    if (flowing.size() == 1) {
      parts = {"octavo_image"};
    } else {
      const bool old = result.model.opset_import(0).version() < 13;
      std::vector<std::string> operands{"octavo_image"};
      if (!old) operands.push_back(add_row(result.model, "octavo_sizes", sizes));
      onnx::NodeProto& split = add_node(graph, "Split", operands, parts);
      onnx::AttributeProto& axis = *split.add_attribute();
      axis.set_name("axis");
      axis.set_type(onnx::AttributeProto::INT);
      axis.set_i(1);
      if (old) add_integers(split, "split", sizes);
    }
    for (std::size_t k = 0; k < flowing.size(); ++k) {
      std::vector<std::int64_t> target = shape_of(stored.values[flowing[k]]);
      target[0] = target.size() == 1 ? -1 : 0;
      const std::string name = "octavo_shape_" + std::to_string(k);
      add_node(graph, "Reshape", {parts[k], add_row(result.model, name, target)},
               {stored.inputs[flowing[k]]});
    }
  }
  const std::string name = graph.node_size() > 0 ? "octavo_image" : stored.inputs[flowing[0]];
  onnx::ValueInfoProto& info = *graph.add_input();
  info.set_name(name);
  onnx::TypeProto_Tensor& type = *info.mutable_type()->mutable_tensor_type();
  type.set_elem_type(onnx::TensorProto::FLOAT);
  for (const std::int64_t dim : image) type.mutable_shape()->add_dim()->set_dim_value(dim);
  graph.mutable_node()->MergeFrom(nodes);
  const std::string wanted = stored.model.graph().output(output).name();
  add_node(graph, "Flatten", {wanted}, {"octavo_row"});
  graph.clear_output();
  graph.add_output()->set_name("octavo_row");
  return result;
}

/// Operators that only constants may go through: the result is added to an image of one pixel, 0.
bool folds(const std::string& op) {
  const auto found = claimed_operators().find(op);
  return found != claimed_operators().end() && found->second == "constants";
}

ConformanceCase wrap_folded(const Stored& stored) {
  ConformanceCase result{
      .model = stored.model, .input = Tensor({1, 1, 1, 1}, DType::kFloat32), .expected = {}};
  const onnx::TensorProto& output = stored.outputs[0];
  if (output.data_type() == onnx::TensorProto::INT64) {
    std::vector<std::int64_t> values(static_cast<std::size_t>(element_count(shape_of(output))));
    if (output.has_raw_data()) {
      std::memcpy(values.data(), output.raw_data().data(), output.raw_data().size());
    } else {
      values.assign(output.int64_data().begin(), output.int64_data().end());
    }
    result.expected.assign(values.begin(), values.end());
  } else {
    result.expected = floats(output);
  }
  onnx::GraphProto& graph = *result.model.mutable_graph();
  graph.clear_input();
  graph.clear_output();
  for (std::size_t i = 0; i < stored.inputs.size(); ++i) {
    onnx::TensorProto tensor = stored.values[i];
    tensor.set_name(stored.inputs[i]);
    *graph.add_initializer() = tensor;
  }
  onnx::NodeProto& cast = add_node(graph, "Cast", {stored.model.graph().output(0).name()}, {"octavo_real"});
  onnx::AttributeProto& to = *cast.add_attribute();
  to.set_name("to");
  to.set_type(onnx::AttributeProto::INT);
  to.set_i(onnx::TensorProto::FLOAT);
  add_node(graph, "Reshape", {"octavo_real", add_row(result.model, "octavo_shape", {1, -1})},
           {"octavo_constant"});
  add_node(graph, "Flatten", {"octavo_image"}, {"octavo_zero"});
  add_node(graph, "Add", {"octavo_zero", "octavo_constant"}, {"octavo_row"});
  onnx::ValueInfoProto& info = *graph.add_input();
  info.set_name("octavo_image");
  onnx::TypeProto_Tensor& type = *info.mutable_type()->mutable_tensor_type();
  type.set_elem_type(onnx::TensorProto::FLOAT);
  for (int i = 0; i < 4; ++i) type.mutable_shape()->add_dim()->set_dim_value(1);
  graph.add_output()->set_name("octavo_row");
  return result;
}

bool is_integer(const onnx::TensorProto& proto) {
  return proto.data_type() == onnx::TensorProto::UINT8 || proto.data_type() == onnx::TensorProto::INT8;
}

std::vector<std::int32_t> integers(const onnx::TensorProto& proto) {
  if (!proto.has_raw_data()) return {proto.int32_data().begin(), proto.int32_data().end()};
  std::vector<std::int32_t> values;
  for (const char c : proto.raw_data()) {
    values.push_back(proto.data_type() == onnx::TensorProto::UINT8 ? static_cast<std::uint8_t>(c)
                                                                   : static_cast<std::int8_t>(c));
  }
  return values;
}

/// Integers as the real numbers that they stand for.
onnx::TensorProto dequantized(const onnx::TensorProto& proto, const onnx::TensorProto& scale,
                              const onnx::TensorProto& zero_point) {
  onnx::TensorProto real;
  real.set_data_type(onnx::TensorProto::FLOAT);
  *real.mutable_dims() = proto.dims();
  for (const std::int32_t q : integers(proto))
    real.add_float_data(static_cast<float>(q - integers(zero_point)[0]) * floats(scale)[0]);
  return real;
}

/// An operator on integers between QuantizeLinear and DequantizeLinear.
void give_real_ends(Stored& stored, const std::string& op) {
  onnx::GraphProto& graph = *stored.model.mutable_graph();
  const auto nodes = graph.node();
  graph.clear_node();
  if (is_integer(stored.values[0])) {
    add_node(graph, "QuantizeLinear", {"octavo_real", stored.inputs[1], stored.inputs[2]},
             {stored.inputs[0]});
    stored.values[0] = dequantized(stored.values[0], stored.values[1], stored.values[2]);
    stored.inputs[0] = "octavo_real";
  }
  graph.mutable_node()->MergeFrom(nodes);
  if (is_integer(stored.outputs[0])) {
    const std::size_t at = op == "QuantizeLinear" ? 1 : 6;
    add_node(graph, "DequantizeLinear", {graph.output(0).name(), stored.inputs[at], stored.inputs[at + 1]},
             {"octavo_output"});
    stored.outputs[0] = dequantized(stored.outputs[0], stored.values[at], stored.values[at + 1]);
    graph.mutable_output(0)->set_name("octavo_output");
  }
}

/// Inputs that come from the image: the first, and for operators that join several those of the same batch.
std::vector<std::size_t> flowing_inputs(const Stored& stored, const std::string& op) {
  std::vector<std::size_t> flowing{0};
  if (!takes_several(op)) return flowing;
  const Shape first = shape_of(stored.values[0]);
  for (std::size_t i = 1; i < stored.values.size(); ++i) {
    const Shape other = shape_of(stored.values[i]);
    if (!other.empty() && other.size() == first.size() && other[0] == first[0]) flowing.push_back(i);
  }
  return flowing;
}

/// Whether the data are of the types that the model declares: bfloat16 is stored as uint16 here.
bool has_declared_types(const Stored& stored) {
  const auto& inputs = stored.model.graph().input();
  for (std::size_t i = 0; i < stored.inputs.size(); ++i) {
    const auto declared = std::ranges::find(inputs, stored.inputs[i], &onnx::ValueInfoProto::name);
    if (declared != inputs.end() &&
        declared->type().tensor_type().elem_type() != stored.values[i].data_type())
      return false;
  }
  return true;
}

void fill(ConformanceTest& test, const fs::path& folder) {
  Stored stored = read_stored(folder);
  const auto is_tensor = [](const onnx::ValueInfoProto& info) { return info.type().has_tensor_type(); };
  if (!std::ranges::all_of(stored.model.graph().input(), is_tensor) ||
      !std::ranges::all_of(stored.model.graph().output(), is_tensor)) {
    test.reason = "a sequence or an optional tensor";
    return;
  }
  if (folds(test.op)) {
    const auto type = stored.outputs[0].data_type();
    if (type != onnx::TensorProto::FLOAT && type != onnx::TensorProto::INT64) {
      test.reason = "neither float32 nor int64 comes out";
    } else if (!has_declared_types(stored)) {
      test.reason = "its data are of another type than the model's input";
    } else {
      test.cases.push_back(wrap_folded(stored));
    }
    return;
  }
  if (stored.inputs.empty()) {
    test.reason = "no input";
    return;
  }
  const auto& initializers = stored.model.graph().initializer();
  if (test.op == "PRelu" && stored.old && !initializers.empty() && initializers[0].dims(0) > 1) {
    test.reason = "PRelu as it was before opset 7, with a row of slopes for the channels";
    return;
  }
  if (claimed_operators().at(test.op) == "quantized") give_real_ends(stored, test.op);
  if (std::ranges::any_of(stored.outputs,
                          [](const auto& o) { return o.data_type() != onnx::TensorProto::FLOAT; }) ||
      stored.values[0].data_type() != onnx::TensorProto::FLOAT) {
    test.reason = "not float32 in and out";
    return;
  }
  const Shape first = shape_of(stored.values[0]);
  if (first.empty() || element_count(first) == 0) {
    test.reason = "a scalar or nothing as input, where a batch of images is wanted";
    return;
  }
  for (int i = 0; i < stored.model.graph().output_size(); ++i)
    test.cases.push_back(wrap(stored, flowing_inputs(stored, test.op), i));
}

/// The first operator of the model that is no constant.
std::string operator_of(const onnx::ModelProto& model) {
  for (const auto& node : model.graph().node()) {
    if (node.op_type() != "Constant") return node.op_type();
  }
  return model.graph().node_size() > 0 ? "Constant" : "";
}

}  // namespace

const std::map<std::string, std::string>& claimed_operators() {
  static const std::map<std::string, std::string> kClaimed = [] {
    std::map<std::string, std::string> claimed{
        {"Cast", "constants"},
        {"Constant", "constants"},
        {"ConstantOfShape", "constants"},
        {"DequantizeLinear", "quantized"},
        {"DepthToSpace", ""},
        {"Dropout", ""},
        {"Floor", "constants"},
        {"Gather", "constants"},
        {"Identity", ""},
        {"InstanceNormalization", ""},
        {"LRN", ""},
        {"ReduceSum", ""},
        {"SpaceToDepth", ""},
        {"Sum", ""},
        {"QLinearConv", "quantized"},
        {"QLinearMatMul", "quantized"},
        {"QuantizeLinear", "quantized"},
        {"Shape", "constants"},
        {"Split", ""},
        {"Squeeze", ""},
        {"Unsqueeze", ""},
    };
    // And all of the table that this ONNX has tests for.
    for (const OperatorInfo& info : operators()) {
      if (info.since_opset > 0 && info.since_opset <= 17 && info.onnx_name.empty())
        claimed.emplace(info.name, "");
    }
    return claimed;
  }();
  return kClaimed;
}

std::vector<ConformanceTest> conformance_tests() {
  std::vector<ConformanceTest> tests;
  for (const char* group : {"node", "pytorch-converted", "pytorch-operator", "simple"}) {
    for (const auto& entry : fs::directory_iterator(kConformanceData / group)) {
      const fs::path& folder = entry.path();
      if (!fs::exists(folder / "model.onnx")) continue;
      // The body of an ONNX function: the operator itself has its test beside it.
      if (folder.filename().string().find("_expanded") != std::string::npos) continue;
      ConformanceTest test{.name = std::string(group) + "/" + folder.filename().string(),
                           .op = operator_of(from_bytes(read_file(folder / "model.onnx"))),
                           .reason = {},
                           .cases = {}};
      if (!claimed_operators().contains(test.op)) continue;
      try {
        fill(test, folder);
      } catch (const std::exception& error) {
        throw std::runtime_error(test.name + ": " + error.what());
      }
      tests.push_back(std::move(test));
    }
  }
  std::ranges::sort(tests, {}, &ConformanceTest::name);
  return tests;
}

}  // namespace octavo::test
