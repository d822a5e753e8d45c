/// The body of POST /v2/models/NAME/infer, as the Open Inference Protocol version 2 has it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "served_model.h"

namespace octavo::serve {

struct InputTensor {
  std::string name;
  std::vector<std::int64_t> shape;
  std::string datatype;
  std::vector<float> data;                   ///< Where the numbers are in the JSON, nested or not.
  std::optional<std::uint64_t> binary_size;  ///< Bytes that follow the JSON, where they are not.
};

struct RequestedOutput {
  std::string name;
  std::optional<bool> binary;
};

struct InferRequest {
  std::string id;
  std::vector<InputTensor> inputs;
  std::vector<RequestedOutput> outputs;  ///< Empty: all.
  bool binary_output = false;            ///< Where an output does not say.
};

/// What an answer has to be made of.
struct InferInput {
  std::string id;
  std::vector<float> images;  ///< [N, C, H, W], normalized.
  std::int64_t count = 0;     ///< N.
  bool binary = false;        ///< The scores follow the JSON as bytes.
};

/// Reads the JSON. Fields that are not the protocol's are passed over. Throws kBadInput: not JSON, a field of
/// the wrong type, nested too deeply. Memory stays within a small multiple of the text.
InferRequest parse_infer_request(std::string_view json);

/// Reads `body`, of whose bytes the first `header_bytes` are JSON (all of them where the header is not
/// given), for `model`: one input of shape [N, C, H, W], as numbers that are normalized already (FP32) or as
/// pixels (UINT8; [N, H, W, C] too), which are normalized as the model says. Throws kBadInput with what was
/// expected: another name, type or shape, numbers that are not finite, sizes that do not fit.
InferInput read_infer_body(const ServedModel& model, std::string_view body,
                           std::optional<std::uint64_t> header_bytes);

}  // namespace octavo::serve
