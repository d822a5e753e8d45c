/// The import that parse_onnx() and load_onnx() share.
#pragma once

#include <string>

#include "external_data.h"
#include "model_file.h"
#include "octavo/graph/graph.h"
#include "octavo/onnx/onnx.h"
#include "work_budget.h"

namespace octavo::onnx_format {

/// The graph of `file`, which errors call `where`, as stored_form() has it. `budget` tells afterwards what
/// that took. Tensors in other files lie in one of `folders`.
Graph import_model(const ModelFile& file, const std::string& where, const DataFolders& folders,
                   WorkBudget& budget, const ImportOptions& options = {});

}  // namespace octavo::onnx_format
