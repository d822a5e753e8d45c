#include "run_folder.h"
#include "json_text.h"

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
#include "octavo/core/parallel.h"
#include "octavo/data/file_hash.h"
#include "octavo/onnx/onnx.h"
#include "octavo/report/report.h"

namespace octavo::app {
namespace {

/// A phase that ends with a model.
struct Phase {
  std::string name;
  std::string model;
  std::string checkpoint;           ///< Empty: it has none.
  std::vector<std::string> inputs;  ///< Phases whose models it reads.
};

const std::vector<Phase>& phases() {
  static const std::vector<Phase> all{{"train", "base.onnx", "checkpoint.pt", {}},
                                      {"ptq", "ptq.onnx", "", {"train"}},
                                      {"qat", "qat.onnx", "qat-checkpoint.pt", {"train", "ptq"}}};
  return all;
}

const Phase& phase_of(const std::string& name) {
  const auto found = std::ranges::find(phases(), name, &Phase::name);
  check_internal(found != phases().end(), "a phase without a model: " + name);
  return *found;
}

constexpr const char* kImages = "data";
constexpr const char* kFileHash = "SHA-256 of the file";
constexpr const char* kLock = "run.lock";
// Ends the name of a model that is written but not yet noted in the state.
constexpr const char* kUnfinished = ".new";

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

}  // namespace

std::filesystem::path run_folder_path(const Settings& settings) {
  if (!settings.out.empty()) return settings.out;
  const std::string name =
      settings.name.empty() ? settings.model + "-" + settings.data.dataset : settings.name;
  return std::filesystem::path("runs") / name;
}

bool is_run_config(const std::filesystem::path& file) {
  if (file.filename() != "config.toml") return false;
  return std::ranges::any_of(std::array{"log.jsonl", "progress.json", "results.json"}, [&](const char* name) {
    return std::filesystem::exists(folder_of(file) / name);
  });
}

std::filesystem::path folder_of(const std::filesystem::path& file) {
  return file.has_parent_path() ? file.parent_path() : std::filesystem::path(".");
}

RunFolder::RunFolder(std::filesystem::path folder, bool resume)
    : folder_(std::move(folder)), resume_(resume) {
  make_writable_folder(folder_);
  lock_.emplace(file(kLock), folder_);
  for (const Phase& phase : phases()) std::filesystem::remove(file(phase.model + kUnfinished));
  if (resume_) read_state();
}

void RunFolder::read_state() {
  const std::string record = has("results.json") ? "results.json" : "progress.json";
  if (has(record)) {
    try {
      state_ = results_from_json(read_text_file(file(record)), file(record).string());
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kBadInput) throw;
      throw Error(error.code(),
                  fmt::format("{} (the models beside it can still be used, but the run cannot go on: choose "
                              "another --out; --no-resume would delete them)",
                              error.what()));
    }
  }
  for (const Phase& phase : phases()) {
    if (!begun(phase.name)) continue;
    const auto known = state_.phases.find(phase.name);
    if (known == state_.phases.end()) {
      throw Error(
          ErrorCode::kUsage, folder_.string(),
          fmt::format("holds files of unknown origin; expected {} to say how {} was made, got {} (choose "
                      "another --out; --no-resume would delete them)",
                      record, has(phase.model) ? phase.model : phase.checkpoint,
                      has(record) ? "no word on it" : "no such file"));
    }
    if (!has(phase.model)) continue;
    const std::string& expected = known->second[kFileHash];
    const std::string got = file_sha256(file(phase.model));
    if (got == expected) continue;
    throw Error(
        ErrorCode::kBadInput, file(phase.model).string(),
        fmt::format("is not the file that the run wrote; expected {}, got SHA-256 {} (put the run's own "
                    "back, or remove this one to have it made again)",
                    expected.empty() ? "no file yet" : "SHA-256 " + expected, got));
  }
}

bool RunFolder::begun(const std::string& name) const {
  return std::ranges::any_of(phases(), [&](const Phase& phase) {
    return (name == kImages || name == phase.name) &&
           (has(phase.model) || (!phase.checkpoint.empty() && has(phase.checkpoint)));
  });
}

void RunFolder::require_same(const RunIdentity& asked) const {
  if (!resume_) return;
  std::vector<std::string> expected;
  std::vector<std::string> got;
  for (const auto& [phase, now] : asked) {
    const auto earlier = state_.phases.find(phase);
    if (!begun(phase) || earlier == state_.phases.end()) continue;
    for (const Difference& difference : differences(earlier->second, now)) {
      expected.push_back(fmt::format("{} = {}", difference.key, difference.expected));
      got.push_back(fmt::format("{} = {}", difference.key, difference.got));
    }
  }
  if (expected.empty()) return;
  throw Error(ErrorCode::kUsage, folder_.string(),
              fmt::format("holds a run with other settings; expected {}, got {} (choose another --out, or "
                          "start over there with --no-resume)",
                          fmt::join(expected, ", "), fmt::join(got, ", ")));
}

void RunFolder::start(const RunIdentity& identity) {
  if (!resume_) {
    for (const char* name : kRunFiles) std::filesystem::remove(file(name));
  }
  resume_ = true;
  identity_ = identity;
  if (!begun(kImages)) {
    state_ = {};
    std::filesystem::remove(file("results.json"));
  }
  state_.phases[kImages] = identity.at(kImages);
  log_.open(file("log.jsonl"), std::ios::app);
  const bool models = std::ranges::all_of(phases(), [this](const Phase& phase) { return has(phase.model); });
  if (has("results.json") && !models) {
    // What is made again is noted in progress.json, which results.json would hide.
    save_state();
    std::filesystem::remove(file("results.json"));
  }
}

bool RunFolder::finished() const {
  return resume_ && std::ranges::all_of(kFinishedFiles, [this](const char* name) { return has(name); });
}

std::filesystem::path RunFolder::model(const std::string& phase) const { return file(phase_of(phase).model); }

bool RunFolder::done(const std::string& name) const {
  const Phase& phase = phase_of(name);
  if (!has(phase.model)) return false;
  const PhaseIdentity& made_with = state_.phases.at(name);
  for (const std::string& input : phase.inputs) {
    const std::string& input_model = phase_of(input).model;
    const std::string& wanted = state_.phases.at(input).at(kFileHash);
    const auto from = made_with.find(input_model);
    const std::string got = from == made_with.end() ? "none" : from->second;
    if (got == wanted) continue;
    throw Error(
        ErrorCode::kBadInput, file(phase.model).string(),
        fmt::format("was made from another {}; expected the one of SHA-256 {}, got {} (remove {} to have "
                    "it made again)",
                    input_model, wanted, got, phase.model));
  }
  return true;
}

void RunFolder::begin(const std::string& name) {
  PhaseIdentity& made_with = state_.phases[name] = identity_.at(name);
  for (const std::string& input : phase_of(name).inputs)
    made_with[phase_of(input).model] = state_.phases.at(input).at(kFileHash);
  // Told, not compared: the same settings on other threads are the same run.
  made_with["threads"] = std::to_string(num_threads());
  save_state();
  log_phase(name, "start");
}

void RunFolder::save_model(const Graph& graph, const std::string& name, const ExportOptions& options) {
  const auto written = file(phase_of(name).model + kUnfinished);
  save_onnx(graph, written, options);
  state_.phases.at(name)[kFileHash] = file_sha256(written);
  save_state();
  std::filesystem::rename(written, model(name));
  log_phase(name, "end");
}

void RunFolder::save_state() const {
  Results unfinished = state_;
  unfinished.variants.clear();
  write_file(file("progress.json"), to_json(unfinished));
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
  log(json_text(event(phase, name), -1));
}

void RunFolder::log_step(const TrainProgress& p) {
  auto line = event(p.phase, "step");
  line.update({{"epoch", p.epoch},
               {"step", p.step},
               {"loss", p.loss},
               {"accuracy", p.accuracy},
               {"lr", p.lr},
               {"images_per_second", p.images_per_second}});
  log(json_text(line, -1));
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
  log(json_text(line, -1));
}

void add_note(Results& results, const std::string& note) {
  if (!note.empty() && std::ranges::find(results.notes, note) == results.notes.end())
    results.notes.push_back(note);
}

std::string join_settings(const std::map<std::string, std::string>& settings) {
  std::string text;
  for (const auto& [key, value] : settings) text += (text.empty() ? "" : "; ") + key + "=" + value;
  return text;
}

}  // namespace octavo::app
