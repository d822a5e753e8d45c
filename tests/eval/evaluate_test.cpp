#include "octavo/eval/evaluate.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "octavo/core/error.h"
#include "octavo/graph/builder.h"
#include "octavo/runtime/latency.h"

namespace octavo {
namespace {

/// Three pixels in, three logits out: logits = weight * pixels / 255. With the identity the brightest pixel
/// wins.
Graph three_pixel_model(const std::vector<float>& weight = {1, 0, 0, 0, 1, 0, 0, 0, 1}) {
  GraphBuilder builder("three-pixels", 1, 1, 3, 1);
  const ValueId flat = builder.flatten("flatten", builder.input());
  Graph graph = builder.finish(builder.gemm("fc", flat, 3, false));
  for (Value& value : graph.values) {
    if (value.constant && value.shape == Shape{3, 3}) value.constant = Tensor::from<float>({3, 3}, weight);
  }
  return graph;
}

CompiledModel compiled(const Graph& graph, std::int64_t max_batch = 2) {
  return CompiledModel(graph, {.max_batch = max_batch, .threads = 1, .observe = {}});
}

const Normalization kIdentity{.mean = {0}, .std = {1}};

/// Five images; the brightest pixels are 0, 1, 2, 2, 0 (the last by being first of two equals).
Dataset five_images() {
  Dataset data;
  data.name = "five";
  data.split = "test";
  data.channels = 1;
  data.height = 1;
  data.width = 3;
  data.class_names = {"a", "b", "c"};
  data.pixels = {9, 1, 2, 0, 7, 3, 0, 0, 5, 1, 2, 200, 40, 40, 3};
  data.labels = {0, 1, 2, 0, 1};
  return data;
}

template <typename Call>
std::string error_of(ErrorCode code, const Call& call) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(static_cast<int>(error.code()), static_cast<int>(code)) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

TEST(Evaluate, CountsEqualHandCountedOnes) {
  // Batches of two: the last one is not full.
  const Accuracy accuracy = evaluate(compiled(three_pixel_model()), five_images(), kIdentity);
  EXPECT_EQ(accuracy.predictions, (std::vector<std::int32_t>{0, 1, 2, 2, 0}));
  EXPECT_EQ(accuracy.images, 5);
  EXPECT_EQ(accuracy.correct, 3);
  EXPECT_DOUBLE_EQ(accuracy.value(), 0.6);
  EXPECT_EQ(accuracy.class_images, (std::vector<std::int64_t>{2, 2, 1}));
  EXPECT_EQ(accuracy.class_correct, (std::vector<std::int64_t>{1, 1, 1}));
  EXPECT_EQ(accuracy.confusion, (std::vector<std::vector<std::int64_t>>{{1, 0, 1}, {1, 1, 0}, {0, 0, 1}}));
}

TEST(Evaluate, NormalizationReachesTheModel) {
  // A negative scale turns the brightest pixel into the darkest.
  const Accuracy accuracy =
      evaluate(compiled(three_pixel_model()), five_images(), Normalization{.mean = {0}, .std = {-1}});
  EXPECT_EQ(accuracy.predictions, (std::vector<std::int32_t>{1, 0, 0, 0, 2}));
}

TEST(Evaluate, BatchSizeChangesNothing) {
  const Accuracy whole = evaluate(compiled(three_pixel_model(), 64), five_images(), kIdentity);
  const Accuracy single = evaluate(compiled(three_pixel_model(), 1), five_images(), kIdentity);
  EXPECT_EQ(whole.predictions, single.predictions);
}

TEST(Evaluate, ProgressEndsAtTotal) {
  std::vector<std::int64_t> seen;
  evaluate(compiled(three_pixel_model()), five_images(), kIdentity,
           [&](std::int64_t done, std::int64_t total) {
             EXPECT_EQ(total, 5);
             seen.push_back(done);
           });
  EXPECT_EQ(seen, (std::vector<std::int64_t>{2, 4, 5}));
}

TEST(Evaluate, StopRequestInterrupts) {
  std::stop_source stop;
  const auto call = [&] {
    evaluate(
        compiled(three_pixel_model()), five_images(), kIdentity,
        [&](std::int64_t, std::int64_t) { stop.request_stop(); }, stop.get_token());
  };
  EXPECT_EQ(error_of(ErrorCode::kInterrupted, call), "evaluate: stopped after 2 of 5 images");
}

TEST(Evaluate, WrongImageShapeIsNamed) {
  Dataset data = five_images();
  data.height = 3;
  data.width = 1;
  const auto call = [&] { evaluate(compiled(three_pixel_model()), data, kIdentity); };
  EXPECT_EQ(error_of(ErrorCode::kBadInput, call),
            "five test: images do not fit the model; expected [1, 1, 3], got [1, 3, 1]");
}

TEST(Evaluate, BadDataIsRefused) {
  const CompiledModel model = compiled(three_pixel_model());
  const auto message = [&](const Dataset& data, const Normalization& normalization) {
    return error_of(ErrorCode::kBadInput, [&] { evaluate(model, data, normalization); });
  };
  Dataset data = five_images();
  data.labels[3] = 3;
  EXPECT_EQ(message(data, kIdentity), "five test: label of image 3 out of range; expected 0 to 2, got 3");
  data = five_images();
  data.labels[0] = -1;
  EXPECT_EQ(message(data, kIdentity), "five test: label of image 0 out of range; expected 0 to 2, got -1");
  data = five_images();
  data.class_names.push_back("d");
  EXPECT_EQ(message(data, kIdentity), "five test: classes do not fit the model; expected 3, got 4");
  data = five_images();
  data.pixels.pop_back();
  EXPECT_NE(message(data, kIdentity).find("expected 15 bytes of pixels, got 14"), std::string::npos);
  data = five_images();
  EXPECT_NE(message(data, {.mean = {0, 0}, .std = {1}}).find("normalization does not fit"),
            std::string::npos);
  data.labels.clear();
  data.pixels.clear();
  EXPECT_EQ(message(data, kIdentity), "five test: no images; expected at least 1, got 0");
}

TEST(Evaluate, AnswerThatIsNotFiniteIsNamed) {
  const float huge = std::numeric_limits<float>::max();
  const auto message = [](const std::vector<float>& weight, float std) {
    const CompiledModel model = compiled(three_pixel_model(weight));
    return error_of(ErrorCode::kBadInput,
                    [&] { evaluate(model, five_images(), {.mean = {0}, .std = {std}}); });
  };
  // A single product overflows, wherever the CPU rounds; a division by a deviation of this size makes every
  // pixel that is not 0 infinite, and infinity less infinity is NaN in any order.
  EXPECT_NE(message({huge, 0, 0, 0, 1, 0, 0, 0, 1}, 1e-6F).find("image 0: the model answers infinity"),
            std::string::npos);
  EXPECT_NE(message({-huge, 0, 0, 0, 1, 0, 0, 0, 1}, 1e-6F).find("image 0: the model answers infinity"),
            std::string::npos);
  EXPECT_NE(message({1, -1, 0, 0, 1, 0, 0, 0, 1}, 1e-45F).find("image 0: the model answers NaN"),
            std::string::npos);
}

TEST(Agreement, FractionOfEqualPredictions) {
  Accuracy a;
  Accuracy b;
  EXPECT_DOUBLE_EQ(agreement(a, b), 1);
  a.predictions = {1, 2, 3, 4};
  b.predictions = {1, 0, 3, 0};
  EXPECT_DOUBLE_EQ(agreement(a, b), 0.5);
  b.predictions.pop_back();
  EXPECT_EQ(error_of(ErrorCode::kUsage, [&] { agreement(a, b); }),
            "agreement: predictions of different images; expected 4, got 3");
}

TEST(Latency, EveryRunCountsAndStatisticsAgree) {
  const CompiledModel model = compiled(three_pixel_model());
  const Latency latency = measure_latency(model, {.batch = 2, .warmup = 3, .runs = 50});
  EXPECT_EQ(latency.batch, 2);
  EXPECT_EQ(latency.threads, model.threads());
  EXPECT_EQ(latency.runs, 50);
  EXPECT_GT(latency.mean_ms, 0);
  EXPECT_GE(latency.std_ms, 0);
  EXPECT_GE(latency.p90_ms, latency.median_ms);
  if (latency.median_ms > 0) {
    EXPECT_NEAR(latency.images_per_second * latency.median_ms, 2000, 1e-6);
  }
}

TEST(Latency, ModelsInTurnsEachGetAllTheirRuns) {
  const CompiledModel one = compiled(three_pixel_model());
  const CompiledModel other = compiled(three_pixel_model());
  const CompiledModel* const models[] = {&one, &other};
  for (const int runs : {1, 7, 10, 23}) {
    const auto latencies = measure_latencies(models, {.batch = 1, .warmup = 0, .runs = runs});
    ASSERT_EQ(latencies.size(), 2U);
    for (const Latency& latency : latencies) EXPECT_EQ(latency.runs, runs);
  }
}

/// Of this thread alone, whatever else the machine does.
double cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

TEST(Latency, WarmUpRunsAreMadeAndNotCounted) {
  const CompiledModel model = compiled(three_pixel_model());
  const auto seconds_of = [&](int warmup, int runs) {
    const double start = cpu_seconds();
    EXPECT_EQ(measure_latency(model, {.batch = 1, .warmup = warmup, .runs = runs}).runs, runs);
    return cpu_seconds() - start;
  };
  constexpr int kMany = 20000;
  const double timed = seconds_of(0, kMany);
  EXPECT_GT(seconds_of(kMany, 1), timed / 4);
}

TEST(Latency, SettingsOutOfRangeAreRefused) {
  const CompiledModel model = compiled(three_pixel_model());
  const auto message = [&](const LatencyConfig& config) {
    return error_of(ErrorCode::kUsage, [&] { measure_latency(model, config); });
  };
  EXPECT_EQ(message({.batch = 0}), "latency: batch out of range; expected 1 to 2, got 0");
  EXPECT_EQ(message({.batch = -5}), "latency: batch out of range; expected 1 to 2, got -5");
  EXPECT_EQ(message({.batch = 3}), "latency: batch out of range; expected 1 to 2, got 3");
  EXPECT_EQ(message({.batch = 1, .warmup = 0, .runs = 0}),
            "latency: number of timed runs out of range; expected at least 1, got 0");
  EXPECT_EQ(message({.batch = 1, .warmup = -1, .runs = 1}),
            "latency: number of warm-up runs out of range; expected at least 0, got -1");
}

TEST(Layers, TimesAndRatesAreOfTheModelsSteps) {
  const CompiledModel model = compiled(three_pixel_model());
  const std::vector<LayerCost> costs = measure_layers(model, {.batch = 2, .warmup = 1, .runs = 5});
  ASSERT_EQ(costs.size(), model.steps(2).size());
  double share = 0;
  std::int64_t operations = 0;
  for (const LayerCost& cost : costs) {
    EXPECT_GE(cost.median_ms, 0);
    if (cost.median_ms > 0) {
      EXPECT_NEAR(cost.gops, static_cast<double>(cost.step.operations) / cost.median_ms / 1e6,
                  1e-9 * cost.gops);
    }
    share += cost.share;
    operations += cost.step.operations;
  }
  EXPECT_EQ(operations, 2 * 2 * 9);
  if (costs.front().median_ms > 0) {
    EXPECT_NEAR(share, 1, 1e-12);
  }
  EXPECT_THROW(measure_layers(model, {.batch = 3}), Error);
  EXPECT_THROW(measure_layers(model, {.batch = 1, .runs = 0}), Error);
}

TEST(Evaluate, OneOutputTellsTwoClassesApart) {
  GraphBuilder builder("one", 1, 1, 3, 1);
  const ValueId flat = builder.flatten("flatten", builder.input());
  Graph logit = builder.finish(builder.gemm("fc", flat, 1, false));
  for (Value& value : logit.values) {
    // Positive where the second pixel is brighter than the first.
    if (value.constant) value.constant = Tensor::from<float>({1, 3}, std::vector<float>{-1, 1, 0});
  }
  Dataset data = five_images();
  data.class_names = {"no", "yes"};
  data.labels = {0, 1, 0, 0, 0};
  EXPECT_EQ(decision_threshold(logit), 0.0F);
  const Accuracy by_logit = evaluate(compiled(logit), data, kIdentity, {}, {}, decision_threshold(logit));
  EXPECT_EQ(by_logit.predictions, (std::vector<std::int32_t>{0, 1, 0, 1, 0}));
  EXPECT_EQ(by_logit.correct, 4);
  EXPECT_EQ(by_logit.class_images, (std::vector<std::int64_t>{4, 1}));

  Graph probability = logit;
  probability.values.push_back({"p", probability.value(probability.output).shape, {}, {}});
  const auto id = static_cast<ValueId>(probability.values.size() - 1);
  probability.nodes.push_back({"sigmoid", Op::kSigmoid, {probability.output}, id, {}});
  probability.output = id;
  EXPECT_EQ(decision_threshold(probability), 0.5F);
  EXPECT_EQ(evaluate(compiled(probability), data, kIdentity, {}, {}, 0.5F).predictions, by_logit.predictions);

  data.class_names = {"a", "b", "c"};
  EXPECT_EQ(error_of(ErrorCode::kBadInput, [&] { evaluate(compiled(logit), data, kIdentity); }),
            "five test: classes do not fit the model; expected 2 for its one output, got 3");
}

}  // namespace
}  // namespace octavo
