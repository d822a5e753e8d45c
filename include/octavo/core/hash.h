/// FNV-1a, a short hash that notices accidents. It is no protection against forgery: files are known by their
/// SHA-256 (octavo/data/file_hash.h).
#pragma once

#include <cstdint>
#include <string_view>

namespace octavo {

inline constexpr std::uint64_t kFnvBasis = 0xcbf29ce484222325U;  ///< The hash of nothing.

/// `hash` with one more value, as a rule a byte.
constexpr std::uint64_t fnv1a_step(std::uint64_t hash, std::uint64_t value) {
  return (hash ^ value) * 0x100000001b3U;
}

/// `hash` with all bytes of `bytes` (Fowler, Noll, Vo; 64 bits).
constexpr std::uint64_t fnv1a(std::string_view bytes, std::uint64_t hash = kFnvBasis) {
  for (const char c : bytes) hash = fnv1a_step(hash, static_cast<unsigned char>(c));
  return hash;
}

}  // namespace octavo
