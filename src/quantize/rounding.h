// Which integers the weights of a layer become, so that its outputs change least.
#pragma once

#include <cstdint>
#include <span>

namespace octavo {

/// Means of products of one group's inputs, [taps, taps] each (moments.h): centred where the layer's bias
/// takes up what happens to the mean, else not.
struct InputProducts {
  std::span<const float> qq;  ///< Of what the quantized network feeds the layer.
  std::span<const float> xq;  ///< Of what the float network feeds it (rows) with that (columns).
};

/// Rounds `rows` [channels, taps] to multiples of their channel's scale within +-qmax, in place, so that the
/// expected squared difference between float and quantized outputs gets small (of centred products: its
/// variance); adjusts the scales too.
///
/// For one channel with weights w that is a quadratic form in the rounded weights v: v Q v' - 2 w X v' +
/// const, with Q = qq and X = xq. Coordinate descent goes through the weights, gives each the integer that is
/// best with all others as they are, until none changes; then the scale that is best for these integers, and
/// again. Starts from the nearest integers and never ends worse. The quadratic form is that of Frantar et al.
/// 2022 (GPTQ, arXiv 2210.17323), the descent that of Behdin et al. 2023 (QuantEase, arXiv 2309.01885); that
/// the inputs of the two networks differ is taken in as Li et al. 2025 (GPTAQ, arXiv 2504.02692) do.
void round_second_order(std::span<float> rows, std::int64_t taps, const InputProducts& inputs,
                        std::int32_t qmax, std::span<float> scales);

}  // namespace octavo
