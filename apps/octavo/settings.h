/// Every setting of the program, once: the table below drives TOML keys, flags, help, checks and config.toml.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "octavo/data/sources.h"
#include "octavo/onnx/onnx.h"
#include "octavo/quantize/ptq.h"
#include "octavo/serve/server.h"
#include "octavo/train/trainer.h"

namespace octavo::app {

/// What the user can choose. Defaults are those of the library where it has one.
struct Settings {
  Settings();

  // [run]
  std::string name;           ///< Empty: <model>-<dataset>.
  std::filesystem::path out;  ///< Empty: runs/<name>.
  int threads = 0;            ///< 0: one per core.
  std::uint64_t seed = 42;
  // [data]
  DataRequest data;
  std::int64_t image_size = 0;  ///< Of image folders; 0: the model's.
  std::vector<double> mean;     ///< Of the normalization; empty: the model's, else the data set's.
  std::vector<double> std;
  std::int64_t train_limit = 0;
  std::int64_t test_limit = 0;
  // [model]
  std::string model = "simple-cnn";
  // [train], [ptq], [qat]
  TrainConfig train;
  PtqConfig ptq;  ///< Its bits belong to QAT too.
  std::string preset = "fast";
  std::string clip_weights = "auto";
  std::string second_order = "auto";
  std::string correct_bias = "auto";
  std::string target_isa = "any";
  int opset = ExportOptions::kLeastOpset;  ///< Of the quantized files.
  bool latency_guard = false;
  std::int64_t guard_batch = 1;
  QatConfig qat;
  // [bench]
  std::vector<std::int64_t> batches{1, 128};
  int warmup = 10;
  int runs = 100;
  // [verify]
  std::int64_t verify_images = 16;
  double verify_max_lsb = 4;
  std::filesystem::path onnxruntime;  ///< node_modules folder; empty: where Node.js looks by itself.
  // [serve]
  ServeConfig serve;
};

/// A setting's value, whatever its type in Settings.
using SettingValue =
    std::variant<bool, std::int64_t, double, std::string, std::vector<std::int64_t>, std::vector<double>>;

/// Commands, as bits: which of them a setting is a flag of.
enum Command : unsigned {
  kRun = 1,
  kTrain = 2,
  kPtq = 4,
  kQat = 8,
  kEval = 16,
  kBench = 32,
  kData = 64,
  kInspect = 128,
  kVerify = 256,
  kDoctor = 512,
  kCompletion = 1024,
  kMan = 2048,
  kServe = 4096,
};

/// One row of the table.
struct Setting {
  std::string section;
  std::string key;
  std::string flag;  ///< With its dashes.
  std::string help;  ///< What it is, with its unit.
  unsigned commands = 0;
  /// True if a result depends on it, so that a run cannot be resumed with another value.
  bool defines_result = false;
  std::function<SettingValue()> get;
  std::function<void(const SettingValue&)> set;
  /// True if it chooses the images that results are of. What was read is told apart by its hash; this names
  /// the setting.
  bool chooses_images = false;
  double min = -1e300, max = 1e300;           ///< Of numbers, and of each number of a list.
  bool above_min = false, below_max = false;  ///< Else `min` and `max` are allowed themselves.
  std::vector<std::string> choices;           ///< Empty: any text.

  std::string path() const { return section + "." + key; }
};

/// The table, bound to `settings`, which must outlive it. In the order of config.toml and help.
std::vector<Setting> settings_table(Settings& settings);

/// "an integer of at least 1", "one of fp32, bf16, auto".
std::string expectation(const Setting& setting);

/// As TOML writes it, except that text comes without quotes.
std::string to_text(const SettingValue& value);

/// Sets from a flag's text. Throws kUsage, naming the flag.
void assign_text(const Setting& setting, const std::string& text);

/// Throws kUsage, naming the flag, if values that are allowed by themselves do not go together in what one of
/// `commands` does.
void check_together(const Settings& settings, unsigned commands);

/// Applies a TOML file to `settings` and answers which of them ("section.key") it gave. Throws kIo if it
/// cannot be read, kBadInput (syntax) or kUsage (unknown key, wrong type, value out of range), both with
/// file:line:column.
std::set<std::string> load_config(Settings& settings, const std::filesystem::path& file);

/// The whole table as a commented TOML file that load_config reads back to the same settings.
std::string to_toml(const Settings& settings);

/// "section.key" -> value of the settings that define a result of one of `commands`.
std::map<std::string, std::string> defining_settings(const Settings& settings, unsigned commands);

/// Likewise of the settings of one section, and, for "data", of those that choose images.
std::map<std::string, std::string> defining_settings_of(const Settings& settings, const std::string& section);

/// All settings as "section.key" -> value.
std::map<std::string, std::string> flat_settings(const Settings& settings);

/// The settings of training and of QAT with seed and threads filled in and the loader shared.
TrainConfig train_config(const Settings& settings);
QatConfig qat_config(const Settings& settings);
PtqConfig ptq_config(const Settings& settings);

/// How the quantized model's file is written.
ExportOptions export_options(const Settings& settings);

}  // namespace octavo::app
