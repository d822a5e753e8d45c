// Random graphs and quantization annotations for runtime tests: no calibration, any scales that exercise the
// arithmetic.
#pragma once

#include <cstdint>
#include <random>

#include "octavo/graph/graph.h"

namespace octavo::testing {

/// Uniform floats in [lo, hi].
Tensor random_tensor(const Shape& shape, std::uint64_t seed, float lo = -1.0F, float hi = 1.0F);

/// Puts random values into every constant: weights, biases and batch-norm statistics that are not trivial.
void randomize(Graph& graph, std::uint64_t seed);

/// Folds batch norms and annotates as post-training quantization would, from ranges that the reference
/// interpreter sees on `sample`, every group's output; the model's if `quantize_output`. `weight_limit` is
/// the largest weight integer.
Graph annotate_from_sample(const Graph& graph, const Tensor& sample, std::int32_t weight_limit = 127,
                           bool quantize_output = false);

}  // namespace octavo::testing
