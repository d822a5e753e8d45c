#include <gtest/gtest.h>

#include <functional>
#include <limits>

#include "octavo/core/error.h"
#include "octavo/graph/builder.h"
#include "octavo/graph/zoo.h"

namespace octavo {
namespace {

/// What validate() says after `change`; empty if nothing.
std::string complaint(const std::function<void(Graph&)>& change) {
  Graph graph = make_model("simple-cnn", {}, 1);
  change(graph);
  try {
    validate(graph);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kBadInput);
    return error.what();
  }
  return "";
}

#define EXPECT_COMPLAINT(text, change) \
  EXPECT_NE(complaint([](Graph& g) { change; }).find(text), std::string::npos)

TEST(Validate, SoundGraphPasses) {
  EXPECT_EQ(complaint([](Graph&) {}), "");
}

TEST(Validate, BrokenStructureIsNamed) {
  EXPECT_COMPLAINT("no value", g.nodes[0].inputs[0] = 9999);
  EXPECT_COMPLAINT("no value", g.output = kNoValue);
  EXPECT_COMPLAINT("before it is made", std::swap(g.nodes[0], g.nodes[1]));
  EXPECT_COMPLAINT("two values are named", g.values[1].name = g.values[2].name);
  EXPECT_COMPLAINT("two nodes are named", g.nodes[1].name = g.nodes[0].name);
  EXPECT_COMPLAINT("exists already", g.nodes[1].output = g.nodes[0].output);
  EXPECT_COMPLAINT("inputs; expected", g.nodes[0].inputs.clear());
  EXPECT_COMPLAINT("attributes of another operator", g.nodes[0].attributes = std::monostate{});
  EXPECT_COMPLAINT("must be a constant", g.nodes[4].inputs[1] = g.nodes[3].output);
}

TEST(Validate, BrokenConvolutionsAreNamed) {
  EXPECT_COMPLAINT("does not divide", std::get<ConvAttributes>(g.nodes[0].attributes).group = 2);
  EXPECT_COMPLAINT("must be positive", std::get<ConvAttributes>(g.nodes[0].attributes).strides[0] = 0);
  EXPECT_COMPLAINT("must be positive", std::get<ConvAttributes>(g.nodes[0].attributes).pads[2] = -1);
  EXPECT_COMPLAINT("does not fit", std::get<ConvAttributes>(g.nodes[0].attributes).kernel[1] = 5);
  EXPECT_COMPLAINT("2^31", std::get<ConvAttributes>(g.nodes[0].attributes).pads[0] =
                               std::numeric_limits<std::int64_t>::max());
}

TEST(Validate, BrokenConstantsAreNamed) {
  EXPECT_COMPLAINT("not finite", g.value(g.nodes[0].inputs[1]).constant->data<float>()[3] =
                                     std::numeric_limits<float>::quiet_NaN());
  EXPECT_COMPLAINT("is declared", g.value(g.nodes[0].inputs[1]).shape = (Shape{1, 2, 3, 3}));
  EXPECT_COMPLAINT("scales along axis", g.value(g.nodes[0].inputs[1]).quant = weight_params({1.0F, 2.0F}));
  EXPECT_COMPLAINT("scale 0", g.value(g.input).quant = activation_params(-1.0F, 0));
  EXPECT_COMPLAINT("positive dimensions", g.value(g.input).shape = (Shape{kDynamic, 3, 0, 32}));
}

TEST(InferShapes, CeilModeNeverStartsAWindowInTheTrailingPadding) {
  GraphBuilder b("ceil", 1, 5, 6, 1);
  const ValueId x = b.max_pool("p", b.input(), {.kernel = {2, 2}, .strides = {2, 2}, .ceil_mode = true});
  EXPECT_EQ(b.shape(x), (Shape{kDynamic, 1, 3, 3}));
  GraphBuilder c("ceil2", 1, 4, 4, 1);
  const ValueId y = c.max_pool(
      "p", c.input(), {.kernel = {2, 2}, .strides = {3, 3}, .pads = {0, 0, 1, 1}, .ceil_mode = true});
  EXPECT_EQ(c.shape(y), (Shape{kDynamic, 1, 2, 2}));
}

}  // namespace
}  // namespace octavo
