/// Small files that ask for much: shapes, repetitions and chains whose work or memory is out of proportion to
/// the bytes that describe them. Each import must stay within a multiple of the file's bytes, as counted by
/// the importer itself, and end: one that does not runs into the test's timeout.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <functional>
#include <limits>

#include "import.h"
#include "octavo/core/file.h"
#include "octavo/core/temporary_folder.h"
#include "octavo/onnx/onnx.h"
#include "onnx/protos.h"

namespace octavo {
namespace {

using onnx_format::WorkBudget;
using testing::HasSubstr;

constexpr std::int64_t kHuge = std::numeric_limits<std::int32_t>::max();

/// A model under construction: x is [N, 4, 2, 2], the output what the last node makes.
class Model {
 public:
  explicit Model(std::int64_t opset = 13) {
    proto_.set_ir_version(7);
    proto_.add_opset_import()->set_version(opset);
    onnx::ValueInfoProto& input = *graph().add_input();
    input.set_name("x");
    auto& type = *input.mutable_type()->mutable_tensor_type();
    type.set_elem_type(onnx::TensorProto::FLOAT);
    type.mutable_shape()->add_dim()->set_dim_param("N");
    for (const int size : {4, 2, 2}) type.mutable_shape()->add_dim()->set_dim_value(size);
  }

  /// Without elements, and so without data.
  void empty(const std::string& name, const Shape& shape, int type = onnx::TensorProto::FLOAT) {
    onnx::TensorProto& tensor = *graph().add_initializer();
    tensor.set_name(name);
    tensor.set_data_type(type);
    for (const std::int64_t size : shape) tensor.add_dims(size);
    tensor.set_raw_data("");
  }
  void add(const std::string& name, const Tensor& tensor) { test::add_initializer(proto_, name, tensor); }
  void integers(const std::string& name, const std::vector<std::int64_t>& values) {
    add(name, Tensor::from<std::int64_t>({static_cast<std::int64_t>(values.size())}, values));
  }
  void number(const std::string& name, float value) {
    add(name, Tensor::from<float>({}, std::vector<float>{value}));
  }

  onnx::NodeProto& node(const std::string& op, const std::vector<std::string>& inputs,
                        const std::string& output) {
    onnx::NodeProto& made = *graph().add_node();
    made.set_op_type(op);
    for (const std::string& input : inputs) made.add_input(input);
    made.add_output(output);
    last_ = output;
    return made;
  }
  static void attribute(onnx::NodeProto& node, const std::string& name, std::int64_t value) {
    onnx::AttributeProto& attribute = *node.add_attribute();
    attribute.set_name(name);
    attribute.set_type(onnx::AttributeProto::INT);
    attribute.set_i(value);
  }

  onnx::ModelProto finish() {
    graph().add_output()->set_name(last_);
    return std::move(proto_);
  }
  onnx::GraphProto& graph() { return *proto_.mutable_graph(); }

 private:
  onnx::ModelProto proto_;
  std::string last_;
};

struct Cost {
  std::string error;
  std::uint64_t file = 0, memory = 0, steps = 0;
};

Cost cost_of(const onnx::ModelProto& model) {
  const std::vector<std::byte> bytes = test::to_bytes(model);
  WorkBudget budget("test.onnx");
  Cost cost;
  try {
    onnx_format::import_model(onnx_format::ModelFile(bytes, "test.onnx"), "test.onnx", {}, budget);
  } catch (const Error& error) {
    cost.error = error.what();
    EXPECT_TRUE(error.code() == ErrorCode::kBadInput || error.code() == ErrorCode::kUnsupported);
  }
  cost.file = bytes.size();
  cost.memory = budget.memory();
  cost.steps = budget.steps();
  return cost;
}

struct Case {
  std::string name;
  std::function<onnx::ModelProto()> make;
  friend void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }
};

std::string name_of(const testing::TestParamInfo<Case>& info) { return info.param.name; }

/// One node that reads an empty tensor of a shape with a huge dimension, at each place of it.
std::vector<Case> zero_beside_huge() {
  std::vector<Case> cases;
  const std::vector<Shape> shapes = {{kHuge, 1, 0}, {0, 1, kHuge}, {kHuge, 0, 1}, {1, kHuge, 0}};
  const auto add = [&](const std::string& name, const std::function<void(Model&)>& nodes) {
    for (std::size_t i = 0; i < shapes.size(); ++i) {
      cases.push_back({fmt::format("{}_{}", name, i), [=] {
                         Model model;
                         model.empty("z", shapes[i]);
                         nodes(model);
                         return model.finish();
                       }});
    }
  };
  for (int axis = 0; axis < 3; ++axis) {
    add(fmt::format("GatherAxis{}", axis), [=](Model& m) {
      m.integers("i", std::vector<std::int64_t>(1000, 0));
      Model::attribute(m.node("Gather", {"z", "i"}, "y"), "axis", axis);
    });
    add(fmt::format("ConcatAxis{}", axis), [=](Model& m) {
      Model::attribute(m.node("Concat", std::vector<std::string>(100, "z"), "y"), "axis", axis);
    });
    add(fmt::format("SliceAxis{}", axis), [=](Model& m) {
      m.integers("s", {0});
      m.integers("e", {kHuge});
      m.integers("a", {axis});
      m.node("Slice", {"z", "s", "e", "a"}, "y");
    });
    add(fmt::format("SqueezeAxis{}", axis), [=](Model& m) {
      m.integers("a", {axis});
      m.node("Squeeze", {"z", "a"}, "y");
    });
    add(fmt::format("UnsqueezeAxis{}", axis), [=](Model& m) {
      m.integers("a", {axis});
      m.node("Unsqueeze", {"z", "a"}, "y");
    });
    add(fmt::format("FlattenAxis{}", axis),
        [=](Model& m) { Model::attribute(m.node("Flatten", {"z"}, "y"), "axis", axis); });
  }
  for (const char* op : {"Add", "Sub", "Mul", "Div"}) {
    add(op, [=](Model& m) {
      m.add("row", Tensor({1, 100, 1, 1}, DType::kFloat32));
      m.node(op, {"z", "row"}, "y");
    });
  }
  for (const char* op : {"Sqrt", "Floor", "Transpose", "Shape"})
    add(op, [=](Model& m) { m.node(op, {"z"}, "y"); });
  add("Cast", [](Model& m) { Model::attribute(m.node("Cast", {"z"}, "y"), "to", onnx::TensorProto::INT64); });
  add("Reshape", [](Model& m) {
    m.integers("to", {0, kHuge, kHuge});
    m.node("Reshape", {"z", "to"}, "y");
  });
  add("ConstantOfShape", [](Model& m) {
    m.integers("to", {kHuge, 1, 0});
    m.node("ConstantOfShape", {"to"}, "y");
  });
  add("QuantizeLinear", [](Model& m) {
    m.number("s", 1);
    m.node("QuantizeLinear", {"z", "s"}, "y");
  });
  return cases;
}

class ZeroBesideHuge : public testing::TestWithParam<Case> {};

TEST_P(ZeroBesideHuge, TakesStepsLikeItsBytes) {
  const Cost cost = cost_of(GetParam().make());
  EXPECT_LE(cost.steps, 4 * cost.file + 4096) << cost.error;
  EXPECT_LE(cost.memory, 4 * cost.file + 4096);
  EXPECT_NE(cost.error, "");  // None of them computes from the image.
}

INSTANTIATE_TEST_SUITE_P(Import, ZeroBesideHuge, testing::ValuesIn(zero_beside_huge()), name_of);

/// Files of some hundred kilobytes whose nodes share or grow what they read.
std::vector<Case> out_of_proportion() {
  std::vector<Case> cases;
  const auto add = [&](const std::string& name, const std::function<void(Model&)>& fill, int opset = 13) {
    cases.push_back({name, [=] {
                       Model model(opset);
                       fill(model);
                       return model.finish();
                     }});
  };
  const auto named = [](const char* stem, int i) { return fmt::format("{}{}", stem, i); };

  add("ConcatDoubles", [=](Model& m) {
    m.add("c0", Tensor({16}, DType::kFloat32));
    for (int i = 0; i < 60; ++i)
      Model::attribute(m.node("Concat", {named("c", i), named("c", i)}, named("c", i + 1)), "axis", 0);
  });
  add("GatherDoubles", [=](Model& m) {
    m.add("c0", Tensor({1, 8}, DType::kFloat32));
    m.integers("i", std::vector<std::int64_t>(8, 0));
    for (int i = 0; i < 60; ++i) {
      m.integers(named("to", i), {1, -1});
      m.node("Gather", {named("c", i), "i"}, named("g", i));
      m.node("Reshape", {named("g", i), named("to", i)}, named("c", i + 1));
    }
  });
  add("ZeroSizedGatherMultiplies", [=](Model& m) {
    m.empty("c0", {1, 0});
    m.add("i", Tensor({100, 100}, DType::kInt64));
    for (int i = 0; i < 6; ++i) m.node("Gather", {named("c", i), "i"}, named("c", i + 1));
  });
  add("BroadcastMultiplies", [=](Model& m) {
    m.add("a", Tensor({1000, 1, 1}, DType::kFloat32));
    m.add("b", Tensor({1, 1000, 1}, DType::kFloat32));
    m.add("c", Tensor({1, 1, 1000}, DType::kFloat32));
    m.node("Add", {"a", "b"}, "ab");
    m.node("Add", {"ab", "c"}, "y");
  });
  add("ConstantOfShapeOfAnything", [](Model& m) {
    m.integers("to", {1 << 15, 1 << 15});
    m.node("ConstantOfShape", {"to"}, "y");
  });
  add("ManyReadOneRowOfIndices", [=](Model& m) {
    m.empty("z", {1, 0});
    m.integers("i", std::vector<std::int64_t>(50000, 0));
    for (int i = 0; i < 5000; ++i) m.node("Gather", {"z", "i"}, named("g", i));
    std::vector<std::string> all;
    for (int i = 0; i < 5000; ++i) all.push_back(named("g", i));
    Model::attribute(m.node("Concat", all, "y"), "axis", 0);
  });
  add("ConcatOfEmptyParts", [](Model& m) {
    m.empty("z", {50000, 0});
    m.add("c", Tensor({50000, 1}, DType::kFloat32));
    std::vector<std::string> parts(50000, "z");
    parts.emplace_back("c");
    Model::attribute(m.node("Concat", parts, "y"), "axis", 1);
  });
  add("ManyReadOneShape", [=](Model& m) {
    m.integers("to", std::vector<std::int64_t>(50000, 1));
    std::vector<std::string> all;
    for (int i = 0; i < 5000; ++i) {
      m.node("Reshape", {"x", "to"}, named("r", i));
      all.push_back(named("r", i));
    }
    Model::attribute(m.node("Concat", all, "y"), "axis", 1);
  });
  add("RanksGrow", [=](Model& m) {
    std::vector<std::int64_t> shape(50000, 1);
    shape[0] = -1;
    shape[1] = 16;
    m.integers("to", shape);
    m.node("Reshape", {"x", "to"}, "r0");
    for (int i = 0; i < 5000; ++i) m.node("Relu", {named("r", i)}, named("r", i + 1));
  });
  add("ManyReadOneRowOfScales", [=](Model& m) {
    m.add("w", Tensor({50000}, DType::kInt8));
    m.add("s", Tensor::from<float>({50000}, std::vector<float>(50000, 1.0F)));
    std::vector<std::string> all;
    for (int i = 0; i < 5000; ++i) {
      Model::attribute(m.node("DequantizeLinear", {"w", "s"}, named("d", i)), "axis", 0);
      all.push_back(named("d", i));
    }
    m.node("Concat", all, "y");
  });
  add("ManyQuantizersOfOneTensor", [=](Model& m) {
    m.add("z", Tensor({}, DType::kUInt8));
    std::string last = "x";
    for (int i = 0; i < 20000; ++i) {
      m.number(named("s", i), 1.0F + static_cast<float>(i) / 65536);
      m.node("QuantizeLinear", {"x", named("s", i), "z"}, named("q", i));
      m.node("DequantizeLinear", {named("q", i), named("s", i), "z"}, named("d", i));
      m.node("Add", {last, named("d", i)}, named("a", i));
      last = named("a", i);
    }
  });
  add("ManyQuantizersCompareScales", [=](Model& m) {
    m.add("s", Tensor::from<float>({50000}, std::vector<float>(50000, 1.0F)));
    m.add("t", Tensor::from<float>({50000}, std::vector<float>(50000, 1.0F)));
    std::vector<std::string> all;
    for (int i = 0; i < 5000; ++i) {
      m.node("QuantizeLinear", {"x", i == 0 ? "s" : "t"}, named("q", i));
      all.push_back(named("q", i));
    }
    Model::attribute(m.node("Concat", all, "y"), "axis", 1);
  });
  add("ManyMatricesFromOneWeight", [=](Model& m) {
    m.node("Flatten", {"x"}, "f0");
    m.add("w", Tensor({16, 16}, DType::kFloat32));
    for (int i = 0; i < 5000; ++i) m.node("MatMul", {named("f", i), "w"}, named("f", i + 1));
  });
  add("ManyBiasesFromOneConstant", [=](Model& m) {
    m.add("w", Tensor({4, 4, 1, 1}, DType::kFloat32));
    m.add("b", Tensor({1, 4, 1, 1}, DType::kFloat32));
    std::string last = "x";
    for (int i = 0; i < 20000; ++i) {
      m.node("Conv", {last, "w"}, named("c", i));
      m.node("Add", {named("c", i), "b"}, named("a", i));
      last = named("a", i);
    }
  });
  add("ManyIntegerBiasesFromOne", [=](Model& m) {
    m.add("w", Tensor({4, 1, 1, 1}, DType::kInt8));
    m.add("b", Tensor({4}, DType::kFloat32));
    m.add("z", Tensor({}, DType::kUInt8));
    m.number("s", 1);
    m.node("DequantizeLinear", {"w", "s"}, "wd");
    std::string last = "x";
    for (int i = 0; i < 5000; ++i) {
      m.node("QuantizeLinear", {last, "s", "z"}, named("q", i));
      m.node("DequantizeLinear", {named("q", i), "s", "z"}, named("d", i));
      Model::attribute(m.node("Conv", {named("d", i), "wd", "b"}, named("c", i)), "group", 4);
      last = named("c", i);
    }
  });
  add("ManyWeightsTransposed", [=](Model& m) {
    m.add("w", Tensor({250, 200}, DType::kFloat32));
    std::vector<std::string> all;
    for (int i = 0; i < 5000; ++i) {
      m.node("Transpose", {"w"}, named("t", i));
      all.push_back(named("t", i));
    }
    Model::attribute(m.node("Concat", all, "y"), "axis", 0);
  });
  add("ManyUnsupportedNodes", [=](Model& m) {
    std::vector<std::string> all;
    for (int i = 0; i < 20000; ++i) {
      m.node(std::string(200, '\n'), {"x"}, named("u", i));
      all.push_back(named("u", i));
    }
    Model::attribute(m.node("Concat", all, "y"), "axis", 1);
  });
  add("ManyEqualNames", [=](Model& m) {
    for (int i = 0; i < 20000; ++i)
      m.node("ReduceMean", {i == 0 ? "x" : named("r", i)}, named("r", i + 1)).set_name("same");
    for (onnx::NodeProto& node : *m.graph().mutable_node()) {
      onnx::AttributeProto& axes = *node.add_attribute();
      axes.set_name("axes");
      axes.set_type(onnx::AttributeProto::INTS);
      axes.add_ints(2);
      axes.add_ints(3);
    }
  });
  return cases;
}

class OutOfProportion : public testing::TestWithParam<Case> {};

TEST_P(OutOfProportion, EndsWithinAMultipleOfTheFile) {
  const Cost cost = cost_of(GetParam().make());
  EXPECT_LE(cost.memory, WorkBudget::kMemoryPerByte * cost.file + WorkBudget::kLeastMemory) << cost.error;
  EXPECT_LE(cost.steps, WorkBudget::kStepsPerByte * cost.file + WorkBudget::kLeastSteps) << cost.error;
  EXPECT_LE(cost.error.size(), 64U << 10);
}

INSTANTIATE_TEST_SUITE_P(Import, OutOfProportion, testing::ValuesIn(out_of_proportion()), name_of);

TEST(Budget, DoublingChainsAndMultipliedShapesAreUnsupported) {
  for (const Case& made : out_of_proportion()) {
    if (!made.name.ends_with("Doubles") && !made.name.ends_with("Multiplies")) continue;
    EXPECT_THAT(cost_of(made.make()).error, testing::AnyOf(HasSubstr("expand to more than 16 times"),
                                                           HasSubstr("less than 2^31 elements")))
        << made.name;
  }
}

TEST(Budget, RanksAboveEightAreUnsupported) {
  // Every value that follows would keep a shape of as many dimensions.
  Model model;
  model.integers("to", {-1, 1, 1, 1, 1, 1, 1, 1, 16});
  model.node("Reshape", {"x", "to"}, "y");
  EXPECT_THAT(cost_of(model.finish()).error, HasSubstr("9 dimensions, more than 8"));
}

/// A model whose `count` initializers all lie at the start of "data.bin", `size` bytes each.
void write_external(const std::filesystem::path& folder, int count, std::int64_t size) {
  Model model;
  std::vector<std::string> names;
  for (int i = 0; i < count; ++i) {
    names.push_back(fmt::format("e{}", i));
    onnx::TensorProto& tensor = *model.graph().add_initializer();
    tensor.set_name(names.back());
    tensor.set_data_type(onnx::TensorProto::INT8);
    tensor.add_dims(size);
    tensor.set_data_location(onnx::TensorProto::EXTERNAL);
    auto& entry = *tensor.add_external_data();
    entry.set_key("location");
    entry.set_value("data.bin");
  }
  Model::attribute(model.node("Concat", names, "y"), "axis", 0);
  write_file(folder / "m.onnx", test::to_bytes(model.finish()));
}

std::string load_error(const std::filesystem::path& file) {
  try {
    load_onnx(file);
  } catch (const Error& error) {
    return fmt::format("{}: {}", error.exit_code(), error.what());
  }
  return "";
}

TEST(Budget, HolesOfAnExternalFileAreNotItsBytes) {
  const TemporaryFolder folder;
  write_file(folder / "data.bin", std::string_view("x"));
  ASSERT_EQ(::truncate((folder / "data.bin").c_str(), 1 << 28), 0);
  write_external(folder.path(), 1, 1 << 28);
  EXPECT_THAT(load_error(folder / "m.onnx"), HasSubstr("expand to more than 16 times"));
}

TEST(Budget, TensorsThatShareAnExternalFileCountItOnce) {
  const TemporaryFolder folder;
  constexpr std::int64_t kSize = 1 << 20;
  write_file(folder / "data.bin", std::string(kSize, 'x'));
  write_external(folder.path(), 4, kSize);
  EXPECT_THAT(load_error(folder / "m.onnx"), HasSubstr("output 'y' is not a float tensor"));
  write_external(folder.path(), 40, kSize);
  EXPECT_THAT(load_error(folder / "m.onnx"), HasSubstr("expand to more than 16 times"));
}

}  // namespace
}  // namespace octavo
