// Forms of operators that Octavo reads as several others, in many sizes, against ONNX Runtime.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "octavo/core/error.h"
#include "octavo/core/file.h"
#include "octavo/core/quant.h"
#include "octavo/core/temporary_folder.h"
#include "octavo/onnx/onnx.h"
#include "octavo/runtime/reference.h"
#include "onnx/models.h"
#include "onnx/protos.h"
#include "support/ort.h"

namespace octavo {
namespace {

/// "float[2,3] w = {...}", drawn at random.
std::string floats(const std::string& name, const std::vector<int>& shape, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  int count = 1;
  for (const int size : shape) count *= size;
  std::vector<float> values;
  for (int i = 0; i < count; ++i) values.push_back(normal(random));
  return fmt::format("float[{}] {} = {{{}}}", fmt::join(shape, ","), name, fmt::join(values, ", "));
}

std::string integers(const std::string& type, const std::string& name, const std::vector<int>& shape,
                     int least, int greatest, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_int_distribution<int> uniform(least, greatest);
  int count = 1;
  for (const int size : shape) count *= size;
  std::vector<int> values;
  for (int i = 0; i < count; ++i) values.push_back(uniform(random));
  return fmt::format("{}[{}] {} = {{{}}}", type, fmt::join(shape, ","), name, fmt::join(values, ", "));
}

struct Form {
  std::string name;
  std::string initializers;
  std::string body;  ///< From x [N, 4, 7, 6] to y.
  int opset = 13;
};

std::vector<Form> forms() {
  std::vector<Form> result;
  // ConvTranspose: kernel, attributes, groups of the four channels.
  const std::vector<std::tuple<std::string, std::vector<int>, std::string>> transposed{
      {"plain", {4, 3, 3, 3}, ""},
      {"strides", {4, 3, 2, 2}, "strides = [2, 2]"},
      {"uneven", {4, 3, 3, 2}, "strides = [3, 2], pads = [1, 0, 0, 1], output_padding = [1, 1]"},
      {"dilated",
       {4, 2, 3, 3},
       "strides = [1, 2], dilations = [2, 3], pads = [1, 2, 3, 4], output_padding = [0, 1]"},
      {"groups", {4, 3, 3, 3}, "strides = [2, 1], group = 2, pads = [1, 1, 1, 1]"},
      {"depthwise", {4, 1, 4, 4}, "strides = [2, 2], group = 4, pads = [1, 1, 1, 1]"},
      {"point", {4, 5, 1, 1}, "strides = [2, 3], output_padding = [1, 0]"},
      {"cropped", {4, 2, 2, 2}, "pads = [2, 3, 2, 1]"},
      {"same", {4, 2, 4, 4}, "strides = [2, 2], auto_pad = \"SAME_UPPER\""},
      {"shaped", {4, 2, 3, 3}, "strides = [2, 2], output_shape = [13, 11]"},
  };
  for (const auto& [name, shape, attributes] : transposed) {
    const int group = attributes.find("group = 2") != std::string::npos   ? 2
                      : attributes.find("group = 4") != std::string::npos ? 4
                                                                          : 1;
    result.push_back({"ConvTranspose_" + name,
                      floats("w", shape, 1) + ", " + floats("b", {shape[1] * group}, 2),
                      fmt::format("t = ConvTranspose{}(x, w, b) y = Flatten(t)",
                                  attributes.empty() ? "" : "<" + attributes + ">")});
  }
  const std::vector<std::pair<std::string, std::string>> pools{
      {"plain", "kernel_shape = [2, 2], dilations = [2, 2]"},
      {"strides", "kernel_shape = [3, 2], dilations = [2, 3], strides = [2, 2]"},
      {"pads", "kernel_shape = [3, 3], dilations = [2, 2], pads = [1, 2, 2, 1]"},
      {"both", "kernel_shape = [2, 3], dilations = [3, 2], pads = [1, 1, 1, 1], strides = [3, 1]"},
      {"one_way", "kernel_shape = [3, 1], dilations = [3, 1]"},
  };
  for (const auto& [name, attributes] : pools)
    result.push_back({"MaxPool_" + name, "", "t = MaxPool<" + attributes + ">(x) y = Flatten(t)"});
  const std::vector<std::tuple<std::string, std::string, std::vector<int>>> products{
      {"last", "nchw,wk->nchk", {6, 5}},     {"channels", "nchw,kc->nkhw", {3, 4}},
      {"two", "nchw,hwk->nkc", {7, 6, 2}},   {"turned", "kw,nchw->nhck", {5, 6}},
      {"implicit", "abcd,ed->abce", {5, 6}}, {"split", "nchw,cde->nhwed", {4, 2, 3}},
  };
  for (const auto& [name, equation, shape] : products) {
    const bool first = equation.starts_with("kw");
    result.push_back(
        {"Einsum_" + name, floats("w", shape, 3),
         fmt::format("t = Einsum<equation = \"{}\">({}) y = Flatten(t)", equation, first ? "w, x" : "x, w")});
  }
  result.push_back({"Einsum_values", "",
                    "s = Softmax(x) t = Einsum<equation = \"nchw, nchv -> nchwv\">(x, s) y = Flatten(t)"});
  result.push_back({"Einsum_attention", "",
                    "s = Sigmoid(x) t = Einsum<equation = \"nchw,nkhw->nhck\">(x, s) y = Flatten(t)"});
  result.push_back({"Einsum_moves", "", "t = Einsum<equation = \"nchw->nwch\">(x) y = Flatten(t)"});
  return result;
}

std::vector<float> ours(const Graph& graph, const Tensor& input) {
  Tensor logits = interpret(graph, input);
  if (const auto& quant = graph.value(graph.output).quant) logits = dequantize(logits, *quant);
  return {std::as_const(logits).data<float>().begin(), std::as_const(logits).data<float>().end()};
}

/// What ONNX Runtime's optimizer writes, and attention: from x [N, 4, 7, 6] by way of tokens t [N, 7, 24].
std::vector<Form> fused_forms() {
  const std::string tokens = "p = Transpose<perm = [0, 2, 1, 3]>(x) t = Reshape(p, tokens) ";
  const std::string shape = "int64[3] tokens = {0, 7, 24}";
  const std::string norm =
      shape + ", " + floats("g", {24}, 1) + ", " + floats("b", {24}, 2) + ", " + floats("c", {24}, 3);
  const std::string qkv = shape + ", " + floats("wq", {24, 24}, 4) + ", " + floats("wk", {24, 24}, 5) + ", " +
                          floats("wv", {24, 24}, 6);
  const std::string project = tokens + "q = MatMul(t, wq) k = MatMul(t, wk) v = MatMul(t, wv) ";
  const std::string skip = tokens + "s = Sigmoid(t) ";
  const auto microsoft = [](const std::string& op, const std::string& attributes,
                            const std::string& operands) {
    return fmt::format("com.microsoft.{}{}({})", op, attributes.empty() ? "" : "<" + attributes + ">",
                       operands);
  };
  return {
      {"BiasGelu", shape + ", " + floats("c", {24}, 3),
       tokens + "u = " + microsoft("BiasGelu", "", "t, c") + " y = Flatten(u)"},
      {"SkipLayerNormalization", norm,
       skip + "u = " + microsoft("SkipLayerNormalization", "epsilon = 0.001", "t, s, g, b, c") +
           " y = Flatten(u)"},
      {"SkipLayerNormalization_without_biases", norm,
       skip + "u = " + microsoft("SkipLayerNormalization", "", "t, s, g") + " y = Flatten(u)"},
      {"SkipLayerNormalization_and_its_sum", norm,
       skip + "u, m, d, w = " + microsoft("SkipLayerNormalization", "", "t, s, g, b, c") +
           " a = Add(u, w) y = Flatten(a)"},
      {"SkipLayerNormalization_of_positions", norm + ", " + floats("e", {1, 7, 24}, 7),
       tokens + "u = " + microsoft("SkipLayerNormalization", "", "t, e, g, b") + " y = Flatten(u)"},
      {"FusedMatMul_weight", shape + ", " + floats("w", {5, 24}, 4),
       tokens + "u = " + microsoft("FusedMatMul", "alpha = 0.5, transB = 1", "t, w") + " y = Flatten(u)"},
      {"FusedMatMul_plain", shape + ", " + floats("w", {24, 5}, 4),
       tokens + "u = " + microsoft("FusedMatMul", "alpha = 2.0", "t, w") + " y = Flatten(u)"},
      {"FusedMatMul_values", shape,
       skip + "u = " + microsoft("FusedMatMul", "alpha = 0.25, transB = 1", "t, s") + " y = Flatten(u)"},
      {"FusedMatMul_left", shape,
       skip + "u = " + microsoft("FusedMatMul", "transA = 1", "t, s") + " y = Flatten(u)"},
      {"Attention_tokens", qkv,
       project + "u = Attention<q_num_heads = 4, kv_num_heads = 4>(q, k, v) y = Flatten(u)", 23},
      {"Attention_causal", qkv,
       project + "u = Attention<q_num_heads = 3, kv_num_heads = 3, is_causal = 1, scale = 0.3>(q, k, v) y = "
                 "Flatten(u)",
       23},
      {"Attention_masked", qkv + ", " + floats("m", {7, 7}, 8),
       project + "u = Attention<q_num_heads = 2, kv_num_heads = 2>(q, k, v, m) y = Flatten(u)", 23},
      {"Attention_mask_of_heads", qkv + ", " + floats("m", {1, 2, 7, 7}, 8),
       project + "u = Attention<q_num_heads = 2, kv_num_heads = 2>(q, k, v, m) y = Flatten(u)", 23},
      {"Attention_heads", "", "s = Sigmoid(x) u = Attention(x, s, s) y = Flatten(u)", 23},
  };
}

void expect_as_onnx_runtime(const onnx::ModelProto& model, float tolerance, bool integers = false) {
  const TemporaryFolder folder;
  write_file(folder / "model.onnx", model.SerializeAsString());
  const Graph graph = load_onnx(folder / "model.onnx");
  const Tensor input = test::random_input(graph, 2);
  const std::vector<float> theirs = test::onnx_runtime_logits(
      folder / "model.onnx", input, {.modules = {}, .batch = 1, .optimize = integers});
  const std::vector<float> mine = ours(graph, input);
  ASSERT_EQ(mine.size(), theirs.size());
  float largest = 1;
  for (const float value : theirs) largest = std::max(largest, std::abs(value));
  for (std::size_t i = 0; i < mine.size(); ++i)
    ASSERT_NEAR(mine[i], theirs[i], tolerance * largest) << "at " << i;
  // What is written means the same.
  save_onnx(graph, folder / "again.onnx");
  const std::vector<float> again = test::onnx_runtime_logits(
      folder / "again.onnx", input, {.modules = {}, .batch = 1, .optimize = integers});
  for (std::size_t i = 0; i < mine.size(); ++i)
    ASSERT_NEAR(again[i], theirs[i], tolerance * largest) << "at " << i;
}

TEST(Forms, GiveWhatOnnxRuntimeGives) {
  if (const std::string why = test::why_no_onnx_runtime(); !why.empty()) GTEST_SKIP() << why;
  for (const Form& form : forms()) {
    SCOPED_TRACE(form.name);
    const std::string text = fmt::format(
        "<ir_version: 8, opset_import: [\"\" : {}]> g (float[N,4,7,6] x) => (float[N,M] y) {}{{{}}}",
        form.opset, form.initializers.empty() ? "" : "<" + form.initializers + "> ", form.body);
    expect_as_onnx_runtime(test::model_from_text(text), 1e-5F);
  }
}

TEST(Forms, FusedOnesGiveWhatOnnxRuntimeGives) {
  if (const std::string why = test::why_no_onnx_runtime(); !why.empty()) GTEST_SKIP() << why;
  for (const Form& form : fused_forms()) {
    SCOPED_TRACE(form.name);
    const std::string text = fmt::format(
        "<ir_version: 8, opset_import: [\"\" : {}, \"com.microsoft\" : 1]> g (float[N,4,7,6] x) => "
        "(float[N,M] "
        "y) {}{{{}}}",
        form.opset, form.initializers.empty() ? "" : "<" + form.initializers + "> ", form.body);
    expect_as_onnx_runtime(test::model_from_text(text), 1e-5F);
  }
}

TEST(Forms, AttentionWithAPastIsRefused) {
  const std::string text =
      "<ir_version: 8, opset_import: [\"\" : 23]> g (float[N,4,7,6] x) => (float[N,M] y) {s = Sigmoid(x) u = "
      "Attention(x, s, s, , s, s) y = Flatten(u)}";
  EXPECT_NE(test::import_error(text).find("keys and values of a past"), std::string::npos)
      << test::import_error(text);
}

TEST(Forms, DilatedPoolThatPadsItselfIsRefused) {
  const std::string text =
      "<ir_version: 8, opset_import: [\"\" : 13]> g (float[N,4,7,6] x) => (float[N,M] y) { t = "
      "MaxPool<kernel_shape = [2, "
      "2], dilations = [2, 2], auto_pad = \"SAME_UPPER\">(x) y = Flatten(t) }";
  const TemporaryFolder folder;
  write_file(folder / "model.onnx", test::model_from_text(text).SerializeAsString());
  EXPECT_THROW(load_onnx(folder / "model.onnx"), Error);
}

/// Weights in forms that become int8: the layer has to give the integers of ONNX Runtime.
TEST(Forms, WeightsWithZeroPointsGiveTheIntegersOfOnnxRuntime) {
  if (const std::string why = test::why_no_onnx_runtime(); !why.empty()) GTEST_SKIP() << why;
  const auto model = [](const std::string& weight, const std::string& zero_points) {
    return test::model_from_text(
        "<ir_version: 8, opset_import: [\"\" : 13]> g (float[N,4,7,6] x) => (float[N,M] y) <float s = "
        "{0.03}, uint8 z "
        "= {120}, float t = {0.05}, uint8 u = {131}, float[3] ws = {0.01, 0.02, 0.015}, " +
        weight + ", " + zero_points +
        "> {q = QuantizeLinear(x, s, z) d = DequantizeLinear(q, s, z) k = DequantizeLinear<axis = 0>(w, ws, "
        "wz) c = "
        "Conv(d, k) r = QuantizeLinear(c, t, u) e = DequantizeLinear(r, t, u) y = Flatten(e)}");
  };
  const std::string small = "uint8[3] wz = {8, 120, 200}";
  const std::vector<std::pair<std::string, std::string>> all{
      {integers("uint8", "w", {3, 4, 2, 2}, 73, 135, 1), small},
      {integers("int8", "w", {3, 4, 2, 2}, -60, 60, 2), "int8[3] wz = {-8, 5, 60}"},
      {integers("uint8", "w", {3, 4, 2, 2}, 0, 255, 3), "uint8[3] wz = {128, 128, 128}"},
      {integers("uint8", "w", {3, 4, 2, 2}, 0, 255, 4), "uint8[3] wz = {128, 17, 128}"},
  };
  for (std::size_t i = 0; i < all.size(); ++i) {
    SCOPED_TRACE(i);
    const onnx::ModelProto proto = model(all[i].first, all[i].second);
    const Graph graph = test::import_model(proto);
    // What does not fit int8 less its zero point stays real.
    EXPECT_EQ(graph.value(graph.nodes[0].inputs[1]).quant.has_value(), i < 3);
    expect_as_onnx_runtime(proto, 1e-6F, /*integers=*/i < 3);
  }
}

}  // namespace
}  // namespace octavo
