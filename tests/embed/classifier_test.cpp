// The class that applications use, from the shared library.
#include "octavo/embed/classifier.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <functional>
#include <thread>

#include "embed/files.h"
#include "octavo/core/error.h"

namespace octavo {
namespace {

using namespace testing;

class EachPrecision : public ::testing::TestWithParam<std::string> {
 protected:
  std::filesystem::path file() const { return embed_folder() / (GetParam() + ".onnx"); }
};

TEST_P(EachPrecision, LogitsAreTheModulesOwn) {
  EXPECT_EQ(Classifier(file(), {.max_batch = 5}).logits(embed_images()), embed_logits(GetParam()));
}

TEST_P(EachPrecision, PredictsTheLargestLogitAndItsProbability) {
  const Classifier model(file(), {.max_batch = 5});
  const std::vector<float> logits = embed_logits(GetParam());
  const std::vector<Prediction> predictions = model.classify(embed_images());
  ASSERT_EQ(predictions.size(), kImages);
  for (std::size_t i = 0; i < kImages; ++i) {
    const auto row = logits.begin() + static_cast<std::ptrdiff_t>(i * kClasses);
    const auto best = std::max_element(row, row + kClasses);
    EXPECT_EQ(predictions[i].label, best - row);
    double sum = 0;
    for (std::size_t c = 0; c < kClasses; ++c) sum += std::exp(static_cast<double>(row[c] - *best));
    EXPECT_NEAR(predictions[i].probability, 1 / sum, 1e-6);
  }
}

INSTANTIATE_TEST_SUITE_P(Classifier, EachPrecision, ::testing::Values("float", "int8"));

TEST(Classifier, TurnsGiveTheSameIntegersAsOneRun) {  // 2, 2 and 1 images
  const Classifier model(embed_folder() / "int8.onnx", {.max_batch = 2});
  EXPECT_EQ(model.logits(embed_images()), embed_logits("int8"));
}

TEST(Classifier, KnowsItsInputAndItsClasses) {
  const Classifier model(embed_folder() / "int8.onnx");
  EXPECT_EQ(model.channels(), 3);
  EXPECT_EQ(model.height(), 16);
  EXPECT_EQ(model.width(), 16);
  EXPECT_EQ(model.classes(), 10);
  ASSERT_EQ(model.class_names().size(), 10U);
  EXPECT_EQ(model.class_names()[3], "three");
  EXPECT_EQ(model.model().precision(), "int8");
}

TEST(Classifier, ServesManyThreadsAtOnce) {
  const Classifier model(embed_folder() / "int8.onnx", {.max_batch = 5, .threads = 1});
  const std::vector<std::uint8_t> images = embed_images();
  std::vector<std::vector<float>> results(4);
  std::vector<std::thread> threads;
  for (auto& result : results) {
    threads.emplace_back([&] {
      for (int i = 0; i < 10; ++i) result = model.logits(images);
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const auto& result : results) EXPECT_EQ(result, embed_logits("int8"));
}

TEST(Classifier, OptionsReplaceTheNormalizationOfTheFile) {
  const Normalization other{{0.0F, 0.0F, 0.0F}, {1.0F, 1.0F, 1.0F}};
  const Classifier model(embed_folder() / "float.onnx", {.max_batch = 5, .normalization = other});
  EXPECT_NE(model.logits(embed_images()), embed_logits("float"));
}

TEST(Classifier, NoImagesGiveNoPredictions) {
  EXPECT_TRUE(Classifier(embed_folder() / "int8.onnx").classify({}).empty());
}

ErrorCode code_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    EXPECT_STRNE(error.what(), "");
    return error.code();
  }
  ADD_FAILURE() << "no error";
  return ErrorCode::kInternal;
}

TEST(Classifier, BadInputIsAnErrorOfTheRightKind) {
  const std::filesystem::path truncated = embed_folder() / "truncated.onnx";
  const std::vector<char> whole = embed_file("int8.onnx");
  std::ofstream(truncated, std::ios::binary)
      .write(whole.data(), static_cast<std::streamsize>(whole.size() / 2));
  EXPECT_EQ(code_of([&] { Classifier model(truncated); }), ErrorCode::kBadInput);
  EXPECT_EQ(code_of([] { Classifier model(embed_folder() / "missing.onnx"); }), ErrorCode::kIo);
  const Classifier model(embed_folder() / "int8.onnx");
  EXPECT_EQ(code_of([&] { model.classify(std::vector<std::uint8_t>(kImageBytes + 1)); }),
            ErrorCode::kBadInput);
  EXPECT_EQ(code_of([] { Classifier bad(embed_folder() / "int8.onnx", {.max_batch = 0}); }),
            ErrorCode::kUsage);
}

}  // namespace
}  // namespace octavo
