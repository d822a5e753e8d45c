#include "model_files.h"

#include "octavo/core/error.h"
#include "octavo/core/file.h"
#include "octavo/onnx/onnx.h"

namespace octavo::app {

std::filesystem::path output_file(const Session& session, const std::string& name) {
  const std::filesystem::path input = session.files.front();
  std::filesystem::path output = session.output;
  if (output.empty()) {
    output = input.parent_path() / name;
    if (std::filesystem::exists(output)) {
      throw Error(
          ErrorCode::kUsage, output.string(),
          "exists already; expected a free name, got a file (name the output with --out to replace it)");
    }
  }
  if (std::filesystem::is_directory(output)) {
    throw Error(ErrorCode::kUsage, output.string(),
                "is a folder; expected the name of an .onnx file to write");
  }
  if (std::filesystem::weakly_canonical(output) == std::filesystem::weakly_canonical(input)) {
    throw Error(ErrorCode::kUsage, output.string(),
                "is the input too; expected another file, so that the float model is kept (--out)");
  }
  const auto folder = output.parent_path();
  make_writable_folder(folder.empty() ? std::filesystem::path(".") : folder);
  return output;
}

Graph load_model(const Session& session, const std::filesystem::path& path) {
  return load_onnx(path, {.output = session.model_output, .image_size = session.settings.image_size});
}

}  // namespace octavo::app
