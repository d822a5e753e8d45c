// Slice, Pad and Transpose as a copy.
#pragma once

#include "octavo/graph/graph.h"
#include "runtime/lowering/walk.h"

namespace octavo {

/// The copy that a move (Form::kMove) is, from x (operand 1) to y (operand 0), whose elements lie at these
/// strides. A Pad fills the whole output before. Throws kInternal for other operators.
Walk lower_move(const Node& node, const Shape& x_shape, const Strides& x, const Shape& y_shape,
                const Strides& y);

}  // namespace octavo
