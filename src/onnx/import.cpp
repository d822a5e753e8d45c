#include "import.h"

#include <limits>
#include <span>
#include <string_view>

#include "canonical.h"
#include "importer.h"
#include "octavo/core/error.h"
#include "octavo/core/file.h"
#include "octavo/onnx/onnx.h"

namespace octavo {

Graph onnx_format::import_model(const ModelFile& file, const std::string& where, const DataFolders& folders,
                                WorkBudget& budget, const ImportOptions& options) {
  budget.add_file(file.size());
  try {
    return to_stored_form(Importer(file, where, folders, budget, options).run(), &budget);
  } catch (const Error& error) {
    // What a shape or a graph says of itself does not name the file.
    if (std::string_view(error.what()).starts_with(where)) throw;
    throw Error(error.code(), where, error.what());
  }
}

Graph parse_onnx(std::span<const std::byte> bytes, const std::string& where, const ImportOptions& options) {
  onnx_format::WorkBudget budget(where);
  return onnx_format::import_model(onnx_format::ModelFile(bytes, where), where, {}, budget, options);
}

Graph load_onnx(const std::filesystem::path& path, const ImportOptions& options) {
  std::error_code error;
  onnx_format::DataFolders folders{.named = path.has_parent_path() ? path.parent_path() : ".",
                                   .linked = std::filesystem::canonical(path, error).parent_path()};
  onnx_format::WorkBudget budget(path.string());
  const auto import = [&](const onnx_format::ModelFile& file) {
    return onnx_format::import_model(file, path.string(), folders, budget, options);
  };
  const std::filesystem::file_status status = std::filesystem::status(path, error);
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status)) {
    // What cannot be read at any place, such as a pipe.
    const std::vector<std::byte> bytes = read_file(path, std::numeric_limits<std::int32_t>::max());
    return import(onnx_format::ModelFile(bytes, path.string()));
  }
  return import(onnx_format::ModelFile(path));
}

}  // namespace octavo
