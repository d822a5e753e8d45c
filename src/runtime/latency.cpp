#include "octavo/runtime/latency.h"

#include <fmt/format.h>

#include <chrono>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "octavo/core/error.h"
#include "octavo/core/statistics.h"

namespace octavo {

namespace {

/// A context and an input, warmed up.
struct Trial {
  CompiledModel::Context context;
  std::vector<float> input;
  std::vector<float> logits;
};

Trial prepare(const CompiledModel& model, const LatencyConfig& config) {
  const auto usage = [](const char* what, const std::string& expected, std::int64_t got) {
    throw Error(ErrorCode::kUsage, "latency",
                fmt::format("{} out of range; expected {}, got {}", what, expected, got));
  };
  if (config.batch < 1 || config.batch > model.max_batch()) {
    usage("batch", fmt::format("1 to {}", model.max_batch()), config.batch);
  }
  if (config.runs < 1) usage("number of timed runs", "at least 1", config.runs);
  if (config.warmup < 0) usage("number of warm-up runs", "at least 0", config.warmup);

  const Shape& shape = model.input_shape();
  const std::int64_t image = element_count({shape.begin() + 1, shape.end()});
  Trial trial{.context = CompiledModel::Context(model),
              .input = std::vector<float>(static_cast<std::size_t>(config.batch * image)),
              .logits = std::vector<float>(static_cast<std::size_t>(config.batch * model.classes()))};
  std::mt19937 generator(1);
  std::normal_distribution<float> normal;
  for (float& x : trial.input) x = normal(generator);
  for (int i = 0; i < config.warmup; ++i) model.run(trial.context, trial.input, config.batch, trial.logits);
  return trial;
}

Latency latency_of(const CompiledModel& model, std::int64_t batch, const std::vector<double>& times_ms) {
  const Summary summary = summarize(times_ms);
  Latency latency{.batch = batch,
                  .threads = model.threads(),
                  .runs = static_cast<int>(times_ms.size()),
                  .mean_ms = summary.mean,
                  .std_ms = summary.std,
                  .median_ms = summary.median,
                  .p90_ms = summary.p90};
  // A clock too coarse for a tiny model may read 0: then there is no rate to state.
  if (summary.median > 0) latency.images_per_second = static_cast<double>(batch) / (summary.median / 1000);
  return latency;
}

}  // namespace

Latency measure_latency(const CompiledModel& model, const LatencyConfig& config) {
  const CompiledModel* const one[] = {&model};
  return measure_latencies(one, config).front();
}

std::vector<Latency> measure_latencies(std::span<const CompiledModel* const> models,
                                       const LatencyConfig& config) {
  constexpr std::int64_t kTurns = 10;
  std::vector<Trial> trials;
  for (const CompiledModel* model : models) trials.push_back(prepare(*model, config));
  std::vector<std::vector<double>> times_ms(models.size());
  for (std::int64_t turn = 0; turn < kTurns; ++turn) {
    const std::int64_t runs = config.runs * (turn + 1) / kTurns - config.runs * turn / kTurns;
    for (std::size_t i = 0; runs > 0 && i < models.size(); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
      const auto run = [&] {
        models[i]->run(trials[i].context, trials[i].input, config.batch, trials[i].logits);
      };
      run();
      for (std::int64_t k = 0; k < runs; ++k) {
        const auto begin = std::chrono::steady_clock::now();
        run();
        const std::chrono::duration<double, std::milli> elapsed = std::chrono::steady_clock::now() - begin;
        times_ms[i].push_back(elapsed.count());
      }
    }
  }
  std::vector<Latency> latencies;
  for (std::size_t i = 0; i < models.size(); ++i)
    latencies.push_back(latency_of(*models[i], config.batch, times_ms[i]));
  return latencies;
}

std::vector<LayerCost> measure_layers(const CompiledModel& model, const LatencyConfig& config) {
  Trial trial = prepare(model, config);
  std::vector<LayerCost> costs;
  for (StepInfo& step : model.steps(config.batch)) costs.push_back({.step = std::move(step)});
  std::vector<std::vector<double>> times(costs.size());
  for (int run = 0; run < config.runs; ++run) {
    std::vector<double> seconds(costs.size(), 0.0);
    model.profile(trial.context, trial.input, config.batch, trial.logits, seconds);
    for (std::size_t i = 0; i < costs.size(); ++i) times[i].push_back(seconds[i]);
  }
  double total = 0;
  for (std::size_t i = 0; i < costs.size(); ++i) {
    const double median = summarize(times[i]).median;
    costs[i].median_ms = median * 1e3;
    if (median > 0) costs[i].gops = static_cast<double>(costs[i].step.operations) / median / 1e9;
    total += costs[i].median_ms;
  }
  for (LayerCost& cost : costs) cost.share = total > 0 ? cost.median_ms / total : 0;
  return costs;
}

}  // namespace octavo
