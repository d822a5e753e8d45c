/// Results as a real comparison gives them, for the tests of the report.
#pragma once

#include "octavo/data/dataset.h"
#include "octavo/eval/results.h"

namespace octavo::testing {

/// `images` small pictures of `classes` classes; every value of a pixel occurs.
Dataset sample_dataset(std::int64_t images, std::int64_t classes, std::int64_t channels = 3);

/// Base, PTQ and QAT on `test`: predictions drawn from a fixed seed, every count made from them.
Results sample_results(const Dataset& test);

/// Two layers in float32 by the latency guard; two narrowed, one that never saturated, and one of a hostile
/// name.
LayerChoices sample_choices();

/// The counts of an Accuracy from predictions.
Accuracy count(const Dataset& test, const std::vector<std::int32_t>& predictions);

}  // namespace octavo::testing
