#include "octavo/graph/zoo.h"

#include <gtest/gtest.h>

#include <cmath>

#include "octavo/core/error.h"

namespace octavo {
namespace {

TEST(Zoo, SimpleCnnHasThePublishedSize) {
  const Graph graph = make_model("simple-cnn", {}, 1);
  EXPECT_EQ(parameter_count(graph), 1558026);
  // 27*64*1024 + 576*128*256 + 1152*256*64 + 2304*512*16 + 5120
  EXPECT_EQ(mac_count(graph), 58397696);
  EXPECT_EQ(graph.value(graph.output).shape, (Shape{kDynamic, 10}));
}

TEST(Zoo, Resnet20HasThePublishedSize) {
  const Graph graph = make_model("resnet20", {}, 1);
  // 269,722 of the paper's network without projections, and two 1x1 projections with their batch norms.
  EXPECT_EQ(parameter_count(graph), 269722 + (16 * 32 + 2 * 32) + (32 * 64 + 2 * 64));
}

TEST(Zoo, EveryModelIsValidForColourAndGrayImages) {
  for (const std::string& name : model_names()) {
    EXPECT_FALSE(model_description(name).empty());
    EXPECT_NO_THROW(validate(make_model(name, {.channels = 1, .height = 28, .width = 28, .classes = 7}, 3)));
  }
}

TEST(Zoo, SeedDecidesTheWeights) {
  EXPECT_EQ(make_model("resnet20", {}, 5), make_model("resnet20", {}, 5));
  EXPECT_FALSE(make_model("resnet20", {}, 5) == make_model("resnet20", {}, 6));
}

TEST(Zoo, WeightsAreHeNormal) {
  const Graph graph = make_model("simple-cnn", {}, 1);
  const auto w = graph.value(graph.find_value("conv4.weight")).constant->data<float>();
  double sum = 0;
  double squares = 0;
  for (const float x : w) {
    sum += x;
    squares += static_cast<double>(x) * x;
  }
  const double n = static_cast<double>(w.size());
  const double expected = std::sqrt(2.0 / (512 * 9));
  EXPECT_NEAR(sum / n, 0.0, 5 * expected / std::sqrt(n));
  EXPECT_NEAR(std::sqrt(squares / n), expected, 5 * expected / std::sqrt(2 * n));
}

TEST(Zoo, UnknownModelNamesTheKnownOnes) {
  try {
    make_model("resnet21", {}, 1);
    FAIL() << "expected an Error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUsage);
    EXPECT_NE(std::string(error.what()).find("resnet20"), std::string::npos);
  }
}

TEST(Zoo, InputTooSmallForTheModelIsRefused) {
  EXPECT_THROW(make_model("simple-cnn", {.channels = 3, .height = 8, .width = 8}, 1), Error);
}

}  // namespace
}  // namespace octavo
