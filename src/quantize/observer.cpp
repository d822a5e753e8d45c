#include "octavo/quantize/observer.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>

#include "observers.h"
#include "octavo/core/error.h"

namespace octavo {
namespace {

struct Entry {
  const char* name;
  std::unique_ptr<Observer> (*make)(const ObserverConfig&);
};

constexpr std::array kObservers{
    Entry{"min-max", make_min_max_observer},       Entry{"moving-average", make_moving_average_observer},
    Entry{"percentile", make_percentile_observer}, Entry{"mse", make_mse_observer},
    Entry{"entropy", make_entropy_observer},
};

}  // namespace

std::vector<std::string> observer_names() {
  std::vector<std::string> names;
  for (const Entry& entry : kObservers) names.emplace_back(entry.name);
  return names;
}

std::unique_ptr<Observer> make_observer(const ObserverConfig& config) {
  for (const Entry& entry : kObservers) {
    if (config.kind == entry.name) return entry.make(config);
  }
  throw Error(ErrorCode::kUsage, "observer",
              fmt::format("unknown kind; expected one of {}, got '{}'", fmt::join(observer_names(), ", "),
                          config.kind));
}

void check_levels(int levels) { check_setting(levels >= 2 && levels <= 256, "levels", "2 to 256", levels); }

void check_setting(bool valid, std::string_view name, std::string_view expected, double value) {
  if (valid) return;
  throw Error(ErrorCode::kUsage, fmt::format("observer {}", name),
              fmt::format("out of range; expected {}, got {}", expected, value));
}

}  // namespace octavo
