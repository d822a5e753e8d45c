/// What other engines want of a quantized model: their documented rules, a row each.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "octavo/core/quant.h"
#include "octavo/graph/graph.h"
#include "octavo/quantize/observer.h"

namespace octavo {

struct FileForm;

/// Rules of one engine, for PTQ, QAT, the file and whoever checks one. A field that is not set asks for
/// nothing beyond what Octavo does for all: one scale for an activation, symmetric int8 weights with a scale
/// for each output channel.
struct Target {
  std::string_view name;    ///< As --target has it.
  std::string_view title;   ///< As people call it.
  std::string_view source;  ///< Where its rules stand.
  /// Activations are int8 in the file; inside Octavo they are uint8, each integer 128 higher.
  bool int8_activations = false;
  /// Activations have zero points of 0: inside Octavo, of 128.
  bool symmetric_activations = false;
  bool symmetric_weights = false;  ///< Weights are int8 with zero points of 0.
  bool float_biases = false;       ///< Biases stay float32: no DequantizeLinear of int32.
  /// Quantized operators are float ones between DequantizeLinear and QuantizeLinear, with nothing between
  /// these two: neither QLinearConv and its kind nor a Clip of integers.
  bool plain_pairs = false;
  /// Sigmoid and Softmax have the scale 1/256 and their lowest integer for 0, Tanh 1/128 and the middle one.
  bool fixed_outputs = false;
  /// LayerNormalization, Softmax and functions of one number (but for Relu, Clip and LeakyRelu, which
  /// engines fuse) read float32.
  bool rows_and_functions_in_float = false;
  float least_range = 0;  ///< Least width of an activation's range.
};

/// All of them; the first, "any", asks for nothing.
std::span<const Target> targets();
std::vector<std::string> target_names();
/// Throws kUsage for a name that is none.
const Target& find_target(std::string_view name);
/// What a model was made for, as its metadata say (octavo.target); "any" where they say nothing that is
/// known.
const Target& target_of(const Graph& graph);

/// Whether the engine is to compute an operator in float32.
bool runs_in_float(const Target& target, Op op);

/// Parameters of an activation over `range`; where the target has no rule, choose_activation_params().
QuantParams choose_params(const Target& target, Range range, int levels = 256);

/// How many of 256 levels lie in a range: what an observer is to aim at. Of a symmetric activation that is
/// never negative, half of them.
int levels_within(const Target& target, Range range);

/// The parameters that what `op` computes has to have, if the target says so.
std::optional<QuantParams> fixed_params(const Target& target, Op op);

/// A node of a file that breaks a rule.
struct Violation {
  std::string node;
  std::string rule;  ///< What the engine wants, and what the node has.
  std::string fix;
};

/// What of a file (octavo/onnx/file_form.h) the engine does not take, by its documented rules.
std::vector<Violation> violations(const Target& target, const FileForm& file);

}  // namespace octavo
