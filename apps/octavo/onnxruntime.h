/// ONNX Runtime as a child process, where it is installed: Node.js with the package onnxruntime-node.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "octavo/core/tensor.h"

namespace octavo::app {

/// Empty if ONNX Runtime can be run; else one sentence that says what is missing. `modules` is the
/// node_modules folder that holds onnxruntime-node; empty: where Node.js looks by itself ($NODE_PATH).
std::string why_no_onnx_runtime(const std::filesystem::path& modules);

/// All outputs of a model on input [N, C, H, W], by name; float32 and uint8 ones. Throws kBadInput with
/// ONNX Runtime's own words if it refuses the model.
std::map<std::string, Tensor> run_onnx_runtime(const std::filesystem::path& model, const Tensor& input,
                                               const std::filesystem::path& modules);

}  // namespace octavo::app
