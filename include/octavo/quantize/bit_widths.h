/// How many bits weights and activations have, layer by layer.
///
/// A width belongs to a layer: to its weights, and to what it reads. Activations of fewer bits are uint8
/// whose integers end at 2^bits - 1, weights int8 within +-(2^(bits - 1) - 1); both are in the value's
/// QuantParams, so training, the runtime and files need to know nothing more. What adds, pools or joins reads
/// eight bits: a sum that a residual network carries from block to block keeps its precision, and a
/// convolution that reads it has a narrower copy (separate_widths()).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "octavo/graph/graph.h"

namespace octavo {

inline constexpr int kFewestBits = 2;
inline constexpr int kMostBits = 8;

/// Of one layer: of a Conv, Gemm or MatMul with constant weights.
struct BitWidth {
  int weights = kMostBits;
  int activations = kMostBits;  ///< Of the value that the layer reads.
  friend bool operator==(const BitWidth&, const BitWidth&) = default;
};

/// Of a network.
struct BitWidths {
  BitWidth all = {};
  /// Of weights and activations of the first and the last layer, as in most publications; 0: as all others.
  int first_last = kMostBits;
  std::map<std::string, BitWidth> layers = {};  ///< By name of the node; they come before all else.
  friend bool operator==(const BitWidths&, const BitWidths&) = default;
};

/// "w4a8": four bits for weights, eight for activations. Throws kUsage, naming `where`, unless both are 2
/// to 8.
BitWidth parse_bit_width(const std::string& text, const std::string& where);
std::string to_string(const BitWidth& width);

/// "conv1=w8a8,fc=w4a8"; an empty text has none. Throws kUsage, naming `where`.
std::map<std::string, BitWidth> parse_layer_bits(const std::string& text, const std::string& where);
std::string to_string(const std::map<std::string, BitWidth>& layers);

/// "w4a4, first and last layer w8a8, fc w4a8".
std::string to_string(const BitWidths& widths);

/// The largest integer of a symmetric weight: 127 for 8 bits, 7 for 4, 1 for 2.
constexpr std::int32_t largest_weight(int bits) { return (1 << (bits - 1)) - 1; }

/// By index of the node; eight bits where the node has no weight. Throws kUsage for a layer that is not
/// there, with the nearest name that is.
std::vector<BitWidth> widths_of_nodes(const Graph& graph, const BitWidths& widths);

/// By value, of a folded float graph whose widths are separate: 2^bits levels of values that own their
/// parameters (parameter_owners()), the most that any reader of them has; 0 for all others.
std::vector<int> levels_of_values(const Graph& folded, const BitWidths& widths);

/// Gives every layer that reads fewer bits than another reader of the same value a copy of its own: a Clip
/// that clips nothing and is quantized with fewer bits, named like the value and ".a4". `graph` is a float
/// model, its batch norms folded or not. Changes nothing where all widths agree.
void separate_widths(Graph& graph, const BitWidths& widths);

}  // namespace octavo
