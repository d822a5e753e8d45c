/// Another program, as a child process.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace octavo {

/// Runs words[0], looked for in $PATH unless it has a slash, with the other words as arguments and this
/// process's environment but for `changes`. Standard output is dropped; standard error replaces the file
/// `errors`. Returns its exit status once it has ended, -1 if it cannot be started or was killed.
int run_child(const std::vector<std::string>& words, const std::filesystem::path& errors,
              const std::map<std::string, std::string>& changes = {});

}  // namespace octavo
