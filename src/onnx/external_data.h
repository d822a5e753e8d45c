/// Tensors whose bytes lie in a file beside the model.
#pragma once

#include <onnx/onnx_pb.h>

#include <filesystem>
#include <string>

#include "octavo/core/tensor.h"
#include "work_budget.h"

namespace octavo::onnx_format {

bool is_external(const onnx::TensorProto& proto);

/// The tensor's contents from the file that it names, relative to `folder` and inside it: no "..", no
/// absolute path, no link that leads out. Sizes are checked against the file before anything is allocated,
/// and `budget` pays for the tensor: the bytes that the disk holds of the file count as the model's once,
/// however many tensors lie in it, and its holes not at all. Throws kUnsupported if `folder` is empty or the
/// budget spent, kBadInput if the entry or the file do not fit, kIo if it cannot be read.
Tensor read_external_tensor(const onnx::TensorProto& proto, const std::filesystem::path& folder,
                            const std::string& what, WorkBudget& budget);

}  // namespace octavo::onnx_format
