/// The version of the library, as in `octavo --version` and in the metadata of every file it writes.
#pragma once

#include <string>

namespace octavo {

/// Counts the changes after which the same settings, images and CPU give other weights or other integers:
/// such a change adds one, and a run begun before is not gone on with.
inline constexpr int kArithmeticVersion = 1;

/// "0.1.0"
std::string version();

}  // namespace octavo
