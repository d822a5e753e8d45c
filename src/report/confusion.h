/// Confusion matrices as heat maps.
#pragma once

#include <string>

#include "octavo/eval/results.h"

namespace octavo::report {

/// A figure a variant that has a square confusion matrix, each with its most frequent confusions in words.
std::string confusion_matrices(const Results& results);

}  // namespace octavo::report
