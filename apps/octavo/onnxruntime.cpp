#include "onnxruntime.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>
#include <vector>

#include "octavo/core/error.h"
#include "octavo/core/file.h"
#include "octavo/core/temporary_folder.h"

namespace octavo::app {
namespace fs = std::filesystem;

namespace {

/// Runs a model and writes each output as raw bytes beside a list of names, types and shapes. All fusions and
/// integer kernels are on; without VNNI the exact ones are asked for, as the others saturate.
constexpr const char* kScript = R"(
const fs = require('fs');
const ort = require('onnxruntime-node');
const [model, input, folder, ...dims] = process.argv.slice(1);
(async () => {
  if (!model) return;
  const session = await ort.InferenceSession.create(model, {
    executionProviders: ['cpu'], graphOptimizationLevel: 'all', logSeverityLevel: 3,
    extra: { session: { x64quantprecision: '1' } } });
  const bytes = fs.readFileSync(input);
  const values = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  const feeds = {};
  feeds[session.inputNames[0]] = new ort.Tensor('float32', values, dims.map(Number));
  const results = await session.run(feeds);
  const list = session.outputNames.map((name, i) => {
    const { data, type, dims } = results[name];
    fs.writeFileSync(`${folder}/${i}`, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    return { name, type, dims };
  });
  fs.writeFileSync(`${folder}/outputs.json`, JSON.stringify(list));
})().catch((error) => { console.error(error.message); process.exit(1); });
)";

/// Exit status of node running the script; what it says goes to `errors`. -1 if node cannot be started.
int run_script(const std::vector<std::string>& arguments, const fs::path& modules, const fs::path& errors) {
  std::vector<std::string> words{"node", "-e", kScript};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  std::vector<std::string> variables;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    if (modules.empty() || std::strncmp(*variable, "NODE_PATH=", 10) != 0) variables.emplace_back(*variable);
  }
  if (!modules.empty()) variables.push_back("NODE_PATH=" + fs::absolute(modules).string());
  std::vector<char*> envp;
  for (std::string& variable : variables) envp.push_back(variable.data());
  envp.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, errors.c_str(), O_WRONLY | O_CREAT | O_TRUNC,
                                   0600);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  pid_t child = 0;
  const int failure = posix_spawnp(&child, argv[0], &actions, nullptr, argv.data(), envp.data());
  posix_spawn_file_actions_destroy(&actions);
  if (failure != 0) return -1;
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

Tensor read_output(const nlohmann::json& entry, const fs::path& path) {
  const auto type = entry.at("type").get<std::string>();
  if (type != "float32" && type != "uint8") {
    throw Error(
        ErrorCode::kUnsupported, "ONNX Runtime",
        "output '" + entry.at("name").get<std::string>() + "' is " + type + "; expected float32 or uint8");
  }
  Tensor tensor(entry.at("dims").get<Shape>(), type == "float32" ? DType::kFloat32 : DType::kUInt8);
  const std::vector<std::byte> bytes = read_file(path);
  check_internal(bytes.size() == tensor.size_bytes(), "ONNX Runtime: an output of another size");
  std::memcpy(tensor.raw(), bytes.data(), bytes.size());
  return tensor;
}

}  // namespace

std::string why_no_onnx_runtime(const fs::path& modules) {
  const TemporaryFolder folder;
  switch (run_script({}, modules, folder.path() / "errors")) {
    case 0:
      return {};
    case -1:
      return "Node.js is not installed";
    default:
      return "Node.js does not find onnxruntime-node (npm install onnxruntime-node, then --onnxruntime "
             "node_modules)";
  }
}

std::map<std::string, Tensor> run_onnx_runtime(const fs::path& model, const Tensor& input,
                                               const fs::path& modules) {
  const TemporaryFolder folder;
  const fs::path in = folder.path() / "input";
  const fs::path errors = folder.path() / "errors";
  write_file(in, std::as_bytes(input.data<float>()));
  std::vector<std::string> arguments{fs::absolute(model).string(), in.string(), folder.path().string()};
  for (const std::int64_t dim : input.shape()) arguments.push_back(std::to_string(dim));
  if (run_script(arguments, modules, errors) != 0) {
    throw Error(ErrorCode::kBadInput, model.string(),
                "ONNX Runtime cannot run it: " + read_text_file(errors));
  }
  std::map<std::string, Tensor> outputs;
  const auto list = nlohmann::json::parse(read_text_file(folder.path() / "outputs.json"));
  for (std::size_t i = 0; i < list.size(); ++i) {
    outputs.emplace(list[i].at("name").get<std::string>(),
                    read_output(list[i], folder.path() / std::to_string(i)));
  }
  return outputs;
}

}  // namespace octavo::app
