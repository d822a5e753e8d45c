// Nodes that are not written where they run: branches of If and functions of the file; and tensors of which
// only the elements that are not 0 are written.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <onnx/defs/parser.h>

#include <stdexcept>

#include "octavo/onnx/onnx.h"
#include "octavo/runtime/reference.h"
#include "onnx/protos.h"

namespace octavo {
namespace {

using test::import_error;
using test::import_model;
using testing::HasSubstr;
using testing::StartsWith;

/// The output for the image 1 to 8.
std::vector<float> run(const Graph& graph) {
  const Tensor output =
      interpret(graph, Tensor::from<float>({1, 2, 2, 2}, std::vector<float>{1, 2, 3, 4, 5, 6, 7, 8}));
  return {output.data<float>().begin(), output.data<float>().end()};
}

std::vector<Op> ops(const Graph& graph) {
  std::vector<Op> result;
  for (const Node& node : graph.nodes) result.push_back(node.op);
  return result;
}

std::string text(const std::string& body, const std::string& initializers = "") {
  return "<ir_version: 8, opset_import: [\"\" : 13, \"pkg\" : 1]> g (float[N,2,2,2] x) => (float[N,M] y) " +
         initializers + " {" + body + "}";
}

/// A branch with the output `out` that nothing outside is called.
std::string branch(const std::string& out, const std::string& body) {
  return "b () => (float[N,M] " + out + ") {" + body + "}";
}

std::string if_of(const std::string& condition, const std::string& then_branch,
                  const std::string& else_branch) {
  return "If(" + condition + ") <then_branch = " + then_branch + ", else_branch = " + else_branch + ">";
}

const std::string kTrue = "yes = Constant<value = bool {1}>() ";
const std::string kFalse = "no = Constant<value = bool {0}>() ";

TEST(ImportIf, TheBranchThatIsTakenIsRead) {
  const std::string branches =
      if_of("c", branch("t", "a = Flatten(x) t = Neg(a)"), branch("t", "a = Flatten(x) t = Abs(a)"));
  const auto model = [&](const std::string& value) {
    return test::model_from_text(text("c = Constant<value = bool {" + value + "}>() y = " + branches));
  };
  EXPECT_EQ(run(import_model(model("1"))), (std::vector<float>{-1, -2, -3, -4, -5, -6, -7, -8}));
  EXPECT_EQ(run(import_model(model("0"))), (std::vector<float>{1, 2, 3, 4, 5, 6, 7, 8}));
}

TEST(ImportIf, AConditionOfShapesIsComputed) {
  const std::string shape =
      "s = Shape(x) i = Constant<value = int64 {3}>() h = Gather(s, i) two = Constant<value = int64 {2}>() ";
  const std::string branches =
      if_of("c", branch("t", "t = Flatten(x)"), branch("t", "n = Neg(x) t = Flatten(n)"));
  const auto first = [&](const std::string& condition) {
    return run(import_model(test::model_from_text(text(shape + condition + "y = " + branches))))[0];
  };
  EXPECT_EQ(first("c = Equal(h, two)"), 1);
  EXPECT_EQ(first("d = Equal(h, two) c = Not(d)"), -1);
  EXPECT_EQ(first("c = Less(h, two)"), -1);
  EXPECT_EQ(first("c = GreaterOrEqual(h, two)"), 1);
  EXPECT_EQ(first("d = Greater(h, two) e = LessOrEqual(h, two) c = And(d, e)"), -1);
  EXPECT_EQ(first("d = Greater(h, two) e = LessOrEqual(h, two) c = Or(d, e)"), 1);
}

TEST(ImportIf, NestedBranchesReadNamesOfAllScopesAndMayRepeatThem) {
  // "a" is another tensor in each scope; the innermost reads "a" of the branch and "x" of the model.
  const std::string inner =
      if_of("no", branch("t", "t = Flatten(x)"), branch("t", "b = Flatten(x) t = Add(a, b)"));
  const std::string outer =
      if_of("yes", branch("r", "a = Flatten(x) r = " + inner), branch("r", "a = Neg(x) r = Flatten(a)"));
  const Graph graph = import_model(test::model_from_text(
      text(kTrue + kFalse + "a = Relu(x) z = " + outer + " f = Flatten(a) y = Add(z, f)")));
  EXPECT_EQ(run(graph), (std::vector<float>{3, 6, 9, 12, 15, 18, 21, 24}));
}

TEST(ImportIf, ABranchMayGiveBackWhatIsOutsideAndSeveralOutputs) {
  const std::string two =
      "If(yes) <then_branch = b () => (float[N,M] f, float[N,M] t) {t = Neg(f)}, "
      "else_branch = b () => (float[N,M] t, float[N,M] f) {t = Neg(f)}>";
  const Graph graph = import_model(
      test::model_from_text(text(kTrue + "f = Flatten(x) p, q = " + two + " d = Sub(p, q) y = Relu(d)")));
  EXPECT_EQ(run(graph), (std::vector<float>{2, 4, 6, 8, 10, 12, 14, 16}));
}

TEST(ImportIf, WhatOnlyTheOtherBranchNeedsMayBeAnything) {
  EXPECT_EQ(import_error(test::model_from_text(
                text(kTrue + "u = Unheard(x) y = " +
                     if_of("yes", branch("t", "t = Flatten(x)"), branch("t", "t = Flatten(u)"))))),
            "");
}

TEST(ImportIf, InitializersOfABranchAndSharedWeightsAreRead) {
  onnx::ModelProto model = test::model_from_text(text(
      kTrue + "f = Flatten(x) p = MatMul(f, w) q = " +
          if_of("yes", branch("t", "v = Transpose(w) u = MatMul(f, v) t = Mul(u, k)"),
                branch("t", "t = Neg(f)")) +
          " y = Sub(q, p)",
      "<float[8,8] w = {" +
          [] {
            std::string values = "1";
            for (int i = 1; i < 64; ++i) values += i == 1 ? ",1" : i % 9 == 0 ? ",1" : ",0";
            return values;
          }() +
          "}>"));
  onnx::TensorProto& k =
      *model.mutable_graph()->mutable_node(3)->mutable_attribute(0)->mutable_g()->add_initializer();
  k.set_name("k");
  k.set_data_type(onnx::TensorProto::FLOAT);
  k.add_float_data(2);
  // w is the identity and 1 at [0, 1]: by it, element 1 gets element 0 as well; by its transpose, the other
  // way.
  EXPECT_EQ(run(import_model(model)), (std::vector<float>{5, 1, 3, 4, 5, 6, 7, 8}));
}

TEST(ImportIf, ConditionsThatDependOnTheImageAreUnsupported) {
  const std::string branches = if_of("c", branch("t", "t = Flatten(x)"), branch("t", "t = Flatten(x)"));
  EXPECT_THAT(import_error(test::model_from_text(text("c = Cast<to=9>(x) y = " + branches))),
              StartsWith("4: "));
  EXPECT_THAT(
      import_error(test::model_from_text(
          text("s = Shape(x) i = Constant<value = int64 {0}>() h = Gather(s, i) o = Constant<value = int64 "
               "{1}>() c = Equal(h, o) y = " +
               branches))),
      HasSubstr("size of the batch"));
  EXPECT_THAT(import_error(test::model_from_text(text("c = Relu(x) y = " + branches))),
              HasSubstr("If, opset 13: a condition that depends on the image"));
}

TEST(ImportIf, CyclesThroughABranchAreBadInput) {
  EXPECT_THAT(import_error(test::model_from_text(
                  text(kTrue + "y = " + if_of("yes", branch("t", "t = Neg(y)"), branch("t", "t = Neg(y)"))))),
              HasSubstr("before it is made"));
}

onnx::ModelProto with_functions(const std::string& model, const std::vector<std::string>& functions) {
  onnx::ModelProto result = test::model_from_text(model);
  for (const std::string& function : functions) {
    const std::string whole = "<opset_import: [\"\" : 13, \"pkg\" : 1], domain: \"pkg\"> " + function;
    onnx::OnnxParser parser(whole.c_str());
    const auto status = parser.Parse(*result.add_functions());
    if (!status.IsOK()) throw std::runtime_error(status.ErrorMessage());
  }
  return result;
}

void refer(onnx::NodeProto& node, const std::string& attribute, const std::string& to,
           onnx::AttributeProto::AttributeType type) {
  onnx::AttributeProto& added = *node.add_attribute();
  added.set_name(attribute);
  added.set_ref_attr_name(to);
  added.set_type(type);
}

TEST(ImportFunctions, BodiesTakeThePlaceOfCalls) {
  // Both have a tensor t, and so has the model.
  const Graph graph = import_model(with_functions(
      text("t = pkg.Twice(x) u = pkg.Once(t) y = Flatten(u)"),
      {"Twice (a) => (b) { t = pkg.Once(a) b = Add(t, t) }", "Once (x) => (t) { y = Relu(x) t = Neg(y) }"}));
  EXPECT_EQ(ops(graph), (std::vector{Op::kRelu, Op::kNeg, Op::kAdd, Op::kRelu, Op::kNeg, Op::kFlatten}));
  EXPECT_EQ(run(graph), std::vector<float>(8, 0));
}

TEST(ImportFunctions, AttributesComeFromTheCallOrTheFunction) {
  onnx::ModelProto model =
      with_functions(text("a = pkg.F<slope = 3.0>(n) b = pkg.F(n) c = Add(a, b) n = Neg(x) y = Flatten(c)"),
                     {"F <slope> (a) => (b) { b = LeakyRelu(a) }"});
  onnx::NodeProto& node = *model.mutable_functions(0)->mutable_node(0);
  refer(node, "alpha", "slope", onnx::AttributeProto::FLOAT);
  // Given nothing, the operator's own: 0.01.
  EXPECT_NEAR(run(import_model(model))[0], -3.01, 1e-6);
  // ONNX 1.13's attribute_proto, which our headers do not know.
  onnx::AttributeProto otherwise;
  otherwise.set_name("slope");
  otherwise.set_type(onnx::AttributeProto::FLOAT);
  otherwise.set_f(0.5F);
  onnx::FunctionProto& function = *model.mutable_functions(0);
  function.GetReflection()->MutableUnknownFields(&function)->AddLengthDelimited(
      11, otherwise.SerializeAsString());
  EXPECT_NEAR(run(import_model(model))[0], -3.5, 1e-6);
}

TEST(ImportFunctions, BranchesInBodiesReadTheCallsNames) {
  const Graph graph = import_model(with_functions(
      text(kTrue + kFalse + "a = pkg.F(x, yes) b = pkg.F(a, no) y = Flatten(b)"),
      {"F (v, c) => (w) { w = " +
       if_of("c", branch("t", "n = Neg(v) t = Add(n, n)"), branch("t", "n = Neg(v) t = Sub(v, n)")) + "}"}));
  EXPECT_EQ(run(graph), (std::vector<float>{-4, -8, -12, -16, -20, -24, -28, -32}));
}

TEST(ImportFunctions, InputsMayBeOutputsAndBeLeftOut) {
  const Graph graph = import_model(with_functions(
      text("lo = Constant<value = float {2.0}>() a, b = pkg.Same(x) c = pkg.Bounded(a, , lo) d = Add(c, b) y "
           "= "
           "Flatten(d)"),
      {"Same (v) => (v, v) { u = Neg(v) }", "Bounded (v, low, high) => (w) { w = Clip(v, low, high) }"}));
  EXPECT_EQ(run(graph), (std::vector<float>{2, 4, 5, 6, 7, 8, 9, 10}));
}

TEST(ImportFunctions, NothingOfTheModelHasAMeaningInAFunction) {
  EXPECT_THAT(import_error(with_functions(text("r = Relu(x) z = pkg.F(x) y = Flatten(z)"),
                                          {"F (v) => (w) { w = Add(v, r) }"})),
              AllOf(StartsWith("3: "), HasSubstr("which no node, input or initializer makes")));
}

TEST(ImportFunctions, AFunctionHasAnOpsetOfItsOwn) {
  onnx::ModelProto model = with_functions(text("z = pkg.F(x) y = Flatten(z)"),
                                          {"F (v) => (w) { w = Clip<min = 2.0, max = 3.0>(v) }"});
  EXPECT_THAT(import_error(model), StartsWith("4: "));
  model.mutable_functions(0)->mutable_opset_import(0)->set_version(9);
  EXPECT_EQ(run(import_model(model)), (std::vector<float>{2, 2, 3, 3, 3, 3, 3, 3}));
  model.mutable_functions(0)->mutable_opset_import(0)->set_version(5);
  EXPECT_THAT(import_error(model), HasSubstr("a function of ONNX opset 5; expected 7 or later"));
}

TEST(ImportFunctions, RecursionAndExplosionsAreRefused) {
  EXPECT_EQ(import_error(with_functions(text("z = pkg.F(x) y = Flatten(z)"),
                                        {"F (v) => (w) { w = pkg.G(v) }", "G (v) => (w) { w = pkg.F(v) }"})),
            "3: test.onnx: function 'pkg::F' calls itself");
  std::vector<std::string> doubling;
  for (int i = 0; i < 40; ++i) {
    const std::string next = "pkg.F" + std::to_string(i + 1);
    doubling.push_back("F" + std::to_string(i) + " (v) => (w) { u = " + next + "(v) w = " + next + "(u) }");
  }
  doubling.emplace_back("F40 (v) => (w) { w = Relu(v) }");
  EXPECT_THAT(import_error(with_functions(text("z = pkg.F0(x) y = Flatten(z)"), doubling)),
              HasSubstr("its functions and branches take more than 64 steps for each byte"));
  std::vector<std::string> deep;
  for (int i = 0; i < 100; ++i) {
    deep.push_back("F" + std::to_string(i) + " (v) => (w) { w = " +
                   (i < 99 ? "pkg.F" + std::to_string(i + 1) : std::string("Relu")) + "(v) }");
  }
  EXPECT_THAT(import_error(with_functions(text("z = pkg.F0(x) y = Flatten(z)"), deep)),
              HasSubstr("'pkg::F64' is called 64 functions deep"));
  EXPECT_THAT(import_error(with_functions(text("z = pkg.F(x) y = Flatten(z)"),
                                          {"F (v) => (w) { w = Relu(v) }", "F (v) => (w) { w = Neg(v) }"})),
              HasSubstr("two functions are named 'pkg::F'"));
  EXPECT_THAT(
      import_error(with_functions(text("z = pkg.F(x, x) y = Flatten(z)"), {"F (v) => (w) { w = Relu(v) }"})),
      HasSubstr("2 inputs and 1 outputs for a function of 1 and 1"));
}

onnx::ModelProto with_sparse(const std::vector<std::int64_t>& index_shape,
                             const std::vector<std::int64_t>& indices) {
  onnx::ModelProto model = test::model_from_text(text("f = Flatten(x) y = MatMul(f, w)"));
  onnx::SparseTensorProto& sparse = *model.mutable_graph()->add_sparse_initializer();
  for (const int size : {8, 2}) sparse.add_dims(size);
  sparse.mutable_values()->set_name("w");
  sparse.mutable_values()->set_data_type(onnx::TensorProto::FLOAT);
  sparse.mutable_values()->add_dims(3);
  for (const float value : {2.0F, 3.0F, 5.0F}) sparse.mutable_values()->add_float_data(value);
  sparse.mutable_indices()->set_data_type(onnx::TensorProto::INT64);
  for (const std::int64_t size : index_shape) sparse.mutable_indices()->add_dims(size);
  for (const std::int64_t index : indices) sparse.mutable_indices()->add_int64_data(index);
  return model;
}

TEST(ImportSparse, ElementsLieWhereTheIndicesSay) {
  EXPECT_EQ(run(import_model(with_sparse({3}, {1, 4, 15}))), (std::vector<float>{9, 42}));
  EXPECT_EQ(run(import_model(with_sparse({3, 2}, {0, 1, 2, 0, 7, 1}))), (std::vector<float>{9, 42}));
}

TEST(ImportSparse, IndicesThatDoNotFitAreBadInput) {
  EXPECT_THAT(import_error(with_sparse({3}, {1, 4, 16})),
              HasSubstr("initializer 'w': index 16; expected 0 to 15"));
  EXPECT_THAT(import_error(with_sparse({3}, {-1, 4, 15})), HasSubstr("index -1; expected 0 to 15"));
  EXPECT_THAT(import_error(with_sparse({3, 2}, {0, 2, 2, 0, 7, 1})), HasSubstr("index 2; expected 0 to 1"));
  EXPECT_THAT(import_error(with_sparse({3}, {1, 1, 15})), HasSubstr("not in order, or one is there twice"));
  EXPECT_THAT(import_error(with_sparse({2}, {1, 4})), HasSubstr("expected [n] at [n] or [n, 2]"));
  onnx::ModelProto huge = with_sparse({3}, {1, 4, 15});
  huge.mutable_graph()->mutable_sparse_initializer(0)->set_dims(0, 1 << 24);
  EXPECT_THAT(import_error(huge), HasSubstr("its constants expand to more than 16 times"));
}

}  // namespace
}  // namespace octavo
