// What PTQ does for few bits: each method against its definition, and that it does reduce the error it is
// there for.
#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "octavo/core/error.h"
#include "octavo/graph/builder.h"
#include "octavo/graph/passes.h"
#include "octavo/graph/zoo.h"
#include "octavo/quantize/ptq.h"
#include "octavo/runtime/runtime.h"
#include "quantize/layer_matrix.h"
#include "quantize/moments.h"
#include "quantize/random_images.h"
#include "quantize/rounding.h"
#include "quantize/weight_clipping.h"

namespace octavo {
namespace {

std::vector<float> normal(std::size_t count, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> distribution;
  std::vector<float> values(count);
  for (float& value : values) value = distribution(generator);
  return values;
}

double squared_error(const std::vector<float>& values, std::int32_t qmax, float scale) {
  double sum = 0;
  for (const float w : values) {
    const float q = static_cast<float>(round_saturate(w / scale, -qmax, qmax)) * scale;
    sum += std::pow(static_cast<double>(q - w), 2);
  }
  return sum;
}

TEST(ClippedScale, HasTheErrorOfAFineSearch) {
  for (const std::int32_t qmax : {1, 3, 7, 31}) {
    const std::vector<float> weights = normal(300, 5);
    float largest = 0;
    for (const float w : weights) largest = std::max(largest, std::fabs(w));
    const float widest = largest / static_cast<float>(qmax);
    double least = squared_error(weights, qmax, widest);
    for (int i = 1; i <= 5000; ++i)
      least = std::min(least, squared_error(weights, qmax, widest * static_cast<float>(i) / 5000));
    const float chosen = clipped_scale(weights, qmax, widest);
    EXPECT_LE(squared_error(weights, qmax, chosen), least * 1.02) << qmax;
    EXPECT_LE(chosen, widest);
  }
  EXPECT_EQ(clipped_scale(std::vector<float>(4, 0.0F), 7, 1.0F), 1.0F);
}

TEST(Moments, AreThoseOfTheDefinition) {
  constexpr std::int64_t kSize = 13;  // Neither a multiple of a tile's rows nor of its columns.
  constexpr std::int64_t kPairs = 600;
  const std::vector<float> x = normal(kSize * kPairs, 1);
  std::vector<float> q = normal(kSize * kPairs, 2);
  for (std::size_t i = 0; i < q.size(); ++i) q[i] = q[i] * 0.1F + x[i] + 1.0F;
  Moments moments(kSize);
  moments.add(std::span(x).first(kSize * 100), std::span(q).first(kSize * 100), 100);
  moments.add(std::span(x).subspan(kSize * 100), std::span(q).subspan(kSize * 100), kPairs - 100);
  const auto mean = [&](const std::vector<float>& values, std::int64_t i) {
    double sum = 0;
    for (std::int64_t r = 0; r < kPairs; ++r)
      sum += static_cast<double>(values[static_cast<std::size_t>(r * kSize + i)]);
    return sum / kPairs;
  };
  for (std::int64_t i = 0; i < kSize; ++i) {
    EXPECT_NEAR(moments.mean_q()[static_cast<std::size_t>(i)], mean(q, i), 1e-6);
    for (std::int64_t j = 0; j < kSize; ++j) {
      double xq = 0;
      double qq = 0;
      for (std::int64_t r = 0; r < kPairs; ++r) {
        const double other = static_cast<double>(q[static_cast<std::size_t>(r * kSize + j)]);
        xq += static_cast<double>(x[static_cast<std::size_t>(r * kSize + i)]) * other;
        qq += static_cast<double>(q[static_cast<std::size_t>(r * kSize + i)]) * other;
      }
      const auto at = static_cast<std::size_t>(i * kSize + j);
      EXPECT_NEAR(moments.xq(true)[at], xq / kPairs - mean(x, i) * mean(q, j), 1e-4);
      EXPECT_NEAR(moments.qq(false)[at], qq / kPairs, 1e-4);
      EXPECT_NEAR(moments.xq(false)[at], xq / kPairs, 1e-4);
      EXPECT_NEAR(moments.qq(true)[at], qq / kPairs - mean(q, i) * mean(q, j), 1e-4);
    }
  }
}

/// Inputs that depend on each other, as neighbouring pixels do.
std::vector<float> related(std::int64_t pairs, std::int64_t size, unsigned seed) {
  std::vector<float> values = normal(static_cast<std::size_t>(pairs * size), seed);
  for (std::int64_t r = 0; r < pairs; ++r) {
    for (std::int64_t i = 1; i < size; ++i) {
      float& value = values[static_cast<std::size_t>(r * size + i)];
      value = 0.9F * values[static_cast<std::size_t>(r * size + i - 1)] + 0.4F * value;
    }
  }
  return values;
}

TEST(SecondOrder, OutputsAreNearerThanThoseOfTheNearestIntegers) {
  constexpr std::int64_t kTaps = 24;
  constexpr std::int64_t kPairs = 2000;
  constexpr std::size_t kChannels = 6;
  const std::vector<float> x = related(kPairs, kTaps, 3);
  Moments moments(kTaps);
  moments.add(x, x, kPairs);
  const std::vector<float> qq = moments.qq(true);
  const std::vector<float> xq = moments.xq(true);
  const std::vector<float> weights = normal(kChannels * kTaps, 4);
  std::vector<float> scales(kChannels, 0.4F);
  std::vector<float> rounded = weights;
  round_second_order(rounded, kTaps, {qq, xq}, 7, scales);
  const auto error = [&](const std::vector<float>& rows, std::size_t m) {
    double sum = 0;
    for (std::int64_t r = 0; r < kPairs; ++r) {
      double difference = 0;
      for (std::int64_t k = 0; k < kTaps; ++k) {
        const std::size_t at = m * kTaps + static_cast<std::size_t>(k);
        difference += static_cast<double>(rows[at] - weights[at]) *
                      static_cast<double>(x[static_cast<std::size_t>(r * kTaps + k)]);
      }
      sum += difference * difference;
    }
    return sum;
  };
  std::vector<float> nearest = weights;
  for (float& w : nearest) w = static_cast<float>(round_saturate(w / 0.4F, -7, 7)) * 0.4F;
  double all = 0;
  double all_nearest = 0;
  for (std::size_t m = 0; m < kChannels; ++m) {
    EXPECT_LT(error(rounded, m), error(nearest, m)) << m;
    all += error(rounded, m);
    all_nearest += error(nearest, m);
    for (std::int64_t k = 0; k < kTaps; ++k) {
      const float q = rounded[m * kTaps + static_cast<std::size_t>(k)] / scales[m];
      EXPECT_NEAR(q, std::nearbyint(q), 1e-4);
      EXPECT_LE(std::fabs(q), 7.001F);
    }
  }
  EXPECT_LT(all, 0.6 * all_nearest);
}

/// A pixel of a strided, padded, grouped convolution, as the float runtime computes it.
TEST(LayerMatrix, RowsTimesPatchesAreTheConvolution) {
  GraphBuilder b("conv", 4, 7, 6, 3);
  const ConvAttributes window{
      .kernel = {3, 2}, .strides = {2, 1}, .dilations = {1, 2}, .pads = {1, 0, 1, 1}, .group = 2};
  const Graph graph = b.finish(b.conv("conv", b.input(), 6, window, false));
  const LayerMatrix layer = layer_matrix(graph, graph.nodes[0]);
  ASSERT_EQ(layer.taps, 12);
  const std::vector<float> image = normal(4 * 7 * 6, 8);
  const Tensor& weight = *graph.value(graph.nodes[0].inputs[1]).constant;
  const std::vector<float> rows = rows_of(layer, weight);
  const CompiledModel model(graph, {.max_batch = 1});
  CompiledModel::Context context(model);
  std::vector<float> result(static_cast<std::size_t>(model.classes()));
  model.run(context, image, 1, result);
  std::vector<float> patch(12);
  for (std::int64_t m = 0; m < 6; ++m) {
    for (std::int64_t y = 0; y < layer.pixels[0]; ++y) {
      for (std::int64_t x = 0; x < layer.pixels[1]; ++x) {
        read_patch(layer, image, m / 3, y, x, patch);
        float sum = 0;
        for (std::size_t k = 0; k < 12; ++k) sum += rows[static_cast<std::size_t>(m) * 12 + k] * patch[k];
        EXPECT_NEAR(sum, result[static_cast<std::size_t>((m * layer.pixels[0] + y) * layer.pixels[1] + x)],
                    1e-4);
      }
    }
  }
  Tensor copy(weight.shape(), DType::kFloat32);
  store_rows(layer, rows, copy);
  EXPECT_EQ(copy, weight);
}

/// Distance of the quantized network's logits to the float network's, on images that were not calibrated on.
double logit_error(const char* model, const PtqMethods& methods) {
  const Dataset data = testing::random_images(96, 16);
  const Graph graph = make_model(model, {.channels = 3, .height = 16, .width = 16, .classes = 4}, 3);
  PtqConfig config;
  config.calibration_samples = 64;
  config.batch_size = 16;
  config.bits.all.weights = 4;
  config.methods = methods;
  const PtqResult result = quantize_ptq(graph, data, testing::kNoiseNormalization, config);
  std::vector<std::int64_t> others;
  for (std::int64_t i = 0; i < data.size(); ++i) {
    if (std::ranges::find(result.indices, i) == result.indices.end()) others.push_back(i);
  }
  const Tensor images = normalized_batch(data, others, testing::kNoiseNormalization);
  const auto logits = [&](const Graph& any) {
    const CompiledModel compiled(any, {.max_batch = std::ssize(others)});
    CompiledModel::Context context(compiled);
    std::vector<float> values(others.size() * 4);
    compiled.run(context, images.data<float>(), std::ssize(others), values);
    return values;
  };
  const std::vector<float> real = logits(graph);
  const std::vector<float> quantized = logits(result.graph);
  double error = 0;
  for (std::size_t i = 0; i < real.size(); ++i)
    error += std::pow(static_cast<double>(real[i] - quantized[i]), 2);
  return error;
}

/// Mean of each channel of conv2's outputs over the calibration images.
std::vector<double> output_means(const Graph& graph, const Dataset& data) {
  const ValueId value = graph.find_value("conv2.out");
  const std::vector<std::int64_t> indices = calibration_indices(data, 16, 42);
  const CompiledModel model(graph, {.max_batch = 16, .observe = {value}});
  CompiledModel::Context context(model);
  std::vector<float> logits(16 * 4);
  std::vector<double> means(8);
  model.run_observed(context, normalized_batch(data, indices, testing::kNoiseNormalization).data<float>(), 16,
                     logits, [&](ValueId, std::span<const float> values) {
                       const std::size_t area = values.size() / (16 * 8);
                       for (std::size_t i = 0; i < values.size(); ++i)
                         means[i / area % 8] +=
                             static_cast<double>(values[i]) / static_cast<double>(16 * area);
                     });
  return means;
}

/// Of a network whose second layer has two bits: how far the means of its channels are from the float
/// network's, summed.
double distance_of_means(bool bias, const PtqMethods& methods) {
  GraphBuilder b("two", 3, 8, 8, 7);
  ValueId x = b.relu("relu1", b.conv("conv1", b.input(), 8, {.kernel = {3, 3}, .pads = {1, 1, 1, 1}}, true));
  x = b.conv("conv2", x, 8, {.kernel = {1, 1}}, bias);
  const Graph graph = b.finish(b.gemm("fc", b.flatten("flatten", b.global_average_pool("gap", x)), 4));
  const Dataset data = testing::random_images(24, 8);
  PtqConfig config;
  config.calibration_samples = 16;
  config.batch_size = 8;
  config.bits.layers["conv2"] = {2, 8};
  config.methods = methods;
  const std::vector<double> wanted = output_means(graph, data);
  const std::vector<double> means =
      output_means(quantize_ptq(graph, data, testing::kNoiseNormalization, config).graph, data);
  double sum = 0;
  for (std::size_t c = 0; c < means.size(); ++c) sum += std::fabs(means[c] - wanted[c]);
  return sum;
}

TEST(PtqMethods, BiasCorrectionKeepsTheMeanOfEachChannel) {
  const double rounded = distance_of_means(true, {.correct_bias = false});
  EXPECT_LT(distance_of_means(true, methods_of_preset("fast")), 0.05 * rounded);
  EXPECT_LT(distance_of_means(true, methods_of_preset("balanced")), 0.05 * rounded);
}

// No bias takes up what happens to the mean, so the integers have to.
TEST(PtqMethods, SecondOrderKeepsMeansWhereThereIsNoBias) {
  const double rounded = distance_of_means(false, {.correct_bias = false});
  EXPECT_LT(distance_of_means(false, methods_of_preset("balanced")), 0.4 * rounded);
  EXPECT_LT(distance_of_means(true, {.second_order = true, .correct_bias = false}), 0.4 * rounded);
}

TEST(PtqMethods, RepairBringsTheLogitsOfFourBitWeightsNearer) {
  const double nearest = logit_error("resnet20", {.correct_bias = false});
  EXPECT_LT(logit_error("resnet20", methods_of_preset("balanced")), 0.5 * nearest);
}

TEST(PtqMethods, EightBitsStayAsTheyAreUnderThePresetFast) {
  const Dataset data = testing::random_images(24, 16);
  const Graph graph = make_model("simple-cnn", {.channels = 3, .height = 16, .width = 16, .classes = 4}, 3);
  const auto made = [&](const PtqMethods& methods) {
    PtqConfig config;
    config.calibration_samples = 16;
    config.batch_size = 8;
    config.methods = methods;
    Graph result = quantize_ptq(graph, data, testing::kNoiseNormalization, config).graph;
    result.metadata.erase("octavo.methods");
    return result;
  };
  EXPECT_EQ(made({}), made({.correct_bias = false}));
}

TEST(PtqMethods, UnknownPresetIsNamed) {
  try {
    static_cast<void>(methods_of_preset("quick"));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUsage);
    EXPECT_NE(std::string(error.what()).find("fast, balanced"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace octavo
