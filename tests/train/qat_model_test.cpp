#include "train/qat_model.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "octavo/graph/passes.h"
#include "octavo/quantize/observer.h"
#include "octavo/quantize/ptq.h"
#include "octavo/runtime/reference.h"
#include "support.h"
#include "train/fake_quantize.h"
#include "train/operators.h"

namespace octavo::train_detail {
namespace {

using octavo::testing::cifar10;
using octavo::testing::small_model;

void expect_same_bits(const at::Tensor& got, const Tensor& wanted) {
  const at::Tensor rows = got.contiguous();
  ASSERT_EQ(rows.numel(), wanted.size());
  EXPECT_EQ(std::memcmp(rows.data_ptr<float>(), wanted.raw(), wanted.size_bytes()), 0);
}

TEST(FakeQuantize, EqualsQuantizeThenDequantizeExactly) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  std::vector<float> values{0.0F,  -0.0F,  0.05F,     0.15F,      0.25F, -0.05F,
                            1e30F, -1e30F, kInfinity, -kInfinity, NAN};
  for (int i = -3000; i < 40000; ++i) values.push_back(static_cast<float>(i) * 0.00137F);
  const auto count = static_cast<std::int64_t>(values.size());
  const Tensor real = Tensor::from<float>({count}, values);
  for (const float scale : {0.1F, 0.0137F, 1.0F / 3.0F}) {
    for (const std::int32_t zero_point : {0, 7, 128, 255}) {
      const QuantParams params = activation_params(scale, zero_point);
      expect_same_bits(fake_quantize(to_aten(real), at::full({1}, scale), {zero_point, 0, 255}),
                       octavo::fake_quantize(real, params));
    }
  }
}

TEST(FakeQuantize, EqualsPerChannelWeights) {
  Tensor weight({5, 3, 3, 3}, DType::kFloat32);
  const auto w = weight.data<float>();
  for (std::size_t i = 0; i < w.size(); ++i)
    w[i] = std::sin(static_cast<float>(i * i)) * static_cast<float>(i % 7);
  std::fill(w.begin(), w.begin() + 27, 0.0F);  // a dead channel
  for (const std::int32_t qmax : {127, 63}) {
    const QuantParams params = choose_weight_params(weight, qmax);
    const at::Tensor scale = at::tensor(params.scales);
    expect_same_bits(fake_quantize(to_aten(weight), scale, {0, -qmax, qmax}),
                     octavo::fake_quantize(weight, params));
  }
}

TEST(FakeQuantize, GradientIsStraightThroughAndZeroWhereClipped) {
  at::Tensor x = at::tensor({-0.4F, 0.0F, 1.3F, 9.9F, 10.4F, -3.0F}).requires_grad_();
  fake_quantize(x, at::full({1}, 1.0F), {0, 0, 10}).backward(at::arange(1, 7).to(at::kFloat));
  EXPECT_TRUE(at::equal(x.grad(), at::tensor({1.0F, 2.0F, 3.0F, 4.0F, 5.0F, 0.0F})));
  at::Tensor far = at::tensor({10.6F, -0.6F}).requires_grad_();
  fake_quantize(far, at::full({1}, 1.0F), {0, 0, 10}).sum().backward();
  EXPECT_TRUE(at::equal(far.grad(), at::zeros({2})));
}

TEST(FakeQuantize, LearnedScaleGetsTheGradientOfLsq) {
  at::Tensor x = at::tensor({0.6F, 5.0F, -5.0F});
  at::Tensor scale = at::full({1}, 0.5F).requires_grad_();
  fake_quantize(x, scale, {0, -3, 3}, 0.25).backward(at::tensor({1.0F, 10.0F, 100.0F}));
  // x/s = 1.2: round - x/s = -0.2; the others are clipped to 3 and -3.
  EXPECT_NEAR(scale.grad().item<float>(), 0.25 * (-0.2 + 30.0 - 300.0), 1e-4);
}

std::map<std::string, QuantParams> activations_of(const Graph& graph) {
  std::map<std::string, QuantParams> result;
  for (const Value& value : graph.values) {
    if (value.quant && !value.constant) result[value.name] = *value.quant;
  }
  return result;
}

/// A model trained a little on real images, with the parameters that PTQ chose.
struct Prepared {
  Graph base;
  std::map<std::string, QuantParams> activations;
};

Prepared prepare(const DatasetPair& data) {
  TrainConfig config;
  config.epochs = 6;
  config.loader.batch_size = 64;
  config.optimizer.lr = 0.1;
  const Dataset images = head(data.train, 2048);
  Prepared result;
  result.base = train(small_model(32, 10), images, nullptr, data.normalization, config).graph;
  PtqConfig ptq;
  ptq.calibration_samples = 200;
  result.activations = activations_of(quantize_ptq(result.base, images, data.normalization, ptq).graph);
  return result;
}

TEST(QatModel, EvaluationAgreesWithTheIntegersItBecomes) {
  const auto data = cifar10();
  if (!data) GTEST_SKIP() << octavo::testing::kNoCifar;
  const Prepared prepared = prepare(*data);
  std::vector<std::int64_t> indices(1000);
  for (std::size_t i = 0; i < indices.size(); ++i) indices[i] = static_cast<std::int64_t>(i);
  const Tensor batch = normalized_batch(data->test, indices, data->normalization);
  for (const bool learnable : {false, true}) {
    QatConfig config;
    config.learnable_scales = learnable;
    QatModel model(prepared.base, prepared.activations, config);
    model.set_progress(1.0);
    const at::NoGradGuard no_gradients;
    const at::Tensor simulated = model.run(to_aten(batch), Mode::kEvaluation).argmax(1);
    const at::Tensor integers = to_aten(interpret(model.snapshot(), batch)).argmax(1);
    // The contract allows one image in a thousand: float sums are not exact where they tie.
    EXPECT_GE(simulated.eq(integers).sum().item<std::int64_t>(), 999) << (learnable ? "LSQ" : "ranges");
  }
}

TEST(QatModel, UntrainedResultIsTheFoldedGraphWithTheGivenParameters) {
  const Graph graph = small_model(8, 4);
  std::map<std::string, QuantParams> activations;
  const Graph folded = fold_batch_norm(graph);
  for (const ValueId id : quantized_activations(folded)) {
    activations[folded.value(id).name] = activation_params(0.05F, 100);
  }
  QatModel model(graph, activations, {});
  const Graph result = model.snapshot();
  for (const auto& [name, params] : activations) {
    EXPECT_EQ(result.value(result.find_value(name)).quant, params) << name;
  }
  for (const Value& value : result.values) {
    if (!value.constant) continue;
    EXPECT_EQ(value.constant, folded.value(folded.find_value(value.name)).constant) << value.name;
  }
}

TEST(QatModel, LossFallsInBothPhases) {
  const Dataset images = octavo::testing::coloured_images(32, 8, 4);
  const Graph graph = small_model(8, 4);
  const Graph folded = fold_batch_norm(graph);
  std::map<std::string, QuantParams> activations;
  for (const ValueId id : quantized_activations(folded)) {
    activations[folded.value(id).name] = activation_params(0.03F, 100);
  }
  QatModel model(graph, activations, {});
  std::vector<std::int64_t> all(32);
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::int64_t>(i);
  const at::Tensor x = to_aten(normalized_batch(images, all, octavo::testing::half_normalization()));
  const at::Tensor y = at::arange(32, at::kLong).remainder(4);
  const auto train_steps = [&] {
    double first = 0, last = 0;
    for (int step = 0; step < 20; ++step) {
      const at::Tensor loss = at::cross_entropy_loss(model.forward(x), y);
      last = loss.item<double>();
      if (step == 0) first = last;
      loss.backward();
      for (const NamedTensor& parameter : model.parameters()) {
        at::Tensor tensor = parameter.tensor;
        if (!tensor.grad().defined()) continue;
        tensor.detach().sub_(tensor.grad(), 0.1);
        tensor.mutable_grad() = at::Tensor();
      }
    }
    EXPECT_LT(last, 0.9 * first);
  };
  model.set_progress(0.0);
  train_steps();
  model.set_progress(0.9);
  train_steps();
}

}  // namespace
}  // namespace octavo::train_detail
