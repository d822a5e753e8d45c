#include "curves.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <optional>

#include "format.h"
#include "svg.h"

namespace octavo::report {
namespace {

constexpr double kLeft = 52;
constexpr double kRight = 352;
constexpr double kTop = 20;
constexpr double kBottom = 190;
constexpr double kHeight = 226;
constexpr std::size_t kMostMarkers = 45;

struct Series {
  std::string name;
  std::string color;
  bool dashed = false;
  std::vector<double> values;  ///< One per epoch; not finite: none.
};

struct Plot {
  std::string id;
  std::string title;
  std::vector<Series> series;
  bool from_zero = true;
  double top = INFINITY;  ///< The axis goes no higher.
  std::function<std::string(double)> tick_label;
};

/// Where a phase begins in the row of all epochs.
struct Phase {
  std::string name;
  std::size_t first = 0;
};

std::vector<Phase> phases_of(const std::vector<EpochRecord>& history) {
  std::vector<Phase> phases;
  for (std::size_t i = 0; i < history.size(); ++i) {
    if (phases.empty() || phases.back().name != history[i].phase) phases.push_back({history[i].phase, i});
  }
  return phases;
}

double x_of(std::size_t index, std::size_t count) {
  if (count < 2) return (kLeft + kRight) / 2;
  return kLeft + 6 + (kRight - kLeft - 12) * static_cast<double>(index) / static_cast<double>(count - 1);
}

std::string line(const Series& series, const std::function<double(double)>& y_of) {
  std::string path;
  std::string markers;
  const std::size_t count = series.values.size();
  // Epochs without a measurement are skipped and the line joins their neighbours.
  for (std::size_t i = 0; i < count; ++i) {
    if (!std::isfinite(series.values[i])) continue;
    const std::string x = number(x_of(i, count));
    const std::string y = number(y_of(series.values[i]));
    path += fmt::format("{}{} {}", path.empty() ? "M" : "L", x, y);
    if (count <= kMostMarkers) {
      markers += fmt::format("<circle cx=\"{}\" cy=\"{}\" r=\"2.2\" class=\"dot {}\"/>", x, y, series.color);
    }
  }
  if (path.empty()) return "";
  return fmt::format("<path d=\"{}\" class=\"line {}{}\"/>{}\n", path, series.color,
                     series.dashed ? " dashed" : "", series.dashed ? "" : markers);
}

std::string phase_marks(const std::vector<Phase>& phases, std::size_t count) {
  std::string out;
  for (std::size_t p = 0; p < phases.size(); ++p) {
    const double x = p == 0 ? kLeft : (x_of(phases[p].first - 1, count) + x_of(phases[p].first, count)) / 2;
    const double end = p + 1 == phases.size()
                           ? kRight
                           : (x_of(phases[p + 1].first - 1, count) + x_of(phases[p + 1].first, count)) / 2;
    if (p % 2 == 1) {
      out += fmt::format("<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" class=\"phase\"/>\n", number(x),
                         number(kTop), number(end - x), number(kBottom - kTop));
    }
    if (phases.size() > 1) {
      const std::string name = phases[p].name == "train" ? "training" : display_name(phases[p].name);
      out += svg_text((x + end) / 2, kTop - 6, shorten(name, 12), "small", "middle");
    }
  }
  return out;
}

std::string epoch_axis(std::size_t count) {
  std::string out;
  const std::size_t step = count <= 10    ? 1
                           : count <= 25  ? 5
                           : count <= 60  ? 10
                           : count <= 150 ? 25
                                          : (count / 60) * 10;
  for (std::size_t epoch = 1; epoch <= count; ++epoch) {
    if (epoch != 1 && epoch % step != 0) continue;
    out += svg_text(x_of(epoch - 1, count), kBottom + 16, fmt::format("{}", epoch), "tick", "middle");
  }
  return out + svg_text((kLeft + kRight) / 2, kBottom + 32, "epoch", "tick", "middle");
}

std::string draw(const Plot& plot, const std::vector<Phase>& phases) {
  double low = plot.from_zero ? 0 : INFINITY;
  double high = -INFINITY;
  std::string description;
  std::size_t count = 0;
  for (const Series& series : plot.series) {
    count = std::max(count, series.values.size());
    std::optional<double> first;
    double last = 0;
    for (const double value : series.values) {
      if (!std::isfinite(value)) continue;
      low = std::min(low, value);
      high = std::max(high, value);
      if (!first) first = value;
      last = value;
    }
    if (first) {
      description += fmt::format("{}: from {} to {} over {} epochs. ", series.name, plot.tick_label(*first),
                                 plot.tick_label(last), series.values.size());
    }
  }
  if (description.empty()) return "";
  std::vector<double> ticks = nice_ticks(low, high, 5);
  while (ticks.size() > 2 && ticks.back() > plot.top + 1e-9) ticks.pop_back();
  const auto y_of = [&](double value) {
    return kBottom - (kBottom - kTop) * (value - ticks.front()) / (ticks.back() - ticks.front());
  };

  std::string out = fmt::format("<figure class=\"card\">\n<h3>{}</h3>\n", escape(plot.title));
  std::vector<LegendEntry> entries;
  for (const Series& series : plot.series) {
    entries.push_back({series.color + (series.dashed ? " dashed" : ""), series.name});
  }
  out += legend(entries);
  out += svg_open(plot.id, kPlotWidth, kHeight, plot.title + " by epoch", description);
  out += phase_marks(phases, count);
  for (const double tick : ticks) {
    out += fmt::format("<line x1=\"{0}\" x2=\"{1}\" y1=\"{2}\" y2=\"{2}\" class=\"{3}\"/>\n", number(kLeft),
                       number(kRight), number(y_of(tick)), tick == ticks.front() ? "zero" : "grid");
    out += svg_text(kLeft - 7, y_of(tick) + 4, plot.tick_label(tick), "tick", "end");
  }
  out += epoch_axis(count);
  for (const Series& series : plot.series) out += line(series, y_of);
  out += "</svg>\n";
  if (ticks.front() > 0) {
    out += fmt::format("<figcaption>The axis starts at {}, not at 0.</figcaption>\n",
                       escape(plot.tick_label(ticks.front())));
  }
  return out + "</figure>\n";
}

}  // namespace

std::string training_curves(const Results& results) {
  if (results.history.empty()) return "";
  Series loss{.name = "Training loss", .color = "c1", .dashed = false, .values = {}};
  Series train{.name = "Training images", .color = "c0", .dashed = true, .values = {}};
  Series test{.name = "Test images", .color = "c1", .dashed = false, .values = {}};
  Series lr{.name = "Learning rate", .color = "c1", .dashed = false, .values = {}};
  for (const EpochRecord& record : results.history) {
    loss.values.push_back(record.train_loss);
    train.values.push_back(record.train_accuracy);
    test.values.push_back(record.test_accuracy < 0 ? NAN : record.test_accuracy);
    lr.values.push_back(record.lr);
  }
  const std::vector<Phase> phases = phases_of(results.history);
  const auto as_percent = [](double x) { return plain(x * 100) + " %"; };
  std::string out = draw({.id = "plot-loss", .title = "Loss", .series = {loss}, .tick_label = plain}, phases);
  out += draw({.id = "plot-curves",
               .title = "Accuracy",

               .series = {train, test},
               .from_zero = false,
               .top = 1,
               .tick_label = as_percent},
              phases);
  out += draw({.id = "plot-lr", .title = "Learning rate", .series = {lr}, .tick_label = plain}, phases);
  return out;
}

}  // namespace octavo::report
