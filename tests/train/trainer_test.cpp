#include "octavo/train/trainer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <span>

#include "octavo/core/file.h"
#include "octavo/core/temporary_folder.h"
#include "octavo/graph/passes.h"
#include "octavo/quantize/ptq.h"
#include "support.h"

namespace octavo {
namespace {

using testing::cifar10;
using testing::coloured_images;
using testing::error_of;
using testing::half_normalization;
using testing::small_model;

TrainConfig quick(std::int64_t epochs) {
  TrainConfig config;
  config.epochs = epochs;
  config.optimizer.lr = 0.05;
  config.loader.batch_size = 16;
  config.loader.workers = 1;
  config.loader.augment.crop_padding = 1;
  config.threads = 2;
  config.precision = "fp32";
  return config;
}

/// Requests a stop after a step in the middle of epoch 2.
void stop_in_epoch_two(TrainConfig& config, std::stop_source& source) {
  config.stop = source.get_token();
  config.on_progress = [&source](const TrainProgress& p) {
    if (p.epoch == 2 && p.step < p.steps) source.request_stop();
  };
}

TEST(Train, LearnsColoursAndTellsOfEveryEpoch) {
  const Dataset data = coloured_images(192, 8, 4);
  const Dataset test = coloured_images(64, 8, 4, "test");
  TrainConfig config = quick(5);
  config.eval_every = 2;
  std::vector<std::int64_t> told;
  config.on_epoch = [&](const EpochRecord& record) { told.push_back(record.epoch); };
  const TrainResult result = train(small_model(8, 4), data, &test, half_normalization(), config);
  EXPECT_EQ(told, (std::vector<std::int64_t>{1, 2, 3, 4, 5}));
  ASSERT_EQ(result.history.size(), 5U);
  EXPECT_LT(result.history.back().train_loss, 0.8 * result.history.front().train_loss);
  EXPECT_EQ(result.history[0].test_accuracy, -1);
  EXPECT_GE(result.history[1].test_accuracy, 0);
  EXPECT_EQ(result.history[2].test_accuracy, -1);
  EXPECT_GT(result.history[4].test_accuracy, 0.8);  // 0.25 by chance
  EXPECT_NO_THROW(validate(result.graph));
}

TEST(Train, SameSeedGivesTheSameWeightsAndAnotherSeedOthers) {
  const Dataset data = coloured_images(64, 8, 4);
  const Graph model = small_model(8, 4);
  TrainConfig config = quick(1);
  const Graph first = train(model, data, nullptr, half_normalization(), config).graph;
  config.loader.workers = 2;
  EXPECT_EQ(train(model, data, nullptr, half_normalization(), config).graph, first);
  config.seed = 43;
  EXPECT_NE(train(model, data, nullptr, half_normalization(), config).graph, first);
}

TEST(Train, ResumedAfterAStopInMidEpochEndsWithTheSameBits) {
  const TemporaryFolder folder;
  const Dataset data = coloured_images(96, 8, 4);
  const Dataset test = coloured_images(32, 8, 4, "test");
  const Graph model = small_model(8, 4);
  TrainConfig config = quick(3);
  config.ema_decay = 0.9;
  const TrainResult whole = train(model, data, &test, half_normalization(), config);

  config.checkpoint = folder / "checkpoint.pt";
  TrainConfig stopped = config;
  std::stop_source source;
  stop_in_epoch_two(stopped, source);
  const auto error = error_of([&] { train(model, data, &test, half_normalization(), stopped); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), ErrorCode::kInterrupted);
  EXPECT_NE(std::string(error->what()).find("epoch 2 after 1 of 6 steps"), std::string::npos)
      << error->what();

  std::int64_t first_epoch = 0;
  config.on_progress = [&](const TrainProgress& p) {
    if (first_epoch == 0) first_epoch = p.epoch;
  };
  const TrainResult resumed = train(model, data, &test, half_normalization(), config);
  EXPECT_EQ(first_epoch, 2) << "started again instead of resuming";
  EXPECT_EQ(resumed.graph, whole.graph);
  ASSERT_EQ(resumed.history.size(), whole.history.size());
  for (std::size_t i = 0; i < whole.history.size(); ++i) {
    EXPECT_EQ(resumed.history[i].train_loss, whole.history[i].train_loss);
    EXPECT_EQ(resumed.history[i].train_accuracy, whole.history[i].train_accuracy);
    EXPECT_EQ(resumed.history[i].test_accuracy, whole.history[i].test_accuracy);
  }
}

TEST(Train, FinishedCheckpointGivesItsResultWithoutTraining) {
  const TemporaryFolder folder;
  const Dataset data = coloured_images(64, 8, 4);
  TrainConfig config = quick(1);
  config.checkpoint = folder / "checkpoint.pt";
  const TrainResult first = train(small_model(8, 4), data, nullptr, half_normalization(), config);
  config.on_progress = [](const TrainProgress&) { ADD_FAILURE() << "trained again"; };
  const TrainResult again = train(small_model(8, 4), data, nullptr, half_normalization(), config);
  EXPECT_EQ(again.graph, first.graph);
  EXPECT_EQ(again.history.size(), 1U);
}

TEST(Train, CheckpointOfAnotherModelOrSettingsIsRefused) {
  const TemporaryFolder folder;
  const Dataset data = coloured_images(64, 8, 4);
  TrainConfig config = quick(1);
  config.checkpoint = folder / "checkpoint.pt";
  train(small_model(8, 4), data, nullptr, half_normalization(), config);
  const auto other_model =
      error_of([&] { train(small_model(8, 5), data, nullptr, half_normalization(), config); });
  ASSERT_TRUE(other_model);
  EXPECT_EQ(other_model->code(), ErrorCode::kBadInput);
  EXPECT_NE(std::string(other_model->what()).find("'model structure' differs"), std::string::npos);
  config.optimizer.lr = 0.25;
  const auto other_lr =
      error_of([&] { train(small_model(8, 4), data, nullptr, half_normalization(), config); });
  ASSERT_TRUE(other_lr);
  EXPECT_EQ(other_lr->code(), ErrorCode::kBadInput);
  EXPECT_NE(std::string(other_lr->what()).find("'lr' differs; expected 0.25, got 0.05"), std::string::npos);
  config.resume = false;
  EXPECT_NO_THROW(train(small_model(8, 4), data, nullptr, half_normalization(), config));
}

TEST(Train, DivergenceIsExplained) {
  const Dataset data = coloured_images(64, 8, 4);
  TrainConfig config = quick(20);
  config.optimizer.lr = 1e30;
  const auto error = error_of([&] { train(small_model(8, 4), data, nullptr, half_normalization(), config); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), ErrorCode::kUsage);
  EXPECT_NE(std::string(error->what()).find("lower the learning rate"), std::string::npos);
}

TEST(Train, BadSettingsAndDataAreNamed) {
  const Dataset data = coloured_images(32, 8, 4);
  const auto message = [&](const Dataset& images, auto change) {
    TrainConfig config = quick(1);
    change(config);
    const auto error =
        error_of([&] { train(small_model(8, 4), images, nullptr, half_normalization(), config); });
    return error ? std::string(error->what()) : std::string("no error");
  };
  EXPECT_NE(message(data, [](TrainConfig& c) { c.epochs = 0; }).find("epochs: "), std::string::npos);
  EXPECT_NE(message(data, [](TrainConfig& c) { c.optimizer.lr = NAN; }).find("lr: "), std::string::npos);
  EXPECT_NE(message(data, [](TrainConfig& c) { c.precision = "fp8"; }).find("precision: "),
            std::string::npos);
  EXPECT_NE(message(data, [](TrainConfig& c) { c.loader.batch_size = -1; }).find("batch"), std::string::npos);
  Dataset wrong_label = data;
  wrong_label.labels[5] = 4;
  EXPECT_NE(message(wrong_label, [](TrainConfig&) {}).find("label of image 5"), std::string::npos);
  EXPECT_NE(message(coloured_images(32, 9, 4), [](TrainConfig&) {}).find("[N, 3, 8, 8]"), std::string::npos);
  EXPECT_NE(message(Dataset{}, [](TrainConfig&) {}).find("no images"), std::string::npos);
}

TEST(Train, LossFallsOnRealImages) {
  const auto data = cifar10();
  if (!data) GTEST_SKIP() << testing::kNoCifar;
  TrainConfig config = quick(3);
  config.loader.batch_size = 64;
  const TrainResult result =
      train(small_model(32, 10), head(data->train, 1024), nullptr, data->normalization, config);
  EXPECT_LT(result.history.back().train_loss, result.history.front().train_loss - 0.1);
  EXPECT_GT(result.history.back().train_accuracy, 0.15);  // 0.1 by chance, with a deviation of 0.009
}

struct QuantizedRun {
  Graph base;
  std::map<std::string, QuantParams> activations;
  Dataset train = coloured_images(96, 8, 4);
  Dataset test = coloured_images(32, 8, 4, "test");
};

QuantizedRun prepare() {
  QuantizedRun run;
  run.base = train(small_model(8, 4), run.train, nullptr, half_normalization(), quick(2)).graph;
  PtqConfig ptq;
  ptq.calibration_samples = 64;
  const Graph calibrated = quantize_ptq(run.base, run.train, half_normalization(), ptq).graph;
  for (const Value& value : calibrated.values) {
    if (value.quant && !value.constant) run.activations[value.name] = *value.quant;
  }
  return run;
}

/// Between weights [channels, ...] whose channels are each divided by their largest magnitude: a batch norm's
/// factor alone leaves 0, but for the last bits.
float largest_difference_of_channels(const Tensor& a, const Tensor& b) {
  EXPECT_EQ(a.shape(), b.shape());
  const auto count = static_cast<std::size_t>(a.size() / a.shape()[0]);
  const auto largest = [](std::span<const float> values) {
    float result = 0;
    for (const float x : values) result = std::max(result, std::fabs(x));
    return result;
  };
  float result = 0;
  for (std::size_t begin = 0; begin < static_cast<std::size_t>(a.size()); begin += count) {
    const auto x = a.data<float>().subspan(begin, count);
    const auto y = b.data<float>().subspan(begin, count);
    for (std::size_t i = 0; i < count; ++i)
      result = std::max(result, std::fabs(x[i] / largest(x) - y[i] / largest(y)));
  }
  return result;
}

// The replaced program's optimizer held a copy's parameters: statistics changed and weights did not.
TEST(Qat, WeightsMove) {
  const QuantizedRun run = prepare();
  for (const bool learnable : {false, true}) {
    QatConfig config;
    config.train = quick(2);
    config.train.optimizer.lr = 0.01;
    config.freeze_batch_norm = 0;  // statistics fixed: what changes in the folded weights was learned
    config.learnable_scales = learnable;
    const QatResult result =
        train_quantized(run.base, run.activations, run.train, &run.test, half_normalization(), config);
    const Graph before = fold_batch_norm(run.base);
    int weights = 0;
    for (const Node& node : result.graph.nodes) {
      if (node.op != Op::kConv && node.op != Op::kGemm) continue;
      ++weights;
      const Value& after = result.graph.value(node.inputs[1]);
      const Tensor& once = *before.value(before.find_value(after.name)).constant;
      EXPECT_GT(largest_difference_of_channels(*after.constant, once), 1e-3) << after.name;
      EXPECT_TRUE(after.quant) << after.name;
    }
    EXPECT_EQ(weights, 4);
    EXPECT_NO_THROW(validate(result.graph));
    ASSERT_EQ(result.history.size(), 2U);
    EXPECT_GT(result.history.back().test_accuracy, 0.5);
  }
}

TEST(Qat, RangesMoveUntilFrozen) {
  const QuantizedRun run = prepare();
  QatConfig config;
  config.train = quick(1);
  config.freeze_observers = 0;
  const auto scale_of_relu2 = [&] {
    const Graph graph =
        train_quantized(run.base, run.activations, run.train, nullptr, half_normalization(), config).graph;
    return graph.value(graph.find_value("relu2.out")).quant.value().scale();
  };
  const auto relu = std::find_if(run.activations.begin(), run.activations.end(), [](const auto& item) {
    return item.first.find("relu2.out") != std::string::npos;
  });
  ASSERT_NE(relu, run.activations.end());
  ASSERT_EQ(relu->first, "relu2.out");
  EXPECT_EQ(scale_of_relu2(), relu->second.scale());
  config.freeze_observers = 1;
  EXPECT_NE(scale_of_relu2(), relu->second.scale());
}

// With a learning rate that moves no weight, all that changes is what batches are counted into: half of two
// epochs with what is frozen thereafter is one epoch without.
TEST(Qat, StatisticsAndRangesStayAsTheyWereWhenFrozen) {
  const QuantizedRun run = prepare();
  const auto trained = [&](std::int64_t epochs, double freeze_batch_norm, double freeze_observers) {
    QatConfig config;
    config.train = quick(epochs);
    config.train.optimizer.lr = 1e-30;
    config.freeze_batch_norm = freeze_batch_norm;
    config.freeze_observers = freeze_observers;
    return train_quantized(run.base, run.activations, run.train, nullptr, half_normalization(), config).graph;
  };
  const auto weight = [](const Graph& graph) {
    return *graph.value(std::ranges::find(graph.nodes, "conv1", &Node::name)->inputs[1]).constant;
  };
  const auto scale = [](const Graph& graph) {
    return graph.value(graph.find_value("relu2.out")).quant.value().scale();
  };
  const Graph folded = fold_batch_norm(run.base);
  const Graph fixed = trained(1, 0, 0);
  EXPECT_EQ(weight(fixed), weight(folded)) << "statistics moved";
  EXPECT_EQ(scale(fixed), run.activations.at("relu2.out").scale()) << "ranges moved";
  const Graph free = trained(1, 1, 1);
  EXPECT_NE(weight(free), weight(folded)) << "statistics never move";
  EXPECT_NE(scale(free), scale(fixed)) << "ranges never move";
  EXPECT_EQ(weight(trained(2, 0.5, 0)), weight(trained(1, 1, 0)));
  EXPECT_EQ(scale(trained(2, 0, 0.5)), scale(trained(1, 0, 1)));
}

TEST(Qat, TargetKeepsZeroPointsWhileRangesMove) {
  const QuantizedRun run = prepare();
  QatConfig config;
  config.train = quick(1);
  config.target = "tensorrt";
  std::map<std::string, QuantParams> symmetric = run.activations;
  for (auto& [name, params] : symmetric) {
    const Range range{dequantize(0, params.scale(), params.zero_point()),
                      dequantize(255, params.scale(), params.zero_point())};
    params = choose_params(find_target("tensorrt"), range);
  }
  const Graph graph =
      train_quantized(run.base, symmetric, run.train, nullptr, half_normalization(), config).graph;
  EXPECT_EQ(graph.metadata.at("octavo.target"), "tensorrt");
  bool moved = false;
  for (const Value& value : graph.values) {
    if (value.constant || !value.quant) continue;
    EXPECT_EQ(value.quant->zero_point(), 128) << value.name;
    moved = moved || value.quant->scale() != symmetric.at(value.name).scale();
  }
  EXPECT_TRUE(moved);
}

TEST(Qat, ResumedAfterAStopInMidEpochEndsWithTheSameBits) {
  const QuantizedRun run = prepare();
  for (const bool learnable : {false, true}) {
    const TemporaryFolder folder;
    QatConfig config;
    config.train = quick(3);
    config.learnable_scales = learnable;
    const QatResult whole =
        train_quantized(run.base, run.activations, run.train, nullptr, half_normalization(), config);
    config.train.checkpoint = folder / "qat.pt";
    QatConfig stopped = config;
    std::stop_source source;
    stop_in_epoch_two(stopped.train, source);
    const auto error = error_of([&] {
      train_quantized(run.base, run.activations, run.train, nullptr, half_normalization(), stopped);
    });
    ASSERT_TRUE(error);
    EXPECT_EQ(error->code(), ErrorCode::kInterrupted);
    EXPECT_EQ(
        train_quantized(run.base, run.activations, run.train, nullptr, half_normalization(), config).graph,
        whole.graph);
  }
}

TEST(Qat, QuantizedModelIsRefused) {
  const QuantizedRun run = prepare();
  Graph quantized = fold_batch_norm(run.base);
  annotate(quantized, run.activations);
  QatConfig config;
  config.train = quick(1);
  const auto error = error_of(
      [&] { train_quantized(quantized, run.activations, run.train, nullptr, half_normalization(), config); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), ErrorCode::kBadInput);
}

}  // namespace
}  // namespace octavo
