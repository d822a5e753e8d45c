// A compiled model as its users hold it: sizes checked, shared by threads, any batch.
#include <gtest/gtest.h>

#include <limits>
#include <random>
#include <set>
#include <thread>

#include "octavo/core/error.h"
#include "octavo/core/parallel.h"
#include "octavo/graph/passes.h"
#include "octavo/graph/zoo.h"
#include "octavo/runtime/placement.h"
#include "octavo/runtime/runtime.h"
#include "runtime/annotated_graph.h"

namespace octavo {
namespace {

using testing::annotate_from_sample;
using testing::random_tensor;

constexpr ZooInput kSmall{.channels = 3, .height = 16, .width = 16};

std::vector<float> logits_of(const CompiledModel& model, const Tensor& input) {
  CompiledModel::Context context(model);
  std::vector<float> logits(static_cast<std::size_t>(input.dim(0) * model.classes()));
  model.run(context, input.data<float>(), input.dim(0), logits);
  return logits;
}

TEST(CompiledModel, SizesThatDoNotFitAreRefused) {
  const CompiledModel model(make_model("simple-cnn", kSmall, 1), {.max_batch = 4});
  CompiledModel::Context context(model);
  const Tensor input = random_tensor({5, 3, 16, 16}, 1);
  std::vector<float> logits(50);
  EXPECT_THROW(model.run(context, input.data<float>(), 5, logits), Error);
  EXPECT_THROW(model.run(context, input.data<float>(), 4, logits), Error);
  EXPECT_THROW(model.run(context, input.data<float>(), 0, logits), Error);
  EXPECT_THROW(model.run(context, input.data<float>().first(3 * 16 * 16), 1, logits), Error);
  EXPECT_THROW(CompiledModel(make_model("simple-cnn", kSmall, 1), {.max_batch = 0}), Error);
}

TEST(CompiledModel, ThreadsAndBatchesOutOfRangeAreRefusedBeforeAnythingIsComputedFromThem) {
  constexpr std::int64_t kHuge = std::numeric_limits<std::int64_t>::max();
  const std::vector<CompileOptions> all{{.threads = -1},
                                        {.threads = 4097},
                                        {.threads = std::numeric_limits<int>::max()},
                                        {.max_batch = (1 << 24) + 1},
                                        {.max_batch = kHuge / 7, .threads = 2},
                                        {.max_batch = kHuge}};
  for (const CompileOptions& options : all) {
    try {
      const CompiledModel model(make_model("simple-cnn", kSmall, 1), options);
      ADD_FAILURE() << options.max_batch << " " << options.threads;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kUsage) << error.what();
    }
  }
}

TEST(CompiledModel, OneModelServesSeveralThreads) {
  // squeezenet concatenates: in float32 that takes scratch memory.
  const Tensor input = random_tensor({4, 3, 32, 32}, 2);
  const ZooInput size{.channels = 3, .height = 32, .width = 32};
  std::vector<Graph> graphs{make_model("resnet20", size, 2), make_model("squeezenet", size, 2)};
  graphs.push_back(annotate_from_sample(graphs[0], input));
  for (const Graph& graph : graphs) {
    const CompiledModel model(graph, {.max_batch = 4, .threads = 1});
    const std::vector<float> expected = logits_of(model, input);
    std::vector<std::vector<float>> results(4);
    std::vector<std::thread> threads;
    for (auto& result : results) {
      threads.emplace_back([&] {
        for (int i = 0; i < 5; ++i) result = logits_of(model, input);
      });
    }
    for (std::thread& thread : threads) thread.join();
    for (const auto& result : results) EXPECT_EQ(result, expected);
  }
}

TEST(CompiledModel, ImagesDoNotInfluenceEachOther) {
  const Tensor input = random_tensor({4, 3, 16, 16}, 3);
  const CompiledModel model(annotate_from_sample(make_model("simple-cnn", kSmall, 3), input),
                            {.max_batch = 4});
  const std::vector<float> together = logits_of(model, input);
  for (std::int64_t n = 0; n < 4; ++n) {
    Tensor one({1, 3, 16, 16}, DType::kFloat32);
    std::ranges::copy(input.data<float>().subspan(static_cast<std::size_t>(n) * 768, 768),
                      one.data<float>().begin());
    const std::vector<float> alone = logits_of(model, one);
    EXPECT_TRUE(std::equal(alone.begin(), alone.end(), together.begin() + n * 10)) << "image " << n;
  }
}

/// The same images with channels last.
std::vector<std::uint8_t> interleaved(const std::vector<std::uint8_t>& planes, std::size_t channels,
                                      std::size_t plane) {
  std::vector<std::uint8_t> result(planes.size());
  for (std::size_t i = 0; i < planes.size(); ++i) {
    const std::size_t image = i / (channels * plane), c = i / plane % channels, at = i % plane;
    result[(image * plane + at) * channels + c] = planes[i];
  }
  return result;
}

TEST(CompiledModel, ImagesGiveTheLogitsOfTheirNormalizedFloats) {
  std::vector<std::uint8_t> images(3 * 3 * 16 * 16);
  std::mt19937 random(7);
  for (auto& pixel : images) pixel = static_cast<std::uint8_t>(random() % 256);
  const Normalization normalization{{0.49F, 0.48F, 0.45F}, {0.25F, 0.24F, 0.26F}};
  Tensor input({3, 3, 16, 16}, DType::kFloat32);
  normalize(images, normalization, 16 * 16, input.data<float>());
  const Graph base = make_model("simple-cnn", kSmall, 4);
  for (const Graph& graph : {base, annotate_from_sample(base, input)}) {
    const std::vector<float> expected = logits_of(CompiledModel(graph, {.max_batch = 3}), input);
    for (const bool channels_last : {false, true}) {
      const CompiledModel model(graph, {.max_batch = 3, .pixels = PixelInput{normalization, channels_last}});
      CompiledModel::Context context(model);
      std::vector<float> logits(30);
      model.run_pixels(context, channels_last ? interleaved(images, 3, 256) : images, 3, logits);
      EXPECT_EQ(logits, expected) << model.precision() << (channels_last ? ", channels last" : "");
    }
  }
}

TEST(CompiledModel, ImagesAndFloatsAreNotMixedUp) {
  const Graph graph = make_model("simple-cnn", kSmall, 5);
  const PixelInput pixels{.normalization = {{0.5F, 0.5F, 0.5F}, {0.2F, 0.2F, 0.2F}}};
  const CompiledModel of_images(graph, {.max_batch = 1, .pixels = pixels});
  const CompiledModel of_floats(graph, {.max_batch = 1});
  CompiledModel::Context context(of_images), other(of_floats);
  std::vector<float> logits(10);
  EXPECT_THROW(of_images.run(context, std::vector<float>(768), 1, logits), Error);
  EXPECT_THROW(of_floats.run_pixels(other, std::vector<std::uint8_t>(768), 1, logits), Error);
  EXPECT_THROW(of_images.run_pixels(context, std::vector<std::uint8_t>(767), 1, logits), Error);
  const PixelInput gray{.normalization = {{0.5F}, {0.2F}}};
  EXPECT_THROW(CompiledModel(graph, {.max_batch = 1, .pixels = gray}), Error);
  const PixelInput flat{.normalization = {{0.5F, 0.5F, 0.5F}, {0.2F, 0.0F, 0.2F}}};
  EXPECT_THROW(CompiledModel(graph, {.max_batch = 1, .pixels = flat}), Error);
}

TEST(CompiledModel, StepsSayWhatTheyMakeAndCount) {
  const Tensor input = random_tensor({2, 3, 16, 16}, 4);
  const Graph base = make_model("simple-cnn", kSmall, 1);
  for (const Graph& graph : {base, annotate_from_sample(base, input)}) {
    const CompiledModel model(graph, {.max_batch = 2});
    const bool quantized = graph.quantized();
    std::int64_t operations = 0;
    int convolutions = 0;
    std::set<int> groups;
    for (const StepInfo& step : model.steps(2)) {
      operations += step.operations;
      groups.insert(step.group);
      EXPECT_EQ(step.shape.at(0), 2) << step.value;
      EXPECT_NE(graph.find_value(step.value), kNoValue) << step.value;
      if (!step.kernel.starts_with("conv")) continue;
      ++convolutions;
      EXPECT_GT(step.operations, 0) << step.value;
      EXPECT_EQ(step.integer, quantized) << step.value;
    }
    EXPECT_EQ(convolutions, 4);
    EXPECT_EQ(operations, 2 * 2 * mac_count(graph));
    EXPECT_LT(*groups.rbegin(), static_cast<int>(placements(fold_batch_norm(graph)).size()));
    EXPECT_EQ(groups.contains(-1), quantized);  // Quantizing the input belongs to no group.
    EXPECT_THROW(model.steps(3), Error);
  }
}

TEST(CompiledModel, ProfileRunsTheSameAndTimesEveryStep) {
  const Tensor input = random_tensor({2, 3, 16, 16}, 5);
  const CompiledModel model(annotate_from_sample(make_model("resnet20", kSmall, 5), input), {.max_batch = 2});
  CompiledModel::Context context(model);
  std::vector<float> logits(20);
  std::vector<double> seconds(model.steps(2).size(), 1.0);
  model.profile(context, input.data<float>(), 2, logits, seconds);
  EXPECT_EQ(logits, logits_of(model, input));
  for (const double s : seconds) EXPECT_GE(s, 1.0);
  seconds.pop_back();
  EXPECT_THROW(model.profile(context, input.data<float>(), 2, logits, seconds), Error);
}

TEST(CompiledModel, LargeBatchInPiecesGivesTheSameLogits) {
  constexpr std::int64_t kBatch = 48;  // Activations of 48 images take more than 12 MiB; those of 16 less.
  const Tensor input = random_tensor({kBatch, 3, 64, 64}, 6);
  const Graph base = make_model("mobilenet-v2", {.channels = 3, .height = 64, .width = 64}, 6);
  const Graph graph = annotate_from_sample(base, random_tensor({2, 3, 64, 64}, 6));
  const CompiledModel single(graph, {.max_batch = 1});
  CompiledModel::Context context(single);
  const std::size_t image = std::size_t{3} * 64 * 64;
  std::vector<float> alone(kBatch * 10);
  for (std::size_t n = 0; n < std::size_t{kBatch}; ++n) {
    single.run(context, input.data<float>().subspan(n * image, image), 1,
               std::span(alone).subspan(n * 10, 10));
  }
  // One thread piece by piece; several a piece each at a time, of which there may be more than threads.
  for (const int threads : {1, 2, 3}) {
    SCOPED_TRACE(threads);
    const CompiledModel model(graph, {.max_batch = kBatch, .threads = threads});
    EXPECT_EQ(logits_of(model, input), alone);
    std::int64_t operations = 0;
    for (const StepInfo& step : model.steps(kBatch)) {
      EXPECT_EQ(step.shape.at(0), kBatch) << step.value;
      operations += step.operations;
    }
    EXPECT_EQ(operations, 2 * kBatch * mac_count(graph));
    if (threads == 1) {
      EXPECT_LT(model.memory_use().context_bytes,
                std::size_t{kBatch} / 2 * single.memory_use().context_bytes);
    }
  }
}

TEST(CompiledModel, ThreadsThatRunPiecesApartHaveMemoryOfTheirOwn) {
  const Tensor input = random_tensor({8, 3, 32, 32}, 7);
  const Graph base = make_model("resnet20", {.channels = 3, .height = 32, .width = 32}, 7);
  const Graph graph = annotate_from_sample(base, random_tensor({2, 3, 32, 32}, 7));
  const CompiledModel two(graph, {.max_batch = 8, .threads = 2});
  const CompiledModel half(graph, {.max_batch = 4, .threads = 1});
  EXPECT_EQ(two.memory_use().context_bytes, 2 * half.memory_use().context_bytes);
  // A context in use goes on to batches that are split in other ways, and back.
  CompiledModel::Context context(two);
  const std::size_t image = std::size_t{3} * 32 * 32;
  std::vector<float> first(80);
  two.run(context, input.data<float>(), 8, first);
  for (const std::int64_t batch : {1, 3, 4, 7, 8}) {
    std::vector<float> logits(static_cast<std::size_t>(batch) * 10);
    two.run(context, input.data<float>().first(static_cast<std::size_t>(batch) * image), batch, logits);
    EXPECT_TRUE(std::ranges::equal(logits, std::span(first).first(logits.size()))) << batch;
  }
  // A context made for a batch that is not split gets the memory when it is.
  const CompiledModel nine(graph, {.max_batch = 9, .threads = 2});
  CompiledModel::Context late(nine);
  std::vector<float> logits(10);
  nine.run(late, input.data<float>().first(image), 1, logits);
  std::vector<float> split(80);
  nine.run(late, input.data<float>(), 8, split);
  EXPECT_EQ(split, first);
  nine.run(late, input.data<float>().first(image), 1, logits);
  EXPECT_TRUE(std::ranges::equal(logits, std::span(first).first(10)));
  // Inside parallel work there is one thread to run all pieces.
  std::vector<float> inner(80);
  const auto body = [&](std::int64_t begin, std::int64_t /*end*/) {
    if (begin == 0) two.run(context, input.data<float>(), 8, inner);
  };
  parallel_for(2, 1, body, 2);
  EXPECT_EQ(inner, first);
}

TEST(CompiledModel, MemoryOfWeightsAndContextsIsCounted) {
  const Graph base = make_model("resnet20", kSmall, 5);
  const CompiledModel model(base, {.max_batch = 4});
  const std::size_t parameters = static_cast<std::size_t>(parameter_count(fold_batch_norm(base)));
  const MemoryUse use = model.memory_use();
  EXPECT_GE(use.weights_bytes, parameters * sizeof(float));
  EXPECT_LT(use.weights_bytes, 2 * parameters * sizeof(float));
  EXPECT_GE(use.context_bytes, std::size_t{4} * 16 * 16 * 16 * sizeof(float));
  model.steps(1);
  EXPECT_GT(model.memory_use().weights_bytes, use.weights_bytes);  // A second program has its own.
  EXPECT_EQ(model.memory_use().context_bytes, use.context_bytes);
}

}  // namespace
}  // namespace octavo
