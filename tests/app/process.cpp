#include "process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <chrono>
#include <fstream>
#include <iterator>
#include <thread>

#include "octavo/core/temporary_folder.h"

namespace octavo::test {

std::string file_text(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

Finished octavo(const std::vector<std::string>& arguments, const RunOptions& options) {
  const TemporaryFolder scratch;
  const std::string out = options.stdout_file.empty() ? (scratch / "out").string() : options.stdout_file;
  const std::string err = (scratch / "err").string();
  const pid_t child = fork();
  if (child == 0) {
    const int out_file = open(out.c_str(), O_WRONLY | O_CREAT, 0600);
    const int err_file = open(err.c_str(), O_WRONLY | O_CREAT, 0600);
    dup2(out_file, STDOUT_FILENO);
    dup2(err_file, STDERR_FILENO);
    setenv("XDG_CACHE_HOME", scratch.path().c_str(), 1);
    unsetenv("OCTAVO_DATA");
    for (const auto& [name, value] : options.environment) setenv(name.c_str(), value.c_str(), 1);
    if (!options.temporary_files.empty()) setenv("TMPDIR", options.temporary_files.c_str(), 1);
    if (options.max_file_bytes != 0) {
      const rlimit limit{options.max_file_bytes, options.max_file_bytes};
      setrlimit(RLIMIT_FSIZE, &limit);
      signal(SIGXFSZ, SIG_IGN);  // Then write() answers EFBIG.
    }
    if (options.max_memory_bytes != 0) {
      const rlimit limit{options.max_memory_bytes, options.max_memory_bytes};
      setrlimit(RLIMIT_AS, &limit);
    }
    std::vector<char*> argv{const_cast<char*>(OCTAVO_BINARY)};
    for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    execv(OCTAVO_BINARY, argv.data());
    _exit(127);
  }
  int status = 0;
  bool interrupted = false;
  while (waitpid(child, &status, WNOHANG) == 0) {
    if (!interrupted && options.interrupt_when && options.interrupt_when()) {
      kill(child, options.signal);
      interrupted = true;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  Finished finished;
  finished.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  if (options.stdout_file.empty()) finished.out = file_text(out);
  finished.err = file_text(err);
  return finished;
}

namespace {

/// What carriage returns and "erase to the end of the line" leave of each line; other control codes are
/// dropped. One byte is one column here.
std::vector<std::string> screen_of(const std::string& written) {
  std::vector<std::string> lines(1);
  std::size_t column = 0;
  for (std::size_t i = 0; i < written.size(); ++i) {
    std::string& line = lines.back();
    if (written[i] == '\r') {
      column = 0;
    } else if (written[i] == '\n') {
      lines.emplace_back();
      column = 0;
    } else if (written[i] == '\033') {
      while (i < written.size() && std::isalpha(static_cast<unsigned char>(written[i])) == 0) ++i;
      if (i < written.size() && written[i] == 'K') line.resize(std::min(line.size(), column));
    } else {
      if (line.size() <= column) line.resize(column + 1, ' ');
      line[column++] = written[i];
    }
  }
  return lines;
}

}  // namespace

OnTerminal octavo_on_terminal(const std::vector<std::string>& arguments, int columns) {
  const TemporaryFolder scratch;
  winsize size{};
  size.ws_row = 50;
  size.ws_col = static_cast<unsigned short>(columns);
  int terminal = -1;
  const pid_t child = forkpty(&terminal, nullptr, nullptr, &size);
  if (child == 0) {
    setenv("XDG_CACHE_HOME", scratch.path().c_str(), 1);
    for (const char* variable : {"OCTAVO_DATA", "NO_COLOR", "CI"}) unsetenv(variable);
    std::vector<char*> argv{const_cast<char*>(OCTAVO_BINARY)};
    for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    execv(OCTAVO_BINARY, argv.data());
    _exit(127);
  }
  OnTerminal result;
  char buffer[4096];
  // Once the program has ended, reading from its terminal is an error (EIO).
  for (ssize_t got = 1; got > 0 || (got < 0 && errno == EINTR);) {
    got = read(terminal, buffer, sizeof(buffer));
    if (got > 0) result.written.append(buffer, static_cast<std::size_t>(got));
  }
  close(terminal);
  int status = 0;
  waitpid(child, &status, 0);
  result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  result.screen = screen_of(result.written);
  return result;
}

}  // namespace octavo::test
