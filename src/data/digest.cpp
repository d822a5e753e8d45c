#include "digest.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <vector>

#include "octavo/core/error.h"

namespace octavo {
namespace {

EVP_MD_CTX* as_context(void* pointer) { return static_cast<EVP_MD_CTX*>(pointer); }

}  // namespace

void Digest::Free::operator()(void* context) const noexcept { EVP_MD_CTX_free(as_context(context)); }

Digest::Digest(DigestKind kind) : context_(EVP_MD_CTX_new()) {
  const bool is_md5 = kind == DigestKind::kMd5;
  if (!context_ ||
      EVP_DigestInit_ex(as_context(context_.get()), is_md5 ? EVP_md5() : EVP_sha256(), nullptr) != 1) {
    throw Error(ErrorCode::kUnsupported, is_md5 ? "MD5" : "SHA-256",
                "OpenSSL does not provide this checksum (is the system in FIPS mode?)");
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
