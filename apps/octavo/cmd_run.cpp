// octavo run: data, train, PTQ, QAT, then every written file read back, evaluated and timed, and the report.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "adapt.h"
#include "environment.h"
#include "octavo/core/cpu.h"
#include "octavo/core/file.h"
#include "octavo/eval/evaluate.h"
#include "octavo/onnx/onnx.h"
#include "octavo/report/report.h"
#include "phases.h"

namespace octavo::app {
namespace {

void phase_ptq(Session& session, RunFolder& folder, const LoadedData& data) {
  if (folder.done("ptq")) {
    session.console.line(fmt::format("ptq: done before ({})", folder.model("ptq").string()));
    return;
  }
  folder.begin("ptq");
  Results& state = folder.state();
  QuantizedPtq ptq;
  double& seconds = state.timing["ptq_s"];
  seconds = timed([&] { ptq = make_ptq(session, data, load_onnx(folder.file("base.onnx"))); });
  add_note(state, leakage_note(ptq));
  seconds += timed([&] { adapt(session, data, ptq.graph); });
  folder.save_model(ptq.graph, "ptq", export_options(session.settings));
  session.console.line(
      fmt::format("ptq: calibrated on {} images and written in {:.1f} s", ptq.calibration_images, seconds));
}

void phase_qat(Session& session, RunFolder& folder, const LoadedData& data) {
  if (folder.done("qat")) {
    session.console.line(fmt::format("qat: done before ({})", folder.model("qat").string()));
    return;
  }
  folder.begin("qat");
  const Graph base = load_onnx(folder.file("base.onnx"));
  // A guarded file lacks the ranges of what stayed in float32.
  const Graph ptq = session.settings.latency_guard ? make_ptq(session, data, base).graph
                                                   : load_onnx(folder.file("ptq.onnx"));
  QatResult result = make_qat(session, data, base, ptq, folder.file("qat-checkpoint.pt"), log_sinks(folder));
  Results& state = folder.state();
  std::erase_if(state.history, [](const EpochRecord& record) { return record.phase == "qat"; });
  double seconds = 0;
  for (const EpochRecord& record : result.history) {
    state.history.push_back(record);
    seconds += record.seconds;
  }
  seconds += timed([&] { adapt(session, data, result.graph); });
  state.timing["qat_s"] = seconds;
  folder.save_model(result.graph, "qat", export_options(session.settings));
}

Results compare(Session& session, RunFolder& folder, const LoadedData& data) {
  folder.log_phase("eval", "start");
  Results results = folder.state();
  results.variants.clear();
  for (const auto& [key, value] : flat_settings(session.settings)) results.settings[key] = value;
  results.settings["data.dataset"] = results.dataset;
  results.environment = environment(session.settings.threads);
  results.timing["eval_s"] = timed([&] {
    std::vector<Graph> graphs;
    for (const std::string name : {"base", "ptq", "qat"}) {
      const auto path = folder.file(name + ".onnx");
      Variant variant = evaluate_file(session, data, path, name);
      graphs.push_back(load_onnx(path));
      if (!results.variants.empty()) {
        variant.agreement_with_base = agreement(results.variants.front().accuracy, variant.accuracy);
      }
      if (name == "ptq" && variant.precision.starts_with("int8")) {
        variant.layers = layer_quality(session, data, graphs[0], graphs[1]);
      }
      session.console.line(fmt::format("{}: accuracy {:.2f} %, {}", name, 100 * variant.accuracy.value(),
                                       bytes_text(static_cast<std::uint64_t>(variant.size_bytes))));
      results.variants.push_back(std::move(variant));
    }
    const auto latencies = measure_all(session, graphs);
    for (std::size_t i = 0; i < graphs.size(); ++i) results.variants[i].latency = latencies[i];
  });
  double total = 0;
  for (const char* phase : {"train_s", "ptq_s", "qat_s", "eval_s"}) total += results.timing[phase];
  results.timing["total_s"] = total;
  folder.log_phase("eval", "end");
  return results;
}

/// True if the finished comparison was timed as now asked for. Another CPU's stays what it is: its report
/// says where it was measured.
bool timed_as_asked(const Session& session, const Results& results) {
  for (const auto& [key, value] : flat_settings(session.settings)) {
    const bool counts = key.starts_with("bench.") || key == "run.threads";
    const auto found = results.settings.find(key);
    if (counts && (found == results.settings.end() || found->second != value)) return false;
  }
  const auto was = [&](const char* fact) {
    const auto found = results.environment.find(fact);
    return found == results.environment.end() ? std::string() : found->second;
  };
  return was("cpu") != cpu_name() || was("isa") == isa_name(isa_in_use());
}

void show(const Session& session, const RunFolder& folder, const Results& results) {
  session.console.clear();
  std::fputs(terminal_table(results, session.console.color(), session.console.width()).c_str(), stdout);
  std::printf("\nReport: %s\n", std::filesystem::absolute(folder.file("report.html")).c_str());
}

}  // namespace

void cmd_run(Session& session) {
  RunFolder folder(run_folder_path(session.settings), session.resume);
  folder.require_same(asked_identity(session, kRun));
  const bool finished = folder.finished() && timed_as_asked(session, folder.state());
  const auto show_again = [&] {
    session.console.line(fmt::format("{}: finished before; --no-resume starts over", folder.path().string()));
    show(session, folder, folder.state());
  };
  // Images at a place that is named are read again: they may be others by now, or always have been.
  if (finished && session.settings.data.path.empty()) return show_again();
  resumable(folder, "run", [&] {
    const LoadedData data = open_data(session, folder, kRun);
    if (finished) return show_again();
    calibration_images(session, data);  // More than there are: said before training, not after it.
    start_run(session, folder, data, kRun);
    phase_train(session, folder, data);
    phase_ptq(session, folder, data);
    phase_qat(session, folder, data);
    const Results results = compare(session, folder, data);
    write_file(folder.file("report.md"), to_markdown(results));
    write_file(folder.file("report.html"), to_html(results, data.pair.test));
    folder.finish(results);
    show(session, folder, results);
  });
}

}  // namespace octavo::app
