#include "attributes.h"

#include <fmt/format.h>

#include <limits>

#include "octavo/core/error.h"
#include "tensor_proto.h"

namespace octavo::onnx_format {

using onnx::AttributeProto;

AttributeReader::AttributeReader(const onnx::NodeProto& node, std::string what) : what_(std::move(what)) {
  for (const AttributeProto& attribute : node.attribute()) {
    if (!attributes_.emplace(attribute.name(), &attribute).second) {
      throw Error(ErrorCode::kBadInput, what_,
                  fmt::format("attribute '{}' occurs twice", printable(attribute.name())));
    }
  }
}

const AttributeProto* AttributeReader::find(const std::string& name, AttributeProto::AttributeType type) {
  const auto found = attributes_.find(name);
  if (found == attributes_.end()) return nullptr;
  read_.insert(name);
  if (found->second->type() != type) {
    throw Error(ErrorCode::kBadInput, what_,
                fmt::format("attribute '{}' has the wrong type; expected {}, got {}", name,
                            AttributeProto::AttributeType_Name(type),
                            AttributeProto::AttributeType_Name(found->second->type())));
  }
  return found->second;
}

std::int64_t AttributeReader::integer(const std::string& name, std::int64_t otherwise) {
  const AttributeProto* attribute = find(name, AttributeProto::INT);
  return attribute ? attribute->i() : otherwise;
}

float AttributeReader::real(const std::string& name, float otherwise) {
  const AttributeProto* attribute = find(name, AttributeProto::FLOAT);
  return attribute ? attribute->f() : otherwise;
}

std::string AttributeReader::text(const std::string& name, const std::string& otherwise) {
  const AttributeProto* attribute = find(name, AttributeProto::STRING);
  return attribute ? attribute->s() : otherwise;
}

std::optional<std::vector<std::int64_t>> AttributeReader::integers(const std::string& name) {
  const AttributeProto* attribute = find(name, AttributeProto::INTS);
  if (!attribute) return std::nullopt;
  return std::vector<std::int64_t>(attribute->ints().begin(), attribute->ints().end());
}

std::vector<float> AttributeReader::reals(const std::string& name) {
  const AttributeProto* attribute = find(name, AttributeProto::FLOATS);
  if (!attribute) return {};
  return {attribute->floats().begin(), attribute->floats().end()};
}

const onnx::TensorProto* AttributeReader::tensor(const std::string& name) {
  const AttributeProto* attribute = find(name, AttributeProto::TENSOR);
  return attribute ? &attribute->t() : nullptr;
}

const onnx::SparseTensorProto* AttributeReader::sparse_tensor(const std::string& name) {
  const AttributeProto* attribute = find(name, AttributeProto::SPARSE_TENSOR);
  return attribute ? &attribute->sparse_tensor() : nullptr;
}

std::vector<std::int64_t> AttributeReader::checked_window(const std::string& name, std::int64_t least,
                                                          std::size_t count) {
  std::vector<std::int64_t> values = *integers(name);
  if (values.size() != count) {
    // One spatial dimension or three: valid ONNX, no image classifier of ours.
    throw Unsupported{fmt::format("attribute '{}' has {} values, not {}", name, values.size(), count)};
  }
  for (const std::int64_t value : values) {
    if (value < least && least == 0) throw Unsupported{fmt::format("attribute '{}' holds {}", name, value)};
    if (value < least || value > std::numeric_limits<std::int32_t>::max()) {
      throw Error(ErrorCode::kBadInput, what_,
                  fmt::format("attribute '{}' holds {}; expected {} to 2147483647", name, value, least));
    }
  }
  return values;
}

void AttributeReader::finish() const {
  for (const auto& [name, attribute] : attributes_) {
    if (!read_.contains(name)) throw Unsupported{fmt::format("attribute '{}'", printable(name))};
  }
}

}  // namespace octavo::onnx_format
