/// A folder of its own for the length of a scope.
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <string>
#include <system_error>

#include "octavo/core/error.h"
#include "octavo/core/unfinished_files.h"

namespace octavo {

/// Removed with all it holds at the end of the scope. Throws kIo if it cannot be made.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "octavo-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) {
      throw Error(ErrorCode::kIo, pattern, "cannot be made; expected a writable folder for temporary files");
    }
    path_ = pattern;
    unfinished_.note(path_);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
  UnfinishedFile unfinished_;
};

}  // namespace octavo
