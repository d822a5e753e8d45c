#include "octavo/graph/preprocessing.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>

#include "octavo/core/error.h"

namespace octavo {
namespace {

constexpr const char* kMeanKey = "octavo.mean";
constexpr const char* kStdKey = "octavo.std";
constexpr const char* kClassesKey = "octavo.classes";

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::size_t begin = 0;
  while (true) {
    const std::size_t end = text.find(separator, begin);
    parts.push_back(text.substr(begin, end - begin));
    if (end == std::string::npos) return parts;
    begin = end + 1;
  }
}

std::vector<float> parse_floats(const Graph& graph, const std::string& key, const std::string& text) {
  std::vector<float> result;
  for (const std::string& part : split(text, ',')) {
    float value = 0;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), value);
    if (error != std::errc() || end != part.data() + part.size() || !std::isfinite(value)) {
      throw Error(ErrorCode::kBadInput, graph.name,
                  fmt::format("metadata '{}' holds '{}'; expected a number", key, part));
    }
    result.push_back(value);
  }
  return result;
}

}  // namespace

void normalize(std::span<const std::uint8_t> pixels, const Normalization& normalization, std::int64_t plane,
               std::span<float> output) {
  const std::size_t channels = normalization.mean.size();
  check_internal(pixels.size() == output.size() && channels > 0 && normalization.std.size() == channels &&
                     plane > 0 && pixels.size() % (channels * static_cast<std::size_t>(plane)) == 0,
                 "normalize: sizes do not fit");
  std::vector<std::array<float, 256>> table(channels);
  for (std::size_t c = 0; c < channels; ++c) {
    for (std::size_t v = 0; v < 256; ++v) {
      table[c][v] = (static_cast<float>(v) / 255.0F - normalization.mean[c]) / normalization.std[c];
    }
  }
  const auto size = static_cast<std::size_t>(plane);
  for (std::size_t begin = 0, c = 0; begin < pixels.size(); begin += size, c = (c + 1) % channels) {
    for (std::size_t i = begin; i < begin + size; ++i) output[i] = table[c][pixels[i]];
  }
}

void set_normalization(Graph& graph, const Normalization& normalization) {
  graph.metadata[kMeanKey] = fmt::format("{}", fmt::join(normalization.mean, ","));
  graph.metadata[kStdKey] = fmt::format("{}", fmt::join(normalization.std, ","));
}

std::optional<Normalization> get_normalization(const Graph& graph) {
  const auto mean = graph.metadata.find(kMeanKey);
  const auto std = graph.metadata.find(kStdKey);
  if (mean == graph.metadata.end() || std == graph.metadata.end()) return {};
  Normalization result{parse_floats(graph, kMeanKey, mean->second),
                       parse_floats(graph, kStdKey, std->second)};
  if (result.mean.size() != result.std.size()) {
    throw Error(ErrorCode::kBadInput, graph.name,
                fmt::format("metadata holds {} means but {} standard deviations", result.mean.size(),
                            result.std.size()));
  }
  for (const float value : result.std) {
    if (!(value > 0)) throw Error(ErrorCode::kBadInput, graph.name, "metadata 'octavo.std' must be above 0");
  }
  return result;
}

void set_class_names(Graph& graph, const std::vector<std::string>& names) {
  graph.metadata[kClassesKey] = fmt::format("{}", fmt::join(names, "\n"));
}

std::vector<std::string> get_class_names(const Graph& graph) {
  const auto found = graph.metadata.find(kClassesKey);
  if (found == graph.metadata.end() || found->second.empty()) return {};
  return split(found->second, '\n');
}

}  // namespace octavo
