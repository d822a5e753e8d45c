// Quality of layers against the slow reference: floats and integers of every value, compared here by hand.
#include "octavo/quantize/layer_quality.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <random>

#include "octavo/core/error.h"
#include "octavo/graph/builder.h"
#include "octavo/graph/passes.h"
#include "octavo/quantize/latency_guard.h"
#include "octavo/quantize/ptq.h"
#include "octavo/runtime/reference.h"
#include "quantize/random_images.h"

namespace octavo {
namespace {

const Normalization& kNormalization = testing::kNoiseNormalization;

Dataset random_images(int count) { return testing::random_images(count, 8); }

Graph small_model() {
  GraphBuilder b("small", 3, 8, 8, 7);
  const ConvAttributes window{.kernel = {3, 3}, .pads = {1, 1, 1, 1}};
  ValueId x = b.relu("relu1", b.batch_norm("bn1", b.conv("conv1", b.input(), 16, window, true)));
  x = b.max_pool("pool1", x, {.kernel = {2, 2}, .strides = {2, 2}});
  x = b.relu("relu2", b.conv("conv2", x, 16, window, true));
  return b.finish(b.gemm("fc", b.flatten("flatten", b.global_average_pool("gap", x)), 2));
}

struct Prepared {
  Dataset data = random_images(24);
  Graph base = small_model();
  Graph quantized;
  std::vector<std::int64_t> indices;
  Prepared() : indices(24) {
    std::iota(indices.begin(), indices.end(), 0);
    PtqConfig config;
    config.calibration_samples = 24;
    config.observer.kind = "min-max";
    quantized = quantize_ptq(base, data, kNormalization, config).graph;
  }
};

TEST(LayerQuality, EqualsTheDefinitionOnTheReferenceInterpreter) {
  const Prepared p;
  const auto measured = measure_layer_quality(p.base, p.quantized, p.data, kNormalization, p.indices, 7);
  const Graph folded = fold_batch_norm(p.base);
  const Tensor images = normalized_batch(p.data, p.indices, kNormalization);
  const auto reals = interpret_all(folded, images);
  const auto integers = interpret_all(p.quantized, images);
  ASSERT_GE(measured.size(), 4U);
  EXPECT_EQ(measured[0].layer, "");
  EXPECT_EQ(measured[1].layer, "conv1");
  for (const LayerQuality& layer : measured) {
    const auto real = reals.at(folded.find_value(layer.value)).data<float>();
    const ValueId id = p.quantized.find_value(layer.value);
    const Tensor back = dequantize(integers.at(id), *p.quantized.value(id).quant);
    const auto integer = back.data<float>();
    double signal = 0, noise = 0, product = 0, power = 0;
    for (std::size_t i = 0; i < real.size(); ++i) {
      signal += std::pow(real[i], 2);
      noise += std::pow(real[i] - integer[i], 2);
      product += static_cast<double>(real[i]) * integer[i];
      power += std::pow(integer[i], 2);
    }
    EXPECT_NEAR(layer.sqnr_db, 10 * std::log10(signal / noise), 0.01) << layer.value;
    EXPECT_NEAR(layer.cosine, product / std::sqrt(signal * power), 1e-6) << layer.value;
    EXPECT_GT(layer.sqnr_db, 25) << layer.value;
    EXPECT_LT(layer.clipped, 0.01) << layer.value;  // Min-max ranges, rounded to the grid.
  }
}

TEST(LayerQuality, HistogramsCountEveryValueButZeros) {
  const Prepared p;
  const auto measured = measure_layer_quality(p.base, p.quantized, p.data, kNormalization, p.indices);
  const Graph folded = fold_batch_norm(p.base);
  const auto reals = interpret_all(folded, normalized_batch(p.data, p.indices, kNormalization));
  for (const LayerQuality& layer : measured) {
    const auto real = reals.at(folded.find_value(layer.value)).data<float>();
    const auto nonzero = real.size() - static_cast<std::size_t>(std::ranges::count(real, 0.0F));
    const auto& counts = layer.activations.counts;
    // The runtime's float kernels may round a value to or from zero.
    EXPECT_NEAR(std::accumulate(counts.begin(), counts.end(), 0.0), static_cast<double>(nonzero), 3)
        << layer.value;
  }
  const auto& weights = measured[1].weights.counts;
  EXPECT_EQ(std::accumulate(weights.begin(), weights.end(), std::uint64_t{0}), 3U * 9 * 16);
  EXPECT_TRUE(measured[0].weights.counts.empty());
}

TEST(LayerQuality, NarrowRangeIsSeen) {
  Prepared p;
  const auto before = measure_layer_quality(p.base, p.quantized, p.data, kNormalization, p.indices);
  Value& value = p.quantized.value(p.quantized.find_value(before[1].value));
  const QuantParams wide = *value.quant;
  for (Value& other : p.quantized.values) {
    if (other.quant == wide) other.quant = activation_params(wide.scale() / 4, wide.zero_point());
  }
  const auto after = measure_layer_quality(p.base, p.quantized, p.data, kNormalization, p.indices);
  EXPECT_LT(after[1].sqnr_db, before[1].sqnr_db - 10);
  EXPECT_GT(after[1].clipped, 0.01);
  EXPECT_LT(after[1].cosine, before[1].cosine);
}

TEST(LayerQuality, MixtureThatQuantizesNothingButHandedOnValuesHasNoRows) {
  const Prepared p;
  std::vector<bool> integer(quantizable_groups(p.quantized).size(), false);
  integer.back() = true;  // fc, whose input flatten hands on.
  const Graph mixture = keep_in_integers(p.quantized, integer);
  EXPECT_TRUE(mixture.quantized());
  EXPECT_TRUE(measure_layer_quality(p.base, mixture, p.data, kNormalization, p.indices).empty());
}

TEST(LayerQuality, NothingToCompareIsAnError) {
  const Prepared p;
  const auto code = [&](const Graph& quantized, std::span<const std::int64_t> indices) {
    try {
      measure_layer_quality(p.base, quantized, p.data, kNormalization, indices);
    } catch (const Error& error) {
      return error.code();
    }
    return ErrorCode::kInternal;
  };
  EXPECT_EQ(code(p.quantized, {}), ErrorCode::kUsage);
  EXPECT_EQ(code(p.base, p.indices), ErrorCode::kUsage);  // No quantized value.
}

}  // namespace
}  // namespace octavo
