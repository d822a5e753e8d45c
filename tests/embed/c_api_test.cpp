// octavo.h, from the shared library.
#include <gtest/gtest.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "embed/files.h"
#include "octavo.h"

namespace octavo {
namespace {

using namespace testing;

struct Free {
  void operator()(octavo_model* model) const { octavo_model_free(model); }
  void operator()(octavo_context* context) const { octavo_context_free(context); }
};
using Model = std::unique_ptr<octavo_model, Free>;
using Context = std::unique_ptr<octavo_context, Free>;

Model load(const std::string& name, const octavo_options& options) {
  octavo_model* model = nullptr;
  EXPECT_EQ(octavo_model_load((embed_folder() / name).c_str(), &options, &model), OCTAVO_OK)
      << octavo_last_error();
  return Model(model);
}

Context context_of(const Model& model) {
  octavo_context* context = nullptr;
  EXPECT_EQ(octavo_context_create(model.get(), &context), OCTAVO_OK);
  return Context(context);
}

TEST(CApi, RunsPixelsAndFloats) {
  const std::vector<std::uint8_t> images = embed_images();
  octavo_options options{};
  options.max_batch = 5;
  const Model model = load("int8.onnx", options);
  const Context context = context_of(model);
  std::vector<float> logits(kImages * kClasses);
  ASSERT_EQ(octavo_run(context.get(), images.data(), 5, logits.data()), OCTAVO_OK);
  EXPECT_EQ(logits, embed_logits("int8"));

  // Floats that the caller normalized as the file says: mean 0.5, 0.4, 0.3; deviation 0.25, 0.2, 0.3.
  const float mean[] = {0.5F, 0.4F, 0.3F}, deviation[] = {0.25F, 0.2F, 0.3F};
  std::vector<float> floats(images.size());
  for (std::size_t i = 0; i < images.size(); ++i) {
    const std::size_t image = i / kImageBytes, at = i / 3 % 256, c = i % 3;
    floats[(image * 3 + c) * 256 + at] = (static_cast<float>(images[i]) / 255.0F - mean[c]) / deviation[c];
  }
  options.input = OCTAVO_FLOATS_NCHW;
  const Model of_floats = load("int8.onnx", options);
  std::vector<float> again(logits.size());
  ASSERT_EQ(octavo_run(context_of(of_floats).get(), floats.data(), 5, again.data()), OCTAVO_OK);
  EXPECT_EQ(again, logits);

  options.input = OCTAVO_PIXELS_NHWC;
  options.mean = mean;
  options.std = deviation;
  const Model given = load("int8.onnx", options);
  ASSERT_EQ(octavo_run(context_of(given).get(), images.data(), 5, again.data()), OCTAVO_OK);
  EXPECT_EQ(again, logits);
}

TEST(CApi, DescribesTheModel) {
  const Model model = load("int8.onnx", {});
  EXPECT_EQ(octavo_model_channels(model.get()), 3);
  EXPECT_EQ(octavo_model_height(model.get()), 16);
  EXPECT_EQ(octavo_model_width(model.get()), 16);
  EXPECT_EQ(octavo_model_classes(model.get()), 10);
  EXPECT_EQ(octavo_model_max_batch(model.get()), 1);
  EXPECT_STREQ(octavo_model_precision(model.get()), "int8");
  EXPECT_STREQ(octavo_model_class_name(model.get(), 9), "nine");
  EXPECT_EQ(octavo_model_class_name(model.get(), 10), nullptr);
  EXPECT_EQ(octavo_model_class_name(model.get(), -1), nullptr);
  EXPECT_STREQ(octavo_version(), "0.1.0");
}

TEST(CApi, ParsesAFileInMemory) {
  const std::vector<char> bytes = embed_file("float.onnx");
  octavo_model* model = nullptr;
  ASSERT_EQ(octavo_model_parse(bytes.data(), bytes.size(), nullptr, &model), OCTAVO_OK);
  const Model owned(model);
  EXPECT_STREQ(octavo_model_precision(model), "fp32");
  EXPECT_EQ(octavo_model_parse(bytes.data(), bytes.size() / 2, nullptr, &model), OCTAVO_BAD_INPUT);
  EXPECT_EQ(model, nullptr);
}

TEST(CApi, FailuresHaveAStatusAndAMessage) {
  octavo_model* model = nullptr;
  EXPECT_EQ(octavo_model_load("/nowhere/model.onnx", nullptr, &model), OCTAVO_IO);
  EXPECT_NE(std::string(octavo_last_error()).find("/nowhere/model.onnx"), std::string::npos);
  EXPECT_EQ(model, nullptr);
  EXPECT_EQ(octavo_model_load(nullptr, nullptr, &model), OCTAVO_USAGE);
  EXPECT_EQ(octavo_model_load("x", nullptr, nullptr), OCTAVO_USAGE);
  EXPECT_EQ(octavo_context_create(nullptr, nullptr), OCTAVO_USAGE);
  octavo_options options{};
  options.max_batch = -1;
  const std::string file = (embed_folder() / "int8.onnx").string();
  EXPECT_EQ(octavo_model_load(file.c_str(), &options, &model), OCTAVO_USAGE);
  const float mean[] = {0, 0, 0};
  options = {};
  options.mean = mean;
  EXPECT_EQ(octavo_model_load(file.c_str(), &options, &model), OCTAVO_USAGE);
  const Model good = load("int8.onnx", {});
  const Context context = context_of(good);
  std::vector<float> logits(kClasses);
  EXPECT_EQ(octavo_run(context.get(), embed_images().data(), 2, logits.data()), OCTAVO_USAGE);
  EXPECT_STREQ(octavo_last_error(), "batch: out of range; expected 1 to 1, got 2 (octavo_options.max_batch)");
  EXPECT_EQ(octavo_run(context.get(), embed_images().data(), 0, logits.data()), OCTAVO_USAGE);
  EXPECT_EQ(octavo_run(context.get(), nullptr, 1, logits.data()), OCTAVO_USAGE);
}

TEST(CApi, WhatTheSystemRefusesIsAnIoError) {
  char pattern[] = "/tmp/octavo-embed-XXXXXX";
  const std::filesystem::path folder = mkdtemp(pattern);
  const auto load_status = [](const std::filesystem::path& file) {
    octavo_model* model = nullptr;
    const octavo_status status = octavo_model_load(file.c_str(), nullptr, &model);
    EXPECT_EQ(model, nullptr);
    EXPECT_NE(std::string(octavo_last_error()).find(file.string()), std::string::npos) << octavo_last_error();
    return status;
  };
  std::filesystem::create_symlink("loop", folder / "loop");
  EXPECT_EQ(load_status(folder / "loop"), OCTAVO_IO);
  EXPECT_EQ(load_status(folder / "loop/model.onnx"), OCTAVO_IO);
  EXPECT_EQ(load_status(folder), OCTAVO_IO);
  EXPECT_EQ(load_status("/proc/self/mem/model.onnx"), OCTAVO_IO);
  EXPECT_EQ(load_status(std::string(300, 'x')), OCTAVO_IO);  // Longer than a name may be.
  std::filesystem::create_directory(folder / "closed");
  std::filesystem::copy(embed_folder() / "int8.onnx", folder / "closed/model.onnx");
  std::filesystem::permissions(folder / "closed", std::filesystem::perms::owner_read);
  if (geteuid() != 0) {
    EXPECT_EQ(load_status(folder / "closed/model.onnx"), OCTAVO_IO);
  }
  std::filesystem::permissions(folder / "closed", std::filesystem::perms::owner_all);
  std::filesystem::remove_all(folder);
}

TEST(CApi, OneModelServesSeveralThreads) {
  const std::vector<std::uint8_t> images = embed_images();
  octavo_options options{};
  options.max_batch = 5;
  options.threads = 2;
  const Model model = load("int8.onnx", options);
  struct Outcome {
    std::vector<float> logits = std::vector<float>(kImages * kClasses);
    octavo_status wrong = OCTAVO_OK;
    std::string message;
  };
  std::vector<Outcome> outcomes(4);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < outcomes.size(); ++t) {
    threads.emplace_back([&, t] {
      Outcome& mine = outcomes[t];
      for (int i = 0; i < 3; ++i) {
        const Context context = context_of(model);
        if (octavo_run(context.get(), images.data(), 5, mine.logits.data()) != OCTAVO_OK) return;
        // Half of them fail in one way and half in another: each keeps its own message.
        mine.wrong = octavo_run(context.get(), t % 2 == 0 ? nullptr : images.data(), 6, mine.logits.data());
        mine.message = octavo_last_error();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (std::size_t t = 0; t < outcomes.size(); ++t) {
    EXPECT_EQ(outcomes[t].logits, embed_logits("int8"));
    EXPECT_EQ(outcomes[t].wrong, OCTAVO_USAGE);
    EXPECT_EQ(outcomes[t].message.rfind(t % 2 == 0 ? "images" : "batch", 0), 0U) << outcomes[t].message;
  }
}

/// What classify_in_c prints of a model, its last words of failure included, with OCTAVO_ISA as it is given.
struct Printed {
  int exit_code = -1;
  std::string text;
};
Printed classified_in_c(const std::string& model, const std::string& isa) {
  const std::string folder = embed_folder().string();
  const std::string command = "OCTAVO_ISA='" + isa + "' " + CLASSIFY_IN_C + " " + folder + "/" + model + " " +
                              folder + "/images.bin 2>&1";
  Printed printed;
  FILE* pipe = popen(command.c_str(), "r");
  EXPECT_NE(pipe, nullptr);
  for (int c = fgetc(pipe); c != EOF; c = fgetc(pipe)) printed.text += static_cast<char>(c);
  printed.exit_code = WEXITSTATUS(pclose(pipe));
  return printed;
}

TEST(CApi, KeepsToTheInstructionSetOfTheEnvironment) {
  EXPECT_EQ(classified_in_c("int8.onnx", "generic").text, classified_in_c("int8.onnx", "").text);
  for (const char* model : {"int8.onnx", "float.onnx"}) {
    EXPECT_EQ(classified_in_c(model, "generic").exit_code, OCTAVO_OK);
    const Printed refused = classified_in_c(model, "avx9");
    EXPECT_EQ(refused.exit_code, OCTAVO_USAGE);
    EXPECT_EQ(refused.text.rfind("OCTAVO_ISA: no such instruction set", 0), 0U) << refused.text;
  }
}

TEST(CApi, ServesAProgramInC) {
  const auto [exit_code, printed] = classified_in_c("int8.onnx", "");
  EXPECT_EQ(exit_code, OCTAVO_OK);
  const char* names[] = {"zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"};
  const std::vector<float> logits = embed_logits("int8");
  std::string expected;
  for (std::size_t i = 0; i < kImages; ++i) {
    const auto row = logits.begin() + static_cast<std::ptrdiff_t>(i * kClasses);
    expected += std::string(names[std::max_element(row, row + kClasses) - row]) + "\n";
  }
  EXPECT_EQ(printed, expected);
  EXPECT_EQ(WEXITSTATUS(std::system((std::string(CLASSIFY_IN_C) + " /nowhere x 2>&1 >/dev/null").c_str())),
            OCTAVO_IO);
}

}  // namespace
}  // namespace octavo
