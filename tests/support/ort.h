/// ONNX Runtime, for cross-checks of exported files.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "octavo/core/tensor.h"
#include "onnxruntime.h"

namespace octavo::test {

/// Empty if ONNX Runtime can be run here; else one sentence that says what to install, for GTEST_SKIP.
std::string why_no_onnx_runtime();

/// The logits [N, classes] of a model with one output, on `input` [N, C, H, W]. As
/// octavo::run_onnx_runtime(), with the package that the tests install.
std::vector<float> onnx_runtime_logits(const std::filesystem::path& model, const Tensor& input,
                                       OnnxRuntimeOptions options = {.modules = {}, .batch = 100});

/// Index of the largest of each row's `classes` values (the first of equals).
std::vector<std::int64_t> top1(std::span<const float> logits, std::int64_t classes);

}  // namespace octavo::test
