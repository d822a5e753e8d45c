// Winograd's convolutions F(m x m, 3x3) in integers, of stride 1 and 2: when they are exact, and their
// weights.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/int8/kernels.h"

namespace octavo {

/// True for 3x3 convolutions of the stride of `algorithm`, with enough input channels, whose result it gets
/// exactly, whatever the input: F(m x m) knows the convolution's sum times 4 (m = 2) or times 64 (m = 4)
/// modulo 2^32, which must not wrap. Of stride 2 it knows the sum itself.
bool winograd_applies(const IntegerConv& conv, Int8Conv::Algorithm algorithm);

/// Cycles that a 3x3 convolution takes on one core, roughly; `algorithm` may be the direct one of
/// `kernels` too. The larger of two: multiplications (transforms are a like part of each way), and reading
/// weights that no cache near the core holds.
double conv3x3_cost(const Int8Kernels& kernels, Int8Conv::Algorithm algorithm, const IntegerConv& conv,
                    std::int64_t batch, const ConvExtent& extent, std::int64_t model_weights);

/// Products that make an output tile.
std::int64_t winograd_positions(Int8Conv::Algorithm algorithm);

/// G g G^T of each 3x3 filter, [panel][position][pair of channels][column][2], each row of G scaled to be
/// whole: F(2x2): |u| <= 9 * 128, F(4x4): |u| <= 49 * 128, stride 2: |u| <= 4 * 128.
PackedWeights winograd_weights(const IntegerConv& conv, Int8Conv::Algorithm algorithm);

}  // namespace octavo
