/// The version of the library, as in `octavo --version` and in the metadata of every file it writes.
#pragma once

#include <string>

namespace octavo {

/// Counts the changes after which the same settings, images and CPU give other weights or other integers:
/// such a change adds one, and a run begun before is not gone on with.
inline constexpr int kArithmeticVersion = 1;

/// "0.1.0"
std::string version();

/// Name of the widest instruction set of this CPU that matters here: "amx-int8", "avx512-vnni", "avx-vnni",
/// "avx512", "avx2" or "generic".
std::string cpu_isa();

/// Model name of the processor, as the operating system gives it.
std::string cpu_name();

}  // namespace octavo
