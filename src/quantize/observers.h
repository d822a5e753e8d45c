/// What make_observer chooses from: one function an observer, each in a file of its own.
#pragma once

#include <memory>
#include <string_view>

#include "octavo/quantize/observer.h"

namespace octavo {

std::unique_ptr<Observer> make_min_max_observer(const ObserverConfig& config);
std::unique_ptr<Observer> make_moving_average_observer(const ObserverConfig& config);
std::unique_ptr<Observer> make_percentile_observer(const ObserverConfig& config);
std::unique_ptr<Observer> make_mse_observer(const ObserverConfig& config);
std::unique_ptr<Observer> make_entropy_observer(const ObserverConfig& config);

/// Throws kUsage unless 2 <= levels <= 256.
void check_levels(int levels);

/// Throws kUsage "observer <name>: out of range; expected <expected>, got <value>" unless `valid`.
void check_setting(bool valid, std::string_view name, std::string_view expected, double value);

}  // namespace octavo
