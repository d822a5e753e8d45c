/// The folder of one run: which files it holds, what has been done in it, and its log.
#pragma once

#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <string>

#include "octavo/core/file_lock.h"
#include "octavo/eval/results.h"
#include "octavo/graph/graph.h"
#include "octavo/train/trainer.h"
#include "run_identity.h"
#include "settings.h"

namespace octavo::app {

/// runs/<name>, or what --out says.
std::filesystem::path run_folder_path(const Settings& settings);

/// True if `file` is the config.toml that a run keeps in its folder: then that folder, wherever it has been
/// moved to, is the run.
bool is_run_config(const std::filesystem::path& file);
/// "." for a bare name.
std::filesystem::path folder_of(const std::filesystem::path& file);

/// One process at a time has it. Model files are known by their SHA-256, which the state holds before they
/// appear, so that no other file is taken for one of the run's.
class RunFolder {
 public:
  /// Creates the folder, proves that it can be written, locks it and, with `resume`, reads what an earlier
  /// run left there. Throws kIo if it cannot be written; kUsage if another process works there or a model
  /// file has no record of how it was made; kBadInput if a model file or the record has been changed since.
  RunFolder(std::filesystem::path folder, bool resume);

  /// Throws kUsage, with all the differences, unless each phase of which there is something on disk was made
  /// as `asked`. Phases that have not begun may be asked for differently.
  void require_same(const RunIdentity& asked) const;
  /// Makes the folder that of a run with this identity: without `resume`, all that an earlier one left is
  /// removed now.
  void start(const RunIdentity& identity);

  std::filesystem::path file(const std::string& name) const { return folder_ / name; }
  bool has(const std::string& name) const { return std::filesystem::exists(folder_ / name); }
  const std::filesystem::path& path() const { return folder_; }

  /// True if the comparison was made, all its files are there, and it is not to be made anew.
  bool finished() const;

  /// True if the phase's model is there. Throws kBadInput if it was made from another model than the one that
  /// is there now.
  bool done(const std::string& phase) const;
  /// Notes what the phase is made with.
  void begin(const std::string& phase);
  /// Writes the phase's model, whole and noted in the state, or not at all.
  void save_model(const Graph& graph, const std::string& phase, const ExportOptions& options = {});
  /// base.onnx, ptq.onnx, qat.onnx
  std::filesystem::path model(const std::string& phase) const;

  /// What is known so far: settings, timing, history, notes. Kept in progress.json until results.json is
  /// written.
  Results& state() { return state_; }
  void save_state() const;
  /// Puts results.json in progress.json's place.
  void finish(const Results& results);

  /// Lines of log.jsonl.
  void log_phase(const std::string& phase, const std::string& event);
  void log_step(const TrainProgress& progress);
  void log_epoch(const EpochRecord& record);

 private:
  void log(const std::string& line);
  void read_state();
  /// True if there is something of the phase on disk; "data": of any phase.
  bool begun(const std::string& phase) const;

  std::filesystem::path folder_;
  bool resume_;
  std::optional<FileLock> lock_;
  RunIdentity identity_;
  Results state_;
  std::ofstream log_;
};

/// Adds a note for the reader of the results, unless it is there.
void add_note(Results& results, const std::string& note);

/// Graph metadata, settings and data in one text: "key=value; key=value".
std::string join_settings(const std::map<std::string, std::string>& settings);

}  // namespace octavo::app
