/// ONNX models by hand, with ONNX's own parser, checker and shape inference. (A header of its own: ONNX's are
/// heavy.)
#pragma once

#include <onnx/onnx_pb.h>

#include <cstddef>
#include <string>
#include <vector>

#include "octavo/core/error.h"
#include "octavo/graph/graph.h"

namespace octavo::test {

/// A model from ONNX's text form; throws std::runtime_error if the text is wrong.
onnx::ModelProto model_from_text(const std::string& text);
std::vector<std::byte> to_bytes(const onnx::ModelProto& model);
onnx::ModelProto from_bytes(const std::vector<std::byte>& bytes);

/// model_from_text through parse_onnx, named "test.onnx" in errors.
Graph import_text(const std::string& text);
Graph import_model(const onnx::ModelProto& model);

/// What went wrong, as "<exit code>: <message>"; "" if nothing did.
std::string import_error(const onnx::ModelProto& model);
std::string import_error(const std::string& text);
std::string import_error(const std::vector<std::byte>& bytes);

/// Throws if ONNX's checker or its strict shape inference finds fault.
void check_with_onnx(const onnx::ModelProto& model);

/// x of [N, 2, 2, 2] quantized, one QLinearConv with scales for each channel, pooled and multiplied in
/// integers. `type` is that of the activations, `shift` what their zero points are moved by.
std::string operators_on_integers(const std::string& type, int shift);

void add_initializer(onnx::ModelProto& model, const std::string& name, const Tensor& tensor);

}  // namespace octavo::test
