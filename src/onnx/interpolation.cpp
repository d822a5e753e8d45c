#include "interpolation.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "importer.h"
#include "tensor_proto.h"

namespace octavo::onnx_format {
namespace {

/// The weights of the elements at -1, 0, 1 and 2 for a point that lies `t` behind element 0 (Keys 1981).
std::array<double, 4> cubic_weights(double a, double t) {
  const auto near = [&](double d) { return ((a + 2) * d - (a + 3)) * d * d + 1; };
  const auto far = [&](double d) { return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a; };
  return {far(1 + t), near(t), near(1 - t), far(2 - t)};
}

/// [in, out]
Tensor matrix(std::int64_t in, std::int64_t out, double scale, const Interpolation& how) {
  Tensor result({in, out}, DType::kFloat32);
  const auto columns = static_cast<std::size_t>(out);
  for (std::int64_t o = 0; o < out; ++o) {
    double at = coordinate(how.coordinates, o, in, out, scale);
    std::vector<double> weights;
    std::int64_t first = 0;
    if (how.mode == "cubic") {
      first = static_cast<std::int64_t>(std::floor(at)) - 1;
      const auto four = cubic_weights(static_cast<double>(how.cubic), at - std::floor(at));
      weights.assign(four.begin(), four.end());
    } else {
      at = std::clamp(at, 0.0, static_cast<double>(in - 1));
      first = static_cast<std::int64_t>(std::floor(at));
      weights = {1 - (at - std::floor(at)), at - std::floor(at)};
    }
    const auto outside = [&](std::size_t i) {
      const std::int64_t index = first + static_cast<std::int64_t>(i);
      return index < 0 || index >= in;
    };
    if (how.exclude_outside && how.mode == "cubic") {
      double sum = 0;
      for (std::size_t i = 0; i < weights.size(); ++i) sum += outside(i) ? 0 : weights[i];
      for (std::size_t i = 0; i < weights.size(); ++i) weights[i] = outside(i) ? 0 : weights[i] / sum;
    }
    for (std::size_t i = 0; i < weights.size(); ++i) {
      const std::int64_t index = std::clamp<std::int64_t>(first + static_cast<std::int64_t>(i), 0, in - 1);
      result.data<float>()[static_cast<std::size_t>(index) * columns + static_cast<std::size_t>(o)] +=
          static_cast<float>(weights[i]);
    }
  }
  return result;
}

}  // namespace

double coordinate(const std::string& coordinates, std::int64_t o, std::int64_t in, std::int64_t out,
                  double scale) {
  const auto x = static_cast<double>(o);
  if (coordinates == "half_pixel" || (coordinates == "pytorch_half_pixel" && out > 1))
    return (x + 0.5) / scale - 0.5;
  if (coordinates == "asymmetric") return x / scale;
  if (coordinates == "align_corners")
    return out > 1 ? x * static_cast<double>(in - 1) / static_cast<double>(out - 1) : 0;
  if (coordinates == "pytorch_half_pixel") return 0;
  throw Unsupported{"coordinate_transformation_mode '" + printable(coordinates) + "'"};
}

ValueId interpolated(const NodeReader& reader, ValueId x, std::size_t axis, std::int64_t out, double scale,
                     const Interpolation& how) {
  const Shape shape = reader.importer.graph().value(x).shape;
  const std::int64_t in = shape[axis];
  reader.importer.budget().charge(static_cast<std::uint64_t>(in) * static_cast<std::uint64_t>(out) *
                                  sizeof(float));
  reader.importer.budget().work(static_cast<std::uint64_t>(out) * 16);
  const std::string suffix = fmt::format("_along{}", axis);
  const Constant made{reader.name + suffix, std::make_shared<Tensor>(matrix(in, out, scale, how)), {}};
  const ValueId factor = reader.importer.constant_value(made, "resize", [&] {
    return Importer::Made{*made.tensor, {}};
  });
  const bool last = axis + 1 == shape.size();
  TransposeAttributes swapped{std::vector<std::int64_t>(shape.size())};
  std::iota(swapped.permutation.begin(), swapped.permutation.end(), 0);
  std::swap(swapped.permutation[axis], swapped.permutation.back());
  if (!last) x = reader.emit_inner(suffix + "_last", Op::kTranspose, {x}, swapped);
  x = reader.emit_inner(suffix, Op::kMatMul, {x, factor});
  if (!last) x = reader.emit_inner(suffix + "_back", Op::kTranspose, {x}, swapped);
  return x;
}

}  // namespace octavo::onnx_format
