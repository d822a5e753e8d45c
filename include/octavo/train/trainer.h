/// Training and quantization-aware training of a graph with LibTorch. The only module that links it; this
/// header does not show it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <stop_token>
#include <string>
#include <vector>

#include "octavo/data/dataset.h"
#include "octavo/data/loader.h"
#include "octavo/graph/graph.h"
#include "octavo/quantize/bit_widths.h"
#include "octavo/train/epoch_record.h"

namespace octavo {

enum class Schedule { kConstant, kStep, kCosine, kOneCycle };

/// SGD with Nesterov momentum under a learning-rate schedule, for training and for QAT.
struct OptimizerConfig {
  double lr = 0.15;  ///< Peak learning rate.
  double momentum = 0.9;
  bool nesterov = true;
  double weight_decay = 5e-4;
  bool decay_norm_and_bias = false;  ///< Apply weight decay to batch-norm parameters and biases too.
  Schedule schedule = Schedule::kOneCycle;
  double warmup_fraction =
      0.25;  ///< one-cycle: part of the steps with rising lr. cosine: linear warm-up part.
  std::int64_t step_epochs = 30;  ///< step: epochs between drops.
  double step_factor = 0.1;       ///< step: factor of a drop.
  double label_smoothing = 0.1;
};

/// Learning rate at `step` of `total_steps` (0-based), `steps_per_epoch` for the step schedule.
double learning_rate(const OptimizerConfig& config, std::int64_t step, std::int64_t total_steps,
                     std::int64_t steps_per_epoch);

/// What a progress bar needs; sent a few times a second and at the end of each epoch.
struct TrainProgress {
  std::string phase;
  std::int64_t epoch = 0, epochs = 0;  ///< epoch from 1.
  std::int64_t step = 0, steps = 0;    ///< Within the epoch.
  double loss = 0, accuracy = 0;       ///< Running, this epoch.
  double images_per_second = 0;
  double eta_s = 0;  ///< To the end of the phase.
  double lr = 0;
};

struct TrainConfig {
  std::int64_t epochs = 24;
  OptimizerConfig optimizer;
  LoaderConfig loader;
  std::uint64_t seed =
      42;           ///< Of shuffling and augmentation too: `loader.seed` and `channels_last` are not read.
  int threads = 0;  ///< 0: octavo::num_threads().
  std::string precision =
      "auto";            ///< "fp32", "bf16" (autocast), "auto": bf16 where the CPU has it in hardware.
  double ema_decay = 0;  ///< Exponential moving average of the weights, used for the result; 0: off.
  std::int64_t eval_every =
      1;  ///< Epochs between test accuracies (through the float runtime); 0: last epoch only.
  std::filesystem::path checkpoint;  ///< Written after every epoch and on interruption; empty: none.
  bool resume = true;                ///< Continue from `checkpoint` if it is there and fits.
  std::function<void(const TrainProgress&)> on_progress;
  std::function<void(const EpochRecord&)> on_epoch;
  std::stop_token stop;  ///< On request: saves the checkpoint, then throws kInterrupted.
};

struct TrainResult {
  Graph graph;  ///< The trained model; batch norms unfolded, statistics filled in.
  std::vector<EpochRecord> history;
};

/// Trains every parameter of `graph` (its constants are the starting point). Same seed, threads and machine:
/// same result, interrupted and resumed or not. Throws kBadInput for a checkpoint of another model or other
/// settings.
TrainResult train(const Graph& graph, const Dataset& train_split, const Dataset* test_split,
                  const Normalization& normalization, const TrainConfig& config);

struct QatConfig {
  TrainConfig train;               ///< Own epochs, optimizer, schedule. `ema_decay` as in training.
  double freeze_batch_norm = 0.3;  ///< Part of the epochs after which batch-norm statistics stay fixed.
  double freeze_observers = 0.5;   ///< Part after which activation ranges stay fixed.
  bool learnable_scales =
      false;            ///< LSQ (Esser 2020, arXiv 1902.08153): activation and weight scales are trained.
  BitWidths bits = {};  ///< As in PtqConfig, and so are `weight_qmax` and `target`.
  std::int32_t weight_qmax = 127;
  std::string target = "any";
};

struct QatResult {
  Graph graph;  ///< Batch norms folded, weights float32, values annotated: ready to compile or export.
  std::vector<EpochRecord> history;
};

/// Fine-tunes `graph` (trained, batch norms unfolded) with fake quantization, starting from the activation
/// parameters that PTQ chose (`activations`, by value name of the folded graph).
QatResult train_quantized(const Graph& graph, const std::map<std::string, QuantParams>& activations,
                          const Dataset& train_split, const Dataset* test_split,
                          const Normalization& normalization, const QatConfig& config);

/// Version of the LibTorch that this was built with: "1.13.1".
std::string libtorch_version();

}  // namespace octavo
