#include "environment.h"

#include <fmt/format.h>
#include <sys/utsname.h>

#include <cstdlib>
#include <fstream>
#include <system_error>

#include "octavo/core/cpu.h"
#include "octavo/core/parallel.h"
#include "octavo/core/version.h"
#include "octavo/runtime/runtime.h"
#include "octavo/train/trainer.h"

namespace octavo::app {
namespace {

std::string operating_system() {
  utsname kernel{};
  uname(&kernel);
  std::string name = kernel.sysname;
  std::ifstream release("/etc/os-release");
  for (std::string line; std::getline(release, line);) {
    constexpr std::string_view kKey = "PRETTY_NAME=\"";
    if (line.rfind(kKey, 0) == 0 && line.size() > kKey.size()) {
      name = line.substr(kKey.size(), line.size() - kKey.size() - 1);
    }
  }
  return fmt::format("{} ({} {})", name, kernel.release, kernel.machine);
}

std::string compiler() {
#if defined(__clang__)
  return fmt::format("Clang {}.{}.{}", __clang_major__, __clang_minor__, __clang_patchlevel__);
#else
  return fmt::format("GCC {}.{}.{}", __GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__);
#endif
}

}  // namespace

void keep_libraries_to_isa() {
  const std::string onednn = onednn_isa_limit();
  if (onednn.empty()) return;
  const char* const libtorch = [] {
    switch (isa_in_use()) {
      case Isa::kGeneric:
        return "default";
      case Isa::kAvx2:
      case Isa::kAvxVnni:
        return "avx2";
      case Isa::kAvx512Vnni:
      case Isa::kAmx:
        break;
    }
    return "avx512";
  }();
  constexpr int kUnlessSet = 0;
  setenv("ONEDNN_MAX_CPU_ISA", onednn.c_str(), kUnlessSet);
  setenv("ATEN_CPU_CAPABILITY", libtorch, kUnlessSet);
}

std::map<std::string, std::string> environment(int threads) {
  return {{"cpu", cpu_name()},
          {"isa", isa_name(isa_in_use())},
          {"cores", std::to_string(available_cores())},
          {"threads", std::to_string(threads)},
          {"os", operating_system()},
          {"compiler", compiler()},
          {"octavo", version()},
          {"onednn", onednn_version()},
          {"libtorch", libtorch_version()}};
}

std::filesystem::path training_program() {
  std::error_code ignored;
  return std::filesystem::read_symlink("/proc/self/exe", ignored).parent_path() / "octavo-train";
}

}  // namespace octavo::app
