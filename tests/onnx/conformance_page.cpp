#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdlib>
#include <stdexcept>
#include <utility>

#include "octavo/core/file.h"
#include "onnx/conformance.h"

namespace octavo::test {
namespace {

constexpr const char* kPage = OCTAVO_SOURCE_DIR "/docs/onnx.md";
constexpr const char* kEnd = "<!-- end of what is generated -->\n";
constexpr const char* kColumns[] = {"import", "run float", "run int8", "train", "export"};

/// Where what is generated under `name` begins and ends.
std::pair<std::size_t, std::size_t> generated(const std::string& page, const std::string& name) {
  const std::string mark = fmt::format("<!-- generated: {} -->\n", name);
  const std::size_t begin = page.find(mark);
  const std::size_t end = page.find(kEnd, begin);
  if (begin == std::string::npos || end == std::string::npos)
    throw std::runtime_error("docs/onnx.md has no '" + mark + "'");
  return {begin + mark.size(), end};
}

/// The cells of a Markdown table by row and column, both by their heads.
std::map<std::string, std::map<std::string, std::string>> cells_of(const std::string& table) {
  std::map<std::string, std::map<std::string, std::string>> cells;
  std::vector<std::string> head;
  for (std::size_t at = 0; at < table.size();) {
    const std::size_t line_end = std::min(table.find('\n', at), table.size());
    std::vector<std::string> row;
    for (std::size_t cell = at + 2; cell < line_end;) {
      const std::size_t bar = std::min(table.find(" |", cell), line_end);
      row.push_back(table.substr(cell, bar - cell));
      cell = bar + 3;
    }
    at = line_end + 1;
    if (head.empty()) head = row;
    for (std::size_t i = 1; i < std::min(row.size(), head.size()); ++i) cells[row[0]][head[i]] = row[i];
  }
  return cells;
}

std::string table_with(const std::string& table, const ConformanceReport& report) {
  auto cells = cells_of(table);
  std::string text = fmt::format("| operator | {} |\n|---|", fmt::join(kColumns, " | "));
  for (std::size_t i = 0; i < std::size(kColumns); ++i) text += "---|";
  text += "\n";
  for (const auto& [op, how] : claimed_operators()) {
    const std::string row = op + (how.empty() ? "" : ", " + how);
    text += fmt::format("| {} |", row);
    for (const char* use : kColumns) {
      std::string& cell = cells[row][use];
      if (const auto column = report.counts.find(use); column != report.counts.end()) {
        const auto found = column->second.find(op);
        const Counts counts = found == column->second.end() ? Counts{} : found->second;
        cell = fmt::format("{} / {} / {}", counts.passed, counts.failed, counts.unsupported);
      }
      text += fmt::format(" {} |", cell);
    }
    text += "\n";
  }
  return text;
}

}  // namespace

std::string updated_page(const std::string& old_page, const ConformanceReport& report) {
  std::string page = old_page;
  const auto replace = [&](const std::string& name, const auto& make) {
    const auto [begin, end] = generated(page, name);
    page.replace(begin, end - begin, make(page.substr(begin, end - begin)));
  };
  replace("conformance", [&](const std::string& table) { return table_with(table, report); });
  for (const auto& [use, reasons] : report.unsupported) {
    replace("unsupported in " + use, [&](const std::string&) {
      std::string list;
      for (const auto& [why, names] : reasons) list += fmt::format("- {}: {}\n", why, fmt::join(names, ", "));
      return list;
    });
  }
  return page;
}

std::string check_page(const ConformanceReport& report) {
  const std::string page = read_text_file(kPage);
  const std::string wanted = updated_page(page, report);
  if (page == wanted) return "";
  if (std::getenv("OCTAVO_UPDATE_DOCS")) {
    write_file(kPage, wanted);
    return "";
  }
  const auto differ = std::mismatch(page.begin(), page.end(), wanted.begin(), wanted.end()).second;
  const auto line = wanted.rfind('\n', static_cast<std::size_t>(differ - wanted.begin()));
  return "docs/onnx.md is out of date, run this test with OCTAVO_UPDATE_DOCS=1; the first line that is not "
         "there:" +
         wanted.substr(line, wanted.find('\n', line + 1) - line);
}

}  // namespace octavo::test
