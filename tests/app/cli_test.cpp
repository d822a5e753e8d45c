// Arguments, exit codes and answers of the real program on real files, without training.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include "model_file.h"
#include "octavo/core/temporary_folder.h"
#include "octavo/graph/zoo.h"
#include "octavo/onnx/onnx.h"
#include "octavo/quantize/layer_choices.h"
#include "process.h"

namespace octavo::test {
namespace {

using Json = nlohmann::json;

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(Help, TeachesEveryCommand) {
  for (const char* command :
       {"run", "train", "ptq", "qat", "eval", "bench", "inspect", "verify", "serve", "data", "doctor"}) {
    const Finished help = octavo({command, "--help"});
    EXPECT_EQ(help.exit_code, 0) << command;
    EXPECT_TRUE(contains(help.out, "Examples:")) << command;
    const bool has_settings = command != std::string("doctor");
    EXPECT_EQ(contains(help.out, "(default "), has_settings) << command;
  }
  const Finished all = octavo({"--help"});
  EXPECT_EQ(all.exit_code, 0);
  EXPECT_TRUE(contains(all.out, "Exit codes"));
}

TEST(Version, NamesLibrariesAndInstructionSet) {
  const Finished version = octavo({"--version"});
  EXPECT_EQ(version.exit_code, 0);
  for (const char* part : {"octavo 0.1.0", "oneDNN ", "LibTorch ", "instruction set "}) {
    EXPECT_TRUE(contains(version.out, part)) << part << " in " << version.out;
  }
}

/// The program without octavo-train beside it, under the shell.
class Alone : public ::testing::Test {
 protected:
  void SetUp() override { std::filesystem::copy_file(OCTAVO_BINARY, folder_ / "octavo"); }

  Finished shell(const std::string& before, const std::string& arguments) {
    const std::string file = (folder_ / "answer").string();
    const std::string command = before + " " + (folder_ / "octavo").string() + " " + arguments + " > " +
                                file + " 2> " + file + ".err";
    const int status = std::system(command.c_str());
    return {WEXITSTATUS(status), file_text(file), file_text(file + ".err")};
  }

  TemporaryFolder folder_;
};

// Loading LibTorch takes most of a second.
TEST_F(Alone, LoadsNoLibTorch) {
  const Finished loaded = shell("LD_TRACE_LOADED_OBJECTS=1", "");
  EXPECT_TRUE(contains(loaded.out, "libdnnl")) << loaded.out;
  EXPECT_FALSE(contains(loaded.out, "libtorch")) << loaded.out;
}

TEST_F(Alone, HelpsButCannotTrain) {
  EXPECT_EQ(shell("", "run --help").exit_code, 0);
  for (const char* arguments : {"run", "train", "qat x.onnx", "verify x.onnx"}) {
    const Finished finished = shell("", arguments);
    EXPECT_EQ(finished.exit_code, 5) << arguments;
    EXPECT_TRUE(contains(finished.err, (folder_ / "octavo-train").string() + ": cannot be started; expected"))
        << finished.err;
  }
}

TEST(Usage, WrongArgumentsExitWith2) {
  EXPECT_EQ(octavo({}).exit_code, 2);
  EXPECT_EQ(octavo({"rum"}).exit_code, 2);
  EXPECT_EQ(octavo({"eval"}).exit_code, 2);
  EXPECT_EQ(octavo({"ptq", "a.onnx", "b.onnx"}).exit_code, 2);
  EXPECT_EQ(octavo({"run", "--epochs"}).exit_code, 2);
  EXPECT_EQ(octavo({"run", "--dataset", "imagenet"}).exit_code, 2);
  EXPECT_EQ(octavo({"run", "--model", "vgg"}).exit_code, 2);
  EXPECT_EQ(octavo({"run", "--flip=maybe"}).exit_code, 2);
}

TEST(Usage, NoArgumentsShowHelpAndStillFail) {
  const Finished finished = octavo({});
  EXPECT_EQ(finished.exit_code, 2);
  EXPECT_EQ(finished.out, "");
  EXPECT_EQ(finished.err, octavo({"--help"}).out);
}

// A far-fetched suggestion sends people astray.
TEST(Usage, NothingIsSuggestedThatIsAnotherWord) {
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"-v"}, {"run", "--optimizer", "adam"}, {"install"}}) {
    const Finished finished = octavo(arguments);
    EXPECT_EQ(finished.exit_code, 2);
    EXPECT_FALSE(contains(finished.err, "did you mean")) << finished.err;
  }
}

TEST(Usage, UnknownFlagNamesNearestFlag) {
  const Finished finished = octavo({"run", "--bach-size", "3"});
  EXPECT_EQ(finished.exit_code, 2);
  EXPECT_TRUE(contains(finished.err, "'--bach-size'")) << finished.err;
  EXPECT_TRUE(contains(finished.err, "did you mean --batch-size?")) << finished.err;
}

TEST(Usage, UnknownCommandNamesNearestCommand) {
  const Finished finished = octavo({"bnech"});
  EXPECT_EQ(finished.exit_code, 2);
  EXPECT_TRUE(contains(finished.err, "got 'bnech' (did you mean bench?)")) << finished.err;
}

TEST(Usage, NegativeBatchSizeSaysWhatIsExpected) {
  const Finished finished = octavo({"run", "--batch-size", "-4"});
  EXPECT_EQ(finished.exit_code, 2);
  EXPECT_EQ(finished.err,
            "error: --batch-size: out of range; expected an integer from 1 to 1000000, got -4 (the default "
            "is 128)\n");
}

TEST(Usage, NotANumberSaysWhatIsExpected) {
  const Finished finished = octavo({"run", "--lr", "fast"});
  EXPECT_EQ(finished.exit_code, 2);
  EXPECT_EQ(finished.err,
            "error: --lr: not understood; expected a number above 0, at most 100, got 'fast' (the default is "
            "0.15)\n");
}

TEST(Config, UnknownKeyExitsWith2AndItsPlace) {
  const TemporaryFolder folder;
  std::ofstream(folder / "c.toml") << "[train]\nepoch = 3\n";
  const Finished finished = octavo({"run", "--config", (folder / "c.toml").string()});
  EXPECT_EQ(finished.exit_code, 2);
  EXPECT_TRUE(contains(finished.err, "c.toml:2:1: unknown key 'train.epoch'")) << finished.err;
  EXPECT_TRUE(contains(finished.err, "did you mean 'train.epochs'?")) << finished.err;
}

TEST(Config, KeyAboveAllSectionsNamesItsSections) {
  const TemporaryFolder folder;
  std::ofstream(folder / "c.toml") << "epochs = 3\n";
  const Finished finished = octavo({"run", "--config", (folder / "c.toml").string()});
  EXPECT_EQ(finished.exit_code, 2);
  EXPECT_TRUE(contains(finished.err, "(it is a key of [train] and [qat])")) << finished.err;
}

TEST(Config, MisspeltSectionNamesTheNearest) {
  const TemporaryFolder folder;
  std::ofstream(folder / "c.toml") << "[trian]\nepochs = 3\n";
  const Finished finished = octavo({"run", "--config", (folder / "c.toml").string()});
  EXPECT_TRUE(contains(finished.err, "(did you mean [train]?)")) << finished.err;
}

TEST(Config, MissingFileExitsWith5) {
  EXPECT_EQ(octavo({"run", "--config", "/nowhere/c.toml"}).exit_code, 5);
}

TEST(Config, FlagsWinOverTheFile) {
  const TemporaryFolder folder;
  std::ofstream(folder / "c.toml") << "[train]\nepochs = 3\n[data]\ndataset = \"mnist\"\n";
  const Finished finished = octavo({"data", "--config", (folder / "c.toml").string(), "--dataset",
                                    "fashion-mnist", "--train-limit", "10", "--test-limit", "10", "--json"});
  ASSERT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_EQ(Json::parse(finished.out)["dataset"], "fashion-mnist");
}

TEST(Data, DescribesFashionMnist) {
  const Finished finished = octavo({"data", "--dataset", "fashion-mnist", "--json"});
  ASSERT_EQ(finished.exit_code, 0) << finished.err;
  const Json answer = Json::parse(finished.out);
  EXPECT_EQ(answer["train"]["images"], 60000);
  EXPECT_EQ(answer["test"]["images"], 10000);
  EXPECT_EQ(answer["test"]["class_images"], Json(std::vector<int>(10, 1000)));
  EXPECT_EQ(answer["image"], (std::vector<int>{1, 28, 28}));
}

TEST(Data, MissingFolderFailsAndNamesIt) {
  const Finished finished = octavo({"data", "--data", "/nowhere/cifar"});
  EXPECT_EQ(finished.exit_code, 5);
  EXPECT_TRUE(contains(finished.err, "/nowhere/cifar")) << finished.err;
}

TEST(Data, MoreImagesThanThereAreExitsWith2) {
  EXPECT_EQ(octavo({"data", "--dataset", "fashion-mnist", "--train-limit", "60001"}).exit_code, 2);
}

TEST(Output, FullStandardOutputExitsWith5) {
  const Finished finished = octavo({"data", "--dataset", "fashion-mnist", "--train-limit", "10"},
                                   {.interrupt_when = {}, .max_file_bytes = 0, .stdout_file = "/dev/full"});
  EXPECT_EQ(finished.exit_code, 5);
  EXPECT_TRUE(contains(finished.err, "standard output")) << finished.err;
}

TEST(Output, UnwritableFolderExitsWith5BeforeAnythingIsRead) {
  const TemporaryFolder folder;
  std::ofstream(folder / "file") << "in the way";
  const std::string out = (folder / "file").string() + "/run";
  const Finished finished = octavo({"run", "--out", out, "--data", "/nowhere"});
  EXPECT_EQ(finished.exit_code, 5);
  EXPECT_TRUE(contains(finished.err, out)) << finished.err;
}

TEST(ModelFile, BadFilesHaveTheirExitCodes) {
  const TemporaryFolder folder;
  const std::string whole = file_text(write_model(folder));
  std::ofstream(folder / "truncated.onnx", std::ios::binary) << whole.substr(0, whole.size() / 2);
  std::ofstream(folder / "empty.onnx");
  std::ofstream(folder / "text.onnx") << "this is no model\n";
  for (const char* command : {"eval", "bench", "ptq", "qat", "inspect", "verify"}) {
    for (const char* name : {"truncated.onnx", "empty.onnx", "text.onnx"}) {
      const Finished finished = octavo({command, (folder / name).string()});
      EXPECT_EQ(finished.exit_code, 3) << command << " " << name << ": " << finished.err;
      EXPECT_TRUE(contains(finished.err, name)) << finished.err;
    }
    EXPECT_EQ(octavo({command, (folder / "missing.onnx").string()}).exit_code, 5) << command;
  }
}

TEST(ModelFile, FolderIsNotWhatWasExpected) {
  const TemporaryFolder folder;
  const Finished finished = octavo({"eval", folder.path().string()});
  EXPECT_EQ(finished.exit_code, 5);
  EXPECT_TRUE(contains(finished.err, "expected a file, got a folder")) << finished.err;
}

TEST(Terminal, NoBarIsLeftInFrontOfResults) {
  const TemporaryFolder folder;
  const std::string model = write_model(folder).string();
  const std::string output = (folder / "int8.onnx").string();
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"ptq", model, "--calibration-samples", "20", "--out", output},
        {"eval", model, "--test-limit", "64"},
        {"bench", model, "--batches", "1", "--runs", "3"}}) {
    const OnTerminal finished = octavo_on_terminal(arguments, 80);
    ASSERT_EQ(finished.exit_code, 0) << finished.written;
    EXPECT_TRUE(contains(finished.written, "] ")) << "no bar was shown: " << finished.written;
    for (const std::string& line : finished.screen) {
      EXPECT_FALSE(contains(line, "[#") || contains(line, "[.") || contains(line, "#]")) << line;
    }
  }
}

TEST(Terminal, RemarksAreBrokenBetweenWords) {
  const TemporaryFolder folder;
  const std::string model = write_model(folder).string();
  const OnTerminal finished = octavo_on_terminal({"eval", model, "--test-limit", "10"}, 50);
  ASSERT_EQ(finished.exit_code, 0) << finished.written;
  for (const std::string& line : finished.screen) {
    const bool remark = !line.starts_with(model) && line.find(' ') != std::string::npos;
    EXPECT_TRUE(!remark || line.size() <= 50) << line;
  }
  EXPECT_TRUE(finished.screen.front().starts_with("fashion-mnist: read from")) << finished.screen.front();
}

TEST(Quiet, LeavesResultsAndErrorsAlone) {
  const TemporaryFolder folder;
  const std::string model = write_model(folder).string();
  const std::vector<std::string> arguments{"eval", model, "--test-limit", "10", "--quiet"};
  const Finished finished = octavo(arguments);
  EXPECT_EQ(finished.exit_code, 0);
  EXPECT_EQ(finished.err, "");
  EXPECT_TRUE(contains(finished.out, "accuracy")) << finished.out;
  EXPECT_FALSE(contains(octavo_on_terminal(arguments, 80).written, "["));
  EXPECT_TRUE(contains(octavo({"eval", "/nowhere.onnx", "--quiet"}).err, "error: "));
}

TEST(Eval, ClassWithoutImagesHasNoAccuracy) {
  const TemporaryFolder folder;
  const Finished finished = octavo({"eval", write_model(folder).string(), "--test-limit", "1"});
  ASSERT_EQ(finished.exit_code, 0) << finished.err;
  std::size_t without = 0;
  for (std::size_t at = finished.out.find("(no images)"); at != std::string::npos;
       at = finished.out.find("(no images)", at + 1))
    ++without;
  EXPECT_EQ(without, 9U) << finished.out;
}

TEST(Bench, OneThreadAndALongPathKeepTheirColumns) {
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder / std::string(60, 'd'));
  const auto model = folder / (std::string(60, 'd') + "/模型.onnx");
  std::filesystem::rename(write_model(folder), model);
  const Finished finished =
      octavo({"bench", model.string(), "--batches", "1", "--runs", "3", "--threads", "1"});
  ASSERT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_TRUE(contains(finished.out, "1 thread, ")) << finished.out;
  EXPECT_TRUE(contains(finished.out, "d/模型.onnx  fp32 ")) << finished.out;
}

TEST(Eval, WrongDataSetForTheModelExitsWith3) {
  const TemporaryFolder folder;
  Graph graph = make_model("simple-cnn", {.channels = 3, .height = 32, .width = 32, .classes = 10}, 1);
  save_onnx(graph, folder / "rgb.onnx");
  const Finished finished =
      octavo({"eval", (folder / "rgb.onnx").string(), "--dataset", "fashion-mnist", "--test-limit", "10"});
  EXPECT_EQ(finished.exit_code, 3) << finished.err;
}

TEST(Ptq, NarrowsSaturatingLayersWhereAskedAndSaysSo) {
  const TemporaryFolder folder;
  const auto model = write_model(folder);
  const auto output = folder / "avx2.onnx";
  const auto page = folder / "avx2.html";
  const Finished made = octavo({"ptq", model.string(), "--calibration-samples", "20", "--target-isa", "avx2",
                                "--out", output.string(), "--report", page.string()});
  ASSERT_EQ(made.exit_code, 0) << made.err;
  EXPECT_TRUE(contains(made.err, "for AVX2 without VNNI, on 20 images:")) << made.err;
  const Graph graph = load_onnx(output);
  EXPECT_EQ(graph.metadata.at("octavo.target_isa"), "avx2");
  const auto saturation = layer_choices(graph).saturation;
  ASSERT_TRUE(saturation);
  EXPECT_EQ(saturation->images, 20);
  EXPECT_EQ(saturation->proven + std::ssize(saturation->layers), 5);
  const std::string html = file_text(page);
  EXPECT_TRUE(contains(html, "<h2>On CPUs without VNNI</h2>"));
  for (const LayerSaturation& layer : saturation->layers)
    EXPECT_TRUE(contains(html, "<th scope=\"row\">" + layer.layer + "</th><td data-label=\"Weights\">"))
        << layer.layer;
  EXPECT_FALSE(contains(html, "Latency guard"));
  EXPECT_EQ(octavo({"ptq", model.string(), "--target-isa", "neon"}).exit_code, 2);
}

TEST(Ptq, WritesAnInt8FileThatEvalRuns) {
  const TemporaryFolder folder;
  const auto model = write_model(folder);
  const auto output = folder / "int8.onnx";
  const Finished made =
      octavo({"ptq", model.string(), "--calibration-samples", "20", "--out", output.string()});
  ASSERT_EQ(made.exit_code, 0) << made.err;
  EXPECT_EQ(made.out, output.string() + "\n");
  const Finished run = octavo({"eval", model.string(), output.string(), "--test-limit", "64", "--json"});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  const Json models = Json::parse(run.out)["models"];
  ASSERT_EQ(models.size(), 2U);
  EXPECT_EQ(models[0]["precision"], "fp32");
  EXPECT_EQ(models[1]["precision"], "int8");
  EXPECT_EQ(models[1]["images"], 64);
  EXPECT_LT(models[1]["size_bytes"].get<double>(), 0.26 * models[0]["size_bytes"].get<double>());
}

TEST(Ptq, ReportShowsEveryLayer) {
  const TemporaryFolder folder;
  const auto page = folder / "layers.html";
  const Finished made = octavo({"ptq", write_model(folder).string(), "--calibration-samples", "20", "--out",
                                (folder / "int8.onnx").string(), "--report", page.string()});
  ASSERT_EQ(made.exit_code, 0) << made.err;
  const std::string html = file_text(page);
  for (const char* part : {"int8.onnx", "conv1", "conv4", " dB", "Noisiest: "}) {
    EXPECT_TRUE(contains(html, part)) << part;
  }
}

// What it decides depends on the machine; that the page and the file say it does not.
TEST(Ptq, LatencyGuardSaysWhatItDidInFileAndReport) {
  const TemporaryFolder folder;
  const auto output = folder / "mixed.onnx";
  const auto page = folder / "mixed.html";
  const Finished made =
      octavo({"ptq", write_model(folder).string(), "--calibration-samples", "20", "--latency-guard",
              "--guard-batch", "3", "--threads", "1", "--out", output.string(), "--report", page.string()});
  ASSERT_EQ(made.exit_code, 0) << made.err;
  EXPECT_TRUE(contains(made.err, "layers in int8; batch 3: float32 ")) << made.err;
  const auto guard = layer_choices(load_onnx(output)).guard;
  ASSERT_TRUE(guard);
  EXPECT_EQ(guard->batch, 3);
  EXPECT_EQ(guard->threads, 1);
  EXPECT_GT(guard->float_ms, 0);
  const std::string html = file_text(page);
  EXPECT_TRUE(contains(html, "<h2>Latency guard</h2>"));
  EXPECT_TRUE(contains(html, "at batch 3 on 1 thread of "));
  for (const FloatLayer& layer : guard->layers)
    EXPECT_TRUE(contains(html, "<th scope=\"row\">" + layer.name + "</th><td data-label=\"float32\">"))
        << layer.name;
  EXPECT_FALSE(contains(html, "On CPUs without VNNI"));
  EXPECT_EQ(octavo({"ptq", "a.onnx", "--latency-guard", "--guard-batch", "0"}).exit_code, 2);
}

TEST(Ptq, FewerBitsAreSaidInTheFileAndByEval) {
  const TemporaryFolder folder;
  const std::string file = (folder / "few.onnx").string();
  const Finished made = octavo({"ptq", write_model(folder).string(), "--calibration-samples", "20", "--bits",
                                "w4a6", "--layer-bits", "conv2=w2a3", "--preset", "balanced", "--out", file});
  ASSERT_EQ(made.exit_code, 0) << made.err;
  const Graph graph = load_onnx(file);
  EXPECT_EQ(graph.metadata.at("octavo.bits"), "w4a6, first and last layer w8a8, conv2 w2a3");
  EXPECT_EQ(graph.metadata.at("octavo.methods"), "weight clipping, second-order rounding, bias correction");
  const Finished evaluated = octavo({"eval", file, "--test-limit", "20"});
  EXPECT_TRUE(contains(evaluated.out, "int8 (w4a6, first and last layer w8a8, conv2 w2a3)")) << evaluated.out;
}

TEST(Ptq, BitsThatDoNotGoExitWith2) {
  const TemporaryFolder folder;
  const std::string model = write_model(folder).string();
  const auto refused = [&](const std::vector<std::string>& flags, const std::string& part) {
    std::vector<std::string> arguments{"ptq", model, "--calibration-samples", "20"};
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    const Finished finished = octavo(arguments);
    EXPECT_EQ(finished.exit_code, 2) << finished.err;
    EXPECT_TRUE(contains(finished.err, part)) << finished.err;
  };
  refused({"--bits", "w1a8"}, "--bits: bad value; expected bits of weights and activations, 2 to 8 each");
  refused({"--first-last", "1"}, "--first-last: bad value; expected 0 or 2 to 8");
  refused({"--layer-bits", "conv22=w4a4"},
          "layer 'conv22': not in simple-cnn; expected a layer with weights (did you");
  refused({"--bits", "w4a8", "--target", "tensorrt"},
          "--target: the rules of tensorrt are known for eight bits");
}

TEST(Inspect, TellsWhatRunsInIntegers) {
  const TemporaryFolder folder;
  const auto model = write_model(folder);
  const auto int8 = (folder / "int8.onnx").string();
  ASSERT_EQ(octavo({"ptq", model.string(), "--calibration-samples", "20", "--out", int8}).exit_code, 0);
  const Finished finished = octavo({"inspect", model.string(), int8, "--json"});
  ASSERT_EQ(finished.exit_code, 0) << finished.err;
  const Json models = Json::parse(finished.out)["models"];
  ASSERT_EQ(models.size(), 2U);
  EXPECT_EQ(models[0]["layers"][0]["precision"], "fp32");
  EXPECT_EQ(models[1]["layers"][0]["precision"], "int8");
  EXPECT_EQ(models[1]["layers"][0]["operators"], "Conv + Relu");
  EXPECT_EQ(models[1]["layers"][0]["weight_bits"], 8);
  const Finished text = octavo({"inspect", int8});
  EXPECT_TRUE(contains(text.out, "11 of 11 layers run in int8")) << text.out;
}

TEST(Ptq, NeverWritesOverItsInputOrASilentlyChosenFile) {
  const TemporaryFolder folder;
  const auto model = write_model(folder);
  const std::string before = file_text(model);
  EXPECT_EQ(octavo({"ptq", model.string(), "--out", model.string()}).exit_code, 2);
  EXPECT_EQ(file_text(model), before);
  std::ofstream(folder / "ptq.onnx") << "mine";
  EXPECT_EQ(octavo({"ptq", model.string()}).exit_code, 2);
  EXPECT_EQ(file_text(folder / "ptq.onnx"), "mine");
}

TEST(Ptq, MoreSamplesThanImagesExitsWith2) {
  const TemporaryFolder folder;
  const auto model = write_model(folder);
  const Finished finished =
      octavo({"ptq", model.string(), "--train-limit", "10", "--calibration-samples", "11"});
  EXPECT_EQ(finished.exit_code, 2) << finished.err;
  EXPECT_FALSE(std::filesystem::exists(folder / "ptq.onnx"));
}

TEST(Ptq, FullDiskExitsWith5AndLeavesNoFile) {
  const TemporaryFolder folder;
  const auto model = write_model(folder);
  const auto output = folder / "int8.onnx";
  const Finished finished =
      octavo({"ptq", model.string(), "--calibration-samples", "10", "--out", output.string()},
             {.interrupt_when = {}, .max_file_bytes = 100000, .stdout_file = {}});
  EXPECT_EQ(finished.exit_code, 5) << finished.err;
  EXPECT_TRUE(contains(finished.err, output.string())) << finished.err;
  int files = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder.path())) ++files;
  EXPECT_EQ(files, 1) << "only the model should be there";
}

// The superseded script gave one process' statistics at one batch size. Here each figure says what it was
// taken from.
TEST(SupersededMistakeOfTime, BenchStatesWarmupRunsThreadsAndSpreadAtEachBatch) {
  const TemporaryFolder folder;
  const auto model = write_model(folder);
  const Finished finished = octavo({"bench", model.string(), "--batches", "1,3", "--warmup", "2", "--runs",
                                    "7", "--threads", "1", "--json"});
  ASSERT_EQ(finished.exit_code, 0) << finished.err;
  const Json answer = Json::parse(finished.out);
  EXPECT_FALSE(answer["environment"]["cpu"].get<std::string>().empty());
  const Json measured = answer["models"][0]["latency"];
  ASSERT_EQ(measured.size(), 2U);
  EXPECT_EQ(measured[0]["batch"], 1);
  EXPECT_EQ(measured[1]["batch"], 3);
  EXPECT_GT(answer["models"][0]["load_ms"].get<double>(), 0);
  EXPECT_GT(answer["peak_memory_bytes"].get<double>(), 1e6);
  EXPECT_FALSE(answer.contains("peak"));
  for (const Json& latency : measured) {
    EXPECT_GT(latency["compile_ms"].get<double>(), 0);
    EXPECT_GT(latency["weights_bytes"], 0);
    EXPECT_GT(latency["context_bytes"], 0);
    EXPECT_FALSE(latency.contains("layers"));
    EXPECT_EQ(latency["warmup"], 2);
    EXPECT_EQ(latency["runs"], 7);
    EXPECT_EQ(latency["threads"], 1);
    EXPECT_GT(latency["median_ms"].get<double>(), 0);
    EXPECT_GE(latency["p90_ms"].get<double>(), latency["median_ms"].get<double>());
    EXPECT_GE(latency["std_ms"].get<double>(), 0);
    EXPECT_NEAR(latency["images_per_second"].get<double>(),
                1000 * latency["batch"].get<double>() / latency["median_ms"].get<double>(),
                1e-6 * latency["images_per_second"].get<double>());
  }
}

TEST(Cli, BenchShowsWhatEachLayerCosts) {
  const TemporaryFolder folder;
  const auto model = write_model(folder);
  const std::vector<std::string> arguments{"bench", model.string(), "--layers", "--batches", "2", "--warmup",
                                           "1",     "--runs",       "3",        "--threads", "1"};
  std::vector<std::string> in_json = arguments;
  in_json.push_back("--json");
  const Finished finished = octavo(in_json);
  ASSERT_EQ(finished.exit_code, 0) << finished.err;
  const Json answer = Json::parse(finished.out);
  EXPECT_GT(answer["peak"]["float32"]["gops"].get<double>(), 0);
  EXPECT_GE(answer["peak"]["int8_loops"].size(), 1U);
  const Json layers = answer["models"][0]["latency"][0]["layers"];
  double share = 0;
  int convolutions = 0;
  for (const Json& layer : layers) {
    share += layer["share"].get<double>();
    EXPECT_EQ(layer["shape"][0], 2);
    if (!layer["kernel"].get<std::string>().starts_with("conv")) continue;
    ++convolutions;
    EXPECT_GT(layer["operations"], 0);
    EXPECT_GT(layer["share_of_peak"].get<double>(), 0);
  }
  EXPECT_GE(convolutions, 1);
  EXPECT_NEAR(share, 1, 1e-9);

  const Finished text = octavo(arguments);
  ASSERT_EQ(text.exit_code, 0) << text.err;
  EXPECT_TRUE(contains(text.out, "of peak")) << text.out;
  EXPECT_TRUE(contains(text.out, "compiled in")) << text.out;
}

}  // namespace
}  // namespace octavo::test
