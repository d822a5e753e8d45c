// Float32 steps that oneDNN lacks, or has only for some shapes.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "octavo/graph/graph.h"
#include "runtime/lowering/walk.h"
#include "runtime/program/step.h"

namespace octavo {

/// An operand of a float step: a buffer, or a constant of its own.
struct FloatSource {
  BufferId buffer = -1;
  std::vector<float> constant;
};

/// y = clip(a op b) for Add, Sub, Mul, Div and PRelu (b the slope). Operands of the walk: y, a, b.
std::unique_ptr<Step> make_float_binary_step(const std::string& kernel, Op op, const ClipAttributes& bounds,
                                             const Walk& walk, FloatSource a, FloatSource b, BufferId y);
/// y = clip(x * scale[c] + shift[c]). Operands of the walk: y, x, c.
std::unique_ptr<Step> make_scale_shift_step(const std::string& kernel, const ClipAttributes& bounds,
                                            const Walk& walk, std::vector<float> scale,
                                            std::vector<float> shift, BufferId x, BufferId y);
/// Operands of the walk: y, x.
std::unique_ptr<Step> make_float_copy_step(const std::string& kernel, const Walk& walk, BufferId x,
                                           BufferId y);
std::unique_ptr<Step> make_float_fill_step(const std::string& kernel, float value, std::int64_t count,
                                           BufferId y);
/// apply_unary() at each of `count` numbers.
std::unique_ptr<Step> make_float_unary_step(const std::string& kernel, const Node& node, std::int64_t count,
                                            BufferId x, BufferId y);
/// LayerNormalization of `rows` rows.
std::unique_ptr<Step> make_float_layer_norm_step(const std::string& kernel, std::int64_t rows, float epsilon,
                                                 std::vector<float> scale, std::vector<float> bias,
                                                 BufferId x, BufferId y);
/// Means along `axes` of x, row-major.
std::unique_ptr<Step> make_reduce_mean_step(const std::string& kernel, const Shape& x_shape,
                                            const std::vector<std::int64_t>& axes, BufferId x, BufferId y);
/// Average pool of x [N, C, H, W], row-major, any window.
std::unique_ptr<Step> make_float_average_pool_step(const std::string& kernel, const Shape& x_shape,
                                                   const Shape& y_shape, const PoolAttributes& window,
                                                   BufferId x, BufferId y);

/// Max pool of x [N, C, H, W] in blocks of `inner` channels, [N, C / inner, H, W, inner]; y alike.
std::unique_ptr<Step> make_float_max_pool_step(const std::string& kernel, std::int64_t inner,
                                               const Shape& x_shape, const Shape& y_shape,
                                               const PoolAttributes& window, BufferId x, BufferId y);

}  // namespace octavo
