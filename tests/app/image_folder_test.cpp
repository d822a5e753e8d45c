// A user's own model and own pictures, with the real program.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "data/image_files.h"
#include "octavo/core/temporary_folder.h"
#include "octavo/graph/builder.h"
#include "octavo/graph/preprocessing.h"
#include "octavo/onnx/onnx.h"
#include "process.h"

namespace octavo::test {
namespace {

using Json = nlohmann::json;
using octavo::testing::grey_png;
using octavo::testing::jpeg_bytes;
using octavo::testing::put_image;

/// Says which of two classes: input of 20 x 24 pixels, and no word on where it came from.
std::filesystem::path foreign_model(const TemporaryFolder& folder) {
  GraphBuilder b("foreign", 3, 20, 24, 5);
  ValueId x =
      b.batch_norm("bn", b.conv("conv", b.input(), 8, {.kernel = {3, 3}, .pads = {1, 1, 1, 1}}, false));
  x = b.flatten("flatten", b.global_average_pool("gap", b.relu("relu", x)));
  const auto file = folder / "model.onnx";
  save_onnx(b.finish(b.gemm("fc", x, 2)), file);
  return file;
}

/// Dark and light pictures of many sizes, PNG and JPEG.
std::filesystem::path pictures(const TemporaryFolder& folder) {
  const auto root = folder / "pictures";
  for (int i = 0; i < 8; ++i) {
    const auto size = static_cast<unsigned>(20 + 7 * i);
    const auto level = static_cast<std::uint8_t>(4 * i);
    const std::string name = std::to_string(i);
    for (const char* split : {"train", "val"}) {
      put_image(root / split / "dark ones" / (name + ".png"), grey_png(level, size, 90 - size));
      put_image(root / split / "light" / (name + ".jpeg"),
                jpeg_bytes(JCS_RGB, size, size, {220, static_cast<std::uint8_t>(220 + level), 200}));
    }
  }
  return root;
}

TEST(ImageFolderCommands, ForeignModelIsQuantizedAndEvaluated) {
  const TemporaryFolder folder;
  const std::string model = foreign_model(folder).string();
  const std::string data = pictures(folder).string();
  const std::string quantized = (folder / "q.onnx").string();
  const Finished ptq = octavo({"ptq", model, "--data", data, "--out", quantized, "--resize", "30", "--mean",
                               "0.5,0.4,0.3", "--std", "0.2,0.2,0.2"});
  ASSERT_EQ(ptq.exit_code, 0) << ptq.err;
  const Graph graph = load_onnx(quantized);
  EXPECT_TRUE(graph.quantized());
  EXPECT_EQ(get_normalization(graph), (Normalization{{0.5F, 0.4F, 0.3F}, {0.2F, 0.2F, 0.2F}}));
  EXPECT_EQ(get_class_names(graph), (std::vector<std::string>{"dark ones", "light"}));

  const Finished eval =
      octavo({"eval", quantized, model, "--data", data, "--dataset", "image-folder", "--json"});
  ASSERT_EQ(eval.exit_code, 0) << eval.err;
  const Json answer = Json::parse(eval.out);
  EXPECT_EQ(answer["classes"], Json({"dark ones", "light"}));
  EXPECT_EQ(answer["models"][0]["images"], 16);
  EXPECT_EQ(answer["models"][0]["precision"], "int8");
}

/// By what it holds, whatever the model was trained on.
TEST(ImageFolderCommands, FolderIsTakenForWhatItIsByAModelOfOtherData) {
  const TemporaryFolder folder;
  const std::string model = foreign_model(folder).string();
  Graph graph = load_onnx(model);
  graph.metadata["octavo.dataset"] = "cifar10";
  save_onnx(graph, model);
  const std::string data = pictures(folder).string();
  const std::string quantized = (folder / "q.onnx").string();
  const Finished ptq = octavo({"ptq", model, "--data", data, "--out", quantized});
  EXPECT_EQ(ptq.exit_code, 0) << ptq.err;
  const Finished eval = octavo({"eval", model, "--data", data, "--json"});
  ASSERT_EQ(eval.exit_code, 0) << eval.err;
  EXPECT_EQ(Json::parse(eval.out)["dataset"], "image-folder");
  std::ofstream(folder / "given.toml") << "[data]\ndataset = \"cifar10\"\n";
  const Finished given =
      octavo({"eval", model, "--data", data, "--config", (folder / "given.toml").string()});
  EXPECT_EQ(given.exit_code, 5) << given.err;
}

TEST(ImageFolderCommands, FolderWithoutSplitsCalibratesAndEvaluates) {
  const TemporaryFolder folder;
  const std::string model = foreign_model(folder).string();
  const std::string data = (pictures(folder) / "train").string();
  const std::string quantized = (folder / "q.onnx").string();
  const Finished ptq = octavo({"ptq", model, "--data", data, "--out", quantized});
  ASSERT_EQ(ptq.exit_code, 0) << ptq.err;
  EXPECT_NE(ptq.err.find("all 16 images"), std::string::npos) << ptq.err;
  EXPECT_EQ(octavo({"eval", quantized, "--data", data}).exit_code, 0);
  const Finished qat = octavo({"qat", model, "--data", data, "--out", (folder / "qat.onnx").string()});
  EXPECT_EQ(qat.exit_code, 3);
  EXPECT_NE(qat.err.find("train/ and val/"), std::string::npos) << qat.err;
}

TEST(ImageFolderCommands, ForeignModelIsFineTunedInIntegers) {
  const TemporaryFolder folder;
  const std::string model = foreign_model(folder).string();
  const std::string data = pictures(folder).string();
  const std::string tuned = (folder / "qat.onnx").string();
  const Finished qat = octavo({"qat", model, "--data", data, "--out", tuned, "--qat-epochs", "2",
                               "--batch-size", "8", "--threads", "1"});
  ASSERT_EQ(qat.exit_code, 0) << qat.err;
  EXPECT_TRUE(load_onnx(tuned).quantized());
}

TEST(ImageFolderCommands, TrainingTakesTheSizeAsked) {
  const TemporaryFolder folder;
  const std::string data = pictures(folder).string();
  const std::vector<std::string> train{
      "train",  "--model",   "resnet20", "--dataset", "image-folder",
      "--data", data,        "--epochs", "1",         "--batch-size",
      "8",      "--threads", "1",        "--out",     (folder / "run").string()};
  const Finished sizeless = octavo(train);
  EXPECT_EQ(sizeless.exit_code, 2);
  EXPECT_NE(sizeless.err.find("--image-size"), std::string::npos) << sizeless.err;
  std::vector<std::string> sized = train;
  sized.insert(sized.end(), {"--image-size", "16"});
  const Finished trained = octavo(sized);
  ASSERT_EQ(trained.exit_code, 0) << trained.err;
  const Graph graph = load_onnx(folder / "run" / "base.onnx");
  EXPECT_EQ(graph.value(graph.input).shape, (Shape{kDynamic, 3, 16, 16}));
  EXPECT_EQ(graph.value(graph.output).shape, (Shape{kDynamic, 2}));
}

TEST(ImageFolderCommands, RunTakesAFolderForWhatItIs) {
  const TemporaryFolder folder;
  const std::filesystem::path out = folder / "run";
  const Finished run = octavo({"run",
                               "--model",
                               "resnet20",
                               "--data",
                               pictures(folder).string(),
                               "--image-size",
                               "16",
                               "--epochs",
                               "1",
                               "--qat-epochs",
                               "1",
                               "--batch-size",
                               "8",
                               "--runs",
                               "2",
                               "--batches",
                               "1",
                               "--threads",
                               "1",
                               "--out",
                               out.string()});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_TRUE(load_onnx(out / "qat.onnx").quantized());
}

/// Data sets of a fixed size, for a model of another one.
TEST(ImageFolderCommands, FashionMnistIsResizedToTheModelsInputAndItIsSaid) {
  if (!std::filesystem::exists("/usr/share/datasets/fashion-mnist"))
    GTEST_SKIP() << "The package dataset-fashion-mnist is not installed.";
  const TemporaryFolder folder;
  GraphBuilder b("grey", 1, 40, 36, 5);
  ValueId x = b.relu("relu", b.conv("conv", b.input(), 8, {.kernel = {3, 3}, .strides = {2, 2}}, true));
  x = b.flatten("flatten", b.global_average_pool("gap", x));
  const std::string model = (folder / "model.onnx").string();
  save_onnx(b.finish(b.gemm("fc", x, 10)), model);
  const std::string quantized = (folder / "q.onnx").string();
  const Finished ptq =
      octavo({"ptq", model, "--dataset", "fashion-mnist", "--calibration-samples", "20", "--out", quantized});
  ASSERT_EQ(ptq.exit_code, 0) << ptq.err;
  EXPECT_NE(ptq.err.find("fashion-mnist: images of 28 x 28 pixels are resized to 40 x 36"), std::string::npos)
      << ptq.err;
  EXPECT_NE(ptq.err.find("calibrated on 20 images"), std::string::npos) << ptq.err;
  const Finished eval = octavo({"eval", quantized, "--test-limit", "30", "--json"});
  ASSERT_EQ(eval.exit_code, 0) << eval.err;
  EXPECT_EQ(Json::parse(eval.out)["models"][0]["images"], 30);
  const Finished wrong = octavo({"eval", quantized, "--test-limit", "30", "--image-size", "28"});
  EXPECT_EQ(wrong.exit_code, 2);
  EXPECT_NE(wrong.err.find("the model takes 40 x 36 pixels"), std::string::npos) << wrong.err;
  const Finished trained =
      octavo({"train", "--model", "simple-cnn", "--dataset", "fashion-mnist", "--train-limit", "32",
              "--test-limit", "16", "--epochs", "1", "--batch-size", "16", "--image-size", "32", "--threads",
              "1", "--out", (folder / "run").string()});
  ASSERT_EQ(trained.exit_code, 0) << trained.err;
  const Graph graph = load_onnx(folder / "run" / "base.onnx");
  EXPECT_EQ(graph.value(graph.input).shape, (Shape{kDynamic, 1, 32, 32}));
}

TEST(ImageFolderCommands, SettingsThatDoNotFitTheModelAreRefused) {
  const TemporaryFolder folder;
  const std::string model = foreign_model(folder).string();
  const std::string data = pictures(folder).string();
  const auto refused = [&](const std::vector<std::string>& more, const std::string& part) {
    std::vector<std::string> arguments{"ptq", model, "--data", data, "--out", (folder / "q.onnx").string()};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Finished ptq = octavo(arguments);
    EXPECT_EQ(ptq.exit_code, 2) << ptq.err;
    EXPECT_NE(ptq.err.find(part), std::string::npos) << ptq.err;
  };
  refused({"--image-size", "32"}, "the model takes 20 x 24 pixels");
  refused({"--resize", "10"}, "larger --resize");
  refused({"--mean", "0.5", "--std", "0.5"}, "3 numbers each");
}

}  // namespace
}  // namespace octavo::test
