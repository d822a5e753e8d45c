#include "environment.h"

#include <fmt/format.h>
#include <sys/utsname.h>

#include <fstream>

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

std::map<std::string, std::string> environment(int threads) {
  return {{"cpu", cpu_name()},
          {"isa", cpu_isa()},
          {"cores", std::to_string(available_cores())},
          {"threads", std::to_string(threads)},
          {"os", operating_system()},
          {"compiler", compiler()},
          {"octavo", version()},
          {"onednn", onednn_version()},
          {"libtorch", libtorch_version()}};
}

}  // namespace octavo::app
