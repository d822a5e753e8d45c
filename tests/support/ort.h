/// ONNX Runtime as a child process, for cross-checks of exported files.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "octavo/core/tensor.h"

namespace octavo::test {

/// Empty if ONNX Runtime can be run here; else one sentence that says what to install, for GTEST_SKIP.
std::string why_no_onnx_runtime();

struct OnnxRuntimeOptions {
  std::int64_t batch = 100;
  /// false: every node as the file has it, in float32; true: ONNX Runtime's own fusion and integer kernels.
  bool optimize = true;
};

/// Logits [N, classes] of `model` on `input` of shape [N, C, H, W]. Throws std::runtime_error with the
/// program's own words if it fails.
std::vector<float> run_onnx_runtime(const std::filesystem::path& model, std::span<const float> input,
                                    const Shape& shape, const OnnxRuntimeOptions& options = {});

/// Index of the largest of each row's `classes` values (the first of equals).
std::vector<std::int64_t> top1(std::span<const float> logits, std::int64_t classes);

}  // namespace octavo::test
