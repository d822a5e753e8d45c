#include "layers.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "format.h"
#include "svg.h"

namespace octavo::report {
namespace {

constexpr double kWidth = 144;  // Of a histogram.
constexpr double kHeight = 30;
constexpr double kBestSqnr = 60;  // dB: a full bar; eight bits reach some 40 to 50.

std::string decibels(double db) { return std::isfinite(db) ? fmt::format("{:.1f} dB", db) : "exact"; }

std::string cosine_text(double cosine) {
  return std::isfinite(cosine) ? fmt::format("{:.5f}", cosine) : kMissing;
}

/// A bar from the left whose length is the part of kBestSqnr.
std::string noise_bar(double db) {
  const double part = std::isfinite(db) ? std::clamp(db / kBestSqnr, 0.0, 1.0) : 1.0;
  return fmt::format(
      "<svg class=\"spark\" viewBox=\"0 0 100 12\" aria-hidden=\"true\"><rect class=\"track\" width=\"100\" "
      "height=\"12\"/><rect class=\"bar {}\" width=\"{}\" height=\"12\"/></svg>",
      db < 20 ? "c2" : "c1", number(100 * part));
}

/// Bars on a square-root scale, so that tails show.
std::string histogram(const Distribution& distribution, const char* color) {
  std::uint64_t most = 0;
  for (const std::uint64_t count : distribution.counts) most = std::max(most, count);
  if (most == 0) return kMissing;
  const double step = kWidth / static_cast<double>(distribution.counts.size());
  std::string path = fmt::format("M0 {}", number(kHeight));
  for (const std::uint64_t count : distribution.counts) {
    const double height = kHeight * std::sqrt(static_cast<double>(count) / static_cast<double>(most));
    path += fmt::format("V{}h{}", number(kHeight - height), number(step));
  }
  return fmt::format(
      "<div><svg class=\"spark\" viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"from {} to {}\"><path "
      "class=\"bar {}\" "
      "d=\"{}V{}Z\"/></svg><span class=\"ends\"><span>{}</span><span>{}</span></span></div>",
      number(kWidth), number(kHeight), plain(distribution.min), plain(distribution.max), color, path,
      number(kHeight), plain(distribution.min), plain(distribution.max));
}

std::string cell(const char* name, const std::string& content) {
  return fmt::format("<td data-label=\"{}\">{}</td>", name, content);
}

}  // namespace

std::string layer_table(std::span<const LayerQuality> layers) {
  if (layers.empty()) return "";
  std::string rows;
  for (const LayerQuality& layer : layers) {
    const std::string name = layer.layer.empty() ? "input" : layer.layer;
    rows += fmt::format("<tr><th scope=\"row\">{}</th>", escape(name));
    rows += cell("SQNR", fmt::format("<div>{}{}</div>", noise_bar(layer.sqnr_db), decibels(layer.sqnr_db)));
    rows += cell("Cosine", cosine_text(layer.cosine));
    rows += cell("Clipped", percent(layer.clipped));
    rows += cell("Range", fmt::format("{} to {}", plain(static_cast<double>(layer.range.min)),
                                      plain(static_cast<double>(layer.range.max))));
    rows += cell("Activations", histogram(layer.activations, "c0"));
    rows += cell("Weights", histogram(layer.weights, "c3"));
    rows += "</tr>\n";
  }
  std::string head;
  for (const char* name : {"Layer", "SQNR", "Cosine", "Clipped", "Range", "Activations", "Weights"})
    head += fmt::format("<th scope=\"col\">{}</th>", name);
  return "<table class=\"stacked layers\"><thead><tr>" + head + "</tr></thead><tbody>\n" + rows +
         "</tbody></table>\n";
}

std::string layer_summary(std::span<const LayerQuality> layers) {
  if (layers.empty()) return "";
  const auto worst = std::ranges::min_element(layers, {}, &LayerQuality::sqnr_db);
  return fmt::format(
      "Integer against float activations on calibration images, in the order of the layers; each layer's "
      "noise "
      "includes that of the layers before it. Noisiest: {} with {}.",
      worst->layer.empty() ? "the input" : worst->layer, decibels(worst->sqnr_db));
}

}  // namespace octavo::report
