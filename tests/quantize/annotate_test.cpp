// Which values carry parameters, and whose, on small graphs of every kind of group.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "octavo/core/error.h"
#include "octavo/graph/builder.h"
#include "octavo/graph/passes.h"
#include "octavo/graph/zoo.h"
#include "octavo/quantize/ptq.h"
#include "octavo/runtime/placement.h"
#include "octavo/runtime/runtime.h"

namespace octavo {
namespace {

constexpr ConvAttributes k3x3{.kernel = {3, 3}, .pads = {1, 1, 1, 1}};
constexpr PoolAttributes kHalve{.kernel = {2, 2}, .strides = {2, 2}};

/// Parameters that tell values apart: scale 1, 2, 3, ... in the order of quantized_activations.
std::map<std::string, QuantParams> numbered(const Graph& graph) {
  std::map<std::string, QuantParams> result;
  float scale = 0;
  for (const ValueId id : quantized_activations(graph))
    result[graph.value(id).name] = activation_params(++scale, 3);
  return result;
}

std::vector<std::string> names(const Graph& graph, const std::vector<ValueId>& ids) {
  std::vector<std::string> result;
  for (const ValueId id : ids) result.push_back(graph.value(id).name);
  return result;
}

const Node& node(const Graph& graph, const std::string& name) {
  for (const Node& each : graph.nodes) {
    if (each.name == name) return each;
  }
  throw Error(ErrorCode::kInternal, "test", "no node " + name);
}

const std::optional<QuantParams>& output_of(const Graph& graph, const std::string& name) {
  return graph.value(node(graph, name).output).quant;
}

const std::optional<QuantParams>& weight_of(const Graph& graph, const std::string& name) {
  return graph.value(node(graph, name).inputs.at(1)).quant;
}

Graph plain() {
  GraphBuilder b("plain", 3, 8, 8, 1);
  ValueId x = b.relu("relu1", b.conv("conv1", b.input(), 4, k3x3, true));
  x = b.max_pool("pool1", x, kHalve);
  x = b.clip("clip2", b.conv("conv2", x, 4, k3x3, false), 0.0F, 6.0F);
  x = b.average_pool("pool2", x, kHalve);
  x = b.global_average_pool("gap", x);
  return b.finish(b.gemm("fc", b.flatten("flatten", x), 5));
}

TEST(QuantizedActivations, AreInputAndGroupOutputsThatHaveParametersOfTheirOwn) {
  const Graph graph = plain();
  std::vector<std::string> expected{"input"};
  for (const char* name : {"relu1", "clip2", "pool2", "gap"}) {
    expected.push_back(graph.value(node(graph, name).output).name);
  }
  EXPECT_EQ(names(graph, quantized_activations(graph)), expected);
}

TEST(Annotate, GivesGroupOutputsTheirParametersAndInnerValuesNone) {
  Graph graph = plain();
  annotate(graph, numbered(graph));
  EXPECT_EQ(graph.value(graph.input).quant->scale(), 1.0F);
  EXPECT_EQ(output_of(graph, "relu1")->scale(), 2.0F);
  EXPECT_EQ(output_of(graph, "clip2")->scale(), 3.0F);
  EXPECT_EQ(output_of(graph, "pool2")->scale(), 4.0F);
  EXPECT_EQ(output_of(graph, "gap")->scale(), 5.0F);
  EXPECT_FALSE(output_of(graph, "conv1"));
  EXPECT_FALSE(output_of(graph, "conv2"));
  EXPECT_NO_THROW(validate(graph));
}

TEST(Annotate, MaxPoolAndFlattenShareTheirInputsParameters) {
  Graph graph = plain();
  annotate(graph, numbered(graph));
  EXPECT_EQ(output_of(graph, "pool1"), output_of(graph, "relu1"));
  EXPECT_EQ(output_of(graph, "flatten"), output_of(graph, "gap"));
  GraphBuilder b("chain", 1, 8, 8, 1);
  ValueId x = b.max_pool("pool2", b.max_pool("pool1", b.input(), kHalve), kHalve);
  Graph chain = b.finish(b.gemm("fc", b.flatten("flatten", x), 2));
  annotate(chain, numbered(chain));
  EXPECT_EQ(output_of(chain, "flatten"), chain.value(chain.input).quant);
}

TEST(Annotate, LeavesTheModelsOutputAndConstantsFloat) {
  Graph graph = plain();
  annotate(graph, numbered(graph));
  EXPECT_FALSE(graph.value(graph.output).quant);
  const ValueId bias = node(graph, "conv1").inputs.at(2);
  EXPECT_FALSE(graph.value(bias).quant);
  for (const char* name : {"conv1", "conv2", "fc"}) {
    EXPECT_EQ(graph.value(node(graph, name).inputs.at(1)).constant->dtype(), DType::kFloat32);
    EXPECT_EQ(weight_of(graph, name),
              choose_weight_params(*graph.value(node(graph, name).inputs.at(1)).constant));
  }
}

TEST(Annotate, KeepsWeightsToTheBitsAskedFor) {
  Graph graph = plain();
  annotate(graph, numbered(graph), 63);
  EXPECT_EQ(weight_of(graph, "conv1")->qmax, 63);
  EXPECT_EQ(weight_of(graph, "fc")->qmin, -63);
}

TEST(Annotate, BothOperandsOfAResidualAddAreQuantized) {
  GraphBuilder b("residual", 4, 8, 8, 1);
  const ValueId x = b.relu("relu1", b.conv("conv1", b.input(), 4, k3x3, false));
  const ValueId y = b.conv("conv2", x, 4, k3x3, false);
  const ValueId z = b.relu("relu2", b.add("add", y, x));
  Graph graph = b.finish(b.gemm("fc", b.flatten("flatten", z), 2));
  EXPECT_EQ(quantized_activations(graph).size(), 4U);
  annotate(graph, numbered(graph));
  EXPECT_EQ(output_of(graph, "relu1")->scale(), 2.0F);
  EXPECT_EQ(output_of(graph, "conv2")->scale(), 3.0F);
  EXPECT_EQ(output_of(graph, "relu2")->scale(), 4.0F);
  EXPECT_FALSE(output_of(graph, "add"));
}

TEST(Annotate, AddOfTwoQuantizedValuesGetsItsOwnParameters) {
  GraphBuilder b("add", 4, 8, 8, 1);
  const ValueId pooled = b.average_pool("pool", b.input(), {.kernel = {3, 3}, .pads = {1, 1, 1, 1}});
  const ValueId sum = b.add("add", pooled, b.input());
  Graph graph = b.finish(b.gemm("fc", b.flatten("flatten", sum), 2));
  annotate(graph, numbered(graph));
  EXPECT_EQ(output_of(graph, "pool")->scale(), 2.0F);
  EXPECT_EQ(output_of(graph, "add")->scale(), 3.0F);
}

TEST(Annotate, ModelOutputThatIsAlsoReadStaysFloat) {
  GraphBuilder b("tapped", 3, 8, 8, 1);
  const ValueId tapped = b.relu("relu1", b.conv("conv1", b.input(), 4, k3x3, true));
  const ValueId pooled = b.max_pool("pool", tapped, kHalve);
  const ValueId last = b.relu("relu2", b.conv("conv2", pooled, 4, k3x3, true));
  Graph graph = b.finish(last);
  graph.output = graph.find_value(graph.value(tapped).name);
  const auto activations = numbered(graph);
  EXPECT_FALSE(activations.contains(graph.value(graph.output).name));
  annotate(graph, activations);
  EXPECT_FALSE(graph.value(graph.output).quant);
  EXPECT_TRUE(weight_of(graph, "conv1"));
  // The pool runs in float32; what it makes is quantized for the convolution behind it.
  EXPECT_TRUE(activations.contains(graph.value(pooled).name));
  EXPECT_TRUE(output_of(graph, "pool"));
  EXPECT_TRUE(weight_of(graph, "conv2"));
}

/// Whether the output of each of `names` is quantized.
std::vector<bool> quantized_outputs(const Graph& graph, const std::vector<std::string>& names) {
  std::vector<bool> result;
  for (const std::string& name : names) result.push_back(output_of(graph, name).has_value());
  return result;
}

TEST(Annotate, WhatOnlyFloatOperatorsReadStaysFloat) {
  GraphBuilder b("softmax", 3, 8, 8, 1);
  const ValueId x = b.flatten("flatten", b.relu("relu", b.conv("conv", b.input(), 4, k3x3, true)));
  Graph graph = b.finish(b.softmax("softmax", b.gemm("fc", x, 5), 1));
  annotate(graph, numbered(graph));
  EXPECT_EQ(quantized_outputs(graph, {"relu", "flatten", "fc"}), (std::vector<bool>{true, true, false}));
  EXPECT_TRUE(weight_of(graph, "fc"));  // A matrix product may return real numbers.
  const auto placed = placements(graph);
  EXPECT_TRUE(std::ranges::all_of(placed.begin(), placed.end() - 1, [](auto& p) { return p.integer; }));
  EXPECT_FALSE(placed.back().integer);
}

TEST(Annotate, PoolOfTheLastMapReturnsRealNumbers) {
  GraphBuilder b("pooled", 3, 8, 8, 1);
  const ValueId x = b.relu("relu", b.conv("conv", b.input(), 4, k3x3, true));
  Graph graph = b.finish(b.flatten("flatten", b.global_average_pool("gap", x)));
  annotate(graph, numbered(graph));
  EXPECT_EQ(quantized_outputs(graph, {"relu", "gap"}), (std::vector<bool>{true, false}));
  EXPECT_TRUE(placements(graph)[1].integer);
}

TEST(Annotate, LayerNormStaysFloatUpToTheMatrixProductBehindIt) {
  GraphBuilder b("norm", 6, 4, 4, 1);
  const ValueId x = b.transpose("t", b.conv("conv", b.input(), 8, k3x3, true), {0, 2, 3, 1});
  const ValueId centred = b.sub("centre", x, b.reduce_mean("mean", x, {3}));
  const ValueId variance = b.reduce_mean("variance", b.pow("square", centred, 2.0F), {3});
  const ValueId scaled = b.div("div", centred, b.sqrt("sqrt", variance));
  const ValueId gained = b.mul("gain", scaled, b.constant("g", Tensor({8}, DType::kFloat32)));
  const ValueId shifted = b.add("shift", gained, b.constant("s", Tensor({8}, DType::kFloat32)));
  const ValueId y = b.gelu("gelu", b.matmul("mm", shifted, 16));
  Graph graph = b.finish(b.matmul("mm2", y, 3));
  annotate(graph, numbered(graph));
  EXPECT_EQ(
      quantized_outputs(graph, {"conv", "t", "mean", "centre", "square", "variance", "sqrt", "div", "gain"}),
      std::vector<bool>(9, false));
  EXPECT_EQ(quantized_outputs(graph, {"shift", "mm", "gelu"}), std::vector<bool>(3, true));
  EXPECT_TRUE(graph.value(graph.input).quant);  // The convolution runs in integers and returns real numbers.
  EXPECT_TRUE(placements(graph)[0].integer);
  EXPECT_EQ(weight_of(graph, "mm")->axis, 1);
  EXPECT_EQ(weight_of(graph, "mm")->scales.size(), 16U);
  EXPECT_NO_THROW(validate(graph));
}

TEST(Annotate, ConcatGivesItsParametersToWhatOnlyItReads) {
  GraphBuilder b("concat", 3, 8, 8, 1);
  const ValueId left = b.relu("left", b.conv("conv1", b.input(), 4, k3x3, true));
  const ValueId right = b.relu("right", b.conv("conv2", b.input(), 4, k3x3, true));
  const ValueId inner = b.concat("inner", {left, right});
  const ValueId third = b.max_pool("pool", right, {.kernel = {1, 1}});
  const ValueId outer = b.concat("outer", {inner, third});
  Graph graph = b.finish(b.gemm("fc", b.flatten("flatten", outer), 2));
  annotate(graph, numbered(graph));
  EXPECT_EQ(output_of(graph, "left"), output_of(graph, "outer"));
  EXPECT_EQ(output_of(graph, "inner"), output_of(graph, "outer"));
  EXPECT_NE(output_of(graph, "right"), output_of(graph, "outer"));  // Read by the pool too.
  EXPECT_EQ(output_of(graph, "pool"), output_of(graph, "right"));
  EXPECT_EQ(quantized_activations(graph).size(), 3U);
}

TEST(Annotate, LargeBiasWidensItsChannelsScale) {
  Graph graph = plain();
  const Node& conv = node(graph, "conv1");
  auto weight = graph.value(conv.inputs.at(1)).constant->data<float>();
  auto bias = graph.value(conv.inputs.at(2)).constant->data<float>();
  std::ranges::fill(weight, 0.0F);
  for (std::size_t c = 0; c < 4; ++c) weight[c * 27] = 1.27F;  // scale 0.01
  bias[0] = 0x1p20F;                                           // / (0.5 * 0.01) is 2.1e8: fits
  bias[1] = -0x1p24F;  // is 3.4e9: its scale becomes 2^24 / (0.5 * 2^30) = 2^-5
  bias[2] = 0.0F;
  bias[3] = 0x1p24F;
  auto activations = numbered(graph);
  activations["input"] = activation_params(0.5F, 3);
  annotate(graph, activations);
  const QuantParams& params = *weight_of(graph, "conv1");
  EXPECT_FLOAT_EQ(params.scales[0], 0.01F);
  EXPECT_FLOAT_EQ(params.scales[1], 0x1p-5F);
  EXPECT_FLOAT_EQ(params.scales[2], 0.01F);
  EXPECT_FLOAT_EQ(params.scales[3], 0x1p-5F);
  const Tensor integers = quantize_bias(*graph.value(conv.inputs.at(2)).constant, 0.5F, params);
  for (const std::int32_t q : integers.data<std::int32_t>())
    EXPECT_LE(std::abs(static_cast<double>(q)), 0x1p30);
  EXPECT_GE(integers.data<std::int32_t>()[3], (1 << 30) - 1024);
  EXPECT_NO_THROW(CompiledModel(graph, {.max_batch = 1, .threads = 0, .observe = {}}));
}

TEST(Annotate, AllZeroChannelsWithABiasCompile) {
  Graph graph = plain();
  const Node& conv = node(graph, "conv1");
  std::ranges::fill(graph.value(conv.inputs.at(1)).constant->data<float>(), 0.0F);
  std::ranges::fill(graph.value(conv.inputs.at(2)).constant->data<float>(), 1.0F);
  annotate(graph, numbered(graph));
  EXPECT_EQ(weight_of(graph, "conv1")->scales, std::vector<float>(4, 1.0F));
  EXPECT_NO_THROW(CompiledModel(graph, {.max_batch = 1, .threads = 0, .observe = {}}));
}

TEST(Annotate, ReplacesWhatWasThereBefore) {
  Graph graph = plain();
  annotate(graph, numbered(graph));
  const Graph once = graph;
  annotate(graph, numbered(graph), 63);
  EXPECT_EQ(weight_of(graph, "conv1")->qmax, 63);
  annotate(graph, numbered(graph));
  EXPECT_EQ(graph, once);
}

TEST(Annotate, MissingParametersNameTheValue) {
  Graph graph = plain();
  auto activations = numbered(graph);
  const std::string name = graph.value(node(graph, "clip2").output).name;
  activations.erase(name);
  try {
    annotate(graph, activations);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInternal);
    EXPECT_NE(std::string(error.what()).find("'" + name + "'"), std::string::npos) << error.what();
  }
}

TEST(Annotate, InvalidParametersNameTheValue) {
  Graph graph = plain();
  auto activations = numbered(graph);
  activations["input"].scales[0] = std::nanf("");
  try {
    annotate(graph, activations);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kBadInput);
    EXPECT_NE(std::string(error.what()).find("'input'"), std::string::npos) << error.what();
  }
}

TEST(Annotate, ZooModelsRunInIntegersAfterwards) {
  for (const std::string& model : model_names()) {
    // Made of the same layers as the forms for CIFAR, and slow to make.
    if (model.ends_with("-224")) continue;
    Graph graph = fold_batch_norm(make_model(model, {}, 1));
    annotate(graph, numbered(graph));
    EXPECT_NO_THROW(validate(graph));
    for (const Placement& placement : placements(graph)) {
      const Node& first = graph.nodes[static_cast<std::size_t>(placement.nodes[0])];
      const bool last = graph.nodes[static_cast<std::size_t>(placement.nodes.back())].output == graph.output;
      // Of transformers and their kin, what does not multiply may stay in float.
      const bool sums = model == "vit-tiny" || model == "convnext-tiny";
      const bool multiplies = has_weight(first.op) || first.op == Op::kMatMulOfValues;
      EXPECT_TRUE(placement.integer || (last && first.op == Op::kFlatten) || (sums && !multiplies))
          << model << ": " << first.name << ": " << placement.reason;
    }
    EXPECT_EQ(CompiledModel(graph, {.max_batch = 1, .threads = 0, .observe = {}}).precision(), "int8")
        << model;
  }
}

}  // namespace
}  // namespace octavo
