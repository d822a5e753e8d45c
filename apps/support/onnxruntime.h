/// ONNX Runtime as a child process, where it is installed: Node.js with the package onnxruntime-node.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

#include "octavo/core/tensor.h"

namespace octavo {

/// Empty if ONNX Runtime can be run; else one sentence that says what is missing. `modules` is the
/// node_modules folder that holds onnxruntime-node; empty: where Node.js looks by itself ($NODE_PATH).
std::string why_no_onnx_runtime(const std::filesystem::path& modules);

struct OnnxRuntimeOptions {
  std::filesystem::path modules;  ///< As above.
  std::int64_t batch = 0;         ///< Images a run, the outputs put together; 0: all in one.
  /// false: every node as the file has it, in float32; true: ONNX Runtime's own fusions and integer kernels.
  bool optimize = true;
};

/// All outputs of a model on input [N, C, H, W], by name; float32, uint8 and int8 ones. Throws kBadInput with
/// ONNX Runtime's own words if it refuses the model.
std::map<std::string, Tensor> run_onnx_runtime(const std::filesystem::path& model, const Tensor& input,
                                               const OnnxRuntimeOptions& options);

}  // namespace octavo
