/// Whether programs that run the same model give the same answers, layer by layer.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "octavo/core/tensor.h"
#include "octavo/graph/graph.h"

namespace octavo {

/// Real numbers that a program computed for a batch, by the name of the graph's value; a quantized value's
/// integers dequantized.
using ProgramValues = std::map<std::string, Tensor>;

/// How far one program is from another in one value.
struct LayerDifference {
  std::string value;
  std::string layer;     ///< The node that makes it; empty for the model's input.
  double max_lsb = 0;    ///< Largest difference in steps of the value's scale.
  double mean_lsb = 0;   ///< Mean of the absolute differences.
  double differing = 0;  ///< Part of the elements that differ by half a step or more.
};

struct ProgramCheck {
  std::string program;
  std::vector<LayerDifference>
      layers;                       ///< Of the quantized values that both computed, in order of execution.
  double max_logit_difference = 0;  ///< Relative to the largest absolute logit.
  double same_top1 = 1;             ///< Part of the images with the same class.

  double max_lsb() const;
};

/// All values of the reference interpreter. Slow: some seconds an image for large models.
ProgramValues reference_values(const Graph& graph, const Tensor& input);

/// The compiled runtime's values, where its kernels leave them in memory.
ProgramValues runtime_values(const Graph& graph, const Tensor& input);

/// Compares what `other` computed with what `reference` did. Throws kInternal if either lacks the logits.
ProgramCheck compare_programs(const std::string& program, const Graph& graph, const ProgramValues& reference,
                              const ProgramValues& other);

}  // namespace octavo
