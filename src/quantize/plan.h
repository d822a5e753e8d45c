// Which values are quantized, and which share parameters: a function of the graph's structure.
#pragma once

#include <vector>

#include "octavo/quantize/ptq.h"

namespace octavo {

/// parameter_owners() of a program in which at most those groups of quantizable_groups() run in integers for
/// which `integer` is true.
std::vector<ValueId> parameter_owners(const Graph& folded, const std::vector<bool>& integer);

/// The largest integer that each node's weights may have, by index of the node: as its bits say, and
/// `weight_qmax` at most.
std::vector<std::int32_t> largest_weights(const Graph& graph, const BitWidths& bits,
                                          std::int32_t weight_qmax);

/// Of fewer than eight bits: what clip_weights() and what repairs layers look at.
constexpr bool is_narrow(std::int32_t qmax) { return qmax <= largest_weight(kMostBits - 1); }

/// Chooses the parameters of the float32 weight that `node` reads anew, with integers up to `qmax`, for all
/// nodes that read it.
void annotate_weight_anew(Graph& folded, const Node& node, std::int32_t qmax);

/// Gives weights of fewer than eight bits the ranges of least squared error (weight_clipping.h), as far as
/// their biases fit.
void clip_weights(Graph& annotated);

/// Adds `shift` to the bias of the node's output channel `channel`, where it still fits int32 then.
void move_bias(Graph& annotated, const Node& node, std::int64_t channel, double shift);

}  // namespace octavo
