#include "octavo/data/file_hash.h"

#include <algorithm>
#include <vector>

#include "digest.h"
#include "octavo/core/file.h"

namespace octavo {

std::string file_sha256(const std::filesystem::path& path) {
  const InputFile file(path);
  Digest digest(DigestKind::kSha256);
  std::vector<std::byte> buffer(1 << 20);
  for (std::uint64_t at = 0; at < file.size();) {
    const auto part = std::span(buffer).first(std::min<std::uint64_t>(buffer.size(), file.size() - at));
    file.read(at, part);
    digest.update(part);
    at += part.size();
  }
  return digest.hex();
}

}  // namespace octavo
