#include "run_folder.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <nlohmann/json.hpp>
#include <system_error>

#include "octavo/core/error.h"
#include "octavo/core/file.h"
#include "octavo/report/report.h"

namespace octavo::app {
namespace {

constexpr const char* kDataHash = "data.hash";

// Everything a run writes; --no-resume removes these and nothing else.
constexpr std::array kRunFiles{"config.toml",   "log.jsonl", "checkpoint.pt", "qat-checkpoint.pt",
                               "progress.json", "base.onnx", "ptq.onnx",      "qat.onnx",
                               "results.json",  "report.md", "report.html"};
constexpr std::array kFinishedFiles{"config.toml",  "base.onnx", "ptq.onnx",   "qat.onnx",
                                    "results.json", "report.md", "report.html"};

std::string time_text() {
  const auto now = std::chrono::system_clock::now();
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::chrono::system_clock::to_time_t(now)));
}

nlohmann::ordered_json event(const std::string& phase, const std::string& name) {
  return {{"time", time_text()}, {"event", name}, {"phase", phase}};
}

[[noreturn]] void refuse(const std::filesystem::path& folder, const std::string& problem) {
  throw Error(ErrorCode::kUsage, folder.string(),
              problem + " (choose another --out, or start over there with --no-resume)");
}

void require_same(const std::filesystem::path& folder, const std::map<std::string, std::string>& earlier,
                  const std::map<std::string, std::string>& now) {
  std::vector<std::string> expected;
  std::vector<std::string> got;
  for (const auto& [key, value] : now) {
    const auto found = earlier.find(key);
    if (found == earlier.end() || found->second == value) continue;
    expected.push_back(fmt::format("{} = {}", key, found->second));
    got.push_back(fmt::format("{} = {}", key, value));
  }
  if (expected.empty()) return;
  refuse(folder, fmt::format("holds a run with other settings; expected {}, got {}",
                             fmt::join(expected, ", "), fmt::join(got, ", ")));
}

}  // namespace

std::filesystem::path run_folder_path(const Settings& settings) {
  if (!settings.out.empty()) return settings.out;
  const std::string name =
      settings.name.empty() ? settings.model + "-" + settings.data.dataset : settings.name;
  return std::filesystem::path("runs") / name;
}

RunFolder::RunFolder(std::filesystem::path folder, bool resume,
                     const std::map<std::string, std::string>& defining)
    : folder_(std::move(folder)) {
  make_writable_folder(folder_);
  if (!resume) {
    for (const char* name : kRunFiles) std::filesystem::remove(file(name));
  }
  const std::string record = has("results.json") ? "results.json" : "progress.json";
  if (has(record)) {
    state_ = results_from_json(read_text_file(file(record)), file(record).string());
    require_same(folder_, state_.settings, defining);
  } else {
    for (const char* name : {"base.onnx", "ptq.onnx", "qat.onnx", "checkpoint.pt"}) {
      if (has(name)) {
        refuse(
            folder_,
            fmt::format("holds files of unknown origin; expected progress.json beside them, got {}", name));
      }
    }
  }
  for (const auto& [key, value] : defining) state_.settings[key] = value;
  log_.open(file("log.jsonl"), std::ios::app);
}

bool RunFolder::finished() const {
  return std::all_of(kFinishedFiles.begin(), kFinishedFiles.end(),
                     [this](const char* name) { return has(name); });
}

void RunFolder::save_state() const {
  Results unfinished = state_;
  unfinished.variants.clear();
  write_file(file("progress.json"), to_json(unfinished));
}

void RunFolder::require_data(const std::string& hash, const std::string& source) {
  std::string& known = state_.settings[kDataHash];
  if (!known.empty() && known != hash) {
    refuse(folder_, fmt::format("holds a run on other images; expected data with SHA-256 {}, got {} from {}",
                                known, hash, source));
  }
  known = hash;
}

void RunFolder::finish(const Results& results) {
  write_file(file("results.json"), to_json(results));
  std::filesystem::remove(file("progress.json"));
}

void RunFolder::log(const std::string& line) {
  log_ << line << '\n' << std::flush;
  if (!log_) {
    throw Error(ErrorCode::kIo, file("log.jsonl").string(),
                fmt::format("cannot be written; expected room for a line, got '{}'", std::strerror(errno)));
  }
}

void RunFolder::log_phase(const std::string& phase, const std::string& name) {
  log(event(phase, name).dump());
}

void RunFolder::log_step(const TrainProgress& p) {
  auto line = event(p.phase, "step");
  line.update({{"epoch", p.epoch},
               {"step", p.step},
               {"loss", p.loss},
               {"accuracy", p.accuracy},
               {"lr", p.lr},
               {"images_per_second", p.images_per_second}});
  log(line.dump());
}

void RunFolder::log_epoch(const EpochRecord& r) {
  auto line = event(r.phase, "epoch");
  line.update({{"epoch", r.epoch},
               {"lr", r.lr},
               {"train_loss", r.train_loss},
               {"train_accuracy", r.train_accuracy},
               {"images_per_second", r.images_per_second},
               {"seconds", r.seconds}});
  if (r.test_accuracy >= 0) line["test_accuracy"] = r.test_accuracy;
  log(line.dump());
}

std::string join_settings(const std::map<std::string, std::string>& settings) {
  std::string text;
  for (const auto& [key, value] : settings) text += (text.empty() ? "" : "; ") + key + "=" + value;
  return text;
}

}  // namespace octavo::app
