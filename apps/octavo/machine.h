/// What the operating system says about the machine and about this process's share of it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace octavo::app {

/// What control groups (containers, systemd) allow this process; nothing where there is no limit.
struct Quotas {
  std::optional<double> cores;  ///< Processor time a second of wall time.
  std::optional<std::uint64_t> memory_bytes;
};

/// Version 2 (cpu.max, memory.max) and version 1 (cpu.cfs_quota_us, memory.limit_in_bytes); the narrowest of
/// the process's group and all above it. Reads proc/ and sys/ under `root`; what is missing or malformed
/// limits nothing.
Quotas read_quotas(const std::filesystem::path& root = "/");

struct Memory {
  std::uint64_t total_bytes = 0;  ///< 0: not known.
  std::uint64_t available_bytes = 0;
};

/// From proc/meminfo under `root`.
Memory read_memory(const std::filesystem::path& root = "/");

struct CpuCache {
  std::string name;  ///< "L1 data", "L2", "L3"
  std::uint64_t bytes = 0;
};

/// Those that the system knows the size of.
std::vector<CpuCache> cpu_caches();

/// Logical cores that are switched on, whether or not this process may use them.
int online_cores();

}  // namespace octavo::app
