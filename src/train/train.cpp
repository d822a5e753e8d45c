#include <fmt/format.h>

#include "failures.h"
#include "float_model.h"
#include "octavo/core/error.h"
#include "octavo/graph/graph.h"
#include "qat_model.h"
#include "trainer.h"

namespace octavo {

using namespace train_detail;

namespace {

/// Checks what a run is asked for before anything is computed.
void check_run(const Graph& graph, const Splits& splits, const TrainConfig& config) {
  check_settings(config);
  validate(graph);
  check_data(graph, splits.train);
  if (splits.test != nullptr) check_data(graph, *splits.test);
}

void check_fraction(double value, const char* setting) {
  if (value >= 0 && value <= 1) return;
  throw Error(ErrorCode::kUsage, setting, fmt::format("bad value; expected 0 to 1, got {}", value));
}

/// ATen's autocast knows its own kernels only.
Kernels kernels_for(const TrainConfig& config) {
  return resolved_precision(config) == "fp32" ? Kernels::kOctavo : Kernels::kAten;
}

}  // namespace

TrainResult train(const Graph& graph, const Dataset& train_split, const Dataset* test_split,
                  const Normalization& normalization, const TrainConfig& config) try {
  const Splits splits{train_split, test_split, normalization};
  check_run(graph, splits, config);
  const Fingerprint identity = fingerprint("train", graph, splits, config);
  FloatModel model(graph, kernels_for(config));
  std::vector<EpochRecord> history = fit(model, "train", splits, config, identity);
  return {model.snapshot(), std::move(history)};
} catch (...) {
  rethrow("train");
}

QatResult train_quantized(const Graph& graph, const std::map<std::string, QuantParams>& activations,
                          const Dataset& train_split, const Dataset* test_split,
                          const Normalization& normalization, const QatConfig& config) try {
  const Splits splits{train_split, test_split, normalization};
  check_run(graph, splits, config.train);
  check_fraction(config.freeze_batch_norm, "freeze_batch_norm");
  check_fraction(config.freeze_observers, "freeze_observers");
  find_target(config.target);
  if (config.weight_qmax < 1 || config.weight_qmax > 127) {
    throw Error(ErrorCode::kUsage, "weight_qmax",
                fmt::format("bad value; expected 1 to 127, got {}", config.weight_qmax));
  }
  const Fingerprint identity = qat_fingerprint(graph, activations, splits, config);
  Graph separated = graph;
  separate_widths(separated, config.bits);
  QatModel model(separated, activations, config, kernels_for(config.train));
  std::vector<EpochRecord> history = fit(model, "qat", splits, config.train, identity);
  return {model.snapshot(), std::move(history)};
} catch (...) {
  rethrow("qat");
}

}  // namespace octavo
