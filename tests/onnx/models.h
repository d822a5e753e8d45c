/// Graphs that the ONNX tests write and read.
#pragma once

#include <cstdint>

#include "octavo/graph/graph.h"

namespace octavo::test {

/// One of each operator, with attributes away from their defaults; input [N, 3, 13, 11], 5 classes.
/// Batch-norm statistics are drawn at random.
Graph every_operator(std::uint64_t seed = 1);

/// One of each operator that is not in every_operator(), in forms that a file gives back as they are.
Graph every_other_operator(std::uint64_t seed = 1);

/// A zoo model with batch-norm statistics drawn at random.
Graph zoo_model(const std::string& name, std::uint64_t seed = 1);

/// Normally distributed values of shape [batch, C, H, W].
Tensor random_input(const Graph& graph, std::int64_t batch, std::uint64_t seed = 7);

/// Batch norms folded and every value annotated as post-training quantization does it, with the ranges that
/// `calibration` gives.
Graph quantized(const Graph& graph, const Tensor& calibration, std::int32_t weight_qmax = 127);
Graph quantized(const Graph& graph);

}  // namespace octavo::test
