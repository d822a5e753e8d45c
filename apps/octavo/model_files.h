/// Model files on the command line.
#pragma once

#include <filesystem>
#include <string>

#include "session.h"

namespace octavo::app {

/// Where `octavo ptq` and `octavo qat` write: --out, else `name` beside the input. The folder is proven
/// writable. Throws kUsage if a file is there already that --out did not name.
std::filesystem::path output_file(const Session& session, const std::string& name);

/// Reads a model that may come from anywhere, with what the command line says of what it leaves open.
Graph load_model(const Session& session, const std::filesystem::path& path);

}  // namespace octavo::app
