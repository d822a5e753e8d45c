// Which values are quantized, and which share parameters: a function of the graph's structure.
#pragma once

#include <vector>

#include "octavo/quantize/ptq.h"

namespace octavo {

/// parameter_owners() of a program in which at most those groups of quantizable_groups() run in integers for
/// which `integer` is true.
std::vector<ValueId> parameter_owners(const Graph& folded, const std::vector<bool>& integer);

/// Chooses the parameters of the float32 weight that `node` reads anew, with integers up to `qmax`, for all
/// nodes that read it.
void annotate_weight_anew(Graph& folded, const Node& node, std::int32_t qmax);

/// Gives weights of fewer than eight bits the ranges of least squared error (weight_clipping.h), as far as
/// their biases fit.
void clip_weights(Graph& annotated);

/// Adds `shift` to the bias of the node's output channel `channel`, where it still fits int32 then.
void move_bias(Graph& annotated, const Node& node, std::int64_t channel, double shift);

}  // namespace octavo
