#include "machine.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string_view>

namespace octavo::app {
namespace fs = std::filesystem;

namespace {

/// Version 1 writes "no limit" as the largest whole number of pages; no machine has as much.
constexpr std::uint64_t kNoLimit = std::uint64_t{1} << 60;

template <typename T>
void narrow(std::optional<T>& limit, T value) {
  limit = limit ? std::min(*limit, value) : value;
}

/// The number that a file begins with; nothing if it begins with none ("max").
template <typename T>
std::optional<T> read_number(const fs::path& path) {
  std::ifstream file(path);
  T value{};
  if (file >> value) return value;
  return std::nullopt;
}

void add_version_2(const fs::path& group, Quotas& quotas) {
  std::ifstream cpu(group / "cpu.max");
  double quota = 0, period = 0;  // Microseconds.
  if (cpu >> quota >> period && period > 0) narrow(quotas.cores, quota / period);
  if (const auto bytes = read_number<std::uint64_t>(group / "memory.max"))
    narrow(quotas.memory_bytes, *bytes);
}

void add_version_1(const fs::path& group, Quotas& quotas) {
  const auto quota = read_number<double>(group / "cpu.cfs_quota_us");
  const auto period = read_number<double>(group / "cpu.cfs_period_us");
  if (quota && period && *quota > 0 && *period > 0) narrow(quotas.cores, *quota / *period);
  const auto bytes = read_number<std::uint64_t>(group / "memory.limit_in_bytes");
  if (bytes && *bytes < kNoLimit) narrow(quotas.memory_bytes, *bytes);
}

/// Calls add(folder) for the group at `path` under `mount`, and for all above it. Inside a container the path
/// may be the host's: what is not there adds nothing, and the mount itself is then the container's group.
template <typename Add>
void for_each_group(const fs::path& mount, const std::string& path, const Add& add) {
  fs::path group = mount;
  add(group);
  for (const fs::path& part : fs::path(path).relative_path()) add(group /= part);
}

}  // namespace

Quotas read_quotas(const fs::path& root) {
  Quotas quotas;
  const fs::path mounts = root / "sys/fs/cgroup";
  std::ifstream groups(root / "proc/self/cgroup");
  // "0::/user.slice" in version 2, "4:cpu,cpuacct:/user.slice" in version 1.
  for (std::string line; std::getline(groups, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string path = line.substr(second + 1);
    std::istringstream controllers(line.substr(first + 1, second - first - 1));
    if (second == first + 1)
      for_each_group(mounts, path, [&](const fs::path& g) { add_version_2(g, quotas); });
    for (std::string name; std::getline(controllers, name, ',');) {
      if (name == "cpu" || name == "memory")
        for_each_group(mounts / name, path, [&](const fs::path& g) { add_version_1(g, quotas); });
    }
  }
  return quotas;
}

Memory read_memory(const fs::path& root) {
  Memory memory;
  std::ifstream file(root / "proc/meminfo");
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string name;
    std::uint64_t kib = 0;
    if (!(words >> name >> kib)) continue;
    if (name == "MemTotal:") memory.total_bytes = kib * 1024;
    if (name == "MemAvailable:") memory.available_bytes = kib * 1024;
  }
  return memory;
}

std::vector<CpuCache> cpu_caches() {
  std::vector<CpuCache> caches;
  const auto add = [&caches](const char* name, int key) {
    const long bytes = sysconf(key);
    if (bytes > 0) caches.push_back({name, static_cast<std::uint64_t>(bytes)});
  };
  add("L1 data", _SC_LEVEL1_DCACHE_SIZE);
  add("L2", _SC_LEVEL2_CACHE_SIZE);
  add("L3", _SC_LEVEL3_CACHE_SIZE);
  return caches;
}

int online_cores() { return static_cast<int>(std::max(1L, sysconf(_SC_NPROCESSORS_ONLN))); }

}  // namespace octavo::app
