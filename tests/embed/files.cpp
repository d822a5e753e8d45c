#include "embed/files.h"

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <stdexcept>

#include "octavo/core/temporary_folder.h"

namespace octavo::testing {
namespace {

/// A folder with the files, removed when the program ends.
class Files {
 public:
  Files() {
    const std::string command = std::string(MAKE_EMBED_FILES) + " " + folder.path().string();
    if (std::system(command.c_str()) != 0) throw std::runtime_error(command + " failed");
  }
  TemporaryFolder folder;
};

}  // namespace

std::filesystem::path embed_folder() {
  static const Files files;
  return files.folder.path();
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
