/// Files and folders of this process that must not outlive it, for a process that ends without destroying
/// what owns them.
#pragma once

#include <filesystem>

namespace octavo {

/// Keeps note of one path, until it is forgotten or the end of its own life. Safe on any thread.
class UnfinishedFile {
 public:
  UnfinishedFile() = default;
  UnfinishedFile(const UnfinishedFile&) = delete;
  UnfinishedFile& operator=(const UnfinishedFile&) = delete;
  ~UnfinishedFile() { forget(); }

  /// In place of what was noted before.
  void note(std::filesystem::path path);
  /// It is finished, or gone.
  void forget();

 private:
  std::filesystem::path path_;
};

/// Removes all that are noted now. Other threads may be at work: what they still write is lost.
void remove_unfinished_files() noexcept;

}  // namespace octavo
