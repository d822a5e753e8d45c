#include "train/float_model.h"

#include <gtest/gtest.h>

#include <cmath>

#include "octavo/core/parallel.h"
#include "octavo/graph/zoo.h"
#include "octavo/runtime/reference.h"
#include "support.h"
#include "train/operators.h"
#include "train/optimizer.h"

namespace octavo::train_detail {
namespace {

using octavo::testing::coloured_images;
using octavo::testing::half_normalization;
using octavo::testing::small_model;

Tensor images(std::int64_t count, std::int64_t side) {
  const Dataset data = coloured_images(count, side, 4);
  std::vector<std::int64_t> all(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::int64_t>(i);
  return normalized_batch(data, all, half_normalization());
}

at::Tensor labels(std::int64_t count) { return at::arange(count, at::kLong).remainder(4); }

double loss_of(FloatModel& model, const at::Tensor& x) {
  const at::NoGradGuard no_gradients;
  return at::cross_entropy_loss(model.forward(x).to(at::kDouble), labels(x.size(0))).item<double>();
}

void compute_gradients(FloatModel& model, const at::Tensor& x) {
  at::cross_entropy_loss(model.forward(x), labels(x.size(0))).backward();
}

class Executor : public ::testing::TestWithParam<Kernels> {};

// The derivative along the gradient is its length: one finite difference a parameter checks every element at
// once.
TEST_P(Executor, GradientsMatchFiniteDifferences) {
  FloatModel model(small_model(8, 4), GetParam());
  const at::Tensor x = to_aten(images(16, 8));
  compute_gradients(model, x);
  int checked = 0;
  for (const NamedTensor& parameter : model.parameters()) {
    const at::Tensor gradient = parameter.tensor.grad();
    const double length = gradient.defined() ? gradient.norm().item<double>() : 0.0;
    if (length < 1e-5) {  // a bias that batch norm takes off again
      EXPECT_EQ(parameter.name, "conv1.bias");
      continue;
    }
    at::Tensor value = parameter.tensor.detach();
    const at::Tensor before = value.clone();
    // float32 rounds the loss (near 1.4) by about 1e-7: a change of 2e-3 in it leaves the quotient 4 digits.
    const double step = 1e-3 / length;
    value.add_(gradient, step / length);
    const double above = loss_of(model, x);
    value.copy_(before).sub_(gradient, step / length);
    const double below = loss_of(model, x);
    value.copy_(before);
    EXPECT_NEAR((above - below) / (2 * step), length, 0.02 * length) << parameter.name;
    ++checked;
  }
  EXPECT_EQ(checked, 10);
}

INSTANTIATE_TEST_SUITE_P(Kernels, Executor, ::testing::Values(Kernels::kOctavo, Kernels::kAten),
                         [](const auto& param) { return param.param == Kernels::kOctavo ? "Own" : "Aten"; });

TEST(FloatModel, OwnKernelsEqualAtens) {
  const Graph graph = make_model("simple-cnn", {}, 5);
  FloatModel own(graph);
  FloatModel aten(graph, Kernels::kAten);
  const at::Tensor x = to_aten(images(4, 32));
  EXPECT_LT((own.forward(x) - aten.forward(x)).abs().max().item<float>(), 1e-4F);
  compute_gradients(own, x);
  compute_gradients(aten, x);
  for (std::size_t i = 0; i < own.parameters().size(); ++i) {
    const at::Tensor a = own.parameters()[i].tensor.grad();
    const at::Tensor b = aten.parameters()[i].tensor.grad();
    if (!a.defined()) continue;
    EXPECT_LT((a - b).norm().item<float>(), 1e-3F * b.norm().item<float>() + 1e-6F)
        << own.parameters()[i].name;
  }
  for (std::size_t i = 0; i < own.statistics().size(); ++i) {
    const at::Tensor a = own.statistics()[i].tensor;
    const at::Tensor b = aten.statistics()[i].tensor;
    EXPECT_TRUE(at::allclose(a, b, 1e-4, 1e-5)) << own.statistics()[i].name;
  }
}

TEST(FloatModel, EvaluationEqualsTheReferenceInterpreter) {
  for (const std::string name : {"simple-cnn", "resnet20"}) {
    FloatModel model(make_model(name, {}, 5));
    const Tensor batch = images(4, 32);
    model.forward(to_aten(batch));  // statistics other than the initial 0 and 1
    const at::NoGradGuard no_gradients;
    const at::Tensor got = model.run(to_aten(batch), Mode::kEvaluation);
    const Tensor wanted = interpret(model.snapshot(), batch);
    EXPECT_LT((got - to_aten(wanted)).abs().max().item<float>(), 1e-3F) << name;
  }
}

TEST(FloatModel, TrainsExactlyTheGraphsParameters) {
  for (const std::string name : {"simple-cnn", "resnet20"}) {
    const Graph graph = make_model(name, {}, 1);
    const FloatModel model(graph);
    std::int64_t count = 0;
    for (const NamedTensor& parameter : model.parameters()) count += parameter.tensor.numel();
    EXPECT_EQ(count, parameter_count(graph)) << name;
    EXPECT_EQ(model.snapshot(), graph) << name;
  }
}

TEST(FloatModel, RunningStatisticsFollowOnnxMomentum) {
  GraphBuilder b("norm", 1, 1, 2, 1);
  const ValueId y = b.batch_norm("bn", b.input(), {.momentum = 0.75F});
  const Graph graph = b.finish(b.gemm("fc", b.flatten("flat", b.global_average_pool("gap", y)), 2));
  FloatModel model(graph);
  model.forward(at::tensor({1.0F, 3.0F, 5.0F, 7.0F}).view({2, 1, 1, 2}));
  // Mean 4; unbiased variance 20 / 3. running = 0.75 * old + 0.25 * batch, from 0 and 1.
  ASSERT_EQ(model.statistics().size(), 2U);
  EXPECT_FLOAT_EQ(model.statistics()[0].tensor.item<float>(), 1.0F);
  EXPECT_FLOAT_EQ(model.statistics()[1].tensor.item<float>(), 0.75F + 0.25F * 20.0F / 3.0F);
}

TEST(Sgd, NesterovStepsAsComputedByHand) {
  at::Tensor w = at::full({1}, 2.0F).requires_grad_();
  Sgd sgd({{"w", w, true}}, {.momentum = 0.5, .nesterov = true, .weight_decay = 0.25});
  const auto step = [&](float gradient) {
    w.mutable_grad() = at::full({1}, gradient);
    sgd.step(0.1);
  };
  step(1.0F);  // g = 1 + 0.25 * 2 = 1.5; v = 1.5; w = 2 - 0.1 * (1.5 + 0.75)
  EXPECT_FLOAT_EQ(w.item<float>(), 1.775F);
  EXPECT_FALSE(w.grad().defined());
  step(0.0F);  // g = 0.44375; v = 1.19375; w = 1.775 - 0.1 * (0.44375 + 0.596875)
  EXPECT_FLOAT_EQ(w.item<float>(), 1.6709375F);
}

TEST(Sgd, DecaySparesNormAndBiasUnlessToldOtherwise) {
  for (const bool everything : {false, true}) {
    FloatModel model(small_model(8, 4));
    Sgd sgd(model.parameters(), {.weight_decay = 0.5, .decay_norm_and_bias = everything});
    std::vector<at::Tensor> before;
    for (const NamedTensor& parameter : model.parameters()) {
      at::Tensor value = parameter.tensor.detach();
      value.fill_(1.0F);
      at::Tensor tensor = parameter.tensor;
      tensor.mutable_grad() = at::zeros_like(value);
    }
    sgd.step(0.1);
    for (const NamedTensor& parameter : model.parameters()) {
      const bool weight = parameter.name.ends_with(".weight") && !parameter.name.starts_with("bn");
      const bool moved = parameter.tensor.detach().flatten()[0].item<float>() < 1.0F;
      EXPECT_EQ(moved, weight || everything) << parameter.name;
    }
  }
}

}  // namespace
}  // namespace octavo::train_detail
