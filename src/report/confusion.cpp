#include "confusion.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <vector>

#include "comparison.h"
#include "format.h"
#include "picture.h"
#include "svg.h"

namespace octavo::report {
namespace {

using Matrix = std::vector<std::vector<std::int64_t>>;

constexpr std::size_t kMostNamedClasses = 20;  // More rows than this have no room for names and counts.
constexpr std::size_t kMostWords = 5;

/// Shares of each true class, by row; the largest share off the diagonal sets the scale of the errors.
struct Shares {
  std::vector<std::vector<double>> values;
  double largest_error = 0;
};

bool is_square(const Matrix& matrix) {
  return !matrix.empty() && std::all_of(matrix.begin(), matrix.end(),
                                        [&](const auto& row) { return row.size() == matrix.size(); });
}

Shares shares_of(const Matrix& matrix) {
  Shares shares;
  for (std::size_t i = 0; i < matrix.size(); ++i) {
    std::int64_t total = 0;
    for (const std::int64_t count : matrix[i]) total += std::max<std::int64_t>(0, count);
    std::vector<double> row;
    for (std::size_t j = 0; j < matrix.size(); ++j) {
      const double share = total == 0 ? 0
                                      : static_cast<double>(std::max<std::int64_t>(0, matrix[i][j])) /
                                            static_cast<double>(total);
      row.push_back(share);
      if (i != j) shares.largest_error = std::max(shares.largest_error, share);
    }
    shares.values.push_back(std::move(row));
  }
  return shares;
}

/// Strength of a cell's colour. Errors go by the square root, or only the most frequent ones could be seen.
double strength(double share, bool diagonal, double largest_error) {
  if (share <= 0) return 0;
  if (diagonal) return 0.12 + 0.73 * share;
  return 0.08 + 0.82 * std::sqrt(share / largest_error);
}

std::string most_frequent(const Results& results, const Matrix& matrix) {
  struct Cell {
    std::int64_t count;
    std::size_t actual;
    std::size_t predicted;
  };
  std::vector<Cell> cells;
  for (std::size_t i = 0; i < matrix.size(); ++i) {
    for (std::size_t j = 0; j < matrix.size(); ++j) {
      if (i != j && matrix[i][j] > 0) cells.push_back({matrix[i][j], i, j});
    }
  }
  if (cells.empty()) return "No image was put into a wrong class.";
  std::stable_sort(cells.begin(), cells.end(),
                   [](const Cell& a, const Cell& b) { return a.count > b.count; });
  cells.resize(std::min(cells.size(), kMostWords));
  std::string text = "Most often: ";
  for (std::size_t i = 0; i < cells.size(); ++i) {
    text += fmt::format("{}{} taken for {} ({})", i == 0 ? "" : ", ", class_name(results, cells[i].actual),
                        class_name(results, cells[i].predicted), grouped(cells[i].count));
  }
  return text + ".";
}

std::string named_cells(const Results& results, const Matrix& matrix, const Shares& shares, double left,
                        double cell) {
  const auto n = static_cast<double>(matrix.size());
  std::string out;
  for (std::size_t i = 0; i < matrix.size(); ++i) {
    const double y = left + cell * static_cast<double>(i);
    const std::string name = shorten(class_name(results, i), 11);
    out += svg_text(left - 6, y + cell / 2 + 4, name, "label", "end");
    const double x = y;
    out += fmt::format("<text transform=\"translate({} {}) rotate(-90)\" class=\"label\">{}</text>\n",
                       number(x + cell / 2 + 4), number(left - 6), escape(name));
    for (std::size_t j = 0; j < matrix.size(); ++j) {
      const double opacity = strength(shares.values[i][j], i == j, shares.largest_error);
      if (opacity <= 0) continue;
      const double cx = left + cell * static_cast<double>(j);
      out += fmt::format(
          "<rect x=\"{0}\" y=\"{1}\" width=\"{2}\" height=\"{2}\" class=\"{3}\" fill-opacity=\"{4:.2f}\"/>\n",
          number(cx), number(y), number(cell - 1), i == j ? "right" : "wrong", opacity);
      if (cell >= 20) {
        out += svg_text(cx + (cell - 1) / 2, y + cell / 2 + 3.5, fmt::format("{}", matrix[i][j]),
                        opacity <= 0.55 ? "count"
                        : i == j        ? "count on-right"
                                        : "count on-wrong",
                        "middle");
      }
    }
  }
  return out + fmt::format("<rect x=\"{0}\" y=\"{0}\" width=\"{1}\" height=\"{1}\" class=\"frame\"/>\n",
                           number(left - 0.5), number(cell * n));
}

/// One picture with a pixel a cell: a hundred classes would be ten thousand rectangles.
std::string pixel_cells(const Matrix& matrix, const Shares& shares, double left, double side) {
  const std::size_t n = matrix.size();
  std::vector<std::uint8_t> pixels;
  pixels.reserve(n * n * 4);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < n; ++j) {
      const double opacity = strength(shares.values[i][j], i == j, shares.largest_error);
      const std::array<std::uint8_t, 3> color = i == j ? std::array<std::uint8_t, 3>{0x1F, 0x77, 0xB4}
                                                       : std::array<std::uint8_t, 3>{0xD9, 0x5F, 0x0E};
      pixels.insert(pixels.end(), color.begin(), color.end());
      pixels.push_back(static_cast<std::uint8_t>(std::lround(255 * std::min(1.0, opacity))));
    }
  }
  const auto size = static_cast<std::int64_t>(n);
  std::string out = fmt::format(
      "<image x=\"{0}\" y=\"{0}\" width=\"{1}\" height=\"{1}\" class=\"pixels\" href=\"{2}\"/>\n"
      "<rect x=\"{0}\" y=\"{0}\" width=\"{1}\" height=\"{1}\" class=\"frame\"/>\n",
      number(left), number(side), png_data_uri(pixels, size, size, 4));
  const std::size_t step = n <= 50 ? 10 : n <= 200 ? 20 : n / 5;
  for (std::size_t i = 0; i < n; i += step) {
    const double at = left + side * (static_cast<double>(i) + 0.5) / static_cast<double>(n);
    out += svg_text(left - 6, at + 4, fmt::format("{}", i), "tick", "end");
    out += svg_text(at, left - 6, fmt::format("{}", i), "tick", "middle");
  }
  return out;
}

std::string plot(const Results& results, const Matrix& matrix, std::size_t index) {
  const Shares shares = shares_of(matrix);
  const bool named = matrix.size() <= kMostNamedClasses;
  const double left = named ? 84 : 40;
  const double side = kPlotWidth - left - 4;
  const std::string title = "Confusion matrix of " + display_name(results.variants[index].name);
  std::string out =
      svg_open(fmt::format("plot-confusion-{}", index), kPlotWidth, left + side + 4, title,
               "Rows are true classes, columns predicted ones. " + most_frequent(results, matrix));
  out += svg_text(named ? 1 : 60, 12, "predicted →", "tick");
  out += svg_text(1, named ? 28 : 12, "true ↓", "tick");
  out += named ? named_cells(results, matrix, shares, left, side / static_cast<double>(matrix.size()))
               : pixel_cells(matrix, shares, left, side);
  return out + "</svg>\n";
}

}  // namespace

std::string confusion_matrices(const Results& results) {
  std::string out;
  for (std::size_t i = 0; i < results.variants.size(); ++i) {
    const Matrix& matrix = results.variants[i].accuracy.confusion;
    if (!is_square(matrix)) continue;
    out += fmt::format("<figure class=\"card\">\n<h3>{}</h3>\n{}<figcaption>{}</figcaption>\n</figure>\n",
                       escape(display_name(results.variants[i].name)), plot(results, matrix, i),
                       escape(most_frequent(results, matrix)));
  }
  return out;
}

}  // namespace octavo::report
