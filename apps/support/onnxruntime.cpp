#include "onnxruntime.h"

#include <cstring>
#include <nlohmann/json.hpp>
#include <vector>

#include "child.h"
#include "octavo/core/error.h"
#include "octavo/core/file.h"
#include "octavo/core/temporary_folder.h"

namespace octavo {
namespace fs = std::filesystem;

namespace {

/// Runs a model and writes each output as raw bytes beside a list of names, types and shapes. Without VNNI
/// the exact integer kernels are asked for, as the others saturate.
constexpr const char* kScript = R"(
const fs = require('fs');
const ort = require('onnxruntime-node');
const [model, input, folder, optimization, batch, ...shape] = process.argv.slice(1);
(async () => {
  if (!model) return;
  const session = await ort.InferenceSession.create(model, {
    executionProviders: ['cpu'], graphOptimizationLevel: optimization, logSeverityLevel: 3,
    extra: { session: { x64quantprecision: '1' } } });
  const bytes = fs.readFileSync(input);
  const values = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  const [images, ...dims] = shape.map(Number);
  const size = dims.reduce((product, dim) => product * dim, 1);
  const list = session.outputNames.map((name) => ({ name, dims: [0] }));
  list.forEach((_, i) => fs.writeFileSync(`${folder}/${i}`, ''));
  for (let first = 0; first < images; first += Number(batch)) {
    const count = Math.min(Number(batch), images - first);
    const part = values.subarray(first * size, (first + count) * size);
    const results = await session.run(
      { [session.inputNames[0]]: new ort.Tensor('float32', part, [count, ...dims]) });
    list.forEach((output, i) => {
      const { data, type, dims: [rows, ...rest] } = results[output.name];
      fs.appendFileSync(`${folder}/${i}`, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
      output.type = type;
      output.dims = [output.dims[0] + rows, ...rest];
    });
  }
  fs.writeFileSync(`${folder}/outputs.json`, JSON.stringify(list));
})().catch((error) => { console.error(error.message); process.exit(1); });
)";

/// Exit status of node running the script; what it says goes to `errors`. -1 if node cannot be started.
int run_script(const std::vector<std::string>& arguments, const fs::path& modules, const fs::path& errors) {
  std::vector<std::string> words{"node", "-e", kScript};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::map<std::string, std::string> changes;
  if (!modules.empty()) changes["NODE_PATH"] = fs::absolute(modules).string();
  return run_child(words, errors, changes);
}

Tensor read_output(const nlohmann::json& entry, const fs::path& path) {
  const auto type = entry.at("type").get<std::string>();
  static const std::map<std::string, DType> kTypes{
      {"float32", DType::kFloat32}, {"uint8", DType::kUInt8}, {"int8", DType::kInt8}};
  const auto known = kTypes.find(type);
  if (known == kTypes.end()) {
    throw Error(ErrorCode::kUnsupported, "ONNX Runtime",
                "output '" + entry.at("name").get<std::string>() + "' is " + type +
                    "; expected float32, uint8 or int8");
  }
  Tensor tensor(entry.at("dims").get<Shape>(), known->second);
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
                                               const OnnxRuntimeOptions& options) {
  const TemporaryFolder folder;
  const fs::path in = folder.path() / "input";
  const fs::path errors = folder.path() / "errors";
  write_file(in, std::as_bytes(input.data<float>()));
  const std::int64_t batch = options.batch == 0 ? input.dim(0) : options.batch;
  std::vector<std::string> arguments{fs::absolute(model).string(), in.string(), folder.path().string(),
                                     options.optimize ? "all" : "disabled", std::to_string(batch)};
  for (const std::int64_t dim : input.shape()) arguments.push_back(std::to_string(dim));
  if (run_script(arguments, options.modules, errors) != 0) {
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

}  // namespace octavo
