/// Who converts which ONNX operator.
#pragma once

#include <onnx/onnx_pb.h>

#include <span>
#include <string>
#include <string_view>

#include "node_reader.h"

namespace octavo::onnx_format {

/// Converts one node.
using Converter = void (*)(NodeReader&);

struct ConverterEntry {
  std::string_view op_type;
  Converter converter;
};

/// Each file's own operators; those of one number that need no converter of their own are read by the table
/// of octavo/graph/operators.h.
std::span<const ConverterEntry> layer_converters();
std::span<const ConverterEntry> elementwise_converters();
std::span<const ConverterEntry> move_converters();
std::span<const ConverterEntry> normalization_converters();
std::span<const ConverterEntry> rearrangement_converters();
std::span<const ConverterEntry> window_converters();
std::span<const ConverterEntry> einsum_converters();
std::span<const ConverterEntry> expansion_converters();
std::span<const ConverterEntry> reduction_converters();
std::span<const ConverterEntry> attention_converters();
std::span<const ConverterEntry> constant_converters();
std::span<const ConverterEntry> quantization_converters();
/// Of the domain "com.microsoft": what ONNX Runtime's quantizer writes.
std::span<const ConverterEntry> qlinear_converters();
/// Of the domain "com.microsoft" too: what ONNX Runtime's optimizer writes.
std::span<const ConverterEntry> fused_converters();
std::span<const ConverterEntry> fused_normalization_converters();
/// Those of the quantizer's that are in ONNX's own domain too.
std::span<const ConverterEntry> standard_qlinear_converters();

/// Null if the operator is not supported.
Converter find_converter(const onnx::NodeProto& node);

/// Computes a node that reads constants alone (or a shape) and defines its output. False if it is none.
bool fold_constants(NodeReader& reader);

}  // namespace octavo::onnx_format
