#include "support/ort.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "octavo/core/error.h"
#include "octavo/core/file.h"

namespace octavo::test {
namespace fs = std::filesystem;

namespace {

const fs::path kTool = fs::path(OCTAVO_SOURCE_DIR) / "tests/tools/ort";

/// A folder of its own, removed with all it holds at the end of the scope.
class ScratchFolder {
 public:
  ScratchFolder() {
    std::string pattern = (fs::temp_directory_path() / "octavo-ort-XXXXXX").string();
    if (!::mkdtemp(pattern.data())) throw std::runtime_error("cannot make a temporary folder");
    path_ = pattern;
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  ~ScratchFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

/// Exit status of a program found on PATH; its standard error goes to `errors`.
int run_program(std::vector<std::string> words, const fs::path& errors) {
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, errors.c_str(), O_WRONLY | O_CREAT | O_TRUNC,
                                   0600);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  pid_t child = 0;
  const int failure = posix_spawnp(&child, arguments[0], &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failure != 0) return -1;
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace

std::string why_no_onnx_runtime() {
  const ScratchFolder scratch;
  if (run_program({"node", "--version"}, scratch.path() / "errors") != 0) {
    return "ONNX Runtime needs Node.js, which is not installed; run: apt-get install nodejs npm";
  }
  if (!fs::exists(kTool / "node_modules/onnxruntime-node/package.json")) {
    return "ONNX Runtime is not installed; run: npm ci --ignore-scripts --prefix tests/tools/ort";
  }
  return "";
}

std::vector<float> run_onnx_runtime(const fs::path& model, std::span<const float> input, const Shape& shape,
                                    const OnnxRuntimeOptions& options) {
  const ScratchFolder scratch;
  const fs::path in = scratch.path() / "input.f32";
  const fs::path out = scratch.path() / "output.f32";
  const fs::path errors = scratch.path() / "errors";
  write_file(in, std::as_bytes(input));
  std::vector<std::string> words{"node", (kTool / "run.mjs").string(), model.string(), in.string()};
  for (const std::int64_t dim : shape) words.push_back(std::to_string(dim));
  words.insert(words.end(),
               {out.string(), std::to_string(options.batch), options.optimize ? "all" : "disabled"});
  if (run_program(words, errors) != 0) {
    throw std::runtime_error("ONNX Runtime failed on " + model.string() + ": " + read_text_file(errors));
  }
  const std::vector<std::byte> bytes = read_file(out);
  std::vector<float> logits(bytes.size() / sizeof(float));
  std::memcpy(logits.data(), bytes.data(), logits.size() * sizeof(float));
  return logits;
}

std::vector<std::int64_t> top1(std::span<const float> logits, std::int64_t classes) {
  std::vector<std::int64_t> best;
  for (auto row = logits.begin(); row != logits.end(); row += classes)
    best.push_back(std::max_element(row, row + classes) - row);
  return best;
}

}  // namespace octavo::test
