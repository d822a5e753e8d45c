// What the files of the reference interpreter share.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <vector>

#include "octavo/core/tensor.h"
#include "octavo/graph/passes.h"
#include "runtime/lowering/integer_rows.h"

namespace octavo::reference {

/// What flows, by id: integers where the value is quantized, else float32.
using Values = std::map<ValueId, Tensor>;

/// What `node` makes of its operands (constants among them), all float32, as a tensor of `shape`.
Tensor evaluate_float(const Node& node, const std::vector<Tensor>& operands, const Shape& shape);

/// The output of a group that runs_in_integers(), of `shape`: uint8, or float32 where it is not quantized.
Tensor evaluate_integer(const Graph& graph, const FusedGroup& group, const Values& values,
                        const Shape& shape);

/// What evaluate_integer() makes of rows and of products of two values.
Tensor integer_layer_norm(const IntegerLayerNorm& p, const Tensor& x, const Shape& shape);
Tensor integer_softmax(const IntegerRows& p, const Tensor& x, const Shape& shape);
Tensor integer_product(const IntegerProduct& p, const Tensor& a, const Tensor& b, const Shape& shape);

/// A window moving over one image: everything Conv and the pools share.
struct Window {
  std::array<std::int64_t, 2> kernel, strides, dilations;
  std::array<std::int64_t, 4> pads;
};

inline Window window_of(const ConvAttributes& a) { return {a.kernel, a.strides, a.dilations, a.pads}; }
inline Window window_of(const PoolAttributes& a) { return {a.kernel, a.strides, {1, 1}, a.pads}; }

/// Offset of element (n, c, y, x) of a 4-D tensor.
inline std::size_t at(const Shape& s, std::int64_t n, std::int64_t c, std::int64_t y, std::int64_t x) {
  return static_cast<std::size_t>(((n * s[1] + c) * s[2] + y) * s[3] + x);
}

/// Calls body(ky, kx, y, x, inside) for each tap of the window that makes output (oy, ox).
template <typename Body>
void for_each_tap(const Window& w, const Shape& input, std::int64_t oy, std::int64_t ox, const Body& body) {
  for (std::int64_t ky = 0; ky < w.kernel[0]; ++ky) {
    for (std::int64_t kx = 0; kx < w.kernel[1]; ++kx) {
      const std::int64_t y = oy * w.strides[0] - w.pads[0] + ky * w.dilations[0];
      const std::int64_t x = ox * w.strides[1] - w.pads[1] + kx * w.dilations[1];
      body(ky, kx, y, x, y >= 0 && y < input[2] && x >= 0 && x < input[3]);
    }
  }
}

/// Calls body(flat output offset, n, c, oy, ox) for every output element of a 4-D tensor.
template <typename Body>
void for_each_output(const Shape& shape, const Body& body) {
  std::size_t i = 0;
  for (std::int64_t n = 0; n < shape[0]; ++n) {
    for (std::int64_t c = 0; c < shape[1]; ++c) {
      for (std::int64_t y = 0; y < shape[2]; ++y) {
        for (std::int64_t x = 0; x < shape[3]; ++x) body(i++, n, c, y, x);
      }
    }
  }
}

/// Calls body(flat offset, index of each dimension) for every element of a tensor.
template <typename Body>
void for_each_element(const Shape& shape, const Body& body) {
  std::vector<std::int64_t> index(shape.size(), 0);
  const std::int64_t size = element_count(shape);
  for (std::int64_t i = 0; i < size; ++i) {
    body(static_cast<std::size_t>(i), index);
    for (std::size_t d = shape.size(); d-- > 0 && ++index[d] == shape[d];) index[d] = 0;
  }
}

/// Flat offset of `index` in a tensor of `shape` that broadcasts to it: missing dimensions and those of size
/// 1 stay at 0.
inline std::size_t broadcast_offset(const Shape& shape, const std::vector<std::int64_t>& index) {
  const std::size_t skipped = index.size() - shape.size();
  std::int64_t offset = 0;
  for (std::size_t d = 0; d < shape.size(); ++d)
    offset = offset * shape[d] + (shape[d] == 1 ? 0 : index[skipped + d]);
  return static_cast<std::size_t>(offset);
}

}  // namespace octavo::reference
