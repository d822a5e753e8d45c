#include <fmt/format.h>

#include <chrono>
#include <random>
#include <vector>

#include "octavo/core/error.h"
#include "octavo/eval/evaluate.h"
#include "octavo/eval/statistics.h"

namespace octavo {

Latency measure_latency(const CompiledModel& model, const LatencyConfig& config) {
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
  std::vector<float> input(
      static_cast<std::size_t>(config.batch * element_count({shape.begin() + 1, shape.end()})));
  std::mt19937 generator(1);
  std::normal_distribution<float> normal;
  for (float& x : input) x = normal(generator);
  std::vector<float> logits(static_cast<std::size_t>(config.batch * model.classes()));

  CompiledModel::Context context(model);
  for (int i = 0; i < config.warmup; ++i) model.run(context, input, config.batch, logits);
  std::vector<double> times_ms;
  times_ms.reserve(static_cast<std::size_t>(config.runs));
  for (int i = 0; i < config.runs; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    model.run(context, input, config.batch, logits);
    const std::chrono::duration<double, std::milli> elapsed = std::chrono::steady_clock::now() - begin;
    times_ms.push_back(elapsed.count());
  }

  const Summary summary = summarize(times_ms);
  Latency latency{.batch = config.batch,
                  .threads = model.threads(),
                  .runs = config.runs,
                  .mean_ms = summary.mean,
                  .std_ms = summary.std,
                  .median_ms = summary.median,
                  .p90_ms = summary.p90};
  // A clock too coarse for a tiny model may read 0: then there is no rate to state.
  if (summary.median > 0)
    latency.images_per_second = static_cast<double>(config.batch) / (summary.median / 1000);
  return latency;
}

}  // namespace octavo
