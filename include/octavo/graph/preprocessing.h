/// How pixels become a model's input: part of the model, carried in its metadata.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "octavo/graph/graph.h"

namespace octavo {

/// input[c] = (pixel[c] / 255 - mean[c]) / std[c]; pixels are uint8, one mean and std a channel.
struct Normalization {
  std::vector<float> mean;
  std::vector<float> std;
  friend bool operator==(const Normalization&, const Normalization&) = default;
};

/// Normalizes images [N, C, H, W]: `pixels` and `output` have the same number of elements, `plane` is H * W.
/// Every path from pixels to floats goes through this function, so training, calibration and evaluation agree
/// bit for bit.
void normalize(std::span<const std::uint8_t> pixels, const Normalization& normalization, std::int64_t plane,
               std::span<float> output);

/// Metadata keys "octavo.mean", "octavo.std" (comma-separated) and "octavo.classes" (newline-separated).
void set_normalization(Graph& graph, const Normalization& normalization);
std::optional<Normalization> get_normalization(const Graph& graph);
void set_class_names(Graph& graph, const std::vector<std::string>& names);
std::vector<std::string> get_class_names(const Graph& graph);

}  // namespace octavo
