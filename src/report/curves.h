/// Training curves: loss, accuracy and learning rate by epoch.
#pragma once

#include <string>

#include "octavo/eval/results.h"

namespace octavo::report {

/// A figure each for loss, accuracy and learning rate over all epochs, training first and QAT after it.
/// Empty without a history.
std::string training_curves(const Results& results);

}  // namespace octavo::report
