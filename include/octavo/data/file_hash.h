/// SHA-256 of files.
#pragma once

#include <filesystem>
#include <string>

namespace octavo {

/// Of the file's bytes, in lower-case hex. Throws kIo.
std::string file_sha256(const std::filesystem::path& path);

}  // namespace octavo
