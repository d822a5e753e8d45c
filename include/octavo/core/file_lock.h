/// One process at a time.
#pragma once

#include <filesystem>

namespace octavo {

/// Holds `path`, a file made for this, until the end of the scope, which removes it. The system lets go of a
/// dead process' lock, so that the next one takes over the file it left. Throws kUsage, naming `what` and the
/// process that holds it, if another does; kIo if the file cannot be made.
class FileLock {
 public:
  FileLock(std::filesystem::path path, const std::filesystem::path& what);
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;
  ~FileLock();

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;
};

}  // namespace octavo
