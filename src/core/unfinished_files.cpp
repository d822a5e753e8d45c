#include "octavo/core/unfinished_files.h"

#include <mutex>
#include <set>
#include <utility>

namespace octavo {
namespace {

struct Noted {
  std::mutex mutex;
  std::set<std::filesystem::path> paths;
};

/// Never destroyed: a process may end at any point of its exit.
Noted& noted() {
  static Noted& instance = *new Noted;
  return instance;
}

}  // namespace

void UnfinishedFile::note(std::filesystem::path path) {
  forget();
  path_ = std::move(path);
  const std::lock_guard lock(noted().mutex);
  noted().paths.insert(path_);
}

void UnfinishedFile::forget() {
  if (path_.empty()) return;
  const std::lock_guard lock(noted().mutex);
  noted().paths.erase(path_);
  path_.clear();
}

void remove_unfinished_files() noexcept {
  const std::lock_guard lock(noted().mutex);
  std::error_code ignored;
  for (const auto& path : noted().paths) std::filesystem::remove_all(path, ignored);
}

}  // namespace octavo
