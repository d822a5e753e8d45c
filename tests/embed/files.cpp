#include "embed/files.h"

#include <stdlib.h>

#include <cstring>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace octavo::testing {
namespace {

/// A folder with the files, removed when the program ends.
class Files {
 public:
  Files() {
    std::string name = (std::filesystem::temp_directory_path() / "octavo-embed-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
    path = name;
    const std::string command = std::string(MAKE_EMBED_FILES) + " " + name;
    if (std::system(command.c_str()) != 0) throw std::runtime_error(command + " failed");
  }
  ~Files() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  std::filesystem::path path;
};

}  // namespace

std::filesystem::path embed_folder() {
  static const Files files;
  return files.path;
}

std::vector<char> embed_file(const std::string& name) {
  std::ifstream stream(embed_folder() / name, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

std::vector<std::uint8_t> embed_images() {
  const std::vector<char> bytes = embed_file("images.bin");
  return {bytes.begin(), bytes.end()};
}

std::vector<float> embed_logits(const std::string& model) {
  const std::vector<char> bytes = embed_file(model + ".logits");
  std::vector<float> logits(bytes.size() / sizeof(float));
  std::memcpy(logits.data(), bytes.data(), bytes.size());
  return logits;
}

}  // namespace octavo::testing
