/// SHA-256 and MD5 as lower-case hex.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

namespace octavo {

enum class DigestKind { kMd5, kSha256 };

/// A running checksum, against damage and mistakes and not against an attacker: MD5 is used in FIPS mode too.
/// Throws kUnsupported if the system's OpenSSL does not have the algorithm at all.
class Digest {
 public:
  explicit Digest(DigestKind kind);
  Digest(Digest&&) noexcept = default;
  Digest& operator=(Digest&&) noexcept = default;
  ~Digest();

  void update(std::span<const std::byte> bytes);
  /// Ends the computation; call it once.
  std::string hex();

 private:
  struct Free {
    void operator()(void* context) const noexcept;
  };
  std::unique_ptr<void, Free> context_;
};

std::string sha256(std::span<const std::byte> bytes);

/// MD5 of a whole file, read in pieces. Throws kIo.
std::string file_md5(const std::filesystem::path& path);

}  // namespace octavo
