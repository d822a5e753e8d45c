#include "svg.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace octavo::report {

std::string escape(const std::string& text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      case '\n':
      case '\t':
        out += ' ';
        break;
      default:
        if (static_cast<unsigned char>(c) >= 0x20 && c != 0x7F) out += c;
    }
  }
  return out;
}

std::string number(double value) {
  if (!std::isfinite(value)) return "0";
  std::string text = fmt::format("{:.1f}", value);
  if (text.ends_with(".0")) text.resize(text.size() - 2);
  return text == "-0" ? "0" : text;
}

std::vector<double> nice_ticks(double low, double high, int target) {
  if (!std::isfinite(low) || !std::isfinite(high)) return {0, 1};
  if (low > high) std::swap(low, high);
  // Far from the ends of double, so that no difference overflows and no step underflows.
  constexpr double kHuge = 1e300;
  constexpr double kTiny = 1e-290;
  low = std::clamp(low, -kHuge, kHuge);
  high = std::clamp(high, -kHuge, kHuge);
  if (!(high - low > std::max(kTiny, 1e-12 * std::max(std::abs(low), std::abs(high))))) {
    if (std::abs(high) < kTiny) return {0, 1};
    // One value: the axis goes from half of it to it, or the other way round below 0.
    (high > 0 ? low : high) -= high / 2;
  }
  const double rough = (high - low) / std::max(1, target);
  const double power = std::pow(10.0, std::floor(std::log10(rough)));
  double step = 10 * power;
  for (const double factor : {1.0, 2.0, 2.5, 5.0}) {
    if (factor * power >= rough * (1 - 1e-9)) {
      step = factor * power;
      break;
    }
  }
  // A hair of tolerance, so that 0.3 / 0.1 counts as 3.
  const double first = std::floor(low / step + 1e-9);
  const double last = std::max(first + 1, std::ceil(high / step - 1e-9));
  std::vector<double> ticks;
  for (double i = first; i <= last; i += 1) ticks.push_back(i * step);
  return ticks;
}

std::string color_class(std::size_t index) { return fmt::format("c{}", index % 6); }

std::string svg_open(const std::string& id, double width, double height, const std::string& title,
                     const std::string& description) {
  return fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" role=\"img\" aria-labelledby=\"{id}-t "
      "{id}-d\">"
      "<title id=\"{id}-t\">{}</title><desc id=\"{id}-d\">{}</desc>\n",
      number(width), number(height), escape(title), escape(description), fmt::arg("id", id));
}

std::string svg_text(double x, double y, const std::string& text, const std::string& classes,
                     const std::string& anchor) {
  return fmt::format("<text x=\"{}\" y=\"{}\" class=\"{}\"{}>{}</text>\n", number(x), number(y), classes,
                     anchor == "start" ? "" : fmt::format(" text-anchor=\"{}\"", anchor), escape(text));
}

std::string legend(const std::vector<LegendEntry>& entries) {
  std::string out = "<ul class=\"legend\">";
  for (const LegendEntry& entry : entries) {
    out += fmt::format("<li><span class=\"swatch {}\"></span>{}</li>", entry.color, escape(entry.name));
  }
  return out + "</ul>\n";
}

}  // namespace octavo::report
