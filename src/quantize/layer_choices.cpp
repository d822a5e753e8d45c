#include "octavo/quantize/layer_choices.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <string_view>

namespace octavo {
namespace {

constexpr std::string_view kGuard = "octavo.latency_guard";
constexpr std::string_view kSaturation = "octavo.saturation";

std::string key_of(std::string_view what, const std::string& layer) {
  return fmt::format("{}.{}", what, layer);
}

/// The finite number of at least 0 that follows `words` in `text`.
template <typename T>
std::optional<T> number_after(std::string_view text, std::string_view words) {
  const std::size_t at = text.find(words);
  if (at == std::string_view::npos) return std::nullopt;
  T number{};
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data() + at + words.size(), end, number);
  const bool usable = error == std::errc() && number >= T{} && std::isfinite(static_cast<double>(number));
  return usable ? std::optional(number) : std::nullopt;
}

const std::string* find(const Graph& graph, const std::string& key) {
  const auto found = graph.metadata.find(key);
  return found == graph.metadata.end() ? nullptr : &found->second;
}

// Texts and their readers: people read them too, in `octavo inspect`.

std::optional<FloatLayer> read_layer(const std::string& name, std::string_view text) {
  const auto float_ms = number_after<double>(text, "float32 takes ");
  const auto int8_ms = number_after<double>(text, "; int8 ");
  const auto conversion_ms = number_after<double>(text, ", and ");
  if (!float_ms || !int8_ms || !conversion_ms) return std::nullopt;
  return FloatLayer{
      .name = name, .float_ms = *float_ms, .int8_ms = *int8_ms, .conversion_ms = *conversion_ms};
}

std::string text_of(const GuardChoice& choice) {
  return fmt::format(
      "batch {}, {} threads, {}: float32 {:.4f} ms, int8 wherever it goes {:.4f} ms, as chosen {:.4f} ms{}",
      choice.batch, choice.threads, choice.cpu, choice.float_ms, choice.int8_ms, choice.guarded_ms,
      choice.all_float ? "; so all stays in float32" : "");
}

std::optional<GuardChoice> read_guard(std::string_view text) {
  constexpr std::string_view kBeforeCpu = " threads, ";
  const std::size_t cpu = text.find(kBeforeCpu);
  const std::size_t times = text.rfind(": float32 ");
  if (cpu == std::string_view::npos || times == std::string_view::npos || times < cpu + kBeforeCpu.size())
    return std::nullopt;
  const auto batch = number_after<std::int64_t>(text, "batch ");
  const auto threads = number_after<std::int64_t>(text, ", ");
  const auto float_ms = number_after<double>(text.substr(times), ": float32 ");
  const auto int8_ms = number_after<double>(text.substr(times), "int8 wherever it goes ");
  const auto guarded_ms = number_after<double>(text.substr(times), "as chosen ");
  if (!batch || !threads || *batch < 1 || *threads < 1 || !float_ms || !int8_ms || !guarded_ms)
    return std::nullopt;
  return GuardChoice{
      .batch = *batch,
      .threads = *threads,
      .cpu = std::string(text.substr(cpu + kBeforeCpu.size(), times - cpu - kBeforeCpu.size())),
      .float_ms = *float_ms,
      .int8_ms = *int8_ms,
      .guarded_ms = *guarded_ms,
      .all_float = text.ends_with("so all stays in float32"),
      .layers = {}};
}

std::string text_of(const LayerSaturation& layer) {
  return fmt::format("{} bits: {} sums of two products saturated int16; {} pairs of weights could, up to {}",
                     layer.narrowed ? 7 : 8, layer.events, layer.risky_pairs, layer.largest);
}

std::optional<LayerSaturation> read_saturating(const std::string& name, std::string_view text) {
  const auto events = number_after<std::int64_t>(text, " bits: ");
  const auto pairs = number_after<std::int64_t>(text, "; ");
  const auto largest = number_after<std::int64_t>(text, ", up to ");
  if (!events || !pairs || !largest) return std::nullopt;
  return LayerSaturation{.layer = name,
                         .largest = *largest,
                         .risky_pairs = *pairs,
                         .events = *events,
                         .narrowed = text.starts_with("7")};
}

std::string text_of(const SaturationChoice& choice) {
  return fmt::format("on {} images: {} layers cannot saturate int16, {} others follow", choice.images,
                     choice.proven, choice.layers.size());
}

std::optional<SaturationChoice> read_saturation(std::string_view text) {
  const auto images = number_after<std::int64_t>(text, "on ");
  const auto proven = number_after<std::int64_t>(text, ": ");
  if (!images || !proven) return std::nullopt;
  return SaturationChoice{.images = *images, .proven = *proven, .layers = {}};
}

}  // namespace

std::string reason_of(const FloatLayer& layer) {
  return fmt::format("float32 takes {:.4f} ms; int8 {:.4f} ms, and {:.4f} ms to go there and back",
                     layer.float_ms, layer.int8_ms, layer.conversion_ms);
}

LayerChoices layer_choices(const Graph& graph) {
  LayerChoices choices;
  if (const std::string* text = find(graph, std::string(kGuard))) choices.guard = read_guard(*text);
  if (const std::string* text = find(graph, std::string(kSaturation)))
    choices.saturation = read_saturation(*text);
  for (const Node& node : graph.nodes) {
    const std::string* timed = find(graph, key_of(kGuard, node.name));
    if (choices.guard && timed != nullptr) {
      if (auto layer = read_layer(node.name, *timed)) choices.guard->layers.push_back(std::move(*layer));
    }
    const std::string* counted = find(graph, key_of(kSaturation, node.name));
    if (choices.saturation && counted != nullptr) {
      if (auto layer = read_saturating(node.name, *counted))
        choices.saturation->layers.push_back(std::move(*layer));
    }
  }
  return choices;
}

void record(Graph& graph, const GuardChoice& choice) {
  graph.metadata[std::string(kGuard)] = text_of(choice);
  for (const FloatLayer& layer : choice.layers) graph.metadata[key_of(kGuard, layer.name)] = reason_of(layer);
}

void record(Graph& graph, const SaturationChoice& choice) {
  graph.metadata[std::string(kSaturation)] = text_of(choice);
  for (const LayerSaturation& layer : choice.layers)
    graph.metadata[key_of(kSaturation, layer.layer)] = text_of(layer);
}

void forget_layer_choices(Graph& graph) {
  std::erase_if(graph.metadata, [](const auto& entry) {
    return entry.first.starts_with(kGuard) || entry.first.starts_with(kSaturation);
  });
}

}  // namespace octavo
