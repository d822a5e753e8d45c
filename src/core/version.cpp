#include "octavo/core/version.h"

#include <fstream>

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

std::string cpu_isa() {
  const std::string flags = cpuinfo("flags").insert(0, 1, ' ').append(1, ' ');
  const auto has = [&](const char* flag) { return flags.find(flag) != std::string::npos; };
  if (has(" amx_int8 ")) return "amx-int8";
  if (has(" avx512_vnni ")) return "avx512-vnni";
  if (has(" avx_vnni ")) return "avx-vnni";
  if (has(" avx512bw ")) return "avx512";
  if (has(" avx2 ")) return "avx2";
  return "generic";
}

std::string cpu_name() {
  const std::string name = cpuinfo("model name");
  return name.empty() ? "unknown" : name;
}

}  // namespace octavo
