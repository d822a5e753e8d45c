/// ONNX files to graphs and back. A model on disk is an ONNX file; Octavo has no format of its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "octavo/graph/graph.h"

namespace octavo {

/// What a file may leave open.
struct ImportOptions {
  /// Which output is read. Empty: the only one, or the only one of two dimensions, [N, classes].
  std::string output;
  /// Height and width of the input where the file does not fix them. 0: such a file is refused.
  std::int64_t image_size = 0;
};

/// Reads a float or quantized classifier (opset 7 and later): one input [N, C, H, W], whose batch
/// becomes dynamic, and one output; an ArgMax at the end gives way to what it chooses from. Calls of the
/// file's own functions, and Ifs whose condition is known, become what they stand for.
/// QuantizeLinear/DequantizeLinear pairs, QLinearConv and QLinearMatMul become annotations (Value::quant);
/// integer weights and biases stay integer constants. int8 activations and uint8 weights become their exact
/// equivalents in the other container; weights that the arithmetic contract has no place for become real
/// numbers. load_onnx reads tensors in other files of the model's folder too. Throws kIo, kBadInput (not
/// ONNX, truncated, inconsistent) or kUnsupported (one message that lists every unsupported node with its
/// operator), and kUsage for an output that is not there. Hostile bytes give errors too: nothing is allocated
/// before its size is checked, and what the file expands to is bounded by its size.
Graph load_onnx(const std::filesystem::path& path, const ImportOptions& options = {});
/// `where` names the source in errors.
Graph parse_onnx(std::span<const std::byte> bytes, const std::string& where,
                 const ImportOptions& options = {});

/// `graph` as a file holds it: in canonical form (SiLU, HardSwish, Mish and GELU in place of their parts,
/// Gemm in place of MatMul with two dimensions, GlobalAveragePool in place of ReduceMean over the image,
/// constants added to a layer as its bias, Flatten in place of Reshape to rows, nothing that changes
/// nothing), integers in place of quantized constants, int32 biases (with their scales) where input and
/// weight are quantized, no dead nodes or values, values numbered in the order of use, a dynamic batch,
/// shapes inferred. Computes the same, but for the rounding of fused operators. For every valid graph g:
/// parse_onnx(serialize_onnx(g))
/// == stored_form(g), and stored_form(stored_form(g)) == stored_form(g). Throws kBadInput if the graph is not
/// valid or an activation is not per-tensor uint8.
Graph stored_form(const Graph& graph);

/// How a file says what ONNX has several ways to say. Whatever is chosen, what is read back is the same
/// graph.
struct ExportOptions {
  static constexpr int kLeastOpset = 13;
  static constexpr int kNewestOpset = 23;

  /// Opset, or the first that has all of the graph's operators if that is later.
  int opset = kLeastOpset;
  /// Activations in int8, each integer and zero point 128 lower, in place of uint8.
  bool int8_activations = false;
  /// Biases of quantized layers in float32, as a float graph has them. Those that are integers already become
  /// the real numbers they stand for, which beyond 2^22 may be read back as a neighbour.
  bool float_biases = false;
};

/// Parameters of an activation as a file with int8_activations says them: the same numbers with each integer
/// 128 lower, in int8.
QuantParams as_int8(const QuantParams& activation);

/// Serializes stored_form(graph); annotations become QuantizeLinear/DequantizeLinear pairs (with a Clip on
/// the integers between them where an activation's range is narrower than its container's), weights int8 with
/// per-channel DequantizeLinear, biases int32. The bytes depend on the graph, the options and Octavo's
/// version alone. metadata becomes metadata_props; keys that begin with "octavo.range." are reserved. Throws
/// kUsage for an opset outside kLeastOpset to kNewestOpset, kBadInput as stored_form does, or if the model
/// would exceed 2 GiB.
std::vector<std::byte> serialize_onnx(const Graph& graph, const ExportOptions& options = {});

/// serialize_onnx to a file, atomically.
void save_onnx(const Graph& graph, const std::filesystem::path& path, const ExportOptions& options = {});

/// A model whose activation integers can be looked at from outside.
struct ExposedModel {
  std::vector<std::byte> bytes;                ///< The file: serialize_onnx() with more outputs.
  std::map<std::string, std::string> tensors;  ///< Name of a quantized value -> name of its integer output.
};

/// What serialize_onnx() writes, with the integers of every quantized activation as outputs of the model.
ExposedModel expose_integers(const Graph& graph, const ExportOptions& options = {});

}  // namespace octavo
