// The main job, end to end and small, with the real program on real images.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

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

TEST(Run, FolderOfAnotherRunIsRefused) {
  const TemporaryFolder folder;
  const auto out = folder / "run";
  ASSERT_EQ(octavo(tiny("train", out, {"--epochs", "1"})).exit_code, kOk);
  const std::string before = file_text(out / "base.onnx");

  const Finished other_settings = octavo(tiny("run", out, {"--epochs", "1", "--lr", "0.02"}));
  EXPECT_EQ(other_settings.exit_code, 2);
  EXPECT_TRUE(contains(other_settings.err, "expected train.lr = 0.15, got train.lr = 0.02"))
      << other_settings.err;
  const Finished other_images = octavo(tiny("run", out, {"--epochs", "1", "--train-limit", "256"}));
  EXPECT_EQ(other_images.exit_code, 2);
  EXPECT_TRUE(contains(other_images.err, "other images")) << other_images.err;
  EXPECT_EQ(file_text(out / "base.onnx"), before);

  const Finished over = octavo(tiny("train", out, {"--epochs", "1", "--lr", "0.02", "--no-resume"}));
  EXPECT_EQ(over.exit_code, kOk) << over.err;
  EXPECT_NE(file_text(out / "base.onnx"), before);
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
