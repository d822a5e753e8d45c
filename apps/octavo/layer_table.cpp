#include "layer_table.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <string>

#include "octavo/report/text.h"

namespace octavo::app {
namespace {

double part(double gops, double peak) { return peak > 0 ? gops / peak : 0; }

double peak_for(const LayerCost& cost, const Peaks& peaks) {
  return (cost.step.integer ? peaks.int8 : peaks.float32).gops;
}

/// In exactly so many columns, with what does not fit cut off in front.
std::string column(const std::string& text, std::size_t width) {
  return report::padded_right(report::shorten_front(text, width), width);
}

}  // namespace

double share_of_peak(const LayerCost& cost, const Peaks& peaks) {
  return part(cost.gops, peak_for(cost, peaks));
}

bool raise_peaks(const std::vector<LayerCost>& costs, Peaks& peaks) {
  bool raised = false;
  for (const LayerCost& cost : costs) {
    // Winograd does fewer operations than are counted, and so may pass any peak.
    if (cost.step.kernel.find("winograd") != std::string::npos) continue;
    PeakRate& peak = cost.step.integer ? peaks.int8 : peaks.float32;
    if (cost.gops <= peak.gops) continue;
    peak = {cost.step.kernel, cost.gops};
    raised = true;
  }
  return raised;
}

void print_peaks(const Peaks& peaks, bool busy) {
  fmt::print("\npeak of this CPU on {} thread{}: float32 {:.1f} GOP/s ({}), int8 {:.1f} GOP/s ({})\n",
             peaks.threads, peaks.threads == 1 ? "" : "s", peaks.float32.gops, peaks.float32.instruction,
             peaks.int8.gops, peaks.int8.instruction);
  if (busy) {
    fmt::print(
        "The machine was busy while that was measured: a kernel has run faster since, and its rate counts "
        "as\n"
        "the peak. Shares of the peak may be too high; measure again when nothing else runs.\n");
  }
}

void print_layer_table(std::int64_t batch, const std::vector<LayerCost>& costs, const Peaks& peaks) {
  constexpr std::size_t kWidest = 40;
  std::size_t value = 5, shape = 5, kernel = 6;
  for (const LayerCost& cost : costs) {
    value = std::max(value, std::min(report::text_width(cost.step.value), kWidest));
    shape = std::max(shape, to_string(cost.step.shape).size());
    kernel = std::max(kernel, std::min(report::text_width(cost.step.kernel), kWidest));
  }
  fmt::print("\nbatch {}\n{:<{}}  {:<{}}  {:<{}}  {:>9}  {:>6}  {:>9}  {:>8}  {:>7}\n", batch, "layer", value,
             "shape", shape, "kernel", kernel, "median ms", "time", "MOP", "GOP/s", "of peak");
  double total = 0;
  double operations = 0;
  double ideal_ms = 0;
  for (const LayerCost& cost : costs) {
    const StepInfo& step = cost.step;
    const auto count = static_cast<double>(step.operations);
    total += cost.median_ms;
    operations += count;
    ideal_ms += count / peak_for(cost, peaks) / 1e6;
    fmt::print("{}  {:<{}}  {}  {:>9.4f}  {:>4.1f} %", column(step.value, value), to_string(step.shape),
               shape, column(step.kernel, kernel), cost.median_ms, 100 * cost.share);
    if (step.operations > 0)
      fmt::print("  {:>9.2f}  {:>8.2f}  {:>5.1f} %", count / 1e6, cost.gops,
                 100 * share_of_peak(cost, peaks));
    fmt::print("\n");
  }
  fmt::print("{:<{}}  {:>9.4f}  {:>6}  {:>9.2f}  {:>8.2f}  {:>5.1f} %\n", "all", value + shape + kernel + 4,
             total, "", operations / 1e6, part(operations / 1e6, total), 100 * part(ideal_ms, total));
}

nlohmann::ordered_json peaks_json(const Peaks& peaks, bool busy) {
  nlohmann::ordered_json loops = nlohmann::ordered_json::array();
  for (const PeakRate& rate : peaks.int8_loops)
    loops.push_back({{"instruction", rate.instruction}, {"gops", rate.gops}});
  return {{"threads", peaks.threads},
          {"busy", busy},
          {"float32", {{"instruction", peaks.float32.instruction}, {"gops", peaks.float32.gops}}},
          {"int8", {{"instruction", peaks.int8.instruction}, {"gops", peaks.int8.gops}}},
          {"int8_loops", loops}};
}

nlohmann::ordered_json layers_json(const std::vector<LayerCost>& costs, const Peaks& peaks) {
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (const LayerCost& cost : costs) {
    rows.push_back({{"layer", cost.step.value},
                    {"shape", cost.step.shape},
                    {"kernel", cost.step.kernel},
                    {"precision", cost.step.integer ? "int8" : "fp32"},
                    {"median_ms", cost.median_ms},
                    {"share", cost.share},
                    {"operations", cost.step.operations},
                    {"gops", cost.gops},
                    {"share_of_peak", share_of_peak(cost, peaks)}});
  }
  return rows;
}

std::uint64_t peak_memory() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
}

}  // namespace octavo::app
