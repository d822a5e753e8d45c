/// Search for the clipping range with the least cost, shared by the observers that define one.
#pragma once

#include <functional>

#include "octavo/quantize/observer.h"

namespace octavo {

/// The range within `full` (which holds 0) with the least `cost`: both ends shrunk together, then each by
/// itself, on a geometric grid of 10 octaves with `steps_per_octave` points, then pattern search down to 0.3
/// %. An end that is 0 stays 0. Of equal costs the first found wins, the widest range before all. An infinite
/// cost excludes a range.
Range search_range(const Range& full, int steps_per_octave, const std::function<double(const Range&)>& cost);

}  // namespace octavo
