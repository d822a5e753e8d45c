/// The models that are served, by name.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "metrics.h"
#include "served_model.h"

namespace octavo::serve {

/// Thread-safe. Who has been given a model keeps it, whatever takes its place meanwhile.
class Registry {
 public:
  using Log = std::function<void(const std::string&)>;

  /// Loads all of them. Throws what load_served_model() throws, and kUsage where two files have one stem.
  Registry(const std::vector<std::filesystem::path>& files, LoadConfig config, Metrics& metrics, Log log);
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;
  ~Registry() = default;

  /// In the order of the files.
  std::vector<std::shared_ptr<const ServedModel>> models() const;
  /// Null if there is none of that name.
  std::shared_ptr<const ServedModel> find(const std::string& name) const;

  /// Looks from now on for changed files and loads them beside what serves. One that cannot be served is told
  /// to the log, and what served goes on.
  void watch(std::chrono::milliseconds interval);

 private:
  /// What tells a file from what it was. All zeros: it is not there.
  struct Stamp {
    std::int64_t modified_ns = 0;
    std::uint64_t size = 0;
    std::uint64_t inode = 0;
    friend bool operator==(const Stamp&, const Stamp&) = default;
  };
  struct Entry {
    std::shared_ptr<const ServedModel> model;
    Stamp tried;  ///< The file that was loaded, or could not be.
    Stamp seen;   ///< When last looked at.
  };

  static Stamp stamp(const std::filesystem::path& file);
  void look(Entry& entry);

  const LoadConfig config_;
  Metrics& metrics_;
  const Log log_;
  mutable std::mutex mutex_;  // Of the pointers to models.
  std::vector<Entry> entries_;
  std::jthread thread_;
};

}  // namespace octavo::serve
