/// The comparison itself, once, for every form it is shown in: the same rows in the terminal, Markdown and
/// HTML.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "octavo/eval/results.h"

namespace octavo::report {

/// The variant all others are compared with: the one named "base", else the first. Null without variants.
const Variant* base_of(const Results& results);

/// The variant's timing at `batch` images, or null.
const Latency* latency_at(const Variant& variant, std::int64_t batch);

/// Batch sizes that any variant was timed at, ascending.
std::vector<std::int64_t> batches_of(const Results& results);

/// True if the variant was tested on at least one image, so that its accuracy is a measurement.
bool has_accuracy(const Variant& variant);

/// Name of class `index`, or its number where there is none.
std::string class_name(const Results& results, std::size_t index);

/// Share of the class's images classified rightly; NaN where the class was not tested.
double class_accuracy(const Variant& variant, std::size_t index);

/// What took how long, as text, in the order in which it happens; the total last.
std::vector<std::pair<std::string, std::string>> timing_rows(const Results& results);

struct TableRow {
  std::string label;
  std::vector<std::string> cells;  ///< One per variant; empty where there is nothing to say.
  bool detail = false;             ///< Belongs to the row above it.
  std::vector<bool> worse = {};    ///< Cells that are worse than the base; empty: nothing is said of that.
};

struct ComparisonTable {
  std::vector<std::string> header;  ///< One per variant.
  std::vector<TableRow> rows;
};

ComparisonTable comparison_table(const Results& results);

/// "simple-cnn on cifar10"
std::string subject(const Results& results);

/// One paragraph of plain sentences on what the numbers say.
std::string verdict(const Results& results);

}  // namespace octavo::report
