/// Test images on which base and quantized models disagree.
#pragma once

#include <string>

#include "octavo/data/dataset.h"
#include "octavo/eval/results.h"

namespace octavo::report {

inline constexpr std::size_t kMostSamples = 24;

/// How often each variant left the base's answer, for better or worse, and up to kMostSamples of the images,
/// taken evenly over the test split. A sentence where predictions or pictures are not at hand or nothing
/// differs; empty where there is nothing to compare.
std::string disagreements(const Results& results, const Dataset& test);

}  // namespace octavo::report
