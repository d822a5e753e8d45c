/// The folder of one run: which files it holds, what has been done in it, and its log.
#pragma once

#include <filesystem>
#include <fstream>
#include <map>
#include <string>

#include "octavo/eval/results.h"
#include "octavo/train/trainer.h"
#include "settings.h"

namespace octavo::app {

/// runs/<name>, or what --out says.
std::filesystem::path run_folder_path(const Settings& settings);

class RunFolder {
 public:
  /// Creates the folder, proves that it can be written, and reads what an earlier run left there. Throws kIo
  /// if it cannot be written, kUsage if it holds a run whose `defining` settings are others. With `resume`
  /// false the earlier run's files are removed.
  RunFolder(std::filesystem::path folder, bool resume, const std::map<std::string, std::string>& defining);

  std::filesystem::path file(const std::string& name) const { return folder_ / name; }
  bool has(const std::string& name) const { return std::filesystem::exists(folder_ / name); }
  const std::filesystem::path& path() const { return folder_; }

  /// True if the comparison was made and all its files are there.
  bool finished() const;

  /// What is known so far: settings, timing, history, notes. Kept in progress.json until results.json is
  /// written.
  Results& state() { return state_; }
  void save_state() const;
  /// Throws kUsage if the folder's run was made from other images.
  void require_data(const std::string& hash, const std::string& source);
  /// Puts results.json in progress.json's place.
  void finish(const Results& results);

  /// Lines of log.jsonl.
  void log_phase(const std::string& phase, const std::string& event);
  void log_step(const TrainProgress& progress);
  void log_epoch(const EpochRecord& record);

 private:
  void log(const std::string& line);

  std::filesystem::path folder_;
  Results state_;
  std::ofstream log_;
};

/// Graph metadata, settings and data in one text: "key=value; key=value".
std::string join_settings(const std::map<std::string, std::string>& settings);

}  // namespace octavo::app
