#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "octavo/runtime/reference.h"
#include "operators/every_operator.h"
#include "support.h"
#include "train/float_model.h"
#include "train/operators.h"

namespace octavo::train_detail {
namespace {

constexpr std::int64_t kClasses = 4;

/// One operator between a convolution of 6 channels, 6 x 6 pixels, and a matrix product.
struct Case {
  const char* name;
  std::function<ValueId(GraphBuilder&, ValueId)> build;
};

Tensor filled(Shape shape, float first, float step) {
  Tensor tensor(std::move(shape), DType::kFloat32);
  float next = first;
  for (float& value : tensor.data<float>()) {
    value = next;
    next += step;
  }
  return tensor;
}

const std::vector<Case>& cases() {
  static const std::vector<Case> all{
      {"leaky_relu", [](auto& b, ValueId x) { return b.leaky_relu("op", x, 0.1F); }},
      {"prelu", [](auto& b, ValueId x) { return b.prelu("op", x); }},
      {"sigmoid", [](auto& b, ValueId x) { return b.sigmoid("op", x); }},
      {"hard_sigmoid", [](auto& b, ValueId x) { return b.hard_sigmoid("op", x); }},
      {"hard_swish", [](auto& b, ValueId x) { return b.hard_swish("op", x); }},
      {"silu", [](auto& b, ValueId x) { return b.silu("op", x); }},
      {"gelu", [](auto& b, ValueId x) { return b.gelu("op", x); }},
      {"erf", [](auto& b, ValueId x) { return b.erf("op", x); }},
      {"sqrt", [](auto& b, ValueId x) { return b.sqrt("op", b.clip("above", x, 0.1F, 9.0F)); }},
      {"pow", [](auto& b, ValueId x) { return b.pow("op", b.sigmoid("above", x), 1.5F); }},
      {"add_itself", [](auto& b, ValueId x) { return b.add("op", x, x); }},
      {"add_channel",
       [](auto& b, ValueId x) {
         return b.add("op", x, b.constant("c", filled({6, 1, 1}, -1, 0.5F)));
       }},
      {"sub_from_constant",
       [](auto& b, ValueId x) {
         return b.sub("op", b.constant("c", filled({1, 6, 1, 1}, -1, 0.5F)), x);
       }},
      {"mul_gate",
       [](auto& b, ValueId x) { return b.mul("op", x, b.sigmoid("gate", b.global_average_pool("gap", x))); }},
      {"mul_layer_scale",
       [](auto& b, ValueId x) {
         return b.mul("op", x, b.constant("c", filled({6, 1, 1}, 0.5F, 0.25F)));
       }},
      {"div_by_value", [](auto& b, ValueId x) { return b.div("op", x, b.sigmoid("s", x)); }},
      {"div_of_number",
       [](auto& b, ValueId x) { return b.div("op", b.constant("c", filled({1}, 2, 0)), b.sigmoid("s", x)); }},
      {"concat",
       [](auto& b, ValueId x) {
         return b.concat("op", {x, b.sigmoid("s", x), x, b.silu("t", x)});
       }},
      {"concat_rows",
       [](auto& b, ValueId x) {
         return b.concat("op", {x, b.sigmoid("s", x)}, 2);
       }},
      {"slice", [](auto& b, ValueId x) { return b.slice("op", x, 1, 1, 5, 2); }},
      {"slice_backwards",
       [](auto& b, ValueId x) { return b.slice("op", b.slice("rows", x, 2, 5, -1, -2), 3, 4, 1, -2); }},
      {"pad",
       [](auto& b, ValueId x) {
         return b.pad("op", x, {0, 0, 1, 2}, {0, 1, 0, 3}, -0.5F);
       }},
      {"shuffle",
       [](auto& b, ValueId x) {
         const ValueId split = b.reshape("split", x, {kDynamic, 2, 3, 6, 6});
         return b.reshape("op", b.transpose("swap", split, {0, 2, 1, 3, 4}), {kDynamic, 6, 6, 6});
       }},
      {"channels_last",
       [](auto& b, ValueId x) {
         return b.gelu("op", b.matmul("mm", b.transpose("nhwc", x, {0, 2, 3, 1}), 5));
       }},
      {"global_max_pool", [](auto& b, ValueId x) { return b.global_max_pool("op", x); }},
      {"reduce_mean",
       [](auto& b, ValueId x) {
         return b.reduce_mean("op", x, {2, 3}, false);
       }},
      {"reduce_mean_channels",
       [](auto& b, ValueId x) { return b.sub("op", x, b.reduce_mean("mean", x, {1})); }},
      {"softmax", [](auto& b, ValueId x) { return b.softmax("op", x, 1); }},
      {"log_softmax", [](auto& b, ValueId x) { return b.log_softmax("op", x, 3); }},
  };
  return all;
}

Graph graph_of(const Case& c) {
  GraphBuilder b(c.name, 3, 6, 6, 11);
  const ConvAttributes three{.kernel = {3, 3}, .pads = {1, 1, 1, 1}};
  const ValueId x = c.build(b, b.conv("conv", b.input(), 6, three, true));
  return b.finish(b.gemm("fc", b.flatten("flatten", x), kClasses));
}

Tensor images(std::int64_t count) {
  Tensor batch({count, 3, 6, 6}, DType::kFloat32);
  float i = 0;
  for (float& value : batch.data<float>()) {
    value = std::sin(i * 1.7F) + 0.3F * std::sin(i * 0.13F);
    i += 1;
  }
  return batch;
}

double loss_of(FloatModel& model, const at::Tensor& x) {
  const at::NoGradGuard no_gradients;
  const at::Tensor labels = at::arange(x.size(0), at::kLong).remainder(kClasses);
  return at::cross_entropy_loss(model.forward(x).to(at::kDouble), labels).item<double>();
}

void expect_reference_logits(const Graph& graph) {
  FloatModel model(graph);
  const Tensor batch = images(3);
  const at::NoGradGuard no_gradients;
  const at::Tensor expected = to_aten(interpret(graph, batch));
  const at::Tensor got = model.run(to_aten(batch), Mode::kEvaluation);
  EXPECT_LT((got - expected).abs().max().item<float>(), 1e-5F * expected.abs().max().item<float>());
}

/// As the executor's own test: the derivative along the gradient is its length.
void expect_gradients(const Graph& graph) {
  FloatModel model(graph);
  const at::Tensor x = to_aten(images(8));
  at::cross_entropy_loss(model.forward(x), at::arange(8, at::kLong).remainder(kClasses)).backward();
  int checked = 0;
  for (const NamedTensor& parameter : model.parameters()) {
    const at::Tensor gradient = parameter.tensor.grad();
    ASSERT_TRUE(gradient.defined()) << parameter.name;
    const double length = gradient.norm().item<double>();
    if (length < 0.01) continue;  // such as a shift that the mean takes off again: the step would be too long
    ++checked;
    at::Tensor value = parameter.tensor.detach();
    const at::Tensor before = value.clone();
    const double step = 1e-3 / length;
    value.add_(gradient, step / length);
    const double above = loss_of(model, x);
    value.copy_(before).sub_(gradient, step / length);
    const double below = loss_of(model, x);
    value.copy_(before);
    EXPECT_NEAR((above - below) / (2 * step), length, 0.02 * length) << parameter.name;
  }
  EXPECT_GE(checked, 2);
}

class TrainedOperator : public ::testing::TestWithParam<Case> {};

TEST_P(TrainedOperator, ForwardEqualsTheReference) { expect_reference_logits(graph_of(GetParam())); }

TEST_P(TrainedOperator, GradientsMatchFiniteDifferences) { expect_gradients(graph_of(GetParam())); }

INSTANTIATE_TEST_SUITE_P(Ops, TrainedOperator, ::testing::ValuesIn(cases()),
                         [](const auto& param) { return std::string(param.param.name); });

// Whatever the table holds, so that no operator is forgotten here.
class TableOperator : public ::testing::TestWithParam<Op> {};

TEST_P(TableOperator, ForwardEqualsTheReference) {
  expect_reference_logits(testing::graph_around(GetParam()));
}

TEST_P(TableOperator, GradientsMatchFiniteDifferences) {
  switch (GetParam()) {
    case Op::kCeil:
    case Op::kFloor:
    case Op::kRound:
    case Op::kSign:
    case Op::kShrink:
    case Op::kThresholdedRelu:
      GTEST_SKIP() << "a function with jumps, which differences see and gradients do not";
    default:
      break;
  }
  expect_gradients(testing::graph_around(GetParam()));
}

std::vector<Op> all_operators() {
  std::vector<Op> result;
  for (const OperatorInfo& info : operators()) result.push_back(info.op);
  return result;
}

INSTANTIATE_TEST_SUITE_P(Table, TableOperator, ::testing::ValuesIn(all_operators()),
                         [](const auto& param) { return to_string(param.param); });

TEST(FloatModel, LearnsFactorsAndSlopesButNoNumbersOfFormulas) {
  GraphBuilder b("constants", 3, 4, 4, 1);
  ValueId x = b.mul("scale", b.input(), b.constant("gamma", filled({3, 1, 1}, 1, 0)));
  x = b.prelu("prelu", b.mul("half", x, b.constant("0.5", filled({1}, 0.5F, 0))));
  const Graph graph = b.finish(b.matmul("fc", b.flatten("flatten", x), 2));
  std::map<std::string, bool> decayed;
  const FloatModel model(graph);
  for (const NamedTensor& p : model.parameters()) decayed[p.name] = p.decay;
  EXPECT_EQ(decayed,
            (std::map<std::string, bool>{{"gamma", false}, {"prelu.weight", false}, {"fc.weight", true}}));
  EXPECT_EQ(parameter_count(graph), 3 + 3 + 48 * 2);
}

TEST(FloatModel, TrainsOnTheLogarithmsOfAFinalSoftmax) {
  const auto model = [](bool softmax) {
    GraphBuilder b("end", 1, 2, 2, 1);
    const ValueId logits = b.gemm("fc", b.flatten("flatten", b.input()), 3);
    return b.finish(softmax ? b.softmax("softmax", logits) : b.log_softmax("softmax", logits));
  };
  const at::Tensor x = at::arange(4, at::kFloat).view({1, 1, 2, 2});
  FloatModel soft(model(true));
  FloatModel logs(model(false));
  EXPECT_TRUE(at::equal(soft.forward(x), logs.forward(x)));
  EXPECT_TRUE(at::allclose(soft.run(x, Mode::kEvaluation), logs.run(x, Mode::kEvaluation).exp()));
}

}  // namespace
}  // namespace octavo::train_detail
