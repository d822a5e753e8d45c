/// The training simulation of a quantized model: what QAT's forward pass computes, to compare with integers.
#pragma once

#include <map>
#include <string>

#include "octavo/core/tensor.h"
#include "octavo/graph/graph.h"

namespace octavo {

/// Runs `quantized` on input [N, C, H, W] in float32 with fake-quantized weights and activations: through
/// QAT's forward pass if QAT quantizes what this file does, else (some files of other tools) by the file's
/// own annotations. Returns every value that a fused group makes, by name. Throws kUnsupported if it is a
/// float model.
std::map<std::string, Tensor> simulate(const Graph& quantized, const Tensor& input);

}  // namespace octavo
