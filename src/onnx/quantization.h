/// Scales, zero points and what they apply to.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "node_reader.h"

namespace octavo::onnx_format {

struct IntegerRange {
  std::int32_t qmin, qmax;
};

/// The range that a reader assumes for integer constants: [-127, 127] for symmetric int8 that never holds
/// -128, else the whole container. A different one is kept in the file's metadata.
IntegerRange apparent_range(const Tensor& integers, const QuantParams& quant);

/// Clip between QuantizeLinear and DequantizeLinear: a range narrower than the container.
void convert_integer_clip(NodeReader& reader, const Integers& integers);

/// Where a node has a scale and a zero point, and along which dimension a row of them lies.
struct ParamOperands {
  int scale = 1;
  int zero_point = 2;
  std::optional<std::int64_t> axis;  ///< Nothing: one scale for the tensor.
  std::int64_t block = 0;            ///< Elements along the axis that share a scale; 0: all of them.
  float zero_scale = 0;              ///< What stands for scales of 0; 0: they are refused.
};
/// Parameters of integers of `shape`. `otherwise` is the container where there is no zero point.
QuantParams read_params(NodeReader& reader, const Shape& shape, DType otherwise,
                        const ParamOperands& operands);
/// Per-tensor parameters of an activation, as uint8 (of 4 bits, in a narrower range). `otherwise` is ONNX's
/// type of the integers where there is no zero point.
QuantParams read_activation_params(NodeReader& reader, const ParamOperands& operands,
                                   std::int32_t otherwise = onnx::TensorProto::UINT8);

/// Weight operand of a Conv or, with `transposed` and `alpha`, of a Gemm. Parameters lie along `axis` of the
/// operand, that of the output channel; integers that the contract has no place for (less their zero
/// point they do not fit int8, or scales lie along another axis) become their real numbers. `key` tells apart
/// forms of the same tensor.
struct WeightForm {
  std::size_t axis = 0;
  bool transposed = false;
  float alpha = 1.0F;
};
ValueId weight_value(const NodeReader& reader, const Constant& constant, const WeightForm& form,
                     const std::string& key = "");
/// Bias operand [M] of a layer with `channels` outputs. int32 ones stay so; stored_form sees whether they fit
/// the contract.
ValueId bias_value(const NodeReader& reader, const Constant& constant, std::int64_t channels,
                   float beta = 1.0F, const std::string& key = "");

}  // namespace octavo::onnx_format
