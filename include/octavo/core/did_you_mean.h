/// A hint for a name that is not known.
#pragma once

#include <string>
#include <vector>

namespace octavo {

/// " (did you mean X?)" with the element of `known` closest to `text` by edit distance; empty if none is
/// close.
std::string did_you_mean(const std::string& text, const std::vector<std::string>& known);

}  // namespace octavo
