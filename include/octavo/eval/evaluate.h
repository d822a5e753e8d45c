/// Accuracy of a compiled model: the program that ships, not a simulation. octavo/runtime/latency.h times it.
#pragma once

#include <cstdint>
#include <functional>
#include <stop_token>

#include "octavo/data/dataset.h"
#include "octavo/eval/results.h"
#include "octavo/graph/graph.h"
#include "octavo/runtime/runtime.h"

namespace octavo {

/// Top-1 accuracy over a split, un-augmented; of equal logits the first class wins. Runs batches of
/// max_batch(). A model with one output for two classes answers the second where that is above `threshold`.
/// `on_progress` is called after each batch. Throws kBadInput if the split is empty, image
/// shape, number of classes or normalization do not fit, a label is out of range or an answer is NaN or
/// infinite; kInterrupted when `stop` is requested.
Accuracy evaluate(const CompiledModel& model, const Dataset& test, const Normalization& normalization,
                  const std::function<void(std::int64_t done, std::int64_t total)>& on_progress = {},
                  std::stop_token stop = {}, float threshold = 0.5F);

/// Above which number a model with one output says the second of two classes: 0.5 of probabilities (Sigmoid
/// or HardSigmoid comes last, but for what only moves numbers), 0 of logits.
float decision_threshold(const Graph& graph);

/// Fraction of images with equal predictions; 1 without images. Throws kUsage if their numbers differ.
double agreement(const Accuracy& a, const Accuracy& b);

}  // namespace octavo
