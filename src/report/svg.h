/// Small parts that every plot and page is made of.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace octavo::report {

/// Text for HTML or SVG content and attributes: markup escaped, control characters dropped.
std::string escape(const std::string& text);

/// A coordinate, one decimal at most; 0 for what is not finite.
std::string number(double value);

/// Ascending round values (1, 2, 2.5 or 5 times a power of ten apart) that cover [low, high]: the first is at
/// most low, the last at least high. Two or more, whatever the input.
std::vector<double> nice_ticks(double low, double high, int target = 5);

/// Class of the colour that variant `index` has in every plot: "c0" to "c5", then again.
std::string color_class(std::size_t index);

/// Opening tag of a plot of the given size with the title and description a screen reader reads. Close with
/// "</svg>". `id` must be unique in the page.
std::string svg_open(const std::string& id, double width, double height, const std::string& title,
                     const std::string& description);

/// <text> at (x, y); `anchor` is "start", "middle" or "end".
std::string svg_text(double x, double y, const std::string& text, const std::string& classes,
                     const std::string& anchor = "start");

/// Colour swatches with names, as HTML.
struct LegendEntry {
  std::string color;
  std::string name;
};
std::string legend(const std::vector<LegendEntry>& entries);

/// Width of every plot in its own units. Plots are small multiples that a page lays out side by side, so that
/// text stays readable on a phone.
inline constexpr double kPlotWidth = 360;

}  // namespace octavo::report
