#include "settings.h"

#include <fmt/format.h>

#include <limits>
#include <type_traits>
#include <utility>

#include "octavo/core/error.h"
#include "octavo/graph/zoo.h"

namespace octavo::app {
namespace {

constexpr double kUnbounded = 1e300;

const std::vector<std::pair<std::string, Schedule>>& schedules() {
  static const std::vector<std::pair<std::string, Schedule>> names{{"constant", Schedule::kConstant},
                                                                   {"step", Schedule::kStep},
                                                                   {"cosine", Schedule::kCosine},
                                                                   {"one-cycle", Schedule::kOneCycle}};
  return names;
}

template <typename T>
SettingValue to_value(const T& field) {
  if constexpr (std::is_same_v<T, bool> || std::is_same_v<T, double> || std::is_same_v<T, std::string> ||
                std::is_same_v<T, std::vector<std::int64_t>> || std::is_same_v<T, std::vector<double>>) {
    return field;
  } else if constexpr (std::is_integral_v<T>) {
    return static_cast<std::int64_t>(field);
  } else if constexpr (std::is_same_v<T, float>) {
    return std::stod(fmt::format("{}", field));  // The shortest decimal, so that 99.99 stays 99.99.
  } else if constexpr (std::is_same_v<T, std::filesystem::path>) {
    return field.string();
  } else if constexpr (std::is_same_v<T, BitWidth> || std::is_same_v<T, std::map<std::string, BitWidth>>) {
    return to_string(field);
  } else {
    static_assert(std::is_same_v<T, Schedule>);
    for (const auto& [name, schedule] : schedules()) {
      if (schedule == field) return name;
    }
    return std::string();
  }
}

template <typename T>
void from_value(T& field, const SettingValue& value, const std::string& where) {
  if constexpr (std::is_same_v<T, bool> || std::is_same_v<T, double> || std::is_same_v<T, std::string> ||
                std::is_same_v<T, std::vector<std::int64_t>> || std::is_same_v<T, std::vector<double>>) {
    field = std::get<T>(value);
  } else if constexpr (std::is_integral_v<T>) {
    field = static_cast<T>(std::get<std::int64_t>(value));
  } else if constexpr (std::is_same_v<T, float>) {
    field = static_cast<float>(std::get<double>(value));
  } else if constexpr (std::is_same_v<T, std::filesystem::path>) {
    field = std::get<std::string>(value);
  } else if constexpr (std::is_same_v<T, BitWidth>) {
    field = parse_bit_width(std::get<std::string>(value), where);
  } else if constexpr (std::is_same_v<T, std::map<std::string, BitWidth>>) {
    field = parse_layer_bits(std::get<std::string>(value), where);
  } else {
    static_assert(std::is_same_v<T, Schedule>);
    for (const auto& [name, schedule] : schedules()) {
      if (name == std::get<std::string>(value)) field = schedule;
    }
  }
}

std::vector<std::string> schedule_names() {
  std::vector<std::string> names;
  for (const auto& [name, schedule] : schedules()) names.push_back(name);
  return names;
}

/// Whether a setting is part of what a run is, so that another value of it is another run.
enum class Role : std::uint8_t { kDefinesResult, kDefinesNothing };

/// Appends rows that share a section, its commands and their role.
class Rows {
 public:
  Rows(std::vector<Setting>& table, std::string section, unsigned commands, Role role)
      : table_(table),
        section_(std::move(section)),
        commands_(commands),
        defines_result_(role == Role::kDefinesResult) {}

  template <typename T>
  Setting& add(const std::string& key, const std::string& flag, T& field, const std::string& help) {
    Setting row;
    row.section = section_;
    row.key = key;
    row.flag = flag;
    row.help = help;
    row.commands = commands_;
    row.defines_result = defines_result_;
    row.get = [&field] { return to_value(field); };
    row.set = [&field, flag](const SettingValue& value) { from_value(field, value, flag); };
    table_.push_back(std::move(row));
    return table_.back();
  }

  template <typename T>
  Setting& number(const std::string& key, const std::string& flag, T& field, double min, double max,
                  const std::string& help) {
    Setting& row = add(key, flag, field, help);
    row.min = min;
    row.max = std::is_same_v<T, int> && max == kUnbounded ? std::numeric_limits<int>::max() : max;
    return row;
  }

  template <typename T>
  Setting& choice(const std::string& key, const std::string& flag, T& field, std::vector<std::string> choices,
                  const std::string& help) {
    Setting& row = add(key, flag, field, help);
    row.choices = std::move(choices);
    return row;
  }

 private:
  std::vector<Setting>& table_;
  std::string section_;
  unsigned commands_;
  bool defines_result_;
};

void add_run(std::vector<Setting>& table, Settings& s) {
  Rows rows(table, "run", kRun | kTrain, Role::kDefinesNothing);
  rows.add("name", "--name", s.name, "Name of the run (empty: model and data set)");
  rows.add("out", "--out", s.out, "Folder of the run (empty: runs/ and the name)");
  constexpr unsigned kAll = kRun | kTrain | kPtq | kQat | kEval | kBench | kVerify | kServe;
  rows.number("threads", "--threads", s.threads, 0, 4096, "Threads that compute (0: one per core)").commands =
      kAll;
  Setting& seed = rows.number("seed", "--seed", s.seed, 0, 9e18,
                              "Seed of weights, batch order, augmentation and calibration images");
  seed.commands = kRun | kTrain | kPtq | kQat;
  seed.defines_result = true;
}

void add_data(std::vector<Setting>& table, Settings& s) {
  Rows rows(table, "data", kRun | kTrain | kPtq | kQat | kEval | kVerify | kData, Role::kDefinesNothing);
  // Not defining: what was read is told apart by its hash.
  rows.choice("dataset", "--dataset", s.data.dataset,
              {"cifar10", "cifar100", "fashion-mnist", "mnist", "image-folder", "auto"},
              "Data set; auto takes what is in --data, else CIFAR-10, or Fashion-MNIST where there is "
              "neither CIFAR-10 nor a "
              "network")
      .chooses_images = true;
  rows.add("path", "--data", s.data.path,
           "Folder or archive with the data (empty: $OCTAVO_DATA, cache, download)");
  rows.add("download", "--download", s.data.allow_download,
           "Download CIFAR-10 or CIFAR-100 (162 MiB) if it is not found");
  rows.add("url", "--url", s.data.url, "Address that CIFAR is downloaded from (empty: the official one)");
  rows.add("md5", "--md5", s.data.md5, "MD5 of that archive (empty: the official one's, none: not checked)");
  rows.number("train_limit", "--train-limit", s.train_limit, 0, kUnbounded,
              "Use the first so many training images (0: all)")
      .chooses_images = true;
  rows.number("test_limit", "--test-limit", s.test_limit, 0, kUnbounded,
              "Use the first so many test images (0: all)")
      .chooses_images = true;
  Setting& size = rows.number(
      "image_size", "--image-size", s.image_size, 0, 65536,
      "Height and width that images are resized and cut to, pixels, and of the input of a model that "
      "leaves them open (0: the model's)");
  size.chooses_images = true;
  size.commands |= kBench | kInspect | kServe;
  Setting& resize = rows.number("resize", "--resize", s.data.images.resize, 0, 65536,
                                "Their shorter side before that, pixels (0: as small as covers the cut)");
  resize.chooses_images = true;
  resize.commands |= kServe;
  Setting& mean = rows.number(
      "mean", "--mean", s.mean, -1e6, 1e6,
      "Mean of the normalization, one per channel, of pixels from 0 to 1 (empty: the model's, else the "
      "data set's)");
  mean.defines_result = true;
  mean.commands |= kServe;
  Setting& deviation = rows.number("std", "--std", s.std, 1e-6, 1e6, "Deviation likewise");
  deviation.defines_result = true;
  deviation.commands |= kServe;
}

void add_optimizer(Rows& rows, const std::string& prefix, OptimizerConfig& o) {
  const auto flag = [&prefix](const std::string& name) { return "--" + prefix + name; };
  rows.number("lr", flag("lr"), o.lr, 0, 100, "Peak learning rate of SGD").above_min = true;
  rows.number("momentum", flag("momentum"), o.momentum, 0, 1, "Momentum of SGD").below_max = true;
  rows.add("nesterov", flag("nesterov"), o.nesterov, "Nesterov momentum");
  rows.number("weight_decay", flag("weight-decay"), o.weight_decay, 0, 1, "Weight decay (L2)");
  rows.add("decay_norm_and_bias", flag("decay-norm-and-bias"), o.decay_norm_and_bias,
           "Decay batch-norm parameters and biases too");
  rows.choice("schedule", flag("schedule"), o.schedule, schedule_names(), "How the learning rate changes");
  rows.number("warmup_fraction", flag("warmup-fraction"), o.warmup_fraction, 0, 1,
              "Part of the steps with a rising learning rate (one-cycle, cosine)")
      .below_max = true;
  rows.number("step_epochs", flag("step-epochs"), o.step_epochs, 1, kUnbounded,
              "Epochs between drops (step)");
  rows.number("step_factor", flag("step-factor"), o.step_factor, 0, 1, "Factor of a drop (step)").above_min =
      true;
  rows.number("label_smoothing", flag("label-smoothing"), o.label_smoothing, 0, 0.999,
              "Part of the label spread over all classes");
}

void add_train(std::vector<Setting>& table, Settings& s) {
  Rows model(table, "model", kRun | kTrain, Role::kDefinesResult);
  model.choice("name", "--model", s.model, model_names(), "Architecture");

  Rows rows(table, "train", kRun | kTrain, Role::kDefinesResult);
  TrainConfig& t = s.train;
  rows.number("epochs", "--epochs", t.epochs, 1, 1e6, "Passes over the training images");
  constexpr unsigned kShared = kRun | kTrain | kQat;
  rows.number("batch_size", "--batch-size", t.loader.batch_size, 1, 1e6, "Images per step").commands =
      kShared;
  add_optimizer(rows, "", t.optimizer);
  rows.number("crop_padding", "--crop-padding", t.loader.augment.crop_padding, 0, 1024,
              "Pixels of padding before a random crop (0: no crop)")
      .commands = kShared;
  rows.add("flip", "--flip", t.loader.augment.horizontal_flip, "Mirror half of the training images")
      .commands = kShared;
  rows.number("cutout", "--cutout", t.loader.augment.cutout, 0, 1024,
              "Side of a blanked square, pixels (0: none)")
      .commands = kShared;
  Setting& workers = rows.number("workers", "--workers", t.loader.workers, 0, 256,
                                 "Threads that prepare batches ahead (0: none; changes no result)");
  workers.commands = kShared;
  workers.defines_result = false;
  rows.choice("precision", "--precision", t.precision, {"auto", "fp32", "bf16"},
              "Arithmetic of training; auto takes bf16 where the CPU has it in hardware")
      .commands = kShared;
  rows.number("ema_decay", "--ema-decay", t.ema_decay, 0, 0.999999,
              "Decay of the moving average of the weights that becomes the result (0: off)");
  rows.number("eval_every", "--eval-every", t.eval_every, 0, 1e6,
              "Epochs between test accuracies (0: after the last only)");
}

void add_quantization(std::vector<Setting>& table, Settings& s) {
  Rows ptq(table, "ptq", kRun | kPtq | kQat, Role::kDefinesResult);
  ptq.choice("observer", "--observer", s.ptq.observer.kind, observer_names(),
             "How activation ranges are found");
  ptq.number("percentile", "--percentile", s.ptq.observer.percentile, 50, 100,
             "Part of the values a range keeps, percent (percentile)");
  ptq.number("momentum", "--observer-momentum", s.ptq.observer.momentum, 0, 0.999999,
             "Weight of the old range (moving-average)");
  ptq.number("bins", "--bins", s.ptq.observer.bins, 16, 1 << 20,
             "Bins of the histogram (percentile, mse, entropy)");
  ptq.number("calibration_samples", "--calibration-samples", s.ptq.calibration_samples, 1, kUnbounded,
             "Training images, un-augmented, that ranges are found on");
  ptq.number("batch_size", "--calibration-batch-size", s.ptq.batch_size, 1, 1e5,
             "Images per calibration batch");

  ptq.add("bits", "--bits", s.ptq.bits.all, "Bits of weights and activations, 2 to 8: w4a8, w4a4");
  ptq.number("first_last", "--first-last", s.ptq.bits.first_last, 0, 8,
             "Bits of the first and the last layer (0: as all others)");
  ptq.add("layer_bits", "--layer-bits", s.ptq.bits.layers,
          "Bits of single layers, by name: conv1=w8a8,fc=w4a8 (empty: none)");
  // QAT takes PTQ's ranges alone.
  Rows methods(table, "ptq", kRun | kPtq, Role::kDefinesResult);
  methods.choice("preset", "--preset", s.preset, preset_names(),
                 "Effort of PTQ: fast corrects biases, balanced repairs layer by layer");
  const auto method = [&](const std::string& key, const std::string& flag, std::string& field,
                          const std::string& help) {
    methods.choice(key, flag, field, {"auto", "on", "off"}, help + " (auto: as the preset says)");
  };
  method("clip_weights", "--clip-weights", s.clip_weights, "Weight ranges of least squared error");
  method("second_order", "--second-order", s.second_order,
         "Weights rounded so that a layer's outputs change least, rather than to the nearest integer");
  method("correct_bias", "--correct-bias", s.correct_bias,
         "Biases that keep the mean of each output channel");
  ptq.number("weight_qmax", "--weight-qmax", s.ptq.weight_qmax, 1, 127,
             "Largest weight integer (127: eight bits, 63: seven, for CPUs whose kernels saturate)");
  ptq.choice("target", "--target", s.ptq.target, target_names(),
             "Engine that the file is for: its documented scheme; verify checks a file against its rules")
      .commands |= kVerify;
  ptq.number("opset", "--opset", s.opset, ExportOptions::kLeastOpset, ExportOptions::kNewestOpset,
             "Opset of the quantized file (a later one where an operator needs it)");
  ptq.choice("target_isa", "--target-isa", s.target_isa, {"any", "avx2"},
             "avx2: seven-bit weights in the layers whose products saturate int16 in engines without VNNI");
  ptq.add("latency_guard", "--latency-guard", s.latency_guard,
          "Keep in int8 only what is faster so on this machine, and say why for the rest");
  ptq.number("guard_batch", "--guard-batch", s.guard_batch, 1, 65536,
             "Batch size that the latency guard times");

  Rows qat(table, "qat", kRun | kQat, Role::kDefinesResult);
  TrainConfig& t = s.qat.train;
  qat.number("epochs", "--qat-epochs", t.epochs, 1, 1e6, "Epochs of quantization-aware fine-tuning");
  add_optimizer(qat, "qat-", t.optimizer);
  qat.number("ema_decay", "--qat-ema-decay", t.ema_decay, 0, 0.999999,
             "Decay of the moving average of the weights that becomes the result (0: off)");
  qat.number("eval_every", "--qat-eval-every", t.eval_every, 0, 1e6,
             "Epochs between test accuracies (0: after the last only)");
  qat.number("freeze_batch_norm", "--freeze-batch-norm", s.qat.freeze_batch_norm, 0, 1,
             "Part of the epochs after which batch-norm statistics stay fixed");
  qat.number("freeze_observers", "--freeze-observers", s.qat.freeze_observers, 0, 1,
             "Part of the epochs after which activation ranges stay fixed");
  qat.add("learnable_scales", "--learnable-scales", s.qat.learnable_scales, "Train the scales too (LSQ)");

  Rows bench(table, "bench", kRun | kBench, Role::kDefinesNothing);
  bench.number("batches", "--batches", s.batches, 1, 65536, "Batch sizes that latency is measured at");
  bench.number("warmup", "--warmup", s.warmup, 0, 1e6, "Untimed runs before the timed ones");
  bench.number("runs", "--runs", s.runs, 1, 1e7, "Timed runs");

  Rows verify(table, "verify", kVerify, Role::kDefinesNothing);
  verify.number("images", "--images", s.verify_images, 1, 1e5,
                "Test images that the programs run (the reference interpreter is slow)");
  verify.number("max_lsb", "--max-lsb", s.verify_max_lsb, 0, 255,
                "Largest difference of a layer, in steps of its scale, that passes; the runtime's must be 0");
  verify.add("onnxruntime", "--onnxruntime", s.onnxruntime,
             "node_modules folder with onnxruntime-node (empty: where Node.js looks)");
}

void add_serve(std::vector<Setting>& table, Settings& s) {
  Rows rows(table, "serve", kServe, Role::kDefinesNothing);
  ServeConfig& c = s.serve;
  rows.add("host", "--host", c.host, "Address to listen on; 0.0.0.0: all of this machine's");
  rows.number("port", "--port", c.port, 0, 65535, "Port to listen on (0: any that is free)");
  rows.number("max_batch", "--max-batch", c.max_batch, 1, 4096, "Images in one run of a model");
  rows.number("max_wait_ms", "--max-wait-ms", c.max_wait_ms, 0, 10000,
              "Milliseconds that a batch with room waits for requests that are on their way");
  rows.number("max_queue", "--max-queue", c.max_queue, 1, 1e6, "Images that wait for a model; more get 503");
  rows.number("max_body_mb", "--max-body", c.max_body_mb, 0.001, 4000,
              "Megabytes of a request's body; more get 413");
  rows.number("max_pixels", "--max-pixels", c.max_pixels, 1, 1 << 27, "Pixels of a picture");
  rows.number("max_connections", "--max-connections", c.max_connections, 1, 10000,
              "Connections at a time; more get 503");
  rows.number("timeout_s", "--timeout", c.timeout_s, 0.1, 3600,
              "Seconds for a request to come and be answered");
  rows.add("reload", "--reload", c.reload, "Serve a changed model file without a stop");
}

}  // namespace

Settings::Settings() {
  TrainConfig& q = qat.train;
  q.epochs = 5;
  q.optimizer.lr = 0.005;
  q.optimizer.schedule = Schedule::kCosine;
  q.optimizer.warmup_fraction = 0;
  q.optimizer.weight_decay = 1e-4;
  q.optimizer.label_smoothing = 0;
}

std::vector<Setting> settings_table(Settings& settings) {
  std::vector<Setting> table;
  add_run(table, settings);
  add_data(table, settings);
  add_train(table, settings);
  add_quantization(table, settings);
  add_serve(table, settings);
  return table;
}

void check_together(const Settings& settings, unsigned commands) {
  const auto check = [](const OptimizerConfig& o, const std::string& prefix) {
    if (!o.nesterov || o.momentum > 0) return;
    throw Error(ErrorCode::kUsage, fmt::format("--{}momentum", prefix),
                fmt::format("does not go with --{0}nesterov; expected a momentum above 0, got {1} (or give "
                            "--no-{0}nesterov)",
                            prefix, o.momentum));
  };
  if ((commands & (kRun | kPtq | kQat)) != 0 && settings.ptq.bits.first_last == 1) {
    throw Error(ErrorCode::kUsage, "--first-last",
                fmt::format("bad value; expected 0 or {} to {}, got 1", kFewestBits, kMostBits));
  }
  if ((commands & (kRun | kPtq | kQat)) != 0) check_target(settings.ptq);
  if ((commands & (kRun | kTrain)) != 0) check(settings.train.optimizer, "");
  if ((commands & (kRun | kQat)) != 0) check(settings.qat.train.optimizer, "qat-");
}

TrainConfig train_config(const Settings& settings) {
  TrainConfig config = settings.train;
  config.seed = settings.seed;
  config.loader.seed = settings.seed;
  config.threads = settings.threads;
  return config;
}

QatConfig qat_config(const Settings& settings) {
  QatConfig config = settings.qat;
  config.train.loader = settings.train.loader;
  config.train.precision = settings.train.precision;
  config.train.seed = settings.seed;
  config.train.loader.seed = settings.seed;
  config.train.threads = settings.threads;
  config.bits = settings.ptq.bits;
  config.weight_qmax = settings.ptq.weight_qmax;
  config.target = settings.ptq.target;
  return config;
}

PtqConfig ptq_config(const Settings& settings) {
  PtqConfig config = settings.ptq;
  config.methods = methods_of_preset(settings.preset);
  const auto choose = [](const std::string& asked, bool& method) {
    if (asked != "auto") method = asked == "on";
  };
  choose(settings.clip_weights, config.methods.clip_weights);
  choose(settings.second_order, config.methods.second_order);
  choose(settings.correct_bias, config.methods.correct_bias);
  config.seed = settings.seed;
  return config;
}

ExportOptions export_options(const Settings& settings) {
  const Target& target = find_target(settings.ptq.target);
  return {.opset = settings.opset,
          .int8_activations = target.int8_activations,
          .float_biases = target.float_biases};
}

}  // namespace octavo::app
