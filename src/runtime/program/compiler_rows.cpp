// Integer groups of transformers to steps.
#include <algorithm>

#include "octavo/core/error.h"
#include "runtime/int8/steps.h"
#include "runtime/lowering/integer_rows.h"
#include "runtime/program/builder.h"

namespace octavo {
namespace {

using onednn::Layout;

/// Rows that LayerNormalization or Softmax reads: where they are, in integers or in float.
BufferId rows_in(ProgramBuilder& p, ValueId id) {
  return p.graph().value(id).quant ? p.integer_in(id, row_major(p.shape_of(id))) : p.real_plain(id).buffer;
}

std::int64_t row_count(const ProgramBuilder& p, ValueId id) {
  const Shape shape = p.shape_of(id);
  return element_count(shape) / shape.back();
}

}  // namespace

void compile_integer_product(ProgramBuilder& p, const FusedGroup& group) {
  const Node& node = p.node(group.anchor);
  const Shape y_shape = p.shape_of(group.output);
  const std::size_t outer = y_shape.size() - 2;
  if (outer > Int8Product::kMostOuter) {
    throw Error(ErrorCode::kUnsupported, p.graph().name,
                "node '" + node.name + "' (MatMul): of more than 8 dimensions");
  }
  Int8Product product = prepare_int8_product(lower_integer_product(p.graph(), group));
  const IntegerOperand a = p.integer_place(node.inputs[0]);
  const IntegerOperand b = p.integer_place(node.inputs[1]);
  product.outer = outer;
  std::copy_n(y_shape.begin(), outer, product.dims.begin());
  std::copy_n(a.strides.begin(), outer, product.a_outer.begin());
  std::copy_n(b.strides.begin(), outer, product.b_outer.begin());
  std::copy_n(a.strides.end() - 2, 2, product.a_strides.begin());
  std::copy_n(b.strides.end() - 2, 2, product.b_strides.begin());
  const std::int64_t matrices = element_count(Shape(y_shape.begin(), y_shape.end() - 2));
  const Layout layout = Layout::plain(y_shape);
  const bool real = product.sums.output_is_float;
  const BufferId y = real ? p.target(group.output, layout) : p.new_bytes(group.output);
  p.emit(group.output, make_int8_product_step("matmul", product, matrices, a.buffer, b.buffer, y),
         {a.buffer, b.buffer, y}, p.operations(group));
  if (real) {
    p.set_real(group.output, {y, layout});
  } else {
    p.set_integer(group.output, {y, row_major(y_shape)});
  }
}

void compile_integer_layer_norm(ProgramBuilder& p, const FusedGroup& group) {
  const BufferId x = rows_in(p, group.input);
  const BufferId y = p.new_bytes(group.output);
  p.emit(group.output,
         make_int8_layer_norm_step("layer-norm", lower_integer_layer_norm(p.graph(), group),
                                   row_count(p, group.output), x, y),
         {x, y});
  p.set_integer(group.output, {y, row_major(p.shape_of(group.output))});
}

void compile_integer_softmax(ProgramBuilder& p, const FusedGroup& group) {
  const BufferId x = rows_in(p, group.input);
  const BufferId y = p.new_bytes(group.output);
  p.emit(group.output,
         make_int8_softmax_step("softmax", lower_integer_softmax(p.graph(), group),
                                row_count(p, group.output), x, y),
         {x, y});
  p.set_integer(group.output, {y, row_major(p.shape_of(group.output))});
}

}  // namespace octavo
