// Every operator, compiled in float32 and in integers, against the reference interpreter.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>

#include "octavo/core/quant.h"
#include "octavo/graph/builder.h"
#include "octavo/runtime/placement.h"
#include "octavo/runtime/reference.h"
#include "octavo/runtime/runtime.h"
#include "runtime/annotated_graph.h"

namespace octavo {
namespace {

using testing::annotate_from_sample;
using testing::random_tensor;
using testing::randomize;

/// Appends what is tested to a map [N, C, 6, 5] that a convolution makes.
using Append = std::function<ValueId(GraphBuilder&, ValueId)>;

struct Case {
  std::string name;
  Append append;
  bool integer = true;  ///< Every group runs in integers once all values are quantized.
};

constexpr std::int64_t kHeight = 6;
constexpr std::int64_t kWidth = 5;

Append with_constant(ValueId (GraphBuilder::*op)(const std::string&, ValueId, ValueId), Shape shape,
                     bool first = false) {
  return [=](GraphBuilder& b, ValueId x) {
    // -1 stands for the channels.
    Shape own = shape;
    for (std::int64_t& dim : own) dim = dim == -1 ? b.shape(x)[1] : dim;
    const ValueId c = b.constant("c", Tensor(own, DType::kFloat32));
    return first ? (b.*op)("op", c, x) : (b.*op)("op", x, c);
  };
}

/// x op what `other` makes of x.
Append with_value(ValueId (GraphBuilder::*op)(const std::string&, ValueId, ValueId), const Append& other,
                  bool first = false) {
  return [=](GraphBuilder& b, ValueId x) {
    const ValueId y = other(b, x);
    return first ? (b.*op)("op", y, x) : (b.*op)("op", x, y);
  };
}

ValueId same_shape(GraphBuilder& b, ValueId x) { return b.conv("other", x, b.shape(x)[1], {}, true); }
ValueId per_channel(GraphBuilder& b, ValueId x) { return b.global_average_pool("gap", x); }
ValueId per_pixel(GraphBuilder& b, ValueId x) { return b.conv("other", x, 1, {}, true); }
ValueId per_column(GraphBuilder& b, ValueId x) {
  return b.max_pool("column", x, {.kernel = {kHeight, 1}, .strides = {1, 1}});
}

std::vector<Case> unary_cases() {
  return {
      {"relu", [](auto& b, auto x) { return b.relu("op", b.sigmoid("s", x)); }},
      {"clip", [](auto& b, auto x) { return b.clip("op", b.leaky_relu("l", x, 0.5F), -0.3F, 0.4F); }},
      {"leaky", [](auto& b, auto x) { return b.leaky_relu("op", x, 0.1F); }},
      {"prelu", [](auto& b, auto x) { return b.prelu("op", x); }},
      {"sigmoid", [](auto& b, auto x) { return b.sigmoid("op", x); }},
      {"hard sigmoid", [](auto& b, auto x) { return b.hard_sigmoid("op", x); }},
      {"hard swish", [](auto& b, auto x) { return b.hard_swish("op", x); }},
      {"silu", [](auto& b, auto x) { return b.silu("op", x); }},
      {"gelu", [](auto& b, auto x) { return b.gelu("op", x); }},
      {"erf", [](auto& b, auto x) { return b.erf("op", x); }},
      {"sqrt", [](auto& b, auto x) { return b.sqrt("op", b.relu("r", x)); }},
      {"square", [](auto& b, auto x) { return b.pow("op", x, 2.0F); }},
      {"power", [](auto& b, auto x) { return b.pow("op", b.relu("r", x), 1.7F); }},
      {"batch norm", [](auto& b, auto x) { return b.relu("r", b.batch_norm("op", b.relu("first", x))); }},
  };
}

std::vector<Case> binary_cases() {
  using B = GraphBuilder;
  std::vector<Case> cases{
      {"add a constant matrix", with_constant(&B::add, {kHeight, kWidth}), false},
      {"div", with_value(&B::div, [](auto& b, auto x) { return b.sigmoid("s", same_shape(b, x)); }), false},
      {"div by channel",
       with_value(&B::div, [](auto& b, auto x) { return b.sigmoid("s", per_channel(b, x)); }), false},
      {"div by a constant", with_constant(&B::div, {-1, 1, 1})},
      {"constant by value",
       [](auto& b, auto x) {
         return b.div("op", b.constant("c", Tensor({1}, DType::kFloat32)), b.sigmoid("s", x));
       }},
      {"add and relu",
       [](auto& b, auto x) { return b.relu("r", b.add("op", b.sigmoid("s", x), b.prelu("p", x))); }},
      {"twice the same", [](auto& b, auto x) { return b.mul("op", x, x); }},
  };
  struct Named {
    const char* name;
    ValueId (B::*op)(const std::string&, ValueId, ValueId);
  };
  for (const auto& [name, op] : {Named{"add ", &B::add}, Named{"sub ", &B::sub}, Named{"mul ", &B::mul}}) {
    const std::string text = name;
    for (const bool first : {false, true}) {
      const std::string order = first ? " first" : "";
      cases.push_back({text + "same shape" + order, with_value(op, same_shape, first)});
      cases.push_back({text + "channel" + order, with_value(op, per_channel, first)});
      cases.push_back({text + "pixel" + order, with_value(op, per_pixel, first)});
      cases.push_back({text + "column" + order, with_value(op, per_column, first)});
      cases.push_back({text + "scalar" + order, with_constant(op, {}, first)});
      cases.push_back({text + "channel constant" + order, with_constant(op, {1, -1, 1, 1}, first)});
      cases.push_back({text + "column constant" + order, with_constant(op, {kWidth}, first)});
    }
    cases.push_back({text + "both ways", [op = op](auto& b, auto x) {
                       return (b.*op)("op", per_column(b, x),
                                      b.max_pool("row", x, {.kernel = {1, kWidth}, .strides = {1, 1}}));
                     }});
  }
  return cases;
}

std::vector<Case> move_cases() {
  const auto shuffle = [](GraphBuilder& b, ValueId x, std::int64_t groups) {
    const std::int64_t c = b.shape(x)[1];
    const ValueId split = b.reshape("split", x, {kDynamic, groups, c / groups, kHeight, kWidth});
    return b.reshape("join", b.transpose("swap", split, {0, 2, 1, 3, 4}), {kDynamic, c, kHeight, kWidth});
  };
  return {
      {"concat channels",
       [](auto& b, auto x) {
         return b.concat("op", {x, b.conv("c", x, 5, {}, true), b.sigmoid("s", x)}, 1);
       }},
      {"concat rows",
       [](auto& b, auto x) {
         return b.concat("op", {b.relu("r", x), b.hard_swish("s", x)}, 2);
       }},
      {"concat columns",
       [](auto& b, auto x) {
         return b.concat("op", {b.relu("r", x), b.max_pool("m", x, {.kernel = {1, 2}})}, 3);
       }},
      {"concat features",
       [](auto& b, auto x) {
         return b.concat("op", {b.flatten("f", x), b.flatten("g", b.global_max_pool("m", x))}, 1);
       }},
      {"slice channels", [](auto& b, auto x) { return b.slice("op", x, 1, 1, SliceAttributes::kWhole, 2); }},
      {"slice rows back", [](auto& b, auto x) { return b.slice("op", x, 2, 4, -1, -2); }},
      {"slice columns", [](auto& b, auto x) { return b.slice("op", x, 3, 1, 4); }},
      {"split halves swapped",
       [](auto& b, auto x) {
         const std::int64_t half = b.shape(x)[1] / 2;
         return b.concat("op",
                         {b.slice("s1", x, 1, half, SliceAttributes::kWhole), b.slice("s2", x, 1, 0, half)});
       }},
      {"pad",
       [](auto& b, auto x) {
         return b.pad("op", x, {0, 2, 0, 1}, {0, 1, 3, 0});
       }},
      {"pad with a number",
       [](auto& b, auto x) {
         return b.pad("op", x, {0, 0, 1, 1}, {0, 0, 1, 1}, 0.5F);
       },
       false},
      {"reshape",
       [](auto& b, auto x) {
         return b.reshape("op", x, {kDynamic, b.shape(x)[1] * kHeight, kWidth});
       }},
      {"reshape to pixels",
       [](auto& b, auto x) {
         return b.reshape("op", x, {kDynamic, kHeight, kWidth, b.shape(x)[1]});
       }},
      {"flatten", [](auto& b, auto x) { return b.flatten("op", x); }},
      {"transpose",
       [](auto& b, auto x) {
         return b.transpose("op", x, {0, 3, 1, 2});
       }},
      {"tokens",
       [](auto& b, auto x) {
         const ValueId flat = b.reshape("flat", x, {kDynamic, b.shape(x)[1], kHeight * kWidth});
         const ValueId y = b.matmul("mm", b.transpose("t", flat, {0, 2, 1}), 19);
         return b.gelu("gelu", b.add("bias", y, b.constant("c", Tensor({19}, DType::kFloat32))));
       }},
      {"channels last",
       [](auto& b, auto x) {
         const ValueId y = b.matmul("mm", b.transpose("t", x, {0, 2, 3, 1}), 7);
         return b.conv("conv", b.transpose("back", y, {0, 3, 1, 2}), 6, {.kernel = {3, 3}}, true);
       }},
      {"shuffle",
       [=](auto& b, auto x) {
         const std::int64_t c = b.shape(x)[1];
         return b.conv("conv", shuffle(b, x, c % 2 == 0 ? 2 : c), 6, {}, true);
       }},
      {"shuffle of many", [=](auto& b, auto x) { return b.sigmoid("s", shuffle(b, x, b.shape(x)[1])); }},
  };
}

std::vector<Case> reduction_cases() {
  return {
      {"global max", [](auto& b, auto x) { return b.global_max_pool("op", x); }},
      {"global average", [](auto& b, auto x) { return b.global_average_pool("op", x); }},
      {"mean of pixels",
       [](auto& b, auto x) {
         return b.reduce_mean("op", x, {2, 3}, false);
       },
       false},
      {"mean of channels", [](auto& b, auto x) { return b.reduce_mean("op", x, {1}); }, false},
      {"mean of rows and channels",
       [](auto& b, auto x) {
         return b.reduce_mean("op", x, {1, 2}, false);
       },
       false},
      {"average beyond the padding",
       [](auto& b, auto x) {
         return b.average_pool("op", x,
                               {.kernel = {3, 2},
                                .strides = {2, 2},
                                .pads = {1, 0, 0, 0},
                                .ceil_mode = true,
                                .count_include_pad = true});
       }},
      {"softmax of channels", [](auto& b, auto x) { return b.softmax("op", x, 1); }, false},
      {"softmax of columns", [](auto& b, auto x) { return b.softmax("op", x, 3); }},
      {"log softmax", [](auto& b, auto x) { return b.log_softmax("op", b.flatten("f", x), 1); }, false},
      {"gemm", [](auto& b, auto x) { return b.relu("r", b.gemm("op", b.flatten("f", x), 11)); }},
  };
}

/// Blocks of well-known networks.
std::vector<Case> network_cases() {
  const ConvAttributes same{.kernel = {3, 3}, .pads = {1, 1, 1, 1}};
  const auto depthwise = [](GraphBuilder& b, const std::string& name, ValueId x, std::int64_t size,
                            std::int64_t stride) {
    const std::int64_t p = size / 2;
    const std::int64_t c = b.shape(x)[1];
    return b.conv(name, x, c,
                  {.kernel = {size, size}, .strides = {stride, stride}, .pads = {p, p, p, p}, .group = c},
                  true);
  };
  const auto excite = [](GraphBuilder& b, ValueId x) {
    const std::int64_t c = b.shape(x)[1];
    const ValueId squeezed =
        b.relu("se.relu", b.conv("se.1", b.global_average_pool("se.gap", x), 4, {}, true));
    return b.mul("se.mul", x, b.hard_sigmoid("se.gate", b.conv("se.2", squeezed, c, {}, true)));
  };
  return {
      {"squeeze and excite", [=](auto& b, auto x) { return excite(b, b.hard_swish("act", x)); }},
      {"inverted residual",
       [=](auto& b, auto x) {
         const std::int64_t c = b.shape(x)[1];
         const ValueId wide = b.clip("e.act", b.conv("expand", x, 3 * c, {}, true), 0.0F, 6.0F);
         const ValueId mixed = b.hard_swish("d.act", depthwise(b, "depthwise", wide, 5, 1));
         const ValueId y = b.add("sum", b.conv("project", excite(b, mixed), c, {}, true), x);
         return b.relu("r", depthwise(b, "down", y, 3, 2));
       }},
      {"shuffle unit",
       [=](auto& b, auto x) {
         const std::int64_t c = b.shape(x)[1] / 2 * 2;
         const ValueId left = b.slice("left", x, 1, 0, c / 2);
         const ValueId right = b.slice("right", x, 1, c / 2, c);
         const ValueId y = b.relu("r", b.conv("c2", depthwise(b, "dw", right, 3, 1), c / 2, {}, true));
         const ValueId all = b.concat("cat", {left, y});
         const ValueId split = b.reshape("split", all, {kDynamic, 2, c / 2, kHeight, kWidth});
         const ValueId swapped = b.transpose("swap", split, {0, 2, 1, 3, 4});
         return b.conv("end", b.reshape("join", swapped, {kDynamic, c, kHeight, kWidth}), 9, same, true);
       }},
      {"dense block",
       [=](auto& b, auto x) {
         for (const char* const name : {"d1", "d2", "d3"}) {
           const std::string text = name;
           const ValueId y = b.relu(text + ".relu", b.batch_norm(text + ".bn", x));
           x = b.concat(text + ".cat", {x, b.conv(text, y, 5, same, false)});
         }
         return b.average_pool("pool", x, {.kernel = {2, 2}, .strides = {2, 2}});
       }},
      {"fire",
       [=](auto& b, auto x) {
         const ValueId s = b.relu("s.relu", b.conv("squeeze", x, 7, {}, true));
         const ValueId left = b.relu("l.relu", b.conv("left", s, 9, {}, true));
         const ValueId right = b.relu("r.relu", b.conv("right", s, 12, same, true));
         return b.max_pool("pool", b.concat("cat", {left, right}), {.kernel = {2, 2}, .strides = {2, 2}});
       }},
  };
}

Graph build(const Case& c, std::int64_t channels, std::uint64_t seed) {
  GraphBuilder b(c.name, 3, kHeight, kWidth, seed);
  const ValueId x = b.conv("stem", b.input(), channels, {.kernel = {3, 3}, .pads = {1, 1, 1, 1}}, true);
  Graph graph = b.finish(c.append(b, x));
  randomize(graph, seed);
  return graph;
}

Tensor run(const Graph& graph, const Tensor& input, int threads) {
  const CompiledModel model(graph, {.max_batch = 3, .threads = threads});
  CompiledModel::Context context(model);
  Shape shape = graph.value(graph.output).shape;
  shape[0] = input.dim(0);
  Tensor y(shape, DType::kFloat32);
  model.run(context, input.data<float>(), input.dim(0), y.data<float>());
  return y;
}

void expect_float_matches(const std::vector<Case>& cases) {
  std::uint64_t seed = 0;
  for (const Case& c : cases) {
    for (const std::int64_t channels : {4, 8, 17}) {
      SCOPED_TRACE(c.name + ", channels " + std::to_string(channels));
      const Graph graph = build(c, channels, ++seed);
      const Tensor input = random_tensor({2, 3, kHeight, kWidth}, seed, -2.0F, 2.0F);
      const Tensor expected = interpret(graph, input);
      const Tensor actual = run(graph, input, 2);
      float largest = 1.0F;
      for (const float y : expected.data<float>()) largest = std::max(largest, std::abs(y));
      for (std::size_t i = 0; i < expected.data<float>().size(); ++i)
        ASSERT_NEAR(actual.data<float>()[i], expected.data<float>()[i], 1e-5F * largest) << i;
    }
  }
}

void expect_integers_match(const std::vector<Case>& cases) {
  std::uint64_t seed = 1000;
  for (const Case& c : cases) {
    for (const std::int64_t channels : {4, 8, 17, 48}) {
      SCOPED_TRACE(c.name + ", channels " + std::to_string(channels));
      const Graph graph = build(c, channels, ++seed);
      const Tensor sample = random_tensor({2, 3, kHeight, kWidth}, seed, -2.0F, 2.0F);
      const Graph quantized = annotate_from_sample(graph, sample, 127, true);
      const auto placed = placements(quantized);
      const bool integer = std::ranges::all_of(placed, [](const Placement& p) { return p.integer; });
      EXPECT_EQ(integer, c.integer);
      for (const std::int64_t batch : {1, 3}) {
        // Beyond the calibrated range: saturated integers must agree too.
        const Tensor input = random_tensor({batch, 3, kHeight, kWidth}, seed + 7, -3.0F, 3.0F);
        const QuantParams& params = *quantized.value(quantized.output).quant;
        const Tensor expected = dequantize(interpret(quantized, input), params);
        for (const int threads : {1, 2}) {
          const Tensor actual = run(quantized, input, threads);
          if (integer) {
            ASSERT_EQ(actual, expected) << "batch " << batch << ", threads " << threads;
          } else {
            // A float32 kernel may round to the neighbouring integer.
            for (std::size_t i = 0; i < expected.data<float>().size(); ++i)
              ASSERT_NEAR(actual.data<float>()[i], expected.data<float>()[i], 1.01F * params.scale()) << i;
          }
        }
      }
    }
  }
}

/// What kernels and reference share, how a group becomes numbers, against real numbers: 20 dB are far above
/// the noise of eight bits and far below any sign, scale or operand mixed up.
void expect_integers_follow_real_numbers(const std::vector<Case>& cases) {
  std::uint64_t seed = 2000;
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    const Graph graph = build(c, 8, ++seed);
    const Tensor sample = random_tensor({2, 3, kHeight, kWidth}, seed, -2.0F, 2.0F);
    const Graph quantized = annotate_from_sample(graph, sample, 127, true);
    const Tensor real = interpret(graph, sample);
    const Tensor actual = dequantize(interpret(quantized, sample), *quantized.value(quantized.output).quant);
    double signal = 0;
    double noise = 0;
    for (std::size_t i = 0; i < real.data<float>().size(); ++i) {
      signal += std::pow(real.data<float>()[i], 2.0);
      noise += std::pow(real.data<float>()[i] - actual.data<float>()[i], 2.0);
    }
    EXPECT_LT(noise, 0.01 * signal);
  }
}

TEST(Int8Operators, IntegersFollowRealNumbers) {
  expect_integers_follow_real_numbers(unary_cases());
  expect_integers_follow_real_numbers(binary_cases());
  expect_integers_follow_real_numbers(move_cases());
  expect_integers_follow_real_numbers(reduction_cases());
  expect_integers_follow_real_numbers(network_cases());
}

TEST(FloatOperators, UnaryEqualReference) { expect_float_matches(unary_cases()); }
TEST(FloatOperators, BinaryEqualReference) { expect_float_matches(binary_cases()); }
TEST(FloatOperators, MovesEqualReference) { expect_float_matches(move_cases()); }
TEST(FloatOperators, ReductionsEqualReference) { expect_float_matches(reduction_cases()); }
TEST(FloatOperators, NetworksEqualReference) { expect_float_matches(network_cases()); }

TEST(Int8Operators, UnaryEqualReferenceBitForBit) { expect_integers_match(unary_cases()); }
TEST(Int8Operators, BinaryEqualReferenceBitForBit) { expect_integers_match(binary_cases()); }
TEST(Int8Operators, MovesEqualReferenceBitForBit) { expect_integers_match(move_cases()); }
TEST(Int8Operators, ReductionsEqualReferenceBitForBit) { expect_integers_match(reduction_cases()); }
TEST(Int8Operators, NetworksEqualReferenceBitForBit) { expect_integers_match(network_cases()); }

}  // namespace
}  // namespace octavo
