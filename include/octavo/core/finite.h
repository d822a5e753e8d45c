/// Whether numbers are numbers.
#pragma once

#include <span>

namespace octavo {

/// No infinity and no NaN among `values`.
bool all_finite(std::span<const float> values) noexcept;

}  // namespace octavo
