// A run's folder answers for its own settings and images alone: each of them in turn is another, and that is
// noticed.
#include "run_identity.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "octavo/core/version.h"

namespace octavo::app {
namespace {

/// What changes no result: where things lie, how many threads compute, what is measured afterwards. Every
/// other setting is part of what makes two runs the same.
const std::set<std::string> kChangesNothing{"run.name",         "run.out",
                                            "run.threads",      "data.path",
                                            "data.download",    "data.url",
                                            "data.md5",         "train.workers",
                                            "bench.runs",       "bench.batches",
                                            "bench.warmup",     "verify.images",
                                            "verify.max_lsb",   "verify.onnxruntime",
                                            "serve.host",       "serve.port",
                                            "serve.max_batch",  "serve.max_wait_ms",
                                            "serve.max_queue",  "serve.max_body_mb",
                                            "serve.max_pixels", "serve.max_connections",
                                            "serve.timeout_s",  "serve.reload"};

/// A value that `setting` may have and has not.
SettingValue another(const Setting& setting) {
  const SettingValue now = setting.get();
  if (const bool* on = std::get_if<bool>(&now)) return !*on;
  if (const auto* number = std::get_if<std::int64_t>(&now))
    return static_cast<double>(*number) < setting.max ? *number + 1 : *number - 1;
  if (const double* number = std::get_if<double>(&now)) return (*number + setting.min) / 2 + 0.01;
  if (std::holds_alternative<std::vector<std::int64_t>>(now)) return std::vector<std::int64_t>{7};
  if (std::holds_alternative<std::vector<double>>(now)) return std::vector<double>{0.25};
  if (setting.path() == "ptq.bits") return "w4a6";
  if (setting.path() == "ptq.layer_bits") return "conv1=w4a6";
  const std::string& text = std::get<std::string>(now);
  const auto other =
      std::ranges::find_if(setting.choices, [&](const std::string& choice) { return choice != text; });
  return other == setting.choices.end() ? SettingValue("other") : SettingValue(*other);
}

RunIdentity identity_of(const Settings& settings) {
  RunIdentity identity = asked_identity(settings, settings.data.dataset, kRun);
  return identity;
}

/// Keys of all phases in which `now` differs.
std::set<std::string> changed_keys(const RunIdentity& earlier, const RunIdentity& now) {
  std::set<std::string> keys;
  for (const auto& [phase, identity] : now) {
    for (const Difference& difference : differences(earlier.at(phase), identity)) keys.insert(difference.key);
  }
  return keys;
}

TEST(RunIdentity, EverySettingButThoseThatChangeNothingIsPartOfIt) {
  Settings usual;
  usual.data.dataset = "cifar10";
  usual.mean = {0.5};
  usual.std = {0.5};
  std::set<std::string> unknown = kChangesNothing;
  for (std::size_t i = 0;; ++i) {
    Settings settings = usual;
    const std::vector<Setting> table = settings_table(settings);
    if (i == table.size()) break;
    const Setting& setting = table[i];
    setting.set(another(setting));
    const std::set<std::string> changed = changed_keys(identity_of(usual), identity_of(settings));
    if (kChangesNothing.contains(setting.path())) {
      EXPECT_EQ(changed, std::set<std::string>{}) << setting.path();
      unknown.erase(setting.path());
    } else {
      EXPECT_EQ(changed, std::set<std::string>{setting.path()}) << "now " << to_text(setting.get());
    }
  }
  EXPECT_EQ(unknown, std::set<std::string>{}) << "no such settings";
}

TEST(RunIdentity, ImagesAndArithmeticArePartOfIt) {
  const auto with = [](const char* name, const char* train, const char* test) {
    RunIdentity identity = asked_identity(Settings(), "auto", kRun);
    DatasetPair pair;
    pair.train.name = name;
    pair.train.hash = train;
    pair.test.hash = test;
    add_images(identity, pair);
    return identity;
  };
  const RunIdentity usual = with("mnist", "a", "b");
  EXPECT_EQ(changed_keys(usual, with("mnist", "a", "b")), std::set<std::string>{});
  EXPECT_EQ(changed_keys(usual, with("other", "a", "b")), std::set<std::string>{"data.dataset"});
  EXPECT_EQ(changed_keys(usual, with("mnist", "c", "b")),
            std::set<std::string>{"SHA-256 of the training images"});
  EXPECT_EQ(changed_keys(usual, with("mnist", "a", "c")),
            std::set<std::string>{"SHA-256 of the test images"});
  EXPECT_EQ(usual.at("data").at("arithmetic version"), std::to_string(kArithmeticVersion));
}

// A folder that `octavo train` made may be gone on with by `octavo run`, whatever it does afterwards.
TEST(RunIdentity, TrainingKnowsNothingOfWhatFollows) {
  const RunIdentity identity = asked_identity(Settings(), "mnist", kTrain);
  EXPECT_FALSE(identity.contains("ptq"));
  EXPECT_FALSE(identity.contains("qat"));
  EXPECT_EQ(changed_keys(asked_identity(Settings(), "mnist", kRun), identity), std::set<std::string>{});
}

}  // namespace
}  // namespace octavo::app
