#include "settings.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "octavo/core/did_you_mean.h"
#include "octavo/core/error.h"
#include "octavo/core/file.h"
#include "octavo/core/temporary_folder.h"

namespace octavo::app {
namespace {

class SettingsFile : public ::testing::Test {
 protected:
  /// What load_config answers to `text`: its error, or nothing.
  std::pair<int, std::string> load(const std::string& text) {
    write_file(path_, text);
    try {
      load_config(settings_, path_);
    } catch (const Error& error) {
      return {error.exit_code(), error.what()};
    }
    return {0, ""};
  }
  std::string at(const std::string& rest) const { return path_.string() + ":" + rest; }

  TemporaryFolder folder_;
  std::filesystem::path path_ = folder_ / "settings.toml";
  Settings settings_;
};

TEST_F(SettingsFile, KeysReachTheirFields) {
  const auto [code, message] = load(
      "[train]\nepochs = 7\nlr = 1\nschedule = \"step\"\nflip = false\n"
      "[ptq]\npercentile = 99.9\nobserver = \"percentile\"\n[bench]\nbatches = [2, 64]\n[run]\nout = \"x "
      "y\"\n");
  ASSERT_EQ(code, 0) << message;
  EXPECT_EQ(settings_.train.epochs, 7);
  EXPECT_EQ(settings_.train.optimizer.lr, 1.0);
  EXPECT_EQ(settings_.train.optimizer.schedule, Schedule::kStep);
  EXPECT_FALSE(settings_.train.loader.augment.horizontal_flip);
  EXPECT_EQ(settings_.ptq.observer.percentile, 99.9F);
  EXPECT_EQ(settings_.batches, (std::vector<std::int64_t>{2, 64}));
  EXPECT_EQ(settings_.out, "x y");
}

TEST_F(SettingsFile, KeyThatEqualsTheDefaultIsGivenAllTheSame) {
  write_file(path_, "[data]\ndataset = \"cifar10\"\n");
  EXPECT_EQ(load_config(settings_, path_), std::set<std::string>{"data.dataset"});
}

TEST_F(SettingsFile, UnknownKeyNamesPlaceAndNearestKey) {
  const auto [code, message] = load("[train]\nepochs = 7\n  bach_size = 3\n");
  EXPECT_EQ(code, 2);
  EXPECT_EQ(message,
            at("3:3: unknown key 'train.bach_size'; expected a key of docs/configuration.md, got 'bach_size' "
               "(did you mean 'train.batch_size'?)"));
}

TEST_F(SettingsFile, UnknownSectionNamesNearestSection) {
  const auto [code, message] = load("[trian]\nepochs = 7\n");
  EXPECT_EQ(code, 2);
  EXPECT_NE(message.find(":1:2: unknown section or key 'trian'"), std::string::npos) << message;
  EXPECT_NE(message.find("did you mean [train]?"), std::string::npos) << message;
}

TEST_F(SettingsFile, WrongTypeNamesBothTypes) {
  const auto [code, message] = load("[train]\nepochs = \"many\"\n");
  EXPECT_EQ(code, 2);
  EXPECT_EQ(message,
            at("2:10: train.epochs: wrong type; expected an integer, got 'many' (the default is 24)"));
}

TEST_F(SettingsFile, FractionIsNoInteger) {
  EXPECT_EQ(load("[train]\nepochs = 2.5\n").first, 2);
  EXPECT_EQ(load("[train]\nflip = 1\n").first, 2);
  EXPECT_EQ(load("[bench]\nbatches = 1\n").first, 2);
  EXPECT_EQ(load("[bench]\nbatches = [1, \"2\"]\n").first, 2);
  EXPECT_EQ(load("[bench]\nbatches = []\n").first, 2);
}

TEST_F(SettingsFile, OutOfRangeSaysTheRange) {
  const auto [code, message] = load("[train]\nbatch_size = -4\n");
  EXPECT_EQ(code, 2);
  EXPECT_EQ(message, at("2:14: train.batch_size: out of range; expected an integer from 1 to 1000000, got -4 "
                        "(the default is 128)"));
  EXPECT_EQ(load("[bench]\nbatches = [1, 0]\n").first, 2);
  EXPECT_EQ(load("[train]\nlr = nan\n").first, 2);
  EXPECT_EQ(load("[train]\nlr = inf\n").first, 2);
}

TEST_F(SettingsFile, BrokenTomlIsBadInputWithItsPlace) {
  const auto [code, message] = load("[train]\nepochs = = 3\n");
  EXPECT_EQ(code, 3);
  EXPECT_NE(message.find(path_.string() + ":2:10: not TOML"), std::string::npos) << message;
}

TEST_F(SettingsFile, MissingFileIsAnInputOutputError) {
  try {
    load_config(settings_, path_ / "not-there");
    FAIL() << "read a file that is not there";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kIo);
  }
}

TEST_F(SettingsFile, WrittenSettingsReadBackTheSame) {
  settings_.train.optimizer.lr = 0.1 + 0.2;
  settings_.name = "a \"quoted\" \\ name\n";
  settings_.batches = {3};
  settings_.ptq.observer.percentile = 99.995F;
  settings_.qat.learnable_scales = true;
  const std::string text = to_toml(settings_);
  Settings read;
  write_file(path_, text);
  load_config(read, path_);
  EXPECT_EQ(to_toml(read), text);
  EXPECT_EQ(read.name, settings_.name);
  EXPECT_EQ(read.train.optimizer.lr, settings_.train.optimizer.lr);
  EXPECT_EQ(read.ptq.observer.percentile, settings_.ptq.observer.percentile);
}

TEST_F(SettingsFile, ShippedConfigurationsLoad) {
  for (const char* name : {"quick", "default", "reference"}) {
    Settings read;
    EXPECT_NO_THROW(load_config(
        read, std::filesystem::path(OCTAVO_SOURCE_DIR "/configs") / (std::string(name) + ".toml")))
        << name;
  }
}

TEST(ReferenceConfiguration, IsTheSupersededScripts) {
  Settings s;
  load_config(s, OCTAVO_SOURCE_DIR "/configs/reference.toml");
  EXPECT_EQ(s.train.epochs, 100);
  EXPECT_EQ(s.train.optimizer.schedule, Schedule::kConstant);
  EXPECT_EQ(s.train.optimizer.lr, 0.1);
  EXPECT_EQ(s.train.optimizer.momentum, 0.9);
  EXPECT_FALSE(s.train.optimizer.nesterov);
  EXPECT_EQ(s.train.optimizer.weight_decay, 5e-4);
  EXPECT_TRUE(s.train.optimizer.decay_norm_and_bias);
  EXPECT_EQ(s.train.optimizer.label_smoothing, 0);
  EXPECT_EQ(s.train.loader.batch_size, 128);
  EXPECT_EQ(s.train.loader.workers, 4);
  EXPECT_EQ(s.qat.train.epochs, 5);
  EXPECT_EQ(s.ptq.calibration_samples, 1000);
}

TEST(SettingsTable, FlagsAndKeysAreUnique) {
  Settings settings;
  std::set<std::string> flags;
  std::set<std::string> paths;
  for (const Setting& setting : settings_table(settings)) {
    EXPECT_TRUE(flags.insert(setting.flag).second) << setting.flag;
    EXPECT_TRUE(paths.insert(setting.path()).second) << setting.path();
    EXPECT_NE(setting.commands, 0U) << setting.path();
    EXPECT_FALSE(setting.help.empty()) << setting.path();
  }
}

TEST(SettingsTable, EveryDefaultPassesItsOwnCheck) {
  Settings settings;
  for (const Setting& setting : settings_table(settings)) {
    EXPECT_NO_THROW(assign_text(setting, to_text(setting.get()))) << setting.path();
  }
}

TEST(SettingsTable, DocumentationHasEveryKeyWithFlagAndDefault) {
  const std::string document = read_text_file(OCTAVO_SOURCE_DIR "/docs/configuration.md");
  Settings settings;
  for (const Setting& s : settings_table(settings)) {
    const std::string value = to_text(s.get());
    const std::string row =
        fmt::format("| `{}` | `{}` | {} | {} | {} |\n", s.key, s.flag,
                    value.empty() ? "(empty)" : "`" + value + "`", expectation(s), s.help);
    EXPECT_NE(document.find(row), std::string::npos) << "docs/configuration.md lacks this row:\n" << row;
  }
}

TEST(QatConfiguration, KeepsWeightsAsNarrowAsPtq) {
  Settings settings;
  EXPECT_EQ(qat_config(settings).weight_qmax, 127);
  settings.ptq.weight_qmax = 63;
  EXPECT_EQ(qat_config(settings).weight_qmax, 63);
}

TEST(PtqConfiguration, MethodsAreThePresetsUnlessAskedFor) {
  Settings settings;
  EXPECT_EQ(ptq_config(settings).methods, methods_of_preset("fast"));
  settings.preset = "balanced";
  settings.second_order = "off";
  EXPECT_EQ(ptq_config(settings).methods,
            (PtqMethods{.clip_weights = true, .second_order = false, .correct_bias = true}));
  settings.clip_weights = "on";
  settings.correct_bias = "off";
  settings.preset = "fast";
  EXPECT_EQ(ptq_config(settings).methods,
            (PtqMethods{.clip_weights = true, .second_order = false, .correct_bias = false}));
}

TEST(BitsOfLayers, AreReadFromFlagAndFileAndHoldForQat) {
  Settings settings;
  for (const Setting& setting : settings_table(settings)) {
    if (setting.flag == "--bits") assign_text(setting, "w4a6");
    if (setting.flag == "--layer-bits") assign_text(setting, "fc=w2a3,conv1=w8a8");
  }
  const BitWidths wanted{.all = {4, 6}, .first_last = 8, .layers = {{"fc", {2, 3}}, {"conv1", {8, 8}}}};
  EXPECT_EQ(ptq_config(settings).bits, wanted);
  EXPECT_EQ(qat_config(settings).bits, wanted);
  for (const Setting& setting : settings_table(settings)) {
    if (setting.flag == "--bits" || setting.flag == "--layer-bits") {
      EXPECT_THROW(assign_text(setting, "fc=w4"), Error);
    }
  }
}

TEST(ExportConfiguration, IsTheTargetsAndHasTheOpsetAskedFor) {
  Settings settings;
  EXPECT_EQ(export_options(settings).opset, 13);
  EXPECT_FALSE(export_options(settings).int8_activations);
  settings.ptq.target = "tensorrt";
  settings.opset = 21;
  EXPECT_EQ(export_options(settings).opset, 21);
  EXPECT_TRUE(export_options(settings).int8_activations);
  EXPECT_TRUE(export_options(settings).float_biases);
  EXPECT_EQ(qat_config(settings).target, "tensorrt");
}

TEST(DidYouMean, TakesTheSmallestEditDistance) {
  EXPECT_EQ(did_you_mean("epohcs", {"lr", "epochs", "epoch_count"}), " (did you mean epochs?)");
  EXPECT_EQ(did_you_mean("anything", {}), "");
  EXPECT_EQ(did_you_mean("adam", {"resize", "data"}), "");
  EXPECT_EQ(did_you_mean("-v", {"run", "ptq"}), "");
}

TEST(DefiningSettings, LeaveOutWhatChangesNoResult) {
  const auto flat = defining_settings(Settings(), kRun);
  EXPECT_TRUE(flat.contains("train.epochs"));
  EXPECT_TRUE(flat.contains("run.seed"));
  EXPECT_FALSE(flat.contains("train.workers"));
  EXPECT_FALSE(flat.contains("run.out"));
  EXPECT_FALSE(flat.contains("data.path"));
  EXPECT_FALSE(flat.contains("bench.runs"));
}

}  // namespace
}  // namespace octavo::app
