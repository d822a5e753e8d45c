// octavo bench FILE.onnx...: how long one inference takes, and what a model costs besides.
#include <fmt/format.h>

#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>

#include "environment.h"
#include "interrupt.h"
#include "json_text.h"
#include "layer_table.h"
#include "model_files.h"
#include "octavo/onnx/onnx.h"
#include "octavo/report/text.h"
#include "workflow.h"

namespace octavo::app {
namespace {

nlohmann::ordered_json to_json(const Latency& l, int warmup) {
  return {{"batch", l.batch},         {"threads", l.threads}, {"warmup", warmup},
          {"runs", l.runs},           {"mean_ms", l.mean_ms}, {"std_ms", l.std_ms},
          {"median_ms", l.median_ms}, {"p90_ms", l.p90_ms},   {"images_per_second", l.images_per_second}};
}

/// A model compiled for one batch size, and what was measured of it.
struct Measured {
  Latency latency;
  double compile_ms = 0;
  MemoryUse memory;
  std::string precision;
  std::vector<LayerCost> layers;  ///< Empty unless asked for.
};

Measured measure(const Session& session, const Graph& graph, std::int64_t batch) {
  const Settings& settings = session.settings;
  const LatencyConfig config{.batch = batch, .warmup = settings.warmup, .runs = settings.runs};
  std::optional<CompiledModel> model;
  Measured result;
  result.compile_ms =
      1e3 * timed([&] {
        model.emplace(graph, CompileOptions{.max_batch = batch, .threads = settings.threads, .observe = {}});
      });
  result.latency = measure_latency(*model, config);
  result.memory = model->memory_use();
  result.precision = model->precision();
  if (session.layers) result.layers = measure_layers(*model, config);
  return result;
}

void print_costs(double load_ms, const Measured& m) {
  fmt::print(
      "  read in {:.1f} ms, compiled in {:.1f} ms; weights {}, memory of a run {}, at most held so far {}\n",
      load_ms, m.compile_ms, bytes_text(m.memory.weights_bytes), bytes_text(m.memory.context_bytes),
      bytes_text(peak_memory()));
}

}  // namespace

void cmd_bench(Session& session) {
  const Settings& settings = session.settings;
  nlohmann::ordered_json models = nlohmann::ordered_json::array();
  std::optional<Peaks> peaks;
  bool busy = false;  // While the peak was measured.
  if (session.layers) peaks = measure_peaks(settings.threads);
  if (!session.json) {
    fmt::print("{}, {} warm-up and {} timed runs; milliseconds\n", counted(settings.threads, "thread"),
               settings.warmup, settings.runs);
    fmt::print("{:<32} {:>5} {:>6} {:>9} {:>9} {:>9} {:>9} {:>10}\n", "model", "type", "batch", "median",
               "p90", "mean", "std", "images/s");
  }
  for (const auto& file : session.files) {
    Graph graph;
    const double load_ms = 1e3 * timed([&] { graph = load_model(session, file); });
    nlohmann::ordered_json latencies = nlohmann::ordered_json::array();
    std::string precision;
    for (std::size_t i = 0; i < settings.batches.size(); ++i) {
      throw_if_stopped(session.stop);
      session.console.bar("time " + file.filename().string(),
                          static_cast<double>(i) / static_cast<double>(settings.batches.size()),
                          fmt::format("batch {}, {} runs", settings.batches[i], settings.runs));
      const Measured measured = measure(session, graph, settings.batches[i]);
      const Latency& l = measured.latency;
      precision = measured.precision;
      latencies.push_back(to_json(l, settings.warmup));
      latencies.back()["compile_ms"] = measured.compile_ms;
      latencies.back()["weights_bytes"] = measured.memory.weights_bytes;
      latencies.back()["context_bytes"] = measured.memory.context_bytes;
      if (peaks && raise_peaks(measured.layers, *peaks)) busy = true;
      if (peaks) latencies.back()["layers"] = layers_json(measured.layers, *peaks);
      if (session.json) continue;
      session.console.clear();
      const std::string name = report::padded_right(report::shorten_front(file.string(), 32), 32);
      fmt::print("{} {:>5} {:>6} {:>9.3f} {:>9.3f} {:>9.3f} {:>9.3f} {:>10.1f}\n", name, precision, l.batch,
                 l.median_ms, l.p90_ms, l.mean_ms, l.std_ms, l.images_per_second);
      if (peaks) {
        print_costs(load_ms, measured);
        print_layer_table(l.batch, measured.layers, *peaks);
        fmt::print("\n");
      }
      std::fflush(stdout);
    }
    models.push_back({{"file", file.string()},
                      {"precision", precision},
                      {"size_bytes", std::filesystem::file_size(file)},
                      {"load_ms", load_ms},
                      {"latency", latencies}});
  }
  if (!session.json) {
    if (peaks) print_peaks(*peaks, busy);
    return;
  }
  nlohmann::ordered_json answer{
      {"schema", 1}, {"environment", environment(settings.threads)}, {"models", models}};
  answer["peak_memory_bytes"] = peak_memory();
  if (peaks) answer["peak"] = peaks_json(*peaks, busy);
  fmt::print("{}\n", json_text(answer));
}

}  // namespace octavo::app
