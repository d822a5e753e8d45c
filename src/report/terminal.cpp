#include <fmt/format.h>

#include <algorithm>

#include "comparison.h"
#include "format.h"
#include "octavo/report/report.h"

namespace octavo {
namespace {

using namespace report;

constexpr std::size_t kGap = 2;
constexpr std::size_t kWidestCell = 24;

struct Style {
  bool color;
  std::string bold(const std::string& text) const { return color ? "\033[1m" + text + "\033[0m" : text; }
  /// What a reader should not take for good news.
  std::string warn(const std::string& text) const { return color ? "\033[33m" + text + "\033[0m" : text; }
  std::string dim(const std::string& text) const { return color ? "\033[2m" + text + "\033[0m" : text; }
};

std::string paragraph(const std::string& first, const std::string& text, std::size_t width) {
  std::string out;
  const std::size_t indent = text_width(first);
  for (const std::string& line : wrapped(text, width > indent + 20 ? width - indent : 20)) {
    out += (out.empty() ? first : std::string(indent, ' ')) + line + "\n";
  }
  return out;
}

/// Control characters could move the cursor or change its colour: names come from files.
std::string printable(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = ' ';
  }
  return text;
}

}  // namespace

std::string terminal_table(const Results& results, bool color, int width) {
  const Style style{color};
  const auto columns_wide = static_cast<std::size_t>(std::max(width, 40));
  std::string out = style.bold(printable(subject(results))) + "\n";
  if (!results.dataset_note.empty())
    out += paragraph("Note: ", printable(results.dataset_note), columns_wide);
  out += "\n";

  ComparisonTable table = comparison_table(results);
  if (table.header.empty()) return out + "No model was compared.\n";

  std::size_t label_width = 0;
  for (TableRow& row : table.rows) {
    if (row.detail) row.label = "  " + row.label;
    label_width = std::max(label_width, text_width(row.label));
  }
  std::vector<std::size_t> widths;
  for (std::size_t c = 0; c < table.header.size(); ++c) {
    table.header[c] = shorten(printable(table.header[c]), kWidestCell);
    std::size_t widest = text_width(table.header[c]);
    for (TableRow& row : table.rows) {
      row.cells[c] = shorten(printable(row.cells[c]), kWidestCell);
      widest = std::max(widest, text_width(row.cells[c]));
    }
    widths.push_back(widest);
  }

  // As many variants side by side as fit; the rest in blocks below.
  for (std::size_t first = 0; first < widths.size();) {
    std::size_t used = label_width;
    std::size_t last = first;
    while (last < widths.size() && (last == first || used + kGap + widths[last] <= columns_wide)) {
      used += kGap + widths[last++];
    }
    std::string line(label_width, ' ');
    for (std::size_t c = first; c < last; ++c) {
      line += std::string(kGap, ' ') + padded_left(table.header[c], widths[c]);
    }
    out += style.bold(line) + "\n";
    std::string rule;
    for (std::size_t i = 0; i < used; ++i) rule += "─";
    out += style.dim(rule) + "\n";
    for (const TableRow& row : table.rows) {
      if (std::all_of(row.cells.begin() + static_cast<std::ptrdiff_t>(first),
                      row.cells.begin() + static_cast<std::ptrdiff_t>(last),
                      [](const std::string& cell) { return cell.empty(); })) {
        continue;
      }
      line = padded_right(row.label, label_width);
      std::string painted;  // All of the row so far but for `line`.
      const auto paint = [&](const std::string& text) { return row.detail ? style.dim(text) : text; };
      for (std::size_t c = first; c < last; ++c) {
        line += std::string(kGap, ' ') + padded_left(row.cells[c], widths[c]);
        if (c >= row.worse.size() || !row.worse[c]) continue;
        line.erase(line.size() - row.cells[c].size());
        painted += paint(line) + style.warn(row.cells[c]);
        line.clear();
      }
      line.erase(line.find_last_not_of(' ') + 1);
      out += painted + (line.empty() ? "" : paint(line)) + "\n";
    }
    out += "\n";
    first = last;
  }

  for (const std::string& note : results.notes) out += paragraph("• ", printable(note), columns_wide);
  return out;
}

}  // namespace octavo
