/// The training simulation of a quantized model: what QAT's forward pass computes, to compare with integers.
#pragma once

#include <map>
#include <string>

#include "octavo/core/tensor.h"
#include "octavo/graph/graph.h"

namespace octavo {

/// Runs `quantized` on input [N, C, H, W] in float32 with fake-quantized weights and activations: through
/// QAT's forward pass if QAT quantizes what this file does, else (some files of other tools) by the file's
/// own annotations. Returns every value that a group of quantizable_groups() makes, by name. Throws
/// kUnsupported if it is a float model.
///
/// Values in `given` (float32, by name, with the batch of `input`) are what the layers behind them read in
/// place of what was computed. Float32 sums differ in the last bit from integer ones, so a few values in a
/// hundred thousand round to the neighbouring integer, and in a deep network every such step sets others off:
/// with all of another program's values given, each layer's difference is its own.
std::map<std::string, Tensor> simulate(const Graph& quantized, const Tensor& input,
                                       const std::map<std::string, Tensor>& given = {});

}  // namespace octavo
