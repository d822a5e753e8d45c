/// What make_embed_files writes, made once a test program.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace octavo::testing {

inline constexpr std::size_t kImages = 5, kImageBytes = 16 * 16 * 3, kClasses = 10;

std::filesystem::path embed_folder();
std::vector<std::uint8_t> embed_images();
/// Of "float" or "int8".
std::vector<float> embed_logits(const std::string& model);
std::vector<char> embed_file(const std::string& name);

}  // namespace octavo::testing
