// Scales and zero points from ranges and weights, against literals computed by hand.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "octavo/core/error.h"
#include "octavo/quantize/observer.h"

namespace octavo {
namespace {

template <typename Call>
ErrorCode code_of(const Call& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.code();
  }
  ADD_FAILURE() << "nothing was thrown";
  return ErrorCode::kInternal;
}

TEST(ActivationParams, OneSidedRangeUsesEveryLevel) {
  const QuantParams params = choose_activation_params({.min = 0.0F, .max = 2.55F});
  EXPECT_FLOAT_EQ(params.scale(), 0.01F);
  EXPECT_EQ(params.zero_point(), 0);
  EXPECT_EQ(params.qmin, 0);
  EXPECT_EQ(params.qmax, 255);
  EXPECT_EQ(params.dtype, DType::kUInt8);
  EXPECT_FALSE(params.per_channel());
}

TEST(ActivationParams, TwoSidedRangeHasItsZeroPointAtZero) {
  const QuantParams params = choose_activation_params({.min = -1.0F, .max = 1.55F});
  EXPECT_FLOAT_EQ(params.scale(), 0.01F);
  EXPECT_EQ(params.zero_point(), 100);
}

TEST(ActivationParams, ZeroPointIsNudgedToTheNearestInteger) {
  // Width 255, scale 1: zero falls at 0.3, 0.7 and, a tie, 2.5 (to the even 2).
  EXPECT_EQ(choose_activation_params({.min = -0.25F, .max = 254.75F}).zero_point(), 0);
  EXPECT_EQ(choose_activation_params({.min = -0.75F, .max = 254.25F}).zero_point(), 1);
  EXPECT_EQ(choose_activation_params({.min = -2.5F, .max = 252.5F}).zero_point(), 2);
  EXPECT_EQ(choose_activation_params({.min = -0.75F, .max = 254.25F}).scale(), 1.0F);
}

TEST(ActivationParams, RangeIsWidenedToHoldZero) {
  EXPECT_EQ(choose_activation_params({.min = 100.0F, .max = 255.0F}),
            choose_activation_params({.min = 0.0F, .max = 255.0F}));
  const QuantParams negative = choose_activation_params({.min = -51.0F, .max = -50.0F});
  EXPECT_FLOAT_EQ(negative.scale(), 0.2F);
  EXPECT_EQ(negative.zero_point(), 255);
}

TEST(ActivationParams, FewerLevelsHaveASmallerLargestInteger) {
  const QuantParams params = choose_activation_params({.min = -5.0F, .max = 10.0F}, 16);
  EXPECT_EQ(params.scale(), 1.0F);
  EXPECT_EQ(params.zero_point(), 5);
  EXPECT_EQ(params.qmax, 15);
}

TEST(ActivationParams, EmptyAndTinyAndHugeRangesAreSafe) {
  EXPECT_EQ(choose_activation_params({}), activation_params(1.0F, 0));
  constexpr float kDenormal = std::numeric_limits<float>::denorm_min();
  const QuantParams tiny = choose_activation_params({.min = -kDenormal, .max = kDenormal});
  EXPECT_EQ(tiny.scale(), kMinScale);
  EXPECT_EQ(tiny.zero_point(), 0);
  EXPECT_EQ(kMinScale, std::ldexp(1.0F, -64));
  constexpr float kLargest = std::numeric_limits<float>::max();
  const QuantParams huge = choose_activation_params({.min = -kLargest, .max = kLargest});
  EXPECT_NO_THROW(validate(huge, "huge"));
  EXPECT_EQ(huge.zero_point(), 128);  // 127.5, to even
}

TEST(ActivationParams, BadRangesAndLevelsAreRejected) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(code_of([] { choose_activation_params({.min = 0.0F, .max = kInfinity}); }), ErrorCode::kBadInput);
  EXPECT_EQ(code_of([] { choose_activation_params({.min = std::nanf(""), .max = 1.0F}); }),
            ErrorCode::kBadInput);
  EXPECT_EQ(code_of([] { choose_activation_params({.min = 2.0F, .max = 1.0F}); }), ErrorCode::kBadInput);
  EXPECT_EQ(code_of([] { choose_activation_params({.min = 0.0F, .max = 1.0F}, 1); }), ErrorCode::kUsage);
  EXPECT_EQ(code_of([] { choose_activation_params({.min = 0.0F, .max = 1.0F}, 257); }), ErrorCode::kUsage);
}

TEST(ActivationParams, RoundTripStaysWithinHalfAScale) {
  std::mt19937 random(5);
  std::uniform_real_distribution<float> unit(0.0F, 1.0F);
  for (int i = 0; i < 2000; ++i) {
    const float size = std::exp2(unit(random) * 40.0F - 20.0F);
    const Range range{.min = i % 3 == 0 ? 0.0F : -unit(random) * size,
                      .max = i % 3 == 1 ? 0.0F : unit(random) * size};
    const int levels = i % 2 == 0 ? 256 : 16;
    const QuantParams p = choose_activation_params(range, levels);
    EXPECT_EQ(
        dequantize(quantize(0.0F, p.scale(), p.zero_point(), p.qmin, p.qmax), p.scale(), p.zero_point()),
        0.0F);
    for (int k = 0; k <= 10; ++k) {
      const float x = range.min + (range.max - range.min) * static_cast<float>(k) / 10.0F;
      const float back =
          dequantize(quantize(x, p.scale(), p.zero_point(), p.qmin, p.qmax), p.scale(), p.zero_point());
      // Beyond a half only by the float32 rounding of x / scale, of scale and of the product, each 2^-24 of
      // |x|.
      ASSERT_LE(std::fabs(x - back), p.scale() / 2 + 4 * std::ldexp(size, -24))
          << x << " in [" << range.min << ", " << range.max << "]";
    }
  }
}

TEST(WeightParams, ScaleIsTheLargestMagnitudeOfEachChannel) {
  const Tensor weight = Tensor::from<float>({3, 1, 1, 2}, {1.27F, -0.5F, 0.0F, 0.0F, 0.1F, -254.0F});
  const QuantParams params = choose_weight_params(weight);
  ASSERT_EQ(params.scales.size(), 3U);
  EXPECT_FLOAT_EQ(params.scales[0], 0.01F);
  EXPECT_EQ(params.scales[1], 1.0F);
  EXPECT_EQ(params.scales[2], 2.0F);
  EXPECT_EQ(params.zero_points, (std::vector<std::int32_t>{0, 0, 0}));
  EXPECT_EQ(params.axis, 0);
  EXPECT_EQ(params.dtype, DType::kInt8);
  EXPECT_EQ(params.qmin, -127);
  EXPECT_EQ(params.qmax, 127);
  const Tensor integers = quantize(weight, params);
  EXPECT_EQ(integers.data<std::int8_t>()[0], 127);
  EXPECT_EQ(integers.data<std::int8_t>()[5], -127);
}

TEST(WeightParams, SevenBitsStopAt63) {
  const QuantParams params = choose_weight_params(Tensor::from<float>({1, 2}, {-63.0F, 3.0F}), 63);
  EXPECT_EQ(params.scales[0], 1.0F);
  EXPECT_EQ(params.qmin, -63);
  EXPECT_EQ(params.qmax, 63);
}

TEST(WeightParams, TinyChannelsGetTheLeastScale) {
  const QuantParams params = choose_weight_params(Tensor::from<float>({1, 1}, {1e-44F}));
  EXPECT_EQ(params.scales[0], kMinScale);
}

TEST(WeightParams, BadWeightsAreRejected) {
  EXPECT_EQ(code_of([] {
              choose_weight_params(Tensor::from<float>({1, 1}, {std::nanf("")}));
            }),
            ErrorCode::kBadInput);
  EXPECT_EQ(code_of([] { choose_weight_params(Tensor({2, 2}, DType::kInt8)); }), ErrorCode::kBadInput);
  EXPECT_EQ(code_of([] { choose_weight_params(Tensor({}, DType::kFloat32)); }), ErrorCode::kBadInput);
  EXPECT_EQ(code_of([] { choose_weight_params(Tensor({1}, DType::kFloat32), 128); }), ErrorCode::kUsage);
  EXPECT_EQ(code_of([] { choose_weight_params(Tensor({1}, DType::kFloat32), 0); }), ErrorCode::kUsage);
}

}  // namespace
}  // namespace octavo
