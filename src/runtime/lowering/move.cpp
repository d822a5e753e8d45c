#include "runtime/lowering/move.h"

#include "octavo/core/error.h"

namespace octavo {

Walk lower_move(const Node& node, const Shape& x_shape, const Strides& x, const Shape& y_shape,
                const Strides& y) {
  Walk walk{y_shape, {y, x}, {0, 0}};
  switch (node.op) {
    case Op::kSlice: {
      const auto& a = node.as<SliceAttributes>();
      for (std::size_t d = 0; d < y_shape.size(); ++d) {
        walk.starts[1] += a.starts[d] * x[d];
        walk.strides[1][d] = x[d] * a.steps[d];
      }
      return walk;
    }
    case Op::kTranspose: {
      const auto& permutation = node.as<TransposeAttributes>().permutation;
      for (std::size_t d = 0; d < y_shape.size(); ++d)
        walk.strides[1][d] = x[static_cast<std::size_t>(permutation[d])];
      return walk;
    }
    case Op::kPad: {
      walk.dims = x_shape;
      for (std::size_t d = 0; d < y_shape.size(); ++d)
        walk.starts[0] += node.as<PadAttributes>().before[d] * y[d];
      return walk;
    }
    default:
      throw Error(ErrorCode::kInternal, node.name, to_string(node.op) + " moves nothing");
  }
}

}  // namespace octavo
