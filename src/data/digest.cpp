#include "digest.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/provider.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <vector>

#include "octavo/core/error.h"

namespace octavo {
namespace {

EVP_MD_CTX* as_context(void* pointer) { return static_cast<EVP_MD_CTX*>(pointer); }

/// OpenSSL's own implementations, whatever the system's configuration restricts cryptography to. Lives as
/// long as the process; null if OpenSSL was built without them.
const EVP_MD* algorithm(DigestKind kind) {
  struct Algorithms {
    OSSL_LIB_CTX* library = OSSL_LIB_CTX_new();
    OSSL_PROVIDER* provider = OSSL_PROVIDER_load(library, "default");
    EVP_MD* md5 = EVP_MD_fetch(library, "MD5", nullptr);
    EVP_MD* sha256 = EVP_MD_fetch(library, "SHA256", nullptr);
  };
  static const Algorithms algorithms;
  return kind == DigestKind::kMd5 ? algorithms.md5 : algorithms.sha256;
}

}  // namespace

void Digest::Free::operator()(void* context) const noexcept { EVP_MD_CTX_free(as_context(context)); }

Digest::Digest(DigestKind kind) : context_(EVP_MD_CTX_new()) {
  const bool is_md5 = kind == DigestKind::kMd5;
  const EVP_MD* known = algorithm(kind);
  if (!context_ || !known || EVP_DigestInit_ex(as_context(context_.get()), known, nullptr) != 1) {
    throw Error(ErrorCode::kUnsupported, is_md5 ? "MD5" : "SHA-256",
                "the system's OpenSSL does not have this checksum; expected its default provider");
  }
}

Digest::~Digest() = default;

void Digest::update(std::span<const std::byte> bytes) {
  check_internal(EVP_DigestUpdate(as_context(context_.get()), bytes.data(), bytes.size()) == 1,
                 "a checksum was used after its end");
}

std::string Digest::hex() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> raw{};
  unsigned int length = 0;
  check_internal(EVP_DigestFinal_ex(as_context(context_.get()), raw.data(), &length) == 1,
                 "a checksum was used after its end");
  std::string text;
  for (unsigned int i = 0; i < length; ++i) text += fmt::format("{:02x}", raw[i]);
  return text;
}

std::string sha256(std::span<const std::byte> bytes) {
  Digest digest(DigestKind::kSha256);
  digest.update(bytes);
  return digest.hex();
}

std::string file_md5(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw Error(ErrorCode::kIo, path.string(), fmt::format("cannot open: {}", std::strerror(errno)));
  Digest digest(DigestKind::kMd5);
  std::vector<char> buffer(1 << 20);
  while (file) {
    file.read(buffer.data(), static_cast<std::streamsize>(buffer.size()));
    digest.update(std::as_bytes(std::span(buffer).first(static_cast<std::size_t>(file.gcount()))));
  }
  if (file.bad()) throw Error(ErrorCode::kIo, path.string(), "cannot read");
  return digest.hex();
}

}  // namespace octavo
