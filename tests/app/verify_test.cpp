// octavo verify, on real files and with ONNX Runtime where it is here.
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>

#include "model_file.h"
#include "octavo/graph/builder.h"
#include "process.h"

namespace octavo::test {
namespace {

using Json = nlohmann::json;

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(Verify, ProgramsGiveTheSameAnswers) {
  const TemporaryFolder folder;
  const auto int8 = (folder / "int8.onnx").string();
  ASSERT_EQ(
      octavo({"ptq", write_model(folder).string(), "--calibration-samples", "20", "--out", int8}).exit_code,
      0);
  const std::filesystem::path modules =
      std::filesystem::path(OCTAVO_SOURCE_DIR) / "tests/tools/ort/node_modules";
  const Finished finished =
      octavo({"verify", int8, "--images", "2", "--json", "--onnxruntime", modules.string()});
  ASSERT_EQ(finished.exit_code, 0) << finished.err;
  const Json answer = Json::parse(finished.out);
  EXPECT_EQ(answer["within_bound"], true);
  const Json& programs = answer["programs"];
  ASSERT_GE(programs.size(), 2U);
  EXPECT_EQ(programs[0]["program"], "runtime");
  EXPECT_EQ(programs[0]["max_lsb"], 0.0);
  EXPECT_EQ(programs[0]["same_top1"], 1.0);
  EXPECT_EQ(programs[1]["program"], "training simulation");
  EXPECT_GE(programs[1]["layers"].size(), 10U);
  if (std::filesystem::exists(modules)) {
    ASSERT_EQ(programs.size(), 3U);
    EXPECT_EQ(programs[2]["program"], "ONNX Runtime");
    EXPECT_GE(programs[2]["layers"].size(), 10U);
  }
}

TEST(Verify, DifferenceAboveTheBoundExitsWith1) {
  const TemporaryFolder folder;
  const auto int8 = (folder / "int8.onnx").string();
  ASSERT_EQ(
      octavo({"ptq", write_model(folder).string(), "--calibration-samples", "20", "--out", int8}).exit_code,
      0);
  // Float arithmetic rounds a few of the simulation's values to the neighbouring integer.
  const Finished finished =
      octavo({"verify", int8, "--images", "16", "--max-lsb", "0", "--onnxruntime", "/nowhere"});
  EXPECT_EQ(finished.exit_code, 1) << finished.out;
  EXPECT_TRUE(contains(finished.out, "ABOVE THE BOUND")) << finished.out;
  EXPECT_TRUE(contains(finished.out, "ONNX Runtime was not asked")) << finished.out;
}

/// `octavo ptq MODEL --target TARGET`'s file.
std::string made_for(const std::string& target, const TemporaryFolder& folder) {
  const auto file = (folder / (target + ".onnx")).string();
  const Finished made = octavo({"ptq", write_model(folder).string(), "--calibration-samples", "20",
                                "--target", target, "--opset", "21", "--out", file});
  EXPECT_EQ(made.exit_code, 0) << made.err;
  return file;
}

std::string onnx_runtime_modules() { return OCTAVO_SOURCE_DIR "/tests/tools/ort/node_modules"; }

TEST(Verify, FileMadeForATargetKeepsItsRulesAndGivesTheSameAnswers) {
  for (const char* target : {"tensorrt", "litert"}) {
    const TemporaryFolder folder;
    const std::string file = made_for(target, folder);
    const Graph graph = load_onnx(file);
    EXPECT_EQ(graph.metadata.at("octavo.target"), target);
    const Finished finished = octavo({"verify", file, "--images", "2", "--json", "--target", target,
                                      "--onnxruntime", onnx_runtime_modules()});
    ASSERT_EQ(finished.exit_code, 0) << target << ": " << finished.out << finished.err;
    const Json answer = Json::parse(finished.out);
    EXPECT_EQ(answer["target"], target);
    EXPECT_TRUE(answer["violations"].empty());
    for (const Json& program : answer["programs"]) EXPECT_EQ(program["same_top1"], 1.0) << program["program"];
  }
}

TEST(Verify, FileThatBreaksRulesOfATargetExitsWith1AndNamesThem) {
  const TemporaryFolder folder;
  const Finished finished = octavo({"verify", made_for("any", folder), "--images", "1", "--target",
                                    "tensorrt", "--onnxruntime", "/nowhere"});
  EXPECT_EQ(finished.exit_code, 1) << finished.out;
  EXPECT_TRUE(contains(finished.out,
                       "_QuantizeLinear: TensorRT takes activations in INT8; this is UINT8; to "
                       "mend it: quantize with --target tensorrt"))
      << finished.out;
  EXPECT_TRUE(contains(finished.out, "the file breaks its documented rules in ")) << finished.out;
}

// Session option x64quantprecision refuses a weight that two layers share, so each gets its own.
TEST(Verify, SharedWeightsAreComparedWithOnnxRuntime) {
  const TemporaryFolder folder;
  GraphBuilder b("shared", 1, 28, 28, 5);
  const ConvAttributes window{.kernel = {3, 3}, .pads = {1, 1, 1, 1}};
  const ValueId first =
      b.conv("conv1", b.relu("relu0", b.conv("conv0", b.input(), 4, window, true)), 4, window, true);
  const ValueId second = b.conv("conv2", b.relu("relu1", first), 4, window, true);
  Graph graph =
      b.finish(b.gemm("fc", b.flatten("flatten", b.global_average_pool("gap", b.relu("relu2", second))), 10));
  const auto node = [&](const std::string& name) -> Node& {
    return *std::ranges::find(graph.nodes, name, &Node::name);
  };
  node("conv2").inputs[1] = node("conv1").inputs[1];
  save_onnx(graph, folder / "shared.onnx");
  const std::string int8 = (folder / "int8.onnx").string();
  const Finished made = octavo({"ptq", (folder / "shared.onnx").string(), "--dataset", "fashion-mnist",
                                "--calibration-samples", "20", "--out", int8});
  ASSERT_EQ(made.exit_code, 0) << made.err;
  // Nobody said how its input is made.
  EXPECT_TRUE(
      contains(made.err, "the model does not say how its input is made; assumed: pixels from 0 to 1, less"))
      << made.err;
  const Finished finished = octavo({"verify", int8, "--images", "2", "--json", "--dataset", "fashion-mnist",
                                    "--onnxruntime", onnx_runtime_modules()});
  ASSERT_EQ(finished.exit_code, 0) << finished.out << finished.err;
  if (std::filesystem::exists(onnx_runtime_modules())) {
    EXPECT_EQ(Json::parse(finished.out)["programs"].size(), 3U);
  }
}

// Second-order rounding chooses integers and scales that training would not find again from the largest
// weights.
TEST(Verify, ChosenIntegersAreSimulatedAsTheyAre) {
  const TemporaryFolder folder;
  const std::string file = (folder / "few.onnx").string();
  const Finished made = octavo({"ptq", write_model(folder).string(), "--calibration-samples", "64", "--bits",
                                "w6a8", "--first-last", "0", "--preset", "balanced", "--out", file});
  ASSERT_EQ(made.exit_code, 0) << made.err;
  const Finished finished =
      octavo({"verify", file, "--images", "2", "--max-lsb", "1", "--onnxruntime", onnx_runtime_modules()});
  EXPECT_EQ(finished.exit_code, 0) << finished.out << finished.err;
}

}  // namespace
}  // namespace octavo::test
