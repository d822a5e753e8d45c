#include "registry.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <stop_token>

#include "octavo/core/error.h"

namespace octavo::serve {

Registry::Registry(const std::vector<std::filesystem::path>& files, LoadConfig config, Metrics& metrics,
                   Log log)
    : config_(std::move(config)), metrics_(metrics), log_(std::move(log)) {
  for (std::size_t i = 0; i < files.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (files[i].stem() != files[j].stem()) continue;
      throw Error(ErrorCode::kUsage, files[i].string(),
                  fmt::format("would be served as '{}', as {} is; expected files of different names",
                              files[i].stem().string(), files[j].string()));
    }
  }
  for (const auto& file : files) {
    const Stamp found = stamp(file);
    entries_.push_back({.model = load_served_model(file, config_), .tried = found, .seen = found});
  }
}

std::vector<std::shared_ptr<const ServedModel>> Registry::models() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<const ServedModel>> models;
  for (const Entry& entry : entries_) models.push_back(entry.model);
  return models;
}

std::shared_ptr<const ServedModel> Registry::find(const std::string& name) const {
  const std::lock_guard lock(mutex_);
  const auto found = std::ranges::find_if(entries_, [&](const Entry& e) { return e.model->name == name; });
  return found == entries_.end() ? nullptr : found->model;
}

Registry::Stamp Registry::stamp(const std::filesystem::path& file) {
  struct stat facts {};
  if (::stat(file.c_str(), &facts) != 0) return {};
  return {.modified_ns = std::int64_t{facts.st_mtim.tv_sec} * 1'000'000'000 + facts.st_mtim.tv_nsec,
          .size = static_cast<std::uint64_t>(facts.st_size),
          .inode = facts.st_ino};
}

void Registry::look(Entry& entry) {
  const std::filesystem::path file = entry.model->file;
  const Stamp now = stamp(file);
  const bool settled = now == entry.seen;  // One that still changes is being written.
  entry.seen = now;
  if (!settled || now == entry.tried || now == Stamp{}) return;
  entry.tried = now;
  bool succeeded = false;
  std::string message;
  try {
    std::shared_ptr<const ServedModel> model = load_served_model(file, config_);
    const std::lock_guard lock(mutex_);
    entry.model.swap(model);
    succeeded = true;
    message = fmt::format("{}: changed; the new model serves", file.string());
  } catch (const std::exception& error) {
    message = fmt::format("{} (the file changed; the model that served goes on)", error.what());
  }
  metrics_.reload(file.stem().string(), succeeded);
  if (log_) log_(message);
}

void Registry::watch(std::chrono::milliseconds interval) {
  thread_ = std::jthread([this, interval](const std::stop_token& stop) {
    std::mutex mutex;
    std::condition_variable_any stopped;
    std::unique_lock lock(mutex);
    while (!stopped.wait_for(lock, stop, interval, [&] { return stop.stop_requested(); })) {
      for (Entry& entry : entries_) look(entry);
    }
  });
}

}  // namespace octavo::serve
