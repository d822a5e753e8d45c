/// The training loop that float training and QAT share.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "checkpoint.h"
#include "model.h"
#include "octavo/train/trainer.h"

namespace octavo::train_detail {

/// What a run trains on.
struct Splits {
  const Dataset& train;
  const Dataset* test = nullptr;
  const Normalization& normalization;
};

/// "fp32" or "bf16": what "auto" means on this CPU.
std::string resolved_precision(const TrainConfig& config);

/// Throws kUsage, naming the setting, for values that make no sense, and kUnsupported for bf16 on a CPU
/// without it.
void check_settings(const TrainConfig& config);

/// Throws kBadInput if the images or labels of a split do not fit the graph's input or classes.
void check_data(const Graph& graph, const Dataset& split);

/// Everything that decides the outcome of a run; `graph` with its starting weights.
Fingerprint fingerprint(const std::string& phase, const Graph& graph, const Splits& splits,
                        const TrainConfig& config);

/// Likewise of QAT, which starts from PTQ's ranges too.
Fingerprint qat_fingerprint(const Graph& graph, const std::map<std::string, QuantParams>& activations,
                            const Splits& splits, const QatConfig& config);

/// Trains `model` as configured, resuming from the checkpoint if there is one, and leaves it with its final
/// parameters (the averages where `ema_decay` is set). `phase` names the run in progress, records and errors.
std::vector<EpochRecord> fit(Model& model, const std::string& phase, const Splits& splits,
                             const TrainConfig& config, const Fingerprint& identity);

}  // namespace octavo::train_detail
