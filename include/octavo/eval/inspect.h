/// What a model file is made of: layers, sizes, and what runs in integers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "octavo/core/quant.h"
#include "octavo/graph/graph.h"

namespace octavo {

/// One kernel's worth of nodes.
struct LayerFacts {
  std::string name;                  ///< Of the first node.
  std::string operators;             ///< "Conv + Add + Relu"
  std::string value;                 ///< The value it makes.
  Shape output;                      ///< Its shape, batch first.
  std::int64_t parameters = 0;       ///< Weights and biases; a constant that two layers share counts in both.
  std::int64_t macs = 0;             ///< Multiply-accumulates for one image.
  bool integer = false;              ///< Runs in int8; else in float32.
  std::string reason;                ///< Why it runs in float32; empty for int8.
  int weight_bits = 0;               ///< 0: no weight; 32: float32.
  bool per_channel = false;          ///< Weight scales per output channel.
  std::optional<QuantParams> quant;  ///< Of the value it makes.
};

struct ModelFacts {
  Shape input;
  std::optional<QuantParams> input_quant;
  Shape output;
  std::int64_t parameters = 0;
  std::int64_t macs = 0;
  std::vector<LayerFacts> layers;  ///< In the order in which they run, batch norms folded.
};

ModelFacts inspect(const Graph& graph);

/// Bits that integers from qmin to qmax need: 8 for 0..255 and -127..127.
int bits_of(const QuantParams& quant);

}  // namespace octavo
