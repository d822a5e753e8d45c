#include "choices.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "format.h"

namespace octavo::report {
namespace {

std::string titled(const std::string& title, const std::string& name) {
  return name.empty() ? title : title + ": " + name;
}

/// "1 layer", "3 layers"
std::string layers(std::int64_t count) {
  return fmt::format("{} layer{}", grouped(count), count == 1 ? "" : "s");
}

/// Layers take microseconds, whole models milliseconds: a column has one unit.
std::string microseconds(double ms) {
  if (!std::isfinite(ms)) return kMissing;
  return ms < 0.9995 ? fmt::format("{:.1f} µs", 1000 * ms) : grouped(std::llround(1000 * ms)) + " µs";
}

std::string outcome(const GuardChoice& guard) {
  if (guard.all_float) return "Nothing in int8 was faster than float32, so all of it stays in float32.";
  if (guard.layers.empty()) return "No layer stays in float32.";
  return fmt::format("{} {} in float32.", layers(std::ssize(guard.layers)),
                     guard.layers.size() == 1 ? "stays" : "stay");
}

ChoiceSection guard_section(const GuardChoice& guard, const std::string& name) {
  ChoiceSection section{.title = titled("Latency guard", name), .lead = {}, .header = {}, .rows = {}};
  section.lead = fmt::format(
      "Every layer was timed in float32 and in int8, with the reorders before it, at batch {} on {} thread{} "
      "of {}. "
      "The whole model takes {} in float32 and {} in int8 wherever int8 goes{}. {}",
      grouped(guard.batch), guard.threads, guard.threads == 1 ? "" : "s", guard.cpu,
      milliseconds(guard.float_ms), milliseconds(guard.int8_ms),
      guard.all_float || guard.layers.empty()
          ? ""
          : fmt::format("; as chosen, {}", milliseconds(guard.guarded_ms)),
      outcome(guard));
  if (!guard.layers.empty()) {
    section.lead += " A layer among these would also pay in int8 for the way there and back.";
    section.header = {"Layer in float32", "float32", "int8", "There and back"};
  }
  for (const FloatLayer& layer : guard.layers) {
    section.rows.push_back({layer.name, microseconds(layer.float_ms), microseconds(layer.int8_ms),
                            microseconds(layer.conversion_ms)});
  }
  return section;
}

ChoiceSection saturation_section(const SaturationChoice& saturation, const std::string& name) {
  ChoiceSection section{.title = titled("On CPUs without VNNI", name), .lead = {}, .header = {}, .rows = {}};
  const auto narrowed = std::ranges::count(saturation.layers, true, &LayerSaturation::narrowed);
  const auto unproven = std::ssize(saturation.layers) - narrowed;
  section.lead =
      "Many engines on CPUs without VNNI add two products in int16, which ends at 32,767; Octavo's own "
      "kernels do not.";
  if (saturation.proven > 0) {
    section.lead += fmt::format(" {} cannot get there: {} two largest weights times the largest input fit.",
                                layers(saturation.proven), saturation.proven == 1 ? "its" : "their");
  }
  if (saturation.layers.empty()) return section;
  section.lead += fmt::format(
      " {} emulated on {} calibration images:", saturation.proven > 0 ? "The others were" : "All layers were",
      grouped(saturation.images));
  if (narrowed > 0) section.lead += fmt::format(" {} saturated and got seven-bit weights", layers(narrowed));
  if (narrowed > 0 && unproven > 0) section.lead += ";";
  if (unproven > 0)
    section.lead +=
        fmt::format(" {} never saturated, which is no proof, and kept eight bits", layers(unproven));
  section.lead += ".";
  section.header = {"Layer not proven", "Weights", "Largest sum", "Pairs that could", "Saturated"};
  for (const LayerSaturation& layer : saturation.layers) {
    section.rows.push_back({layer.layer, layer.narrowed ? "7 bits" : "8 bits", grouped(layer.largest),
                            grouped(layer.risky_pairs),
                            layer.events == 0 ? "never" : grouped(layer.events) + "×"});
  }
  return section;
}

}  // namespace

std::vector<ChoiceSection> choice_sections(const LayerChoices& choices, const std::string& name) {
  std::vector<ChoiceSection> sections;
  if (choices.guard) sections.push_back(guard_section(*choices.guard, name));
  if (choices.saturation) sections.push_back(saturation_section(*choices.saturation, name));
  return sections;
}

}  // namespace octavo::report
