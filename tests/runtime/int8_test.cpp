// The integer runtime against the reference interpreter, bit for bit.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <span>
#include <string>

#include "octavo/core/cpu.h"
#include "octavo/core/error.h"
#include "octavo/graph/builder.h"
#include "octavo/graph/passes.h"
#include "octavo/graph/zoo.h"
#include "octavo/runtime/placement.h"
#include "octavo/runtime/reference.h"
#include "octavo/runtime/runtime.h"
#include "runtime/annotated_graph.h"
#include "runtime/float/onednn.h"
#include "runtime/int8/kernels.h"
#include "runtime/int8/winograd.h"

namespace octavo {
namespace {

using testing::annotate_from_sample;
using testing::random_tensor;
using testing::randomize;

struct ConvCase {
  std::int64_t batch, c_in, size, c_out;
  ConvAttributes window;
  bool relu;
  float input_low;  ///< Below 0: the input has a zero point.
};

std::string describe(const ConvCase& c) {
  return "batch " + std::to_string(c.batch) + ", " + std::to_string(c.c_in) + "->" + std::to_string(c.c_out) +
         " @" + std::to_string(c.size) + ", kernel " + std::to_string(c.window.kernel[0]) + ", stride " +
         std::to_string(c.window.strides[0]) + ", pad " + std::to_string(c.window.pads[0]) + "/" +
         std::to_string(c.window.pads[3]) + ", dilation " + std::to_string(c.window.dilations[1]) +
         ", group " + std::to_string(c.window.group) + (c.relu ? ", relu" : "") + ", low " +
         std::to_string(c.input_low);
}

std::vector<ConvCase> conv_grid() {
  const std::vector<ConvAttributes> windows{
      {.kernel = {3, 3}, .pads = {1, 1, 1, 1}},
      {.kernel = {1, 1}},
      {.kernel = {3, 3}, .strides = {2, 2}, .pads = {1, 1, 1, 1}},
      {.kernel = {3, 3}, .strides = {2, 1}, .pads = {0, 1, 1, 0}},
      {.kernel = {3, 3}, .dilations = {2, 2}, .pads = {2, 2, 2, 2}},
      {.kernel = {5, 3}, .pads = {2, 1, 2, 1}},
      {.kernel = {5, 5}, .strides = {2, 2}, .pads = {2, 2, 2, 2}},
      {.kernel = {1, 1}, .strides = {2, 2}},
  };
  std::vector<ConvCase> cases;
  for (const ConvAttributes& window : windows) {
    for (const float low : {0.0F, -0.7F}) {
      for (const bool relu : {true, false}) {
        cases.push_back({2, 3, 9, 16, window, relu, low});
        cases.push_back({1, 17, 6, 33, window, relu, low});
      }
    }
    cases.push_back({5, 32, 8, 64, window, true, 0.0F});
    cases.push_back({13, 21, 7, 40, window, false, -0.4F});
    cases.push_back({2, 70, 5, 72, window, true, -0.4F});  // Crossed products.
    for (const std::int64_t group : {2, 4}) {
      ConvAttributes grouped = window;
      grouped.group = group;
      cases.push_back({3, 8, 7, 24, grouped, true, -0.3F});
    }
    ConvAttributes depthwise = window;
    for (const std::int64_t channels : {20, 48}) {
      depthwise.group = channels;
      cases.push_back({2, channels, 7, channels, depthwise, channels == 48, -0.3F});
    }
    ConvAttributes many = window;  // More groups than a panel of output channels takes in.
    many.group = 12;
    cases.push_back({2, 36, 6, 48, many, true, -0.3F});
    many.group = 10;
    cases.push_back({1, 10, 6, 20, many, false, -0.3F});
  }
  cases.push_back({3, 258, 9, 65, windows.front(), true, -0.4F});  // Crossed in Winograd's algorithms too.
  return cases;
}

Graph conv_graph(const ConvCase& c, std::uint64_t seed, std::int32_t weight_limit = 127) {
  GraphBuilder b("conv", c.c_in, c.size, c.size, seed);
  ValueId x = b.conv("conv", b.input(), c.c_out, c.window, true);
  if (c.relu) x = b.relu("relu", x);
  Graph graph = b.finish(b.flatten("flatten", x));
  randomize(graph, seed);
  return annotate_from_sample(graph, random_tensor({2, c.c_in, c.size, c.size}, seed, c.input_low, 1.0F),
                              weight_limit);
}

/// The group that holds the graph's first convolution.
FusedGroup conv_group(const Graph& graph) {
  for (const FusedGroup& group : fuse(graph)) {
    if (graph.nodes[static_cast<std::size_t>(group.anchor)].op == Op::kConv) return group;
  }
  throw Error(ErrorCode::kInternal, "test", "no convolution");
}

/// [N, C, H, W] to [N, H, W, C].
Tensor channels_last(const Tensor& x) {
  Tensor y({x.dim(0), x.dim(2), x.dim(3), x.dim(1)}, DType::kUInt8);
  const std::int64_t plane = x.dim(2) * x.dim(3);
  for (std::int64_t n = 0; n < x.dim(0); ++n) {
    for (std::int64_t c = 0; c < x.dim(1); ++c) {
      for (std::int64_t i = 0; i < plane; ++i) {
        y.data<std::uint8_t>()[static_cast<std::size_t>((n * plane + i) * x.dim(1) + c)] =
            x.data<std::uint8_t>()[static_cast<std::size_t>((n * x.dim(1) + c) * plane + i)];
      }
    }
  }
  return y;
}

/// x with room behind it that kernels may read.
std::vector<std::uint8_t> with_slack(const Tensor& x) {
  const auto bytes = x.data<std::uint8_t>();
  std::vector<std::uint8_t> result(bytes.begin(), bytes.end());
  result.resize(result.size() + kReadSlack, 0xAB);
  return result;
}

/// 2x2, stride 2 max pool of [N, H, W, C]; an odd last row or column is dropped.
Tensor max_pool_2x2(const Tensor& x) {
  const std::int64_t h = x.dim(1);
  const std::int64_t w = x.dim(2);
  const std::int64_t channels = x.dim(3);
  Tensor y({x.dim(0), h / 2, w / 2, channels}, DType::kUInt8);
  for (std::int64_t i = 0; i < y.size(); ++i) {
    const std::int64_t c = i % channels;
    const std::int64_t ox = i / channels % (w / 2);
    const std::int64_t oy = i / channels / (w / 2) % (h / 2);
    const std::int64_t n = i / (channels * (w / 2) * (h / 2));
    std::uint8_t best = 0;
    for (const std::int64_t tap : {0, 1, 2, 3}) {
      const std::int64_t pixel = (n * h + oy * 2 + tap / 2) * w + ox * 2 + tap % 2;
      best = std::max(best, x.data<std::uint8_t>()[static_cast<std::size_t>(pixel * channels + c)]);
    }
    y.data<std::uint8_t>()[static_cast<std::size_t>(i)] = best;
  }
  return y;
}

/// Sums in the convolution's kernel: either order of the operands, a narrow output, and a sum beyond int32.
std::vector<Int8Conv::Addition> additions() {
  IntegerBinary plain{.a_multiplier = 0.71F, .b_multiplier = 0.93F, .offset = -31.25F};
  IntegerBinary narrow{
      .a_multiplier = 1.3F, .b_multiplier = 0.4F, .offset = 10.5F, .y_min = 20, .y_max = 200};
  IntegerBinary huge{.a_multiplier = 3e9F, .b_multiplier = 1e8F, .offset = -1e10F};
  return {{plain, true}, {plain, false}, {narrow, true}, {narrow, false}, {huge, true}};
}

Tensor added(const Tensor& y, std::span<const std::uint8_t> other, const Int8Conv::Addition& addition) {
  const auto& [sum, conv_is_first] = addition;
  Tensor result(y.shape(), DType::kUInt8);
  for (std::size_t i = 0; i < result.data<std::uint8_t>().size(); ++i) {
    const std::int32_t q = y.data<std::uint8_t>()[i];
    const float real = quantized_sum(conv_is_first ? q : other[i], sum.a_multiplier,
                                     conv_is_first ? other[i] : q, sum.b_multiplier, sum.offset);
    result.data<std::uint8_t>()[i] = static_cast<std::uint8_t>(requantize(real, 0, sum.y_min, sum.y_max));
  }
  return result;
}

/// Bytes of all sizes, with room behind them that kernels may read.
std::vector<std::uint8_t> random_bytes(std::int64_t count, std::uint64_t seed) {
  std::mt19937_64 generator(seed);
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(count) + kReadSlack);
  for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(generator());
  return bytes;
}

void expect_kernels_match(const Int8Kernels& kernels, int threads) {
  std::uint64_t seed = 1;
  int winograd_cases = 0;
  int stride_2_cases = 0;
  for (const ConvCase& c : conv_grid()) {
    SCOPED_TRACE(std::string(isa_name(kernels.isa)) + ": " + describe(c));
    const Graph graph = conv_graph(c, ++seed);
    // Inputs beyond the calibrated range saturate; that must agree too.
    const Tensor input =
        random_tensor({c.batch, c.c_in, c.size, c.size}, seed + 1000, c.input_low * 1.5F, 1.5F);
    const auto expected = interpret_all(graph, input);
    const FusedGroup group = conv_group(graph);
    const Tensor& y = expected.at(group.output);
    const IntegerConv lowered = lower_integer_conv(graph, group);
    const ConvExtent extent{c.size, c.size, y.dim(2), y.dim(3)};
    const std::vector<std::uint8_t> x = with_slack(channels_last(expected.at(graph.input)));
    std::vector<Int8Conv::Algorithm> algorithms{kernels.direct, kernels.direct_few};
    if (&kernels == &int8_kernels_generic())
      algorithms.insert(algorithms.end(),
                        {Int8Conv::Algorithm::kDirectNarrowPairs, Int8Conv::Algorithm::kDirectQuads});
    for (const auto winograd : {Int8Conv::Algorithm::kWinograd2x2, Int8Conv::Algorithm::kWinograd4x4,
                                Int8Conv::Algorithm::kWinogradStride2}) {
      if (kernels.winograd && winograd_applies(lowered, winograd)) algorithms.push_back(winograd);
    }
    if (depthwise_applies(lowered)) algorithms.push_back(Int8Conv::Algorithm::kDepthwise);
    for (const Int8Conv::Algorithm algorithm : algorithms) {
      SCOPED_TRACE("algorithm " + std::to_string(static_cast<int>(algorithm)));
      winograd_cases += algorithm == Int8Conv::Algorithm::kWinograd4x4 ? 1 : 0;
      stride_2_cases += algorithm == Int8Conv::Algorithm::kWinogradStride2 ? 1 : 0;
      const Tensor wanted = channels_last(y);
      Tensor actual(wanted.shape(), DType::kUInt8);
      kernels.conv(prepare_int8_conv(lowered, extent, algorithm), c.batch, x.data(), nullptr,
                   actual.data<std::uint8_t>().data(), threads);
      EXPECT_EQ(actual, wanted);
      if (algorithm == Int8Conv::Algorithm::kDepthwise) continue;
      const Tensor pooled = max_pool_2x2(wanted);
      Tensor actual_pooled(pooled.shape(), DType::kUInt8);
      kernels.conv(prepare_int8_conv(lowered, extent, algorithm, {.pool2x2 = true}), c.batch, x.data(),
                   nullptr, actual_pooled.data<std::uint8_t>().data(), threads);
      EXPECT_EQ(actual_pooled, pooled) << "with pooling";
      const std::vector<std::uint8_t> other = random_bytes(wanted.size(), seed);
      for (const Int8Conv::Addition& addition : additions()) {
        kernels.conv(prepare_int8_conv(lowered, extent, algorithm, {.addition = addition}), c.batch, x.data(),
                     other.data(), actual.data<std::uint8_t>().data(), threads);
        EXPECT_EQ(actual, added(wanted, other, addition))
            << "with an addition of " << addition.sum.a_multiplier << ", first " << addition.conv_is_first;
      }
    }
  }
  if (kernels.winograd) {
    EXPECT_GE(winograd_cases, 4);
    EXPECT_GE(stride_2_cases, 4);
  }
}

TEST(Int8Conv, GenericKernelEqualsReferenceBitForBit) { expect_kernels_match(int8_kernels_generic(), 2); }

TEST(Int8Conv, Avx2KernelEqualsReferenceBitForBit) {
  if (!cpu_has(Isa::kAvx2)) GTEST_SKIP() << "this CPU has no AVX2";
  expect_kernels_match(int8_kernels_avx2(), 2);
  expect_kernels_match(int8_kernels_avx2(), 1);
}

TEST(Int8Conv, Avx512VnniKernelEqualsReferenceBitForBit) {
  if (!cpu_has(Isa::kAvx512Vnni))
    GTEST_SKIP() << "this CPU has no AVX-512 VNNI; scripts/test-avx512 emulates one";
  expect_kernels_match(int8_kernels_avx512vnni(), 2);
  expect_kernels_match(int8_kernels_avx512vnni(), 1);
}

/// A 3x3 convolution of `c_in` channels to 16, all of whose weights are 127, or -127 in every second filter;
/// float sums.
IntegerConv largest_conv(std::int64_t c_in) {
  IntegerConv conv;
  conv.c_in = c_in;
  conv.c_out = 16;
  conv.window = {.kernel = {3, 3}, .pads = {1, 1, 1, 1}};
  conv.weight = Tensor({16, c_in, 3, 3}, DType::kInt8);
  const auto weights = conv.weight.data<std::int8_t>();
  for (std::size_t i = 0; i < weights.size(); ++i)
    weights[i] = static_cast<std::int8_t>(i / static_cast<std::size_t>(9 * c_in) % 2 == 0 ? 127 : -127);
  conv.bias.assign(16, 0);
  conv.multiplier.assign(16, 1.0F);
  conv.output_is_float = true;
  conv.float_min = -std::numeric_limits<float>::infinity();
  conv.float_max = std::numeric_limits<float>::infinity();
  return conv;
}

/// Of an 8x8 image.
std::vector<float> float_outputs(const Int8Kernels& kernels, const IntegerConv& conv,
                                 Int8Conv::Algorithm algorithm, const std::vector<std::uint8_t>& x) {
  std::vector<float> y(static_cast<std::size_t>(8 * 8 * conv.c_out));
  kernels.conv(prepare_int8_conv(conv, {8, 8, 8, 8}, algorithm), 1, x.data(), nullptr, y.data(), 1);
  return y;
}

/// Of an 8x8 image whose pixels are all 255.
std::vector<float> float_outputs(const Int8Kernels& kernels, const IntegerConv& conv,
                                 Int8Conv::Algorithm algorithm) {
  const std::vector<std::uint8_t> x(static_cast<std::size_t>(8 * 8 * conv.c_in) + kReadSlack, 255);
  return float_outputs(kernels, conv, algorithm, x);
}

TEST(Int8Conv, WinogradIsExactUpToItsBoundAndRefusesBeyond) {
  if (!cpu_has(Isa::kAvx2)) GTEST_SKIP() << "this CPU has no AVX2";
  using Algorithm = Int8Conv::Algorithm;
  constexpr std::int64_t kMost = 115;  // 64 * 255 * 127 * 9 * 115 < 2^31
  EXPECT_FALSE(winograd_applies(largest_conv(kMost + 1), Algorithm::kWinograd4x4));
  EXPECT_TRUE(winograd_applies(largest_conv(kMost + 1), Algorithm::kWinograd2x2));
  const IntegerConv conv = largest_conv(kMost);
  ASSERT_TRUE(winograd_applies(conv, Algorithm::kWinograd4x4));
  const std::vector<float> expected = float_outputs(int8_kernels_generic(), conv, Algorithm::kDirectPairs);
  EXPECT_EQ(expected[3 * 8 * 16 + 3 * 16], 255.0F * 127 * 9 * kMost);
  EXPECT_EQ(float_outputs(int8_kernels_avx2(), conv, Algorithm::kWinograd2x2), expected);
  EXPECT_EQ(float_outputs(int8_kernels_avx2(), conv, Algorithm::kWinograd4x4), expected);
}

TEST(Int8Conv, CrossedProductsOfExtremesAreExact) {
  if (!cpu_has(Isa::kAvx2)) GTEST_SKIP() << "this CPU has no AVX2";
  using Algorithm = Int8Conv::Algorithm;
  std::mt19937_64 generator(7);
  IntegerConv conv = largest_conv(256);
  conv.c_out = 64;
  conv.weight = Tensor({64, 256, 3, 3}, DType::kInt8);
  for (std::int8_t& w : conv.weight.data<std::int8_t>()) {
    const std::uint64_t draw = generator() % 4;
    w = draw == 0 ? 127 : draw == 1 ? -128 : 0;
  }
  conv.bias.assign(64, 0);
  conv.multiplier.assign(64, 1.0F);
  std::vector<std::uint8_t> x(8 * 8 * 256 + kReadSlack);
  for (std::uint8_t& byte : x) byte = generator() % 2 == 0 ? 0 : 255;
  const std::vector<float> expected = float_outputs(int8_kernels_generic(), conv, Algorithm::kDirectPairs, x);
  for (const Algorithm algorithm : {Algorithm::kDirectPairs, Algorithm::kDirectNarrowPairs,
                                    Algorithm::kWinograd2x2, Algorithm::kWinograd4x4}) {
    EXPECT_TRUE(algorithm < Algorithm::kWinograd2x2 || winograd_applies(conv, algorithm));
    EXPECT_TRUE(prepare_int8_conv(conv, {8, 8, 8, 8}, algorithm).crossed());
    EXPECT_EQ(float_outputs(int8_kernels_avx2(), conv, algorithm, x), expected);
  }
}

TEST(Int8Conv, Avx512VnniSumsOfLargestWeightsAreExact) {
  if (!cpu_has(Isa::kAvx512Vnni))
    GTEST_SKIP() << "this CPU has no AVX-512 VNNI; scripts/test-avx512 emulates one";
  const auto actual =
      float_outputs(int8_kernels_avx512vnni(), largest_conv(512), Int8Conv::Algorithm::kDirectQuads);
  EXPECT_EQ(actual[3 * 8 * 16 + 3 * 16], 255.0F * 127 * 9 * 512);
}

TEST(Int8Conv, BiasIsAddedAndRoundedBeforeTheMultiplier) {
  // A sum of 2^24 and a bias of 1 are 2^24 in float32, times 2.5 / 2^24 a tie that goes to 2. Fused or
  // multiplied first, they would be more than 2.5.
  constexpr std::int64_t kChannels = 1029;  // 64 * (1028 * 255 + 4) = 2^24
  IntegerConv conv = largest_conv(kChannels);
  conv.window = {.kernel = {1, 1}};
  conv.weight = Tensor({16, kChannels, 1, 1}, DType::kInt8);
  std::ranges::fill(conv.weight.data<std::int8_t>(), std::int8_t{64});
  conv.bias.assign(16, 1);
  conv.multiplier.assign(16, 2.5F / 16777216.0F);
  std::vector<std::uint8_t> x(kChannels + kReadSlack, 255);
  x[kChannels - 1] = 4;
  for (const Int8Kernels* kernels : {&int8_kernels_generic(), &int8_kernels()}) {
    for (const auto algorithm : {kernels->direct, kernels->direct_few}) {
      float real[16];
      std::uint8_t rounded[16];
      conv.output_is_float = true;
      kernels->conv(prepare_int8_conv(conv, {}, algorithm), 1, x.data(), nullptr, real, 1);
      conv.output_is_float = false;
      kernels->conv(prepare_int8_conv(conv, {}, algorithm), 1, x.data(), nullptr, rounded, 1);
      for (int c = 0; c < 16; ++c) {
        EXPECT_EQ(real[c], 2.5F) << isa_name(kernels->isa);
        EXPECT_EQ(rounded[c], 2) << isa_name(kernels->isa);
      }
    }
  }
}

TEST(Int8Conv, WinogradPaysWhereDirectMultipliesLittle) {
  const IntegerConv conv = largest_conv(64);
  const ConvExtent extent{32, 32, 32, 32};
  EXPECT_EQ(best_algorithm(int8_kernels_generic(), conv, extent, 8), Int8Conv::Algorithm::kDirectPairs);
  EXPECT_EQ(best_algorithm(int8_kernels_avx2(), conv, extent, 8), Int8Conv::Algorithm::kWinograd4x4);
  EXPECT_EQ(best_algorithm(int8_kernels_avx512vnni(), conv, extent, 8), Int8Conv::Algorithm::kDirectQuads);
  // Few rows take bytes; of a model whose weights come from memory, F(2x2)'s would take longer than they
  // save.
  IntegerConv late = largest_conv(256);
  late.c_out = 512;
  const ConvExtent small{4, 4, 4, 4};
  EXPECT_EQ(direct_algorithm(int8_kernels_avx2(), 64), Int8Conv::Algorithm::kDirectNarrowPairs);
  EXPECT_EQ(direct_algorithm(int8_kernels_avx2(), 65), Int8Conv::Algorithm::kDirectPairs);
  EXPECT_EQ(best_algorithm(int8_kernels_avx2(), late, small, 1), Int8Conv::Algorithm::kWinograd2x2);
  EXPECT_EQ(best_algorithm(int8_kernels_avx2(), late, small, 1, 10'000'000),
            Int8Conv::Algorithm::kDirectNarrowPairs);
  // Of stride 2 the gain is smaller: not for few channels, nor where tiles stand over.
  IntegerConv strided = largest_conv(64);
  strided.c_out = 128;
  strided.window.strides = {2, 2};
  EXPECT_EQ(best_algorithm(int8_kernels_avx2(), strided, {32, 32, 16, 16}, 8),
            Int8Conv::Algorithm::kWinogradStride2);
  EXPECT_EQ(best_algorithm(int8_kernels_avx2(), strided, {10, 10, 5, 5}, 8),
            Int8Conv::Algorithm::kDirectPairs);
  strided.c_in = 16;
  strided.c_out = 32;
  EXPECT_EQ(best_algorithm(int8_kernels_avx2(), strided, {32, 32, 16, 16}, 8),
            Int8Conv::Algorithm::kDirectPairs);
}

TEST(Int8Conv, LargestWeightsAndActivationsDoNotSaturate) {
  // Every product is 255 * 127 and all have one sign: pair sums in int16 would saturate.
  GraphBuilder b("saturation", 32, 4, 4, 1);
  Graph graph = b.finish(
      b.flatten("flatten", b.relu("relu", b.conv("conv", b.input(), 16, {.kernel = {3, 3}}, false))));
  for (float& w : graph.value(graph.nodes[0].inputs[1]).constant->data<float>()) w = 1.0F;
  Tensor input({1, 32, 4, 4}, DType::kFloat32);
  for (float& x : input.data<float>()) x = 1.0F;
  const Graph quantized = annotate_from_sample(graph, input);
  const auto values = interpret_all(quantized, input);
  EXPECT_EQ(values.at(quantized.input).data<std::uint8_t>()[0], 255);

  const CompiledModel model(quantized, {.max_batch = 1});
  CompiledModel::Context context(model);
  std::vector<float> logits(static_cast<std::size_t>(model.classes()));
  model.run(context, input.data<float>(), 1, logits);
  for (const float y : logits) EXPECT_NEAR(y, 288.0F, 288.0F / 255.0F);
}

TEST(Int8Conv, OneDnnKernelEqualsReferenceWhereItApplies) {
  std::uint64_t seed = 500;
  int applied = 0;
  for (const ConvCase& c : conv_grid()) {
    SCOPED_TRACE(describe(c));
    // Weights of at most 6 bits cannot saturate a pair sum on CPUs without VNNI, so every x86-64 CPU runs
    // this exactly.
    const Graph graph = conv_graph(c, ++seed, onednn::exact_int8() ? 127 : 31);
    const Tensor input = random_tensor({c.batch, c.c_in, c.size, c.size}, seed + 1000, c.input_low, 1.0F);
    const auto expected = interpret_all(graph, input);
    const FusedGroup group = conv_group(graph);
    const Tensor& y = expected.at(group.output);
    const auto step =
        onednn::make_int8_conv("conv", lower_integer_conv(graph, group), input.shape(), y.shape(), 2, 3);
    if (!step) continue;
    ++applied;
    std::vector<std::uint8_t> x = with_slack(channels_last(expected.at(graph.input)));
    Tensor actual({y.dim(0), y.dim(2), y.dim(3), y.dim(1)}, DType::kUInt8);
    std::vector<std::byte*> buffers{nullptr, nullptr, reinterpret_cast<std::byte*>(x.data()), actual.raw()};
    const auto stream = onednn::make_stream();
    std::shared_ptr<void> kept;
    step->run({.buffers = buffers, .stream = stream.get(), .threads = 2, .kept = &kept});
    EXPECT_EQ(actual, channels_last(y));
  }
  EXPECT_GE(applied, 10);
}

}  // namespace
}  // namespace octavo
