/// A node's attributes, each asked for by name and type.
#pragma once

#include <onnx/onnx_pb.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace octavo::onnx_format {

/// Thrown for a valid node that Octavo cannot express. The importer collects them all into one error.
struct Unsupported {
  std::string reason;
};

/// Reads each attribute once. The node must outlive this. Throws kBadInput, naming the node, on a wrong type,
/// a wrong number of elements or a value out of range.
class AttributeReader {
 public:
  /// `what` names the node in errors.
  AttributeReader(const onnx::NodeProto& node, std::string what);

  std::int64_t integer(const std::string& name, std::int64_t otherwise);
  float real(const std::string& name, float otherwise);
  std::string text(const std::string& name, const std::string& otherwise);
  std::optional<std::vector<std::int64_t>> integers(const std::string& name);
  std::vector<float> reals(const std::string& name);
  const onnx::TensorProto* tensor(const std::string& name);
  const onnx::SparseTensorProto* sparse_tensor(const std::string& name);
  bool has(const std::string& name) const { return attributes_.contains(name); }

  /// Exactly N integers from `least` to 2^31 - 1, or `otherwise`.
  template <std::size_t N>
  std::array<std::int64_t, N> window(const std::string& name, std::int64_t least,
                                     std::array<std::int64_t, N> otherwise) {
    if (!has(name)) return otherwise;
    const std::vector<std::int64_t> values = checked_window(name, least, N);
    std::copy(values.begin(), values.end(), otherwise.begin());
    return otherwise;
  }

  /// Throws Unsupported if an attribute was never asked for: it could change what the node computes.
  void finish() const;

 private:
  const onnx::AttributeProto* find(const std::string& name, onnx::AttributeProto::AttributeType type);
  std::vector<std::int64_t> checked_window(const std::string& name, std::int64_t least, std::size_t count);

  std::string what_;
  std::unordered_map<std::string, const onnx::AttributeProto*> attributes_;
  std::unordered_set<std::string> read_;
};

}  // namespace octavo::onnx_format
