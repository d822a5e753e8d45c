/// What the name of an ONNX tensor stands for while a file is read.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "batch_view.h"
#include "octavo/core/quant.h"
#include "octavo/core/tensor.h"
#include "octavo/graph/graph.h"

namespace octavo::onnx_format {

/// Stands for N, the batch's size, among the integers of a constant that is computed from a shape; the
/// integers behind it for 2 * N, 3 * N, ...
inline constexpr std::int64_t kBatchSize = std::numeric_limits<std::int64_t>::min() + 0xBA7C4;
inline constexpr std::int64_t kMostBatches = std::numeric_limits<std::int32_t>::max();

/// `count` * N, 1 <= count <= kMostBatches.
inline std::int64_t batches(std::int64_t count) { return kBatchSize + (count - 1); }
/// How often N is in it; 0 for a plain integer.
inline std::int64_t batches_in(std::int64_t size) {
  return size < kBatchSize || size >= kBatchSize + kMostBatches ? 0 : size - kBatchSize + 1;
}

/// A tensor that a node may read as an operand. Integers with `quant` stand for real numbers.
struct Constant {
  std::string name;
  std::shared_ptr<Tensor> tensor;
  std::optional<QuantParams> quant;
  std::int32_t element = 0;  ///< ONNX's type of what the file holds; 0: the tensor's own.

  /// One boolean or integer 0.
  bool is_false() const;
};

/// A float tensor that depends on the input. `dequantized`: read through QuantizeLinear and DequantizeLinear.
struct Flow {
  ValueId id = kNoValue;
  bool dequantized = false;
  BatchView view = {};
};

/// What QuantizeLinear makes of a Flow, as uint8.
struct Integers {
  ValueId id = kNoValue;
  QuantParams quant;
  BatchView view = {};
  std::int32_t element =
      0;  ///< ONNX's type of the integers in the file; 0: that of whatever zero point follows.
};

/// What QuantizeLinear makes of a Flow in 16 bits: the real numbers that the integers stand for.
struct WideIntegers {
  ValueId id = kNoValue;
  float scale = 0;
  std::int32_t zero_point = 0;
  BatchView view = {};
};

/// Made by a node that is not supported, which is reported already.
struct Poison {};

using Symbol = std::variant<Poison, Flow, Integers, WideIntegers, Constant>;

}  // namespace octavo::onnx_format
