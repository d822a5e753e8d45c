#include "bars.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "comparison.h"
#include "format.h"
#include "svg.h"

namespace octavo::report {
namespace {

constexpr double kRow = 46;  // Height of a bar with its line of text.
constexpr double kBarHeight = 16;
constexpr double kAxisHeight = 24;

/// A line at each tick from y0 to y1 with its label below; the outer labels end at the edges.
std::string axis(const std::vector<double>& ticks, double x0, double x1, double y0, double y1,
                 const std::function<std::string(double)>& label) {
  std::string out;
  for (const double tick : ticks) {
    const double x = x0 + (x1 - x0) * tick / ticks.back();
    out += fmt::format("<line x1=\"{0}\" x2=\"{0}\" y1=\"{1}\" y2=\"{2}\" class=\"{3}\"/>\n", number(x),
                       number(y0), number(y1), tick == 0 ? "zero" : "grid");
    const char* anchor = tick == ticks.front() ? "start" : tick == ticks.back() ? "end" : "middle";
    out += svg_text(x, y1 + 16, label(tick), "tick", anchor);
  }
  return out;
}

std::string error_bar(double low, double high, double y) {
  const std::string path =
      fmt::format("M{0} {2}H{1}M{0} {3}v8M{1} {3}v8", number(low), number(high), number(y), number(y - 4));
  // Drawn twice: the halo keeps it visible on a bar of any colour.
  return fmt::format("<path d=\"{0}\" class=\"error halo\"/><path d=\"{0}\" class=\"error\"/>\n", path);
}

std::vector<double> zero_based_ticks(double highest) { return nice_ticks(0, highest > 0 ? highest : 1, 4); }

std::string figure(const std::string& title, const std::string& plot, const std::string& caption) {
  return fmt::format("<figure class=\"card\">\n<h3>{}</h3>\n{}<figcaption>{}</figcaption>\n</figure>\n",
                     escape(title), plot, escape(caption));
}

std::string rate_tick(double x) { return std::abs(x) >= 1000 ? grouped(std::llround(x)) : plain(x); }

/// A tick of a file size in the unit of the largest.
std::string bytes_tick(double x, std::int64_t largest) {
  const bool mega = largest >= 999'500;
  const bool kilo = largest >= 1000;
  return plain(x / (mega ? 1e6 : kilo ? 1e3 : 1)) + (mega ? " MB" : kilo ? " kB" : " B");
}

std::string time_panel(const Results& results, std::int64_t batch, const std::string& id) {
  const Variant* base = base_of(results);
  const Latency* base_latency = latency_at(*base, batch);
  BarPanel panel{.id = id,
                 .title = fmt::format("Inference time of a batch of {}", batch),
                 .bars = {},
                 .axis_max = 0,
                 .tick_label = [](double ms) { return plain(ms) + " ms"; }};
  std::string threads;
  for (std::size_t i = 0; i < results.variants.size(); ++i) {
    const Variant& variant = results.variants[i];
    Bar bar{.name = display_name(variant.name),
            .value = NAN,
            .label = "not timed",
            .versus = "",
            .color = color_class(i)};
    if (const Latency* latency = latency_at(variant, batch)) {
      bar.value = latency->mean_ms;
      bar.label = mean_and_std(latency->mean_ms, latency->std_ms);
      bar.error = latency->std_ms;
      if (&variant != base && base_latency != nullptr) {
        bar.versus = change(latency->median_ms, base_latency->median_ms);
      }
      threads = fmt::format(" on {} {}", latency->threads, latency->threads == 1 ? "thread" : "threads");
    }
    panel.bars.push_back(std::move(bar));
  }
  const std::string title = batch == 1 ? "Time, one image" : fmt::format("Time, batch of {}", batch);
  return figure(
      title, bar_panel(panel),
      fmt::format("Mean{} ± one standard deviation; change of the median. Shorter is better.", threads));
}

std::string throughput_panel(const Results& results, std::int64_t batch) {
  const Variant* base = base_of(results);
  const Latency* base_latency = latency_at(*base, batch);
  BarPanel panel{.id = "plot-throughput",
                 .title = fmt::format("Images per second in batches of {}", batch),
                 .bars = {},
                 .axis_max = 0,
                 .tick_label = rate_tick};
  for (std::size_t i = 0; i < results.variants.size(); ++i) {
    const Variant& variant = results.variants[i];
    Bar bar{.name = display_name(variant.name),
            .value = NAN,
            .label = "not timed",
            .versus = "",
            .color = color_class(i)};
    if (const Latency* latency = latency_at(variant, batch)) {
      bar.value = latency->images_per_second;
      bar.label = rate(latency->images_per_second);
      if (&variant != base && base_latency != nullptr) {
        bar.versus = speed_up(base_latency->median_ms, latency->median_ms);
      }
    }
    panel.bars.push_back(std::move(bar));
  }
  return figure(fmt::format("Images per second, batch of {}", batch), bar_panel(panel),
                "From the median time; the factor is against the base. Longer is better.");
}

}  // namespace

std::string bar_panel(const BarPanel& panel) {
  double highest = panel.axis_max;
  std::string description;
  for (const Bar& bar : panel.bars) {
    for (const double x : {bar.value + std::max(0.0, bar.error), bar.value}) {
      if (std::isfinite(x) && panel.axis_max <= 0) highest = std::max(highest, x);
    }
    description +=
        fmt::format("{}: {}{}. ", bar.name, bar.label, bar.versus.empty() ? "" : " (" + bar.versus + ")");
  }
  const std::vector<double> ticks = zero_based_ticks(highest);
  const double scale = (kPlotWidth - 2) / ticks.back();
  const double bottom = kRow * static_cast<double>(panel.bars.size()) + 6;
  std::string out = svg_open(panel.id, kPlotWidth, bottom + kAxisHeight, panel.title, description);
  // Short ticks under the bars: lines through the whole plot would run into the text above each bar.
  out += axis(ticks, 1, kPlotWidth - 1, bottom - 4, bottom, panel.tick_label);
  for (std::size_t i = 0; i < panel.bars.size(); ++i) {
    const Bar& bar = panel.bars[i];
    const double top = kRow * static_cast<double>(i);
    const double y = top + 22;
    const std::string versus =
        bar.versus.empty() ? ""
                           : fmt::format("<tspan class=\"versus\" dx=\"8\">{}</tspan>", escape(bar.versus));
    const std::size_t used = text_width(bar.label) + text_width(bar.versus);
    const std::size_t room = used < 33 ? 39 - used : 6;  // Letters of the width of a digit, 9 units.
    out += fmt::format("<rect x=\"1\" y=\"{}\" width=\"{}\" height=\"{}\" class=\"track\"/>\n", number(y),
                       number(kPlotWidth - 2), number(kBarHeight));
    out += svg_text(1, top + 16, shorten(bar.name, room), "name");
    out += fmt::format("<text x=\"{}\" y=\"{}\" class=\"value\" text-anchor=\"end\">{}{}</text>\n",
                       number(kPlotWidth - 1), number(top + 16), escape(bar.label), versus);
    if (!std::isfinite(bar.value) || bar.value < 0) continue;
    const double width = std::min(bar.value * scale, kPlotWidth - 2);
    out += fmt::format("<rect x=\"1\" y=\"{}\" width=\"{}\" height=\"{}\" class=\"bar {}\"/>\n", number(y),
                       number(width), number(kBarHeight), bar.color);
    if (std::isfinite(bar.error) && bar.error > 0) {
      out += error_bar(1 + std::max(0.0, bar.value - bar.error) * scale,
                       std::min(kPlotWidth - 1, 1 + (bar.value + bar.error) * scale), y + kBarHeight / 2);
    }
  }
  return out + "</svg>\n";
}

std::string comparison_panels(const Results& results) {
  const Variant* base = base_of(results);
  if (base == nullptr) return "";
  BarPanel accuracy{.id = "plot-accuracy",
                    .title = "Accuracy on the test images",
                    .bars = {},
                    .axis_max = 1,
                    .tick_label = [](double x) { return fmt::format("{:.0f} %", x * 100); }};
  BarPanel size{
      .id = "plot-size", .title = "Size of the model file", .bars = {}, .axis_max = 0, .tick_label = {}};
  std::int64_t largest = 0;
  for (const Variant& variant : results.variants) largest = std::max(largest, variant.size_bytes);
  size.tick_label = [largest](double x) { return bytes_tick(x, largest); };
  for (std::size_t i = 0; i < results.variants.size(); ++i) {
    const Variant& v = results.variants[i];
    const bool other = &v != base;
    const bool tested = has_accuracy(v);
    accuracy.bars.push_back({.name = display_name(v.name),
                             .value = tested ? v.accuracy.value() : NAN,
                             .label = tested ? percent(v.accuracy.value()) : "not tested",
                             .versus = other && tested && has_accuracy(*base)
                                           ? points(v.accuracy.value() - base->accuracy.value())
                                           : "",
                             .color = color_class(i)});
    const bool sized = v.size_bytes > 0;
    size.bars.push_back(
        {.name = display_name(v.name),
         .value = sized ? static_cast<double>(v.size_bytes) : NAN,
         .label = sized ? bytes(v.size_bytes) : "unknown",
         .versus = other && sized && base->size_bytes > 0
                       ? change(static_cast<double>(v.size_bytes), static_cast<double>(base->size_bytes))
                       : "",
         .color = color_class(i)});
  }
  const std::string images = has_accuracy(*base) ? grouped(base->accuracy.images) + " " : "";
  std::string out =
      figure("Accuracy", bar_panel(accuracy),
             fmt::format("Share of the same {}test images classified correctly. Longer is better.", images));
  out += figure("File size", bar_panel(size), "ONNX file; 1 MB is 1,000,000 bytes. Shorter is better.");
  const std::vector<std::int64_t> batches = batches_of(results);
  if (!batches.empty()) out += time_panel(results, batches.back(), "plot-time");
  return out;
}

std::string latency_panels(const Results& results) {
  std::string out;
  const std::vector<std::int64_t> batches = batches_of(results);
  if (batches.empty()) return out;
  for (std::size_t i = 0; i + 1 < batches.size(); ++i) {
    out += time_panel(results, batches[i], fmt::format("plot-time-{}", batches[i]));
  }
  return out + throughput_panel(results, batches.back());
}

std::string class_panels(const Results& results) {
  std::size_t classes = 0;
  for (const Variant& variant : results.variants)
    classes = std::max(classes, variant.accuracy.class_images.size());
  if (classes == 0) return "";
  // Plots side by side of about the same height: three for ten classes and for a hundred.
  const std::size_t plots = classes < 6 ? 1 : std::max<std::size_t>(3, (classes + 39) / 40);
  constexpr double kThin = 11;
  constexpr double kLeft = 100;
  constexpr double kRight = 42;
  const double group = kThin * static_cast<double>(results.variants.size()) + 9;
  const double scale = kPlotWidth - kLeft - kRight;
  std::string out;
  for (std::size_t plot = 0; plot < plots; ++plot) {
    const std::size_t first = classes * plot / plots;
    const std::size_t last = classes * (plot + 1) / plots;
    const double bottom = group * static_cast<double>(last - first) + 4;
    std::string body = axis({0, 0.5, 1}, kLeft, kLeft + scale, 0, bottom,
                            [](double x) { return fmt::format("{:.0f} %", x * 100); });
    std::string description;
    for (std::size_t c = first; c < last; ++c) {
      const double top = group * static_cast<double>(c - first) + 5;
      const std::string name = class_name(results, c);
      description += name + ":";
      body += fmt::format("<text x=\"{}\" y=\"{}\" class=\"label\" text-anchor=\"end\">{}</text>\n",
                          number(kLeft - 8), number(top + (group - 9) / 2 + 4), escape(shorten(name, 14)));
      for (std::size_t v = 0; v < results.variants.size(); ++v) {
        const double value = class_accuracy(results.variants[v], c);
        const double y = top + kThin * static_cast<double>(v);
        description += fmt::format(" {} {}", display_name(results.variants[v].name), percent(value));
        const double width = std::isfinite(value) ? std::clamp(value, 0.0, 1.0) * scale : 0;
        body += fmt::format("<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" class=\"bar {}\"/>\n",
                            number(kLeft), number(y), number(width), number(kThin - 1.5), color_class(v));
        body +=
            svg_text(kLeft + width + 4, y + kThin - 2.5,
                     std::isfinite(value) ? fmt::format("{:.1f}", value * 100) : "not tested", "small halo");
      }
      description += ". ";
    }
    out += "<figure class=\"card\">\n" +
           svg_open(fmt::format("plot-classes-{}", first), kPlotWidth, bottom + kAxisHeight,
                    fmt::format("Accuracy by class, {} to {}", class_name(results, first),
                                class_name(results, last - 1)),
                    description) +
           body + "</svg>\n</figure>\n";
  }
  return out;
}

}  // namespace octavo::report
