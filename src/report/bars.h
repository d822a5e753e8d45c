/// Bar plots. Every axis starts at 0.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "octavo/eval/results.h"

namespace octavo::report {

/// One of the panels of the comparison: a horizontal bar a variant, its value and its change against the
/// base.
struct Bar {
  std::string name;
  double value = 0;    ///< Not finite: no bar.
  std::string label;   ///< The value as text.
  std::string versus;  ///< Change against the base; empty for the base itself.
  std::string color;
  double error = 0;  ///< Half the length of the error bar; 0: none.
};

struct BarPanel {
  std::string id;
  std::string title;
  std::vector<Bar> bars;
  double axis_max = 0;  ///< 0: from the data.
  std::function<std::string(double)> tick_label;
};

std::string bar_panel(const BarPanel& panel);

/// The three panels: accuracy, file size, inference time at the largest batch; a figure each. Empty without
/// variants.
std::string comparison_panels(const Results& results);

/// Inference time at the remaining batch sizes, and throughput at the largest.
std::string latency_panels(const Results& results);

/// Accuracy by class as grouped bars, in several plots if there are many classes. Empty if nothing was
/// counted.
std::string class_panels(const Results& results);

}  // namespace octavo::report
