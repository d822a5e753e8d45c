// The main job, end to end and small, with the real program on real images.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include "octavo/core/cpu.h"
#include "octavo/core/temporary_folder.h"
#include "octavo/onnx/onnx.h"
#include "octavo/quantize/layer_choices.h"
#include "process.h"

namespace octavo::test {
namespace {

using Json = nlohmann::json;
using Arguments = std::vector<std::string>;

constexpr int kOk = 0;

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

Arguments tiny(const std::string& command, const std::filesystem::path& out, const Arguments& more = {}) {
  Arguments arguments{command,
                      "--dataset",
                      "fashion-mnist",
                      "--train-limit",
                      "512",
                      "--test-limit",
                      "256",
                      "--epochs",
                      "2",
                      "--batch-size",
                      "32",
                      "--eval-every",
                      "0",
                      "--threads",
                      "2",
                      "--out",
                      out.string()};
  if (command == "run") {
    arguments.insert(arguments.end(), {"--calibration-samples", "64", "--qat-epochs", "2", "--qat-eval-every",
                                       "0", "--batches", "1,16", "--warmup", "1", "--runs", "5"});
  }
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

Json read_json(const std::filesystem::path& path) { return Json::parse(file_text(path)); }

TEST(Run, MakesAComparisonThatEvalRepeats) {
  const TemporaryFolder folder;
  const auto out = folder / "run";
  const Finished run = octavo(tiny("run", out));
  ASSERT_EQ(run.exit_code, kOk) << run.err;
  EXPECT_TRUE(contains(run.out, (out / "report.html").string())) << run.out;
  for (const char* name : {"config.toml", "log.jsonl", "checkpoint.pt", "base.onnx", "ptq.onnx", "qat.onnx",
                           "results.json", "report.md", "report.html"}) {
    EXPECT_TRUE(std::filesystem::exists(out / name)) << name;
  }
  EXPECT_FALSE(std::filesystem::exists(out / "progress.json"));

  const Json results = read_json(out / "results.json");
  EXPECT_EQ(results["schema"], 1);
  EXPECT_EQ(results["dataset"]["name"], "fashion-mnist");
  ASSERT_EQ(results["variants"].size(), 3U);
  for (const Json& variant : results["variants"]) {
    const auto file = out / variant["file"].get<std::string>();
    const Finished eval = octavo({"eval", file.string(), "--test-limit", "256", "--json"});
    ASSERT_EQ(eval.exit_code, kOk) << eval.err;
    const Json again = Json::parse(eval.out)["models"][0];
    EXPECT_EQ(again["correct"], variant["correct"]) << file;
    EXPECT_EQ(again["images"], 256);
    EXPECT_EQ(again["precision"], variant["precision"]);
    EXPECT_EQ(again["size_bytes"], variant["size_bytes"]);
    EXPECT_EQ(variant["size_bytes"].get<std::uintmax_t>(), std::filesystem::file_size(file));
  }
  EXPECT_EQ(results["variants"][0]["precision"], "fp32");
  EXPECT_EQ(results["variants"][1]["precision"], "int8");
  EXPECT_EQ(results["variants"][2]["precision"], "int8");
  EXPECT_EQ(results["variants"][0]["agreement_with_base"], 1.0);
  for (const char* phase : {"train_s", "ptq_s", "qat_s", "eval_s", "total_s"}) {
    EXPECT_GT(results["timing"][phase].get<double>(), 0) << phase;
  }

  std::ifstream log(out / "log.jsonl");
  int epochs = 0;
  for (std::string line; std::getline(log, line);) epochs += Json::parse(line)["event"] == "epoch" ? 1 : 0;
  EXPECT_EQ(epochs, 4);

  const Graph qat = load_onnx(out / "qat.onnx");
  for (const char* key :
       {"octavo.version", "octavo.created_by", "octavo.settings", "octavo.seed", "octavo.data_hash",
        "octavo.dataset", "octavo.variant", "octavo.mean", "octavo.classes"}) {
    EXPECT_TRUE(qat.metadata.contains(key)) << key;
  }
  EXPECT_EQ(qat.metadata.at("octavo.data_hash"), results["phases"]["data"]["SHA-256 of the training images"]);
  EXPECT_TRUE(contains(qat.metadata.at("octavo.settings"), "qat.epochs=2"))
      << qat.metadata.at("octavo.settings");
}

// The superseded script gave one process' statistics at one batch size: mean and deviation, no more.
TEST(SupersededMistakeOfTime, RunStatesRunsThreadsWarmupAndSpreadAtEachBatch) {
  const TemporaryFolder folder;
  const auto out = folder / "run";
  const Finished run = octavo(tiny("run", out, {"--epochs", "1", "--qat-epochs", "1"}));
  ASSERT_EQ(run.exit_code, kOk) << run.err;
  const Json results = read_json(out / "results.json");
  for (const Json& variant : results["variants"]) {
    ASSERT_EQ(variant["latency"].size(), 2U);
    EXPECT_EQ(variant["latency"][0]["batch"], 1);
    EXPECT_EQ(variant["latency"][1]["batch"], 16);
    for (const Json& latency : variant["latency"]) {
      EXPECT_EQ(latency["runs"], 5);
      EXPECT_EQ(latency["threads"], 2);
      for (const char* figure : {"mean_ms", "median_ms", "p90_ms", "images_per_second"}) {
        EXPECT_GT(latency[figure].get<double>(), 0) << figure;
      }
      EXPECT_GE(latency["std_ms"].get<double>(), 0);
    }
  }
  EXPECT_EQ(results["settings"]["bench.warmup"], "1");
}

/// The largest weight of the file's layer.
int largest_weight(const Graph& graph, const std::string& layer) {
  int largest = 0;
  for (const Node& node : graph.nodes) {
    if (node.name != layer) continue;
    for (const std::int8_t w : graph.value(node.inputs.at(1)).constant->data<std::int8_t>())
      largest = std::max(largest, std::abs(static_cast<int>(w)));
  }
  return largest;
}

TEST(Run, TargetIsaNarrowsPtqAndQatAndTheReportSaysSo) {
  const TemporaryFolder folder;
  const auto out = folder / "run";
  const Finished run =
      octavo(tiny("run", out, {"--epochs", "1", "--qat-epochs", "1", "--target-isa", "avx2"}));
  ASSERT_EQ(run.exit_code, kOk) << run.err;
  const Json results = read_json(out / "results.json");
  EXPECT_FALSE(results["variants"][0].contains("saturation"));
  for (const int v : {1, 2}) {
    const Json& variant = results["variants"][v];
    EXPECT_FALSE(variant.contains("latency_guard"));
    const Json& saturation = variant["saturation"];
    EXPECT_EQ(saturation["images"], 64);
    EXPECT_EQ(saturation["proven"].get<std::size_t>() + saturation["not_proven"].size(), 5U);
    const Graph graph = load_onnx(out / variant["file"].get<std::string>());
    for (const Json& layer : saturation["not_proven"]) {
      EXPECT_GT(layer["largest"], 32767);
      EXPECT_EQ(layer["narrowed"], layer["events"] > 0);
      EXPECT_EQ(largest_weight(graph, layer["layer"]), layer["narrowed"] ? 63 : 127) << layer;
    }
    EXPECT_EQ(layer_choices(graph).saturation->layers.size(), saturation["not_proven"].size());
  }
  for (const char* report : {"report.html", "report.md"}) {
    const std::string text = file_text(out / report);
    EXPECT_TRUE(contains(text, "On CPUs without VNNI: PTQ")) << report;
    EXPECT_TRUE(contains(text, "On CPUs without VNNI: QAT")) << report;
    EXPECT_FALSE(contains(text, "Latency guard")) << report;
  }
}

// What the guard decides depends on the machine; that files, results and report say the same does not.
TEST(Run, LatencyGuardOfAConfigurationGuardsPtqAndQatAndTheReportSaysSo) {
  const TemporaryFolder folder;
  const auto out = folder / "run";
  std::ofstream(folder / "c.toml") << "[ptq]\nlatency_guard = true\nguard_batch = 2\ntarget_isa = \"avx2\"\n";
  const Finished run = octavo(
      tiny("run", out, {"--epochs", "1", "--qat-epochs", "1", "--config", (folder / "c.toml").string()}));
  ASSERT_EQ(run.exit_code, kOk) << run.err;
  const Json results = read_json(out / "results.json");
  for (const int v : {1, 2}) {
    const Json& variant = results["variants"][v];
    const Json& guard = variant["latency_guard"];
    EXPECT_EQ(guard["batch"], 2);
    EXPECT_EQ(guard["threads"], 2);
    for (const char* time : {"float_ms", "int8_ms", "guarded_ms"})
      EXPECT_GT(guard[time].get<double>(), 0) << time;
    EXPECT_EQ(guard["all_float"], variant["precision"] == "fp32");
    EXPECT_EQ(variant.contains("saturation"), variant["precision"] == "int8");
    const Graph graph = load_onnx(out / variant["file"].get<std::string>());
    const LayerChoices choices = layer_choices(graph);
    ASSERT_TRUE(choices.guard);
    ASSERT_EQ(choices.guard->layers.size(), guard["float_layers"].size());
    for (const Json& layer : guard["float_layers"]) {
      const auto node = std::ranges::find(graph.nodes, layer["layer"].get<std::string>(), &Node::name);
      ASSERT_NE(node, graph.nodes.end());
      EXPECT_FALSE(node->inputs.size() > 1 && graph.value(node->inputs[1]).quant) << layer;
    }
  }
  for (const char* report : {"report.html", "report.md"}) {
    const std::string text = file_text(out / report);
    EXPECT_TRUE(contains(text, "Latency guard: PTQ")) << report;
    EXPECT_TRUE(contains(text, "Latency guard: QAT")) << report;
    EXPECT_TRUE(contains(text, "The whole model takes ")) << report;
  }
  const Finished again = octavo({"run", "--config", (out / "config.toml").string()});
  EXPECT_EQ(again.exit_code, kOk) << again.err;
  EXPECT_TRUE(contains(again.err, "finished before")) << again.err;
}

TEST(Run, InterruptedAndResumedWritesTheSameModels) {
  const TemporaryFolder folder;
  const auto whole = folder / "whole";
  const auto pieces = folder / "pieces";
  ASSERT_EQ(octavo(tiny("run", whole)).exit_code, kOk);

  const auto interrupt_at = [&pieces](const char* file) {
    return RunOptions{.interrupt_when = [path = pieces / file] { return std::filesystem::exists(path); },
                      .max_file_bytes = 0,
                      .stdout_file = {}};
  };
  const Finished first = octavo(tiny("run", pieces), interrupt_at("checkpoint.pt"));
  ASSERT_EQ(first.exit_code, 130) << first.err;
  EXPECT_TRUE(contains(first.err, "to go on: octavo run --config " + (pieces / "config.toml").string()))
      << first.err;
  EXPECT_FALSE(std::filesystem::exists(pieces / "base.onnx"));

  const Finished second =
      octavo({"run", "--config", (pieces / "config.toml").string()}, interrupt_at("qat-checkpoint.pt"));
  ASSERT_EQ(second.exit_code, 130) << second.err;
  EXPECT_FALSE(std::filesystem::exists(pieces / "qat.onnx"));

  const Finished third = octavo({"run", "--config", (pieces / "config.toml").string()});
  ASSERT_EQ(third.exit_code, kOk) << third.err;
  for (const char* name : {"base.onnx", "ptq.onnx", "qat.onnx"}) {
    EXPECT_EQ(file_text(whole / name), file_text(pieces / name)) << name << " differs";
  }
  EXPECT_EQ(read_json(pieces / "results.json")["history"].size(), 4U);
}

TEST(Run, FinishedPhasesAreNotRedone) {
  const TemporaryFolder folder;
  const auto out = folder / "run";
  const Arguments one{"--epochs", "1", "--qat-epochs", "1"};
  ASSERT_EQ(octavo(tiny("train", out, {"--epochs", "1"})).exit_code, kOk);
  const auto trained = std::filesystem::last_write_time(out / "base.onnx");
  const Finished run = octavo(tiny("run", out, one));
  ASSERT_EQ(run.exit_code, kOk) << run.err;
  EXPECT_TRUE(contains(run.err, "train: done before")) << run.err;
  EXPECT_EQ(std::filesystem::last_write_time(out / "base.onnx"), trained);

  const auto measured = std::filesystem::last_write_time(out / "results.json");
  const Finished again = octavo(tiny("run", out, one));
  ASSERT_EQ(again.exit_code, kOk) << again.err;
  EXPECT_EQ(again.out, run.out) << "the table from results.json differs";
  EXPECT_EQ(std::filesystem::last_write_time(out / "results.json"), measured);

  Arguments longer = tiny("run", out, one);
  longer.insert(longer.end(), {"--runs", "6"});
  const Finished timed = octavo(longer);
  ASSERT_EQ(timed.exit_code, kOk) << timed.err;
  EXPECT_EQ(read_json(out / "results.json")["variants"][0]["latency"][0]["runs"], 6);
  EXPECT_EQ(std::filesystem::last_write_time(out / "base.onnx"), trained);
}

TEST(Run, FolderOfAnotherRunIsRefusedWithAllDifferencesAndKeptUntilTheNewOneCanStart) {
  const TemporaryFolder folder;
  const auto out = folder / "run";
  ASSERT_EQ(octavo(tiny("train", out, {"--epochs", "1"})).exit_code, kOk);
  const std::string before = file_text(out / "base.onnx");

  const Finished other = octavo(
      tiny("run", out, {"--epochs", "1", "--lr", "0.02", "--train-limit", "256", "--test-limit", "40"}));
  EXPECT_EQ(other.exit_code, 2);
  EXPECT_TRUE(contains(other.err,
                       "expected data.test_limit = 256, data.train_limit = 512, train.lr = 0.15, got "
                       "data.test_limit = 40, data.train_limit = 256, train.lr = 0.02"))
      << other.err;
  // Starting over takes nothing away before it knows that it can.
  const Finished nowhere = octavo(tiny("train", out, {"--data", "/nonexistent", "--no-resume"}));
  EXPECT_EQ(nowhere.exit_code, 5) << nowhere.err;
  EXPECT_EQ(file_text(out / "base.onnx"), before);

  const Finished over = octavo(tiny("train", out, {"--epochs", "1", "--lr", "0.02", "--no-resume"}));
  EXPECT_EQ(over.exit_code, kOk) << over.err;
  EXPECT_NE(file_text(out / "base.onnx"), before);
}

/// The files of a finished run, to be changed in a copy.
class FinishedRun : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    made_ = new TemporaryFolder;
    const Finished run = octavo(tiny("run", *made_ / "run", kOne));
    ASSERT_EQ(run.exit_code, kOk) << run.err;
  }
  static void TearDownTestSuite() {
    delete made_;
    made_ = nullptr;
  }
  void SetUp() override {
    std::filesystem::copy(*made_ / "run", out_, std::filesystem::copy_options::recursive);
  }
  Finished again(Arguments more) const {
    more.insert(more.begin(), kOne.begin(), kOne.end());
    return octavo(tiny("run", out_, more));
  }
  void replace_in(const std::string& name, const std::string& from, const std::string& to) const {
    std::string text = file_text(out_ / name);
    const std::size_t at = text.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    text.replace(at, from.size(), to);
    std::ofstream(out_ / name) << text;
  }

  static inline const Arguments kOne{"--epochs", "1", "--qat-epochs", "1"};
  static inline TemporaryFolder* made_ = nullptr;
  TemporaryFolder folder_;
  std::filesystem::path out_ = folder_ / "run";
};

TEST_F(FinishedRun, AnswersForNoOtherSettings) {
  const std::vector<std::pair<Arguments, std::string>> others{
      {{"--test-limit", "40"}, "data.test_limit = 40"},
      {{"--train-limit", "400"}, "data.train_limit = 400"},
      {{"--dataset", "mnist", "--data", "/nonexistent"}, "data.dataset = mnist"},
      {{"--image-size", "32"}, "data.image_size = 32"},
      {{"--mean", "0.5", "--std", "0.5"}, "data.mean = 0.5"},
      {{"--seed", "7"}, "run.seed = 7"},
      {{"--observer", "min-max"}, "ptq.observer = min-max"},
      {{"--qat-lr", "0.1"}, "qat.lr = 0.1"}};
  for (const auto& [arguments, difference] : others) {
    const Finished finished = again(arguments);
    EXPECT_EQ(finished.exit_code, 2) << difference << finished.err;
    EXPECT_TRUE(contains(finished.err, difference)) << finished.err;
    EXPECT_EQ(finished.out, "") << difference;
  }
  const Finished elsewhere = again({"--data", "/nonexistent"});
  EXPECT_EQ(elsewhere.exit_code, 5) << elsewhere.err;
  const Finished same = again({"--data", "/usr/share/datasets/fashion-mnist"});
  EXPECT_EQ(same.exit_code, kOk) << same.err;
  EXPECT_TRUE(contains(same.err, "finished before")) << same.err;
}

TEST_F(FinishedRun, ChangedImagesAndArithmeticAreAnotherRun) {
  replace_in("results.json", "\"SHA-256 of the test images\": \"", "\"SHA-256 of the test images\": \"0");
  const Finished images = again({"--data", "/usr/share/datasets/fashion-mnist"});
  EXPECT_EQ(images.exit_code, 2) << images.err;
  EXPECT_TRUE(contains(images.err, "expected SHA-256 of the test images = 0")) << images.err;
  replace_in("results.json", "\"arithmetic version\": \"", "\"arithmetic version\": \"9");
  const Finished arithmetic = again({});
  EXPECT_EQ(arithmetic.exit_code, 2) << arithmetic.err;
  EXPECT_TRUE(contains(arithmetic.err, "expected arithmetic version = 9")) << arithmetic.err;
}

TEST_F(FinishedRun, ReplacedOrCutModelIsNamed) {
  std::filesystem::resize_file(out_ / "base.onnx", 1000);
  const Finished cut = again({});
  EXPECT_EQ(cut.exit_code, 3) << cut.err;
  EXPECT_TRUE(contains(cut.err, (out_ / "base.onnx").string() + ": is not the file that the run wrote"))
      << cut.err;
  std::filesystem::copy_file(*made_ / "run" / "base.onnx", out_ / "base.onnx",
                             std::filesystem::copy_options::overwrite_existing);
  std::filesystem::copy_file(out_ / "base.onnx", out_ / "ptq.onnx",
                             std::filesystem::copy_options::overwrite_existing);
  const Finished replaced = again({});
  EXPECT_EQ(replaced.exit_code, 3) << replaced.err;
  EXPECT_TRUE(contains(replaced.err, "ptq.onnx: is not the file")) << replaced.err;
  // Removed, it is made again, and is the same.
  std::filesystem::remove(out_ / "ptq.onnx");
  const Finished made = again({});
  EXPECT_EQ(made.exit_code, kOk) << made.err;
  EXPECT_EQ(file_text(out_ / "ptq.onnx"), file_text(*made_ / "run" / "ptq.onnx"));
}

TEST_F(FinishedRun, DamagedResultsAreBadInputWithAHintThatKeepsTheModels) {
  replace_in("results.json", "\"total_s\": ", "\"total_s\": 1e999, \"x\": ");
  const Finished large = again({});
  EXPECT_EQ(large.exit_code, 3) << large.err;
  EXPECT_TRUE(contains(large.err, "choose another --out; --no-resume would delete them")) << large.err;
  std::filesystem::remove(out_ / "results.json");
  const Finished missing = again({});
  EXPECT_EQ(missing.exit_code, 2) << missing.err;
  EXPECT_TRUE(contains(missing.err, "--no-resume would delete them")) << missing.err;
}

TEST_F(FinishedRun, MovedFolderIsTheRunOfItsConfiguration) {
  const auto moved = folder_ / "moved";
  std::filesystem::rename(out_, moved);
  const Finished finished = octavo({"run", "--config", (moved / "config.toml").string()});
  EXPECT_EQ(finished.exit_code, kOk) << finished.err;
  EXPECT_TRUE(contains(finished.err, moved.string() + ": finished before")) << finished.err;
  EXPECT_FALSE(std::filesystem::exists(out_));
}

// Its models and accuracy are those of any instruction set, its times are not.
TEST_F(FinishedRun, IsTimedAgainOnAnotherInstructionSetOfThisCpu) {
  if (!cpu_has(Isa::kAvx2)) GTEST_SKIP() << "this CPU has one instruction set";
  RunOptions generic;
  generic.environment = {{"OCTAVO_ISA", "generic"}};
  const Arguments same = tiny("run", out_, kOne);
  const Finished timed = octavo(same, generic);
  ASSERT_EQ(timed.exit_code, kOk) << timed.err;
  EXPECT_TRUE(contains(timed.err, "qat: done before")) << timed.err;
  const Json results = read_json(out_ / "results.json");
  EXPECT_EQ(results["environment"]["isa"], "generic");
  EXPECT_EQ(results["variants"][2]["correct"],
            read_json(*made_ / "run" / "results.json")["variants"][2]["correct"]);
  const Finished shown = octavo(same, generic);
  EXPECT_TRUE(contains(shown.err, "finished before")) << shown.err;
  // What another CPU has measured is shown as it is.
  replace_in("results.json", "\"cpu\": \"", "\"cpu\": \"other ");
  const Finished elsewhere = octavo(same);
  ASSERT_EQ(elsewhere.exit_code, kOk) << elsewhere.err;
  EXPECT_TRUE(contains(elsewhere.err, "finished before")) << elsewhere.err;
  EXPECT_EQ(read_json(out_ / "results.json")["environment"]["isa"], "generic");
}

TEST_F(FinishedRun, ModelOfAKilledProcessIsRemoved) {
  std::ofstream(out_ / "qat.onnx.new") << "half a model";
  EXPECT_EQ(again({}).exit_code, kOk);
  EXPECT_FALSE(std::filesystem::exists(out_ / "qat.onnx.new"));
}

TEST_F(FinishedRun, StartedOverLeavesNothingOld) {
  const Finished over = octavo(tiny("train", out_, {"--epochs", "1", "--no-resume"}));
  ASSERT_EQ(over.exit_code, kOk) << over.err;
  for (const auto& entry : std::filesystem::directory_iterator(out_)) {
    const std::string name = entry.path().filename().string();
    EXPECT_TRUE(name == "config.toml" || name == "log.jsonl" || name == "progress.json" ||
                name == "base.onnx" || name == "checkpoint.pt")
        << name;
  }
}

TEST(Run, SecondProcessInTheFolderIsRefused) {
  const TemporaryFolder folder;
  const auto out = folder / "run";
  Finished second;
  const Finished first =
      octavo(tiny("train", out, {"--epochs", "1"}),
             {.interrupt_when =
                  [&] {
                    if (second.exit_code == -1 && std::filesystem::exists(out / "config.toml"))
                      second = octavo(tiny("train", out, {"--seed", "7"}));
                    return false;
                  },
              .max_file_bytes = 0,
              .stdout_file = {}});
  EXPECT_EQ(first.exit_code, kOk) << first.err;
  EXPECT_EQ(second.exit_code, 2) << second.err;
  EXPECT_TRUE(contains(second.err, out.string() + ": is in use; expected to be alone there, got process "))
      << second.err;
  EXPECT_FALSE(std::filesystem::exists(out / "run.lock"));
}

TEST(Run, PhaseThatHasNotBegunMayBeAskedForDifferently) {
  const TemporaryFolder folder;
  const auto out = folder / "run";
  const auto options = [&out](const char* file) {
    return RunOptions{.interrupt_when = [path = out / file] { return std::filesystem::exists(path); },
                      .max_file_bytes = 0,
                      .stdout_file = {}};
  };
  ASSERT_EQ(octavo(tiny("run", out), options("checkpoint.pt")).exit_code, 130);
  const Finished corrected = octavo(tiny("run", out, {"--qat-lr", "0.01"}), options("qat-checkpoint.pt"));
  ASSERT_EQ(corrected.exit_code, 130) << corrected.err;
  const Finished too_late = octavo(tiny("run", out));
  EXPECT_EQ(too_late.exit_code, 2) << too_late.err;
  EXPECT_TRUE(contains(too_late.err, "expected qat.lr = 0.01, got qat.lr = 0.005")) << too_late.err;
}

TEST(Run, SettingsOfLaterPhasesAreCheckedBeforeTheFirst) {
  const TemporaryFolder folder;
  const auto out = folder / "run";
  for (const Arguments& wrong :
       {Arguments{"--qat-lr", "0"}, Arguments{"--qat-momentum", "1"}, Arguments{"--qat-momentum", "0"},
        Arguments{"--qat-warmup-fraction", "1"}, Arguments{"--qat-step-factor", "0"}}) {
    const Finished finished = octavo(tiny("run", out, wrong));
    EXPECT_EQ(finished.exit_code, 2) << wrong.front() << finished.err;
    EXPECT_TRUE(contains(finished.err, "error: " + wrong.front() + ": ")) << finished.err;
    EXPECT_FALSE(std::filesystem::exists(out)) << wrong.front();
  }
}

TEST(Run, MoreCalibrationImagesThanThereAreAreRefusedBeforeTraining) {
  const TemporaryFolder folder;
  const auto out = folder / "run";
  const Finished finished = octavo(tiny("run", out, {"--calibration-samples", "513"}));
  EXPECT_EQ(finished.exit_code, 2);
  EXPECT_TRUE(contains(finished.err, "expected 1 to 512")) << finished.err;
  EXPECT_FALSE(std::filesystem::exists(out / "checkpoint.pt"));
  EXPECT_FALSE(std::filesystem::exists(out / "base.onnx"));
}

TEST(Run, FullDiskExitsWith5AndLeavesNoHalfFile) {
  const TemporaryFolder folder;
  const auto out = folder / "run";
  const Finished finished = octavo(tiny("train", out, {"--epochs", "1"}),
                                   {.interrupt_when = {}, .max_file_bytes = 1000000, .stdout_file = {}});
  EXPECT_EQ(finished.exit_code, 5) << finished.err;
  EXPECT_TRUE(contains(finished.err, "; expected ")) << finished.err;
  for (const auto& entry : std::filesystem::directory_iterator(out)) {
    const std::string name = entry.path().filename().string();
    EXPECT_TRUE(name == "config.toml" || name == "log.jsonl" || name == "progress.json") << name;
  }
}

// OpenBLAS' thread asks for memory for ever where there is none, and its library waits for it when the
// program ends; a product that finds no memory asks for ever too (src/train/blas_memory.h). Where memory is
// too short to load LibTorch, that aborts before main().
TEST(Run, ShortOfMemoryEnds) {
  for (const std::uint64_t kilobytes : {640'000, 680'200, 800'000, 860'000, 920'000, 1'000'000}) {
    const TemporaryFolder folder;
    const Finished finished = octavo(tiny("run", folder / "run", {"--epochs", "2", "--threads", "1"}),
                                     {.interrupt_when = {}, .max_memory_bytes = kilobytes * 1024});
    const bool loaded = !contains(finished.err, "terminate called");
    EXPECT_TRUE(finished.exit_code == 0 || finished.exit_code == 5 || !loaded) << finished.exit_code;
    if (finished.exit_code == 5) {
      EXPECT_TRUE(contains(finished.err, "out of memory")) << finished.err;
    }
  }
}

TEST(Qat, FineTunesABaseFileAndWritesInt8) {
  const TemporaryFolder folder;
  const auto out = folder / "run";
  ASSERT_EQ(octavo(tiny("train", out, {"--epochs", "1"})).exit_code, kOk);
  const auto output = folder / "mine.onnx";
  const Finished finished = octavo({"qat", (out / "base.onnx").string(), "--train-limit", "256",
                                    "--test-limit", "64", "--qat-epochs", "1", "--calibration-samples", "32",
                                    "--batch-size", "64", "--out", output.string()});
  ASSERT_EQ(finished.exit_code, kOk) << finished.err;
  EXPECT_TRUE(load_onnx(output).quantized());
  EXPECT_FALSE(std::filesystem::exists(folder / "mine.checkpoint.pt"));
}

}  // namespace
}  // namespace octavo::test
