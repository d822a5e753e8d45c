/// Tensors whose bytes lie in a file beside the model.
#pragma once

#include <onnx/onnx_pb.h>

#include <filesystem>
#include <string>

#include "octavo/core/tensor.h"
#include "work_budget.h"

namespace octavo::onnx_format {

/// Where a model's data may lie.
struct DataFolders {
  std::filesystem::path named;  ///< That of the path that the model was given by; empty: nowhere.
  std::filesystem::path
      linked;  ///< That of the file that the path leads to by links, as model hubs keep them.
};

bool is_external(const onnx::TensorProto& proto);

/// The tensor's contents from the file that it names, relative to the folder that the
/// model is named in and inside one of both: no "..", no absolute path, no link that leads out. Sizes are
/// checked against the file before anything is allocated, and `budget` pays for the tensor: the bytes that
/// the disk holds of the file count as the model's once, however many tensors lie in it, and its holes not at
/// all. Throws kUnsupported if there is no folder or the budget spent, kBadInput if the entry or the file do
/// not fit, kIo if it cannot be read.
Tensor read_external_tensor(const onnx::TensorProto& proto, const DataFolders& folders,
                            const std::string& what, WorkBudget& budget);

}  // namespace octavo::onnx_format
