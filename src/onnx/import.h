/// The import that parse_onnx() and load_onnx() share.
#pragma once

#include <filesystem>
#include <string>

#include "model_file.h"
#include "octavo/graph/graph.h"
#include "work_budget.h"

namespace octavo::onnx_format {

/// The graph of `file`, which errors call `where`, as stored_form() has it. `budget` tells afterwards what
/// that took. Tensors in other files lie in `folder`; empty if there is none.
Graph import_model(const ModelFile& file, const std::string& where, const std::filesystem::path& folder,
                   WorkBudget& budget);

}  // namespace octavo::onnx_format
