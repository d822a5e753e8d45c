/// Resize as products with constant matrices.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "node_reader.h"

namespace octavo::onnx_format {

/// What Resize says of an axis.
struct Interpolation {
  std::string mode;         ///< "linear" or "cubic"
  std::string coordinates;  ///< coordinate_transformation_mode
  float cubic = -0.75F;     ///< cubic_coeff_a
  bool exclude_outside = false;
};

/// Where element `o` of `out` lies among the `in` elements of an axis, as ONNX says it. Throws Unsupported
/// for coordinates that depend on more.
double coordinate(const std::string& coordinates, std::int64_t o, std::int64_t in, std::int64_t out,
                  double scale);

/// x with `out` elements along `axis`, each a sum of two or four of its elements.
ValueId interpolated(const NodeReader& reader, ValueId x, std::size_t axis, std::int64_t out, double scale,
                     const Interpolation& how);

}  // namespace octavo::onnx_format
