#include "support/ort.h"

#include <algorithm>

#include "octavo/core/error.h"

namespace octavo::test {
namespace fs = std::filesystem;

namespace {

const fs::path kModules = fs::path(OCTAVO_SOURCE_DIR) / "tests/tools/ort/node_modules";

}  // namespace

std::string why_no_onnx_runtime() {
  const std::string missing = octavo::why_no_onnx_runtime(kModules);
  return missing.empty() ? ""
                         : missing +
                               "; for the tests: apt-get install nodejs npm, then npm ci --ignore-scripts "
                               "--prefix tests/tools/ort";
}

std::vector<float> onnx_runtime_logits(const fs::path& model, const Tensor& input,
                                       OnnxRuntimeOptions options) {
  options.modules = kModules;
  const auto outputs = run_onnx_runtime(model, input, options);
  check_internal(outputs.size() == 1, model.string() + " has several outputs");
  const auto logits = outputs.begin()->second.data<float>();
  return {logits.begin(), logits.end()};
}

std::vector<std::int64_t> top1(std::span<const float> logits, std::int64_t classes) {
  std::vector<std::int64_t> best;
  for (auto row = logits.begin(); row != logits.end(); row += classes)
    best.push_back(std::max_element(row, row + classes) - row);
  return best;
}

}  // namespace octavo::test
