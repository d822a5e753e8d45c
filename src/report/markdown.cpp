#include <fmt/format.h>

#include "choices.h"
#include "comparison.h"
#include "format.h"
#include "octavo/report/report.h"

namespace octavo {
namespace {

using namespace report;

/// Text as text: what Markdown or HTML would read as markup is escaped, and line ends become spaces.
std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    const bool control = static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
    if (std::string_view("\\`*_[]<>|#&~").find(c) != std::string_view::npos) out += '\\';
    out += control ? ' ' : c;
  }
  return out;
}

std::string line(const std::vector<std::string>& cells) {
  std::string out = "|";
  for (const std::string& cell : cells) out += " " + cell + " |";
  return out + "\n";
}

std::string header(const std::vector<std::string>& cells, std::size_t text_columns) {
  std::string rule = "|";
  for (std::size_t i = 0; i < cells.size(); ++i) rule += i < text_columns ? " --- |" : " ---: |";
  return line(cells) + rule + "\n";
}

std::string comparison_section(const Results& results) {
  const ComparisonTable table = comparison_table(results);
  if (table.header.empty()) return "";
  std::vector<std::string> cells{""};
  for (const std::string& name : table.header) cells.push_back(escaped(name));
  std::string out = "## Comparison\n\n" + header(cells, 1);
  for (const TableRow& row : table.rows) {
    cells = {row.detail ? row.label : "**" + row.label + "**"};
    for (const std::string& cell : row.cells) cells.push_back(escaped(cell));
    out += line(cells);
  }
  return out +
         "\nAccuracy and speed are those of the runtime that ships. Times are mean ± standard deviation; "
         "speed-up and "
         "images/s come from the median. 1 MB is 1,000,000 bytes.\n\n";
}

std::string latency_section(const Results& results) {
  std::string rows;
  for (const Variant& variant : results.variants) {
    for (const Latency& l : variant.latency) {
      rows += line({escaped(display_name(variant.name)), grouped(l.batch), grouped(l.threads),
                    grouped(l.runs), milliseconds(l.mean_ms), milliseconds(l.std_ms),
                    milliseconds(l.median_ms), milliseconds(l.p90_ms), rate(l.images_per_second)});
    }
  }
  if (rows.empty()) return "";
  return "## Inference time\n\n" +
         header({"Model", "Batch", "Threads", "Runs", "Mean", "Std", "Median", "p90", "Images/s"}, 1) + rows +
         "\n";
}

std::string class_section(const Results& results) {
  std::size_t classes = 0;
  std::vector<std::string> cells{"Class"};
  for (const Variant& variant : results.variants) {
    classes = std::max(classes, variant.accuracy.class_images.size());
    cells.push_back(escaped(display_name(variant.name)));
  }
  if (classes == 0) return "";
  std::string out = "## Accuracy by class\n\n" + header(cells, 1);
  for (std::size_t c = 0; c < classes; ++c) {
    cells = {escaped(class_name(results, c))};
    for (const Variant& variant : results.variants) cells.push_back(percent(class_accuracy(variant, c)));
    out += line(cells);
  }
  return out + "\n";
}

std::string choices_section(const Results& results) {
  std::string out;
  for (const Variant& variant : results.variants) {
    for (const ChoiceSection& choice : choice_sections(variant.choices, display_name(variant.name))) {
      out += "## " + escaped(choice.title) + "\n\n" + escaped(choice.lead) + "\n\n";
      if (choice.rows.empty()) continue;
      out += header(choice.header, 1);
      for (std::vector<std::string> cells : choice.rows) {
        cells.front() = escaped(cells.front());
        out += line(cells);
      }
      out += "\n";
    }
  }
  return out;
}

template <typename Pairs>
std::string pairs_section(const std::string& title, const std::string& what, const Pairs& entries) {
  if (entries.empty()) return "";
  std::string out = fmt::format("## {}\n\n", title) + header({what, ""}, 2);
  for (const auto& [key, value] : entries) out += line({escaped(key), escaped(value)});
  return out + "\n";
}

}  // namespace

std::string to_markdown(const Results& results) {
  std::string out = "# " + escaped(subject(results)) + ": float and quantized models compared\n\n";
  if (!results.dataset_note.empty())
    out += "> **Note on the data.** " + escaped(results.dataset_note) + "\n\n";
  out += escaped(verdict(results)) + "\n\n";
  out += comparison_section(results);
  out += latency_section(results);
  out += class_section(results);
  out += choices_section(results);
  out += pairs_section("Time taken", "Step", timing_rows(results));
  if (!results.notes.empty()) {
    out += "## Notes\n\n";
    for (const std::string& note : results.notes) out += "- " + escaped(note) + "\n";
    out += "\n";
  }
  out += pairs_section("Environment", "Item", results.environment);
  out += pairs_section("Settings", "Key", results.settings);
  return out;
}

}  // namespace octavo
