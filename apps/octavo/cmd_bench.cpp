// octavo bench FILE.onnx...: how long one inference takes.
#include <fmt/format.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "environment.h"
#include "octavo/onnx/onnx.h"
#include "workflow.h"

namespace octavo::app {

void cmd_bench(Session& session) {
  const Settings& settings = session.settings;
  nlohmann::ordered_json models = nlohmann::ordered_json::array();
  if (!session.json) {
    std::printf("%d threads, %d warm-up and %d timed runs; milliseconds\n", settings.threads, settings.warmup,
                settings.runs);
    std::printf("%-32s %5s %6s %9s %9s %9s %9s %10s\n", "model", "type", "batch", "median", "p90", "mean",
                "std", "images/s");
  }
  for (const auto& file : session.files) {
    const Graph graph = load_onnx(file);
    const CompiledModel model(graph, {.threads = settings.threads, .observe = {}});
    const std::vector<Latency> latencies = measure_all(session, graph, file.filename().string());
    nlohmann::ordered_json measured = nlohmann::ordered_json::array();
    for (const Latency& l : latencies) {
      measured.push_back({{"batch", l.batch},
                          {"threads", l.threads},
                          {"warmup", settings.warmup},
                          {"runs", l.runs},
                          {"mean_ms", l.mean_ms},
                          {"std_ms", l.std_ms},
                          {"median_ms", l.median_ms},
                          {"p90_ms", l.p90_ms},
                          {"images_per_second", l.images_per_second}});
      if (session.json) continue;
      session.console.clear();
      std::printf("%-32s %5s %6lld %9.3f %9.3f %9.3f %9.3f %10.1f\n", file.c_str(), model.precision().c_str(),
                  static_cast<long long>(l.batch), l.median_ms, l.p90_ms, l.mean_ms, l.std_ms,
                  l.images_per_second);
      std::fflush(stdout);
    }
    models.push_back({{"file", file.string()},
                      {"precision", model.precision()},
                      {"size_bytes", std::filesystem::file_size(file)},
                      {"latency", measured}});
    if (!session.layers) continue;
    if (session.json) {
      models.back()["steps"] = model.describe();
    } else {
      for (const std::string& step : model.describe()) std::printf("  %s\n", step.c_str());
    }
  }
  if (!session.json) return;
  const nlohmann::ordered_json answer{
      {"schema", 1}, {"environment", environment(settings.threads)}, {"models", models}};
  std::printf("%s\n", answer.dump(2).c_str());
}

}  // namespace octavo::app
