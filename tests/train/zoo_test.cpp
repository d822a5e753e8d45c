// Every architecture of the zoo goes through training and quantization-aware training.
#include "octavo/graph/zoo.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "octavo/graph/builder.h"
#include "octavo/graph/passes.h"
#include "octavo/quantize/observer.h"
#include "octavo/quantize/ptq.h"
#include "octavo/runtime/runtime.h"
#include "support.h"
#include "train/float_model.h"
#include "train/operators.h"
#include "train/qat_model.h"

namespace octavo::train_detail {
namespace {

constexpr std::int64_t kClasses = 3;
constexpr std::int64_t kImages = 4;

/// VGG-16 halves the image five times.
std::int64_t side_of(const std::string& name) { return name == "vgg16-bn" ? 32 : 16; }

Graph model_of(const std::string& name) {
  const std::int64_t side = side_of(name);
  return make_model(name, {.channels = 3, .height = side, .width = side, .classes = kClasses}, 7);
}

Tensor images_for(const std::string& name) {
  const Dataset data = octavo::testing::coloured_images(kImages, side_of(name), kClasses);
  std::vector<std::int64_t> all(kImages);
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::int64_t>(i);
  return normalized_batch(data, all, octavo::testing::half_normalization());
}

at::Tensor runtime_logits(const Graph& graph, const Tensor& batch) {
  const CompiledModel model(graph, {.max_batch = kImages, .threads = 1, .observe = {}});
  CompiledModel::Context context(model);
  Tensor logits({kImages, kClasses}, DType::kFloat32);
  model.run(context, batch.data<float>(), kImages, logits.data<float>());
  return to_aten(logits);
}

/// One step of gradient descent of length `rate`; the loss before it.
double descend(FloatModel& model, const at::Tensor& x, double rate) {
  const at::Tensor labels = at::arange(kImages, at::kLong).remainder(kClasses);
  const at::Tensor loss = at::cross_entropy_loss(model.forward(x), labels);
  loss.backward();
  double squares = 0;
  for (const NamedTensor& p : model.parameters()) {
    if (p.tensor.grad().defined()) squares += std::pow(p.tensor.grad().norm().item<double>(), 2);
  }
  EXPECT_TRUE(std::isfinite(squares));
  EXPECT_GT(squares, 0.0);
  for (const NamedTensor& p : model.parameters()) {
    at::Tensor tensor = p.tensor;
    if (!tensor.grad().defined()) continue;
    tensor.detach().sub_(tensor.grad(), rate / std::sqrt(squares));
    tensor.mutable_grad() = at::Tensor();
  }
  return loss.item<double>();
}

double loss_of(FloatModel& model, const at::Tensor& x) {
  const at::NoGradGuard no_gradients;
  const at::Tensor labels = at::arange(kImages, at::kLong).remainder(kClasses);
  return at::cross_entropy_loss(model.forward(x), labels).item<double>();
}

class ZooTraining : public ::testing::TestWithParam<std::string> {};

TEST_P(ZooTraining, StepLowersTheLossAndTheResultRunsAlike) {
  const Graph graph = model_of(GetParam());
  const Tensor batch = images_for(GetParam());
  const at::Tensor x = to_aten(batch);
  FloatModel model(graph);
  // Against the gradient the loss falls, if the step is short enough.
  const double before = descend(model, x, 0.01);
  EXPECT_LT(loss_of(model, x), before);

  const Graph trained = model.snapshot();
  EXPECT_NO_THROW(validate(trained));
  std::size_t changed = 0;
  for (std::size_t i = 0; i < graph.values.size(); ++i)
    changed += graph.values[i].constant == trained.values[i].constant ? 0 : 1;
  EXPECT_GT(changed, 0U);
  const at::NoGradGuard no_gradients;
  const at::Tensor simulated = model.run(x, Mode::kEvaluation);
  const at::Tensor deployed = runtime_logits(trained, batch);
  EXPECT_LT((simulated - deployed).abs().max().item<float>(), 1e-3F * simulated.abs().max().item<float>());
}

/// Parameters from what the values are for these images.
std::map<std::string, QuantParams> calibrated(const Graph& folded, const Tensor& batch) {
  const std::vector<ValueId> wanted = quantized_activations(folded);
  const CompiledModel model(folded, {.max_batch = kImages, .threads = 1, .observe = wanted});
  CompiledModel::Context context(model);
  std::vector<float> logits(kImages * kClasses);
  std::map<std::string, QuantParams> result;
  model.run_observed(context, batch.data<float>(), kImages, logits,
                     [&](ValueId id, std::span<const float> values) {
                       const auto [least, greatest] = std::ranges::minmax(values);
                       result[folded.value(id).name] =
                           choose_activation_params({std::min(least, 0.0F), std::max(greatest, 0.0F)});
                     });
  return result;
}

TEST_P(ZooTraining, QuantizationAwareStepGivesAModelThatRunsInIntegers) {
  const Graph graph = model_of(GetParam());
  const Tensor batch = images_for(GetParam());
  const at::Tensor x = to_aten(batch);
  QatModel model(graph, calibrated(fold_batch_norm(graph), batch), {});
  for (const double done : {0.0, 0.9}) {  // batch statistics, then folded ones
    model.set_progress(done);
    EXPECT_TRUE(std::isfinite(descend(model, x, 0.01))) << done;
  }
  const Graph trained = model.snapshot();
  EXPECT_NO_THROW(validate(trained));
  const CompiledModel compiled(trained, {.max_batch = kImages, .threads = 1, .observe = {}});
  EXPECT_EQ(compiled.precision(), "int8");
  // Rounding parts simulation and integers, but by little. (A layer simulated with the wrong parameters, or
  // not at all, is far off.)
  const at::NoGradGuard no_gradients;
  const at::Tensor simulated = model.run(x, Mode::kEvaluation);
  const at::Tensor integers = runtime_logits(trained, batch);
  EXPECT_LT((simulated - integers).norm().item<float>(), 0.2F * integers.norm().item<float>());
}

// Parts that share the Concat's parameters are clipped before the Concat sees them: its range must follow
// what they were, or it could never grow.
TEST(QatModel, RangeOfAConcatFollowsItsParts) {
  GraphBuilder b("joined", 3, 16, 16, 2);
  const ConvAttributes three{.kernel = {3, 3}, .pads = {1, 1, 1, 1}};
  const ValueId left = b.relu("relu1", b.conv("conv1", b.input(), 4, three, true));
  const ValueId right = b.conv("conv2", b.input(), 4, three, true);
  const ValueId both = b.concat("concat", {left, right});
  const ValueId pooled = b.global_average_pool("gap", b.conv("conv3", both, 4, three, true));
  const Graph graph = b.finish(b.gemm("fc", b.flatten("flatten", pooled), kClasses));
  std::map<std::string, QuantParams> narrow;
  for (const ValueId id : quantized_activations(graph))
    narrow[graph.value(id).name] = activation_params(id == graph.input ? 0.02F : 1e-3F, 128);
  QatModel model(graph, narrow, {});
  const at::Tensor x = to_aten(images_for("resnet20"));
  const at::NoGradGuard no_gradients;
  for (int step = 0; step < 100; ++step) model.forward(x);
  const QuantParams grown = *model.snapshot().value(model.snapshot().find_value("concat.out")).quant;
  EXPECT_GT(grown.scale(), 1.5e-3F);
  // Below 0 and above: a part that no Relu bounds must not be forgotten.
  EXPECT_GT(grown.zero_point(), 64);
  EXPECT_LT(grown.zero_point(), 192);
}

std::vector<std::string> cifar_forms() {
  std::vector<std::string> names = model_names();
  std::erase_if(names, [](const std::string& name) { return name.ends_with("-224"); });
  return names;
}

INSTANTIATE_TEST_SUITE_P(Models, ZooTraining, ::testing::ValuesIn(cifar_forms()), [](const auto& param) {
  std::string name = param.param;
  std::ranges::replace(name, '-', '_');
  return name;
});

}  // namespace
}  // namespace octavo::train_detail
