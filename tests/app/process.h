/// Runs the real program and catches what it prints.
#pragma once

#include <csignal>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace octavo::test {

struct Finished {
  int exit_code = -1;  ///< -signal if it was killed by one.
  std::string out;
  std::string err;
};

struct RunOptions {
  /// Polled while the program runs; true sends `signal`, once.
  std::function<bool()> interrupt_when;
  int signal = SIGINT;
  /// Its folder for temporary files; empty: as inherited.
  std::filesystem::path temporary_files = {};
  /// Largest file it can write, as on a full disk; 0: no limit.
  std::uint64_t max_file_bytes = 0;
  std::uint64_t max_memory_bytes = 0;  ///< Address space it can have; 0: no limit.
  std::string stdout_file = {};        ///< Where its standard output goes instead.
  std::vector<std::pair<std::string, std::string>> environment = {};  ///< More variables and their values.
};

/// octavo with `arguments`, in an environment without terminal, network proxies or a user's cache folder.
Finished octavo(const std::vector<std::string>& arguments, const RunOptions& options = {});

/// octavo on a terminal of its own that is `columns` wide.
struct OnTerminal {
  int exit_code = -1;
  std::string written;              ///< All that came, with its control codes.
  std::vector<std::string> screen;  ///< Lines as they stand on the screen in the end.
};
OnTerminal octavo_on_terminal(const std::vector<std::string>& arguments, int columns);

std::string file_text(const std::filesystem::path& path);

}  // namespace octavo::test
