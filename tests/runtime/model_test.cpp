// A compiled model as its users hold it: sizes checked, shared by threads, any batch.
#include <gtest/gtest.h>

#include <random>
#include <thread>

#include "octavo/core/error.h"
#include "octavo/graph/zoo.h"
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

TEST(CompiledModel, OneModelServesSeveralThreads) {
  const Tensor input = random_tensor({4, 3, 16, 16}, 2);
  const Graph base = make_model("resnet20", kSmall, 2);
  for (const Graph& graph : {base, annotate_from_sample(base, input)}) {
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

TEST(CompiledModel, DescribesEveryStep) {
  const CompiledModel model(make_model("simple-cnn", kSmall, 1), {.max_batch = 1});
  int convolutions = 0;
  for (const std::string& line : model.describe()) convolutions += line.starts_with("conv ") ? 1 : 0;
  EXPECT_EQ(convolutions, 4);
}

}  // namespace
}  // namespace octavo
