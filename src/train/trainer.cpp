#include "trainer.h"

#include <ATen/Parallel.h>
#include <ATen/autocast_mode.h>
#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <cstring>
#include <optional>

#include "blas_memory.h"
#include "octavo/core/error.h"
#include "octavo/core/parallel.h"
#include "octavo/eval/evaluate.h"
#include "octavo/runtime/runtime.h"
#include "optimizer.h"

namespace octavo::train_detail {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// Sets LibTorch's and Octavo's thread count while it lives.
class ThreadScope {
 public:
  explicit ThreadScope(int threads) : before_aten_(at::get_num_threads()), before_(num_threads()) {
    const int wanted = threads > 0 ? threads : num_threads();
    set_num_threads(wanted);
    at::set_num_threads(wanted);
  }
  ~ThreadScope() {
    at::set_num_threads(before_aten_);
    set_num_threads(before_);
  }
  ThreadScope(const ThreadScope&) = delete;
  ThreadScope& operator=(const ThreadScope&) = delete;

 private:
  int before_aten_;
  int before_;
};

/// bfloat16 autocast of the operators that gain from it, while it lives.
class AutocastScope {
 public:
  explicit AutocastScope(bool enabled) : enabled_(enabled) {
    if (!enabled_) return;
    at::autocast::set_autocast_cpu_dtype(at::kBFloat16);
    at::autocast::set_cpu_enabled(true);
  }
  ~AutocastScope() {
    if (!enabled_) return;
    at::autocast::set_cpu_enabled(false);
    at::autocast::clear_cache();
  }
  AutocastScope(const AutocastScope&) = delete;
  AutocastScope& operator=(const AutocastScope&) = delete;

 private:
  bool enabled_;
};

/// Running state of a run: what a checkpoint holds besides tensors.
struct Progress {
  std::int64_t epoch = 0;  ///< Epochs finished.
  std::int64_t step = 0;   ///< Batches of the next one done.
  double loss_sum = 0;
  std::int64_t correct = 0;
  std::int64_t images = 0;
  double seconds = 0;
};

class Run {
 public:
  Run(Model& model, const std::string& phase, const Splits& splits, const TrainConfig& config,
      const Fingerprint& identity)
      : model_(model),
        phase_(phase),
        splits_(splits),
        config_(config),
        identity_(identity),
        loader_(splits.train, splits.normalization, loader_config(config)),
        sgd_(model.parameters(), config.optimizer),
        bf16_(resolved_precision(config) == "bf16") {
    if (config.ema_decay > 0) average_.emplace(model, config.ema_decay);
    steps_ = loader_.batches_per_epoch();
  }

  std::vector<EpochRecord> train() {
    if (config_.resume && !config_.checkpoint.empty()) resume();
    while (at_.epoch < config_.epochs) {
      run_epoch();
      finish_epoch();
      save();
    }
    if (average_) average_->swap();
    return history_;
  }

 private:
  static LoaderConfig loader_config(const TrainConfig& config) {
    LoaderConfig result = config.loader;
    result.seed = config.seed;
    result.channels_last = true;
    return result;
  }

  void run_epoch() {
    if (at_.step < steps_) loader_.start_epoch(at_.epoch, at_.step);
    const Clock::time_point start = Clock::now();
    const double seconds_before = at_.seconds;
    Clock::time_point reported{};
    Batch batch;
    while (at_.step < steps_) {
      if (config_.stop.stop_requested()) interrupt();
      if (!loader_.next(batch)) break;
      train_batch(batch);
      ++at_.step;
      at_.seconds = seconds_before + seconds_since(start);
      if (config_.on_progress && (seconds_since(reported) > 0.2 || at_.step == steps_)) {
        reported = Clock::now();
        config_.on_progress(progress());
      }
    }
  }

  void train_batch(const Batch& batch) {
    const std::int64_t total = steps_ * config_.epochs;
    const std::int64_t step = at_.epoch * steps_ + at_.step;
    lr_ = learning_rate(config_.optimizer, step, total, steps_);
    model_.set_progress(static_cast<double>(step) / static_cast<double>(total));

    const Dataset& data = splits_.train;
    const std::int64_t row = data.width * data.channels;
    // The loader's buffers are NHWC: ATen sees them as channels-last without a copy. from_blob does not
    // write.
    const at::Tensor images = at::from_blob(const_cast<float*>(batch.images.data()),
                                            {batch.count, data.channels, data.height, data.width},
                                            {data.height * row, 1, row, data.channels}, at::kFloat);
    const at::Tensor labels =
        at::from_blob(const_cast<std::int64_t*>(batch.labels.data()), {batch.count}, at::kLong);
    at::Tensor logits;
    {
      const AutocastScope autocast(bf16_);
      logits = model_.forward(images);
    }
    const at::Tensor loss = at::cross_entropy_loss(logits.to(at::kFloat), labels, {}, at::Reduction::Mean,
                                                   -100, config_.optimizer.label_smoothing);
    const double value = loss.item<double>();
    if (!std::isfinite(value)) {
      throw Error(
          ErrorCode::kUsage, phase_,
          fmt::format("the loss is {} at epoch {}, step {}; expected a finite number (lower the learning "
                      "rate, which is {:.4g} here and {:.4g} at its peak)",
                      value, at_.epoch + 1, at_.step + 1, lr_, config_.optimizer.lr));
    }
    loss.backward();
    sgd_.step(lr_);
    if (average_) average_->update(step);
    at_.loss_sum += value * static_cast<double>(batch.count);
    at_.correct += logits.detach().argmax(1).eq(labels).sum().item<std::int64_t>();
    at_.images += batch.count;
  }

  void finish_epoch() {
    const double images = static_cast<double>(std::max<std::int64_t>(at_.images, 1));
    EpochRecord record{.phase = phase_,
                       .epoch = at_.epoch + 1,
                       .lr = lr_,
                       .train_loss = at_.loss_sum / images,
                       .train_accuracy = static_cast<double>(at_.correct) / images,
                       .images_per_second = images / std::max(at_.seconds, 1e-9),
                       .seconds = at_.seconds};
    const bool last = record.epoch == config_.epochs;
    const bool due = config_.eval_every > 0 && record.epoch % config_.eval_every == 0;
    if (splits_.test != nullptr && (due || last)) record.test_accuracy = test_accuracy();
    history_.push_back(record);
    at_ = Progress{.epoch = record.epoch};
    if (config_.on_epoch) config_.on_epoch(record);
  }

  /// Of what would ship: the graph as it is now, compiled and run by Octavo's own runtime.
  double test_accuracy() {
    if (average_) average_->swap();
    const Graph graph = model_.snapshot();
    if (average_) average_->swap();
    CompileOptions options;
    options.max_batch = std::min<std::int64_t>(options.max_batch, splits_.test->size());
    const CompiledModel compiled(graph, options);
    try {
      return evaluate(compiled, *splits_.test, splits_.normalization, {}, config_.stop).value();
    } catch (const Error& error) {
      // Every batch of the epoch is done: the resumed run goes on with this evaluation.
      if (error.code() == ErrorCode::kInterrupted) interrupt();
      throw;
    }
  }

  [[noreturn]] void interrupt() {
    save();
    const std::string place =
        fmt::format("interrupted in epoch {} after {} of {} steps", at_.epoch + 1, at_.step, steps_);
    const std::string hint = config_.checkpoint.empty()
                                 ? std::string("; nothing was kept, as no checkpoint file is set")
                                 : fmt::format("; saved to {} (run the same command again to continue)",
                                               config_.checkpoint.string());
    throw Error(ErrorCode::kInterrupted, phase_, place + hint);
  }

  TrainProgress progress() const {
    const double images = static_cast<double>(std::max<std::int64_t>(at_.images, 1));
    const double rate = images / std::max(at_.seconds, 1e-9);
    const double left =
        static_cast<double>(splits_.train.size()) * static_cast<double>(config_.epochs - at_.epoch) - images;
    return {.phase = phase_,
            .epoch = at_.epoch + 1,
            .epochs = config_.epochs,
            .step = at_.step,
            .steps = steps_,
            .loss = at_.loss_sum / images,
            .accuracy = static_cast<double>(at_.correct) / images,
            .images_per_second = rate,
            .eta_s = std::max(left, 0.0) / rate,
            .lr = lr_};
  }

  /// Every tensor of the run's state by its name in the checkpoint.
  std::vector<NamedTensor> state() const {
    std::vector<NamedTensor> result;
    const auto& parameters = model_.parameters();
    const auto& statistics = model_.statistics();
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      result.push_back({"parameter " + parameters[i].name, parameters[i].tensor.detach()});
      result.push_back({"momentum " + parameters[i].name, sgd_.momentum()[i]});
    }
    for (const NamedTensor& item : statistics) result.push_back({"statistic " + item.name, item.tensor});
    if (average_) {
      for (std::size_t i = 0; i < average_->averages().size(); ++i) {
        const bool parameter = i < parameters.size();
        const NamedTensor& item = parameter ? parameters[i] : statistics[i - parameters.size()];
        result.push_back({"average " + item.name, average_->averages()[i]});
      }
    }
    return result;
  }

  void save() const {
    if (config_.checkpoint.empty()) return;
    Checkpoint checkpoint{.fingerprint = identity_,
                          .epoch = at_.epoch,
                          .step = at_.step,
                          .loss_sum = at_.loss_sum,
                          .correct = at_.correct,
                          .images = at_.images,
                          .seconds = at_.seconds,
                          .history = history_,
                          .tensors = {}};
    for (const NamedTensor& item : state()) {
      const auto* data = item.tensor.data_ptr<float>();
      checkpoint.tensors.push_back({item.name, std::vector<float>(data, data + item.tensor.numel())});
    }
    save_checkpoint(config_.checkpoint, checkpoint);
  }

  void resume() {
    std::optional<Checkpoint> found = load_checkpoint(config_.checkpoint);
    if (!found) return;
    const std::string where = config_.checkpoint.string();
    require_same_run(config_.checkpoint, found->fingerprint, identity_);
    const std::vector<NamedTensor> wanted = state();
    bool fits = wanted.size() == found->tensors.size() && found->epoch >= 0 &&
                found->epoch <= config_.epochs && found->step >= 0 && found->step <= steps_;
    for (std::size_t i = 0; fits && i < wanted.size(); ++i) {
      fits = wanted[i].name == found->tensors[i].name &&
             wanted[i].tensor.numel() == static_cast<std::int64_t>(found->tensors[i].data.size());
    }
    if (!fits)
      throw Error(ErrorCode::kBadInput, where, "its tensors are not this model's (delete it to start again)");
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      const std::vector<float>& data = found->tensors[i].data;
      std::memcpy(wanted[i].tensor.data_ptr<float>(), data.data(), data.size() * sizeof(float));
    }
    at_ = {.epoch = found->epoch,
           .step = found->step,
           .loss_sum = found->loss_sum,
           .correct = found->correct,
           .images = found->images,
           .seconds = found->seconds};
    history_ = std::move(found->history);
    if (at_.epoch * steps_ + at_.step > 0) {
      lr_ = learning_rate(config_.optimizer, at_.epoch * steps_ + at_.step - 1, steps_ * config_.epochs,
                          steps_);
    }
  }

  Model& model_;
  const std::string& phase_;
  const Splits& splits_;
  const TrainConfig& config_;
  const Fingerprint& identity_;
  TrainLoader loader_;
  Sgd sgd_;
  std::optional<MovingAverage> average_;
  bool bf16_;
  std::int64_t steps_ = 0;
  double lr_ = 0;
  Progress at_;
  std::vector<EpochRecord> history_;
};

}  // namespace

std::vector<EpochRecord> fit(Model& model, const std::string& phase, const Splits& splits,
                             const TrainConfig& config, const Fingerprint& identity) {
  const ThreadScope threads(config.threads);
  reserve_blas_memory();
  return Run(model, phase, splits, config, identity).train();
}

}  // namespace octavo::train_detail
