#include "octavo/core/quant.h"

#include <gtest/gtest.h>

#include <limits>
#include <random>

#include "octavo/core/error.h"

namespace octavo {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

TEST(RoundSaturate, TiesGoToEven) {
  EXPECT_EQ(round_saturate(0.5F, -10, 10), 0);
  EXPECT_EQ(round_saturate(1.5F, -10, 10), 2);
  EXPECT_EQ(round_saturate(2.5F, -10, 10), 2);
  EXPECT_EQ(round_saturate(-0.5F, -10, 10), 0);
  EXPECT_EQ(round_saturate(-1.5F, -10, 10), -2);
}

TEST(RoundSaturate, HugeInfiniteAndNanValuesSaturate) {
  EXPECT_EQ(round_saturate(1e30F, 0, 255), 255);
  EXPECT_EQ(round_saturate(-1e30F, 0, 255), 0);
  EXPECT_EQ(round_saturate(kInf, -128, 127), 127);
  EXPECT_EQ(round_saturate(-kInf, -128, 127), -128);
  EXPECT_EQ(round_saturate(std::numeric_limits<float>::quiet_NaN(), -128, 127), -128);
}

TEST(Quantize, AddsTheZeroPointAfterRounding) {
  // 0.5 rounds to 0 and then moves by 3; adding first would round 3.5 to 4.
  EXPECT_EQ(quantize(0.5F, 1.0F, 3, 0, 255), 3);
  EXPECT_EQ(quantize(-100.0F, 1.0F, 3, 0, 255), 0);
  EXPECT_EQ(quantize(1000.0F, 1.0F, 3, 0, 255), 255);
}

TEST(Quantize, RoundTripErrsAtMostHalfAScale) {
  std::mt19937 generator(1);
  std::uniform_real_distribution<float> value(-2.0F, 3.0F);
  const float scale = 5.0F / 255.0F;
  const std::int32_t zero_point = round_saturate(2.0F / scale, 0, 255);
  for (int i = 0; i < 10000; ++i) {
    const float x = value(generator);
    const std::int32_t q = quantize(x, scale, zero_point, 0, 255);
    // Half a step, and what float32 loses at this magnitude.
    EXPECT_LE(std::abs(dequantize(q, scale, zero_point) - x), scale / 2 + 1e-6F);
  }
}

TEST(Quantize, DequantizedIntegersComeBackUnchanged) {
  for (const float scale : {1e-6F, 0.0123F, 0.37F, 900.0F}) {
    for (std::int32_t q = -128; q <= 127; ++q)
      EXPECT_EQ(quantize(dequantize(q, scale, 0), scale, 0, -128, 127), q);
  }
}

TEST(Rescale, ConvertsBeforeItScales) {
  // 2^24 + 1 is not a float32: the contract rounds the accumulator first.
  EXPECT_EQ(rescale((1 << 24) + 1, 0, 1.0F), 16777216.0F);
  EXPECT_EQ(rescale(100, -20, 0.5F), 40.0F);
}

TEST(QuantizedSum, HoldsTheZeroPointsInItsOffsetAndRoundsTwice) {
  const float offset = quantized_sum_offset(0.5F, 10, 0.25F, 4, 100);
  EXPECT_EQ(offset, 94.0F);
  // The first operand's product is not rounded before it is added: 16.9378510 otherwise.
  EXPECT_EQ(quantized_sum_offset(0.7310585F, 101, 1.3178912F, 7, 100), 16.9378586F);
  EXPECT_EQ(quantized_sum(12, 0.5F, 8, 0.25F, offset), 102.0F);
  // 3 * (1 + 2^-23) - 3 = 3 * 2^-23: a product rounded on its own would be off by 2^-23.
  EXPECT_EQ(quantized_sum(0, 1.0F, 3, 1.0F + 0x1p-23F, -3.0F), 3 * 0x1p-23F);
  EXPECT_EQ(quantized_sum(3, 1.0F + 0x1p-23F, 0, 1.0F, -3.0F), 3 * 0x1p-23F);
}

TEST(RequantizeMultiplier, RoundsEachOperationToFloat32) {
  // The product of the scales needs more bits than a float32 has: rounded once, the result would be another.
  const float x = 1.0F + 0x1p-23F;
  const float w = 1.0F + 0x1p-12F;
  const float y = 3.0F;
  EXPECT_EQ(requantize_multiplier(x, w, y), (1.0F + 0x1p-12F + 0x1p-23F) / 3.0F);
}

TEST(QuantizeTensor, UsesEachChannelsOwnScale) {
  const Tensor w = Tensor::from<float>({2, 2}, std::vector<float>{1.0F, -0.5F, 10.0F, 20.0F});
  const QuantParams params = weight_params({1.0F / 127, 20.0F / 127});
  const Tensor q = quantize(w, params);
  EXPECT_EQ(q, Tensor::from<std::int8_t>({2, 2}, std::vector<std::int8_t>{127, -64, 64, 127}));
  EXPECT_EQ(quantize(q, params), q);  // Already integers.
  EXPECT_EQ(dequantize(q, params), fake_quantize(w, params));
}

TEST(QuantizeTensor, NarrowWeightsNeverReachMinus128) {
  const Tensor w = Tensor::from<float>({1, 2}, std::vector<float>{-100.0F, 100.0F});
  EXPECT_EQ(quantize(w, weight_params({0.1F})),
            Tensor::from<std::int8_t>({1, 2}, std::vector<std::int8_t>{-127, 127}));
}

TEST(QuantizeTensor, ScalesThatDoNotFitTheShapeAreRefused) {
  EXPECT_THROW(quantize(Tensor({3, 2}, DType::kFloat32), weight_params({1.0F, 1.0F})), Error);
}

TEST(QuantizeBias, IsInUnitsOfBothScalesAndSaturates) {
  const Tensor bias = Tensor::from<float>({3}, std::vector<float>{1.0F, -0.25F, 1e30F});
  const Tensor q = quantize_bias(bias, 0.5F, weight_params({0.25F, 0.5F, 1.0F}));
  EXPECT_EQ(q, Tensor::from<std::int32_t>(
                   {3}, std::vector<std::int32_t>{8, -1, std::numeric_limits<std::int32_t>::max()}));
}

TEST(QuantizeBias, RoundsHalfToEven) {
  const Tensor bias = Tensor::from<float>({6}, {0.5F, 1.5F, 2.5F, -0.5F, -1.5F, 0.75F});
  const Tensor integers = quantize_bias(bias, 1.0F, weight_params({1, 1, 1, 1, 1, 1}, 0, 127));
  EXPECT_EQ(integers, Tensor::from<std::int32_t>({6}, {0, 2, 2, 0, -2, 1}));
}

TEST(ValidateParams, NamesWhatIsWrong) {
  const auto message = [](const QuantParams& params) -> std::string {
    try {
      validate(params, "value 'x'");
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(message(activation_params(0.1F, 5)), "");
  EXPECT_NE(message(activation_params(0.0F, 5)).find("scale 0"), std::string::npos);
  EXPECT_NE(message(activation_params(kInf, 5)).find("finite"), std::string::npos);
  EXPECT_NE(message(activation_params(0.1F, 300)).find("zero point"), std::string::npos);
  EXPECT_NE(message(activation_params(0.1F, 0, 0, 256)).find("uint8"), std::string::npos);
  EXPECT_NE(message({.scales = {1, 2}, .zero_points = {0, 0}}).find("axis"), std::string::npos);
}

}  // namespace
}  // namespace octavo
