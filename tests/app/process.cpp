#include "process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

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
    if (!options.temporary_files.empty()) setenv("TMPDIR", options.temporary_files.c_str(), 1);
    if (options.max_file_bytes != 0) {
      const rlimit limit{options.max_file_bytes, options.max_file_bytes};
      setrlimit(RLIMIT_FSIZE, &limit);
      signal(SIGXFSZ, SIG_IGN);  // Then write() answers EFBIG.
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

}  // namespace octavo::test
