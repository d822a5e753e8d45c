/// ONNX files to graphs and back. A model on disk is an ONNX file; Octavo has no format of its own.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "octavo/graph/graph.h"

namespace octavo {

/// Reads a float or QDQ classifier (opset 7 to 17). QuantizeLinear/DequantizeLinear pairs become annotations
/// (Value::quant); integer weights and biases stay integer constants. Throws kIo, kBadInput (not ONNX, truncated,
/// inconsistent) or kUnsupported (one message that lists every unsupported node with its operator).
Graph load_onnx(const std::filesystem::path& path);
Graph parse_onnx(std::span<const std::byte> bytes, const std::string& where);

/// Serializes `graph`: opset 13; annotations become QuantizeLinear/DequantizeLinear pairs, weights int8 with per-channel
/// DequantizeLinear, biases int32. The bytes depend on the graph alone. metadata becomes metadata_props.
std::vector<std::byte> serialize_onnx(const Graph& graph);

/// serialize_onnx to a file, atomically.
void save_onnx(const Graph& graph, const std::filesystem::path& path);

}  // namespace octavo
