#include "octavo/core/cpu.h"

#include <cstdlib>
#include <fstream>

#include "octavo/core/error.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace octavo {
namespace {

constexpr const char* kVariable = "OCTAVO_ISA";

struct Name {
  Isa isa;
  const char* text;
};
constexpr Name kNames[] = {{Isa::kGeneric, "generic"},
                           {Isa::kAvx2, "avx2"},
                           {Isa::kAvxVnni, "avx-vnni"},
                           {Isa::kAvx512Vnni, "avx512-vnni"},
                           {Isa::kAmx, "amx"}};

/// What of this processor matters.
struct Features {
  bool avx2 = false, avx_vnni = false, avx512f = false, avx512_vnni = false, amx = false, bfloat16 = false;
};

#if defined(__x86_64__)

/// CPUID leaf 7, sub-leaf 1, EAX bit 4: older compilers have no name for it.
bool says_avx_vnni() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 && (a >> 4U & 1U) != 0;
}

/// AMX's tiles and their products of bytes. Linux wants to be asked before a process may use tiles.
bool may_use_tiles() {
  constexpr unsigned kUsesXsave = 1U << 27U;  // ECX of leaf 1.
  constexpr unsigned kTileState = 3U << 17U;  // XCR0: configuration and data of tiles.
  constexpr unsigned kTile = 1U << 24U, kTileInt8 = 1U << 25U;
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & kUsesXsave) == 0) return false;
  unsigned low = 0, high = 0;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  if ((low & kTileState) != kTileState) return false;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0 || (d & (kTile | kTileInt8)) != (kTile | kTileInt8))
    return false;
  constexpr long kRequestPermission = 0x1023;
  constexpr long kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

Features look() {
  Features f;
  f.avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  f.avx_vnni = f.avx2 && says_avx_vnni();
  f.avx512f = f.avx2 && __builtin_cpu_supports("avx512f");
  f.avx512_vnni = f.avx512f && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                  __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni");
  f.amx = f.avx512_vnni && may_use_tiles();
  f.bfloat16 = f.avx512f && __builtin_cpu_supports("avx512bf16");
  return f;
}

#else

Features look() { return {}; }

#endif

/// What the processor says of itself: an emulator's /proc/cpuinfo is its host's.
const Features& features() {
  static const Features found = look();
  return found;
}

std::string asked_for() {
  const char* value = std::getenv(kVariable);
  return value != nullptr ? value : "";
}

/// "generic, avx2"
std::string list(const std::vector<Isa>& isas) {
  std::string text;
  for (const Isa isa : isas) text += (text.empty() ? "" : ", ") + std::string(isa_name(isa));
  return text;
}

}  // namespace

const char* isa_name(Isa isa) {
  for (const Name& name : kNames) {
    if (name.isa == isa) return name.text;
  }
  throw Error(ErrorCode::kInternal, "cpu", "an instruction set without a name");
}

bool cpu_has(Isa isa) {
  switch (isa) {
    case Isa::kGeneric:
      return true;
    case Isa::kAvx2:
      return features().avx2;
    case Isa::kAvxVnni:
      return features().avx_vnni;
    case Isa::kAvx512Vnni:
      return features().avx512_vnni;
    case Isa::kAmx:
      return features().amx;
  }
  return false;
}

std::vector<Isa> cpu_isas() {
  std::vector<Isa> result;
  for (const Name& name : kNames) {
    if (cpu_has(name.isa)) result.push_back(name.isa);
  }
  return result;
}

Isa choose_isa(std::string_view asked, const std::vector<Isa>& has) {
  if (asked.empty()) return has.back();
  const auto refuse = [&](const std::string& problem) {
    return Error(ErrorCode::kUsage, kVariable,
                 problem + "; expected one that this CPU has (" + list(has) + "), got " + std::string(asked));
  };
  for (const Name& name : kNames) {
    if (name.text != asked) continue;
    for (const Isa isa : has) {
      if (isa == name.isa) return isa;
    }
    throw refuse("this CPU lacks that instruction set");
  }
  throw refuse("no such instruction set");
}

Isa isa_in_use() {
  static const Isa chosen = choose_isa(asked_for(), cpu_isas());
  return chosen;
}

bool isa_is_limited() {
  static const bool limited = !asked_for().empty();
  return limited;
}

bool uses(Isa isa) { return cpu_has(isa) && isa <= isa_in_use(); }

bool uses_avx512() { return features().avx512f && (!isa_is_limited() || isa_in_use() >= Isa::kAvx512Vnni); }

bool uses_bfloat16() { return features().bfloat16 && uses_avx512(); }

std::string cpu_name() {
  const std::string key = "model name";
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(key)) continue;
    const auto colon = line.find(": ");
    if (colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown";
}

}  // namespace octavo
