/// Rules of rewrite_patterns(), each of which looks at node `index` and answers whether it changed something.
#pragma once

#include <optional>

#include "canonical.h"

namespace octavo::onnx_format {

/// Whether the node's output has the shape of `x`.
bool same_shape(const Rewriter& r, int index, ValueId x);
/// The number that a float constant of one element holds.
std::optional<float> scalar_of(const Rewriter& r, ValueId id);

// Several nodes that are one function: patterns_of_functions.cpp.
bool fuse_gate(Rewriter& r, int index);
bool fuse_mish(Rewriter& r, int index);
bool fuse_log_softmax(Rewriter& r, int index);
bool fuse_relu6_gate(Rewriter& r, int index);
bool fuse_gelu(Rewriter& r, int index);
bool fuse_layer_norm(Rewriter& r, int index);

// What is added to a layer or multiplies it: patterns_of_layers.cpp.
bool fuse_bias(Rewriter& r, int index);
bool fuse_matmul(Rewriter& r, int index);
bool fuse_alpha(Rewriter& r, int index);
bool fold_scale(Rewriter& r, int index);
bool drop_implied_clip(Rewriter& r, int index);

}  // namespace octavo::onnx_format
