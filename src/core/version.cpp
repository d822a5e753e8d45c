#include "octavo/core/version.h"

#include <fstream>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace octavo {

std::string version() { return OCTAVO_VERSION; }

namespace {

/// The part after the colon of the first /proc/cpuinfo line that begins with `key`.
std::string cpuinfo(const std::string& key) {
  std::ifstream file("/proc/cpuinfo");
  std::string line;
  while (std::getline(file, line)) {
    if (!line.starts_with(key)) continue;
    const auto colon = line.find(": ");
    return colon == std::string::npos ? "" : line.substr(colon + 2);
  }
  return "";
}

}  // namespace

#if defined(__x86_64__)
namespace {

/// Features that __builtin_cpu_supports() of older compilers lacks, read as it reads them: what the processor
/// has and the system saves of a program's registers.
bool has_avx_vnni() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __builtin_cpu_supports("avx2") && __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 && (a >> 4 & 1U) != 0;
}

bool has_amx_int8() {
  constexpr unsigned kUsesXsave = 1U << 27;  // ECX of leaf 1.
  constexpr unsigned kTileState = 3U << 17;  // XCR0: configuration and data of tiles.
  constexpr unsigned kTile = 1U << 24, kTileInt8 = 1U << 25;
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & kUsesXsave) == 0) return false;
  unsigned low = 0, high = 0;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  if ((low & kTileState) != kTileState) return false;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (d & (kTile | kTileInt8)) == (kTile | kTileInt8);
}

}  // namespace
#endif

std::string cpu_isa() {
#if defined(__x86_64__)
  // What the processor says of itself: an emulator's /proc/cpuinfo is its host's.
  if (has_amx_int8()) return "amx-int8";
  if (__builtin_cpu_supports("avx512vnni")) return "avx512-vnni";
  if (has_avx_vnni()) return "avx-vnni";
  if (__builtin_cpu_supports("avx512bw")) return "avx512";
  if (__builtin_cpu_supports("avx2")) return "avx2";
#endif
  return "generic";
}

std::string cpu_name() {
  const std::string name = cpuinfo("model name");
  return name.empty() ? "unknown" : name;
}

}  // namespace octavo
