#include "octavo/graph/preprocessing.h"

#include <gtest/gtest.h>

#include "octavo/core/error.h"

namespace octavo {
namespace {

TEST(Normalize, FollowsItsFormulaChannelByChannel) {
  const Normalization n{{0.5F, 0.25F}, {0.5F, 0.125F}};
  const std::vector<std::uint8_t> pixels{0, 255, 51, 255};  // Two channels of two pixels.
  std::vector<float> output(4);
  normalize(pixels, n, 2, output);
  EXPECT_EQ(output[0], -1.0F);
  EXPECT_EQ(output[1], 1.0F);
  EXPECT_EQ(output[2], (51.0F / 255.0F - 0.25F) / 0.125F);
  EXPECT_EQ(output[3], 6.0F);
}

TEST(Normalize, MetadataRoundTripsExactly) {
  Graph graph;
  EXPECT_FALSE(get_normalization(graph).has_value());
  const Normalization n{{0.4914F, 0.4822F, 0.4465F}, {0.2023F, 0.1994F, 0.2010F}};
  set_normalization(graph, n);
  EXPECT_EQ(get_normalization(graph), n);
  set_class_names(graph, {"T-shirt/top", "b, c"});
  EXPECT_EQ(get_class_names(graph), (std::vector<std::string>{"T-shirt/top", "b, c"}));
}

TEST(Normalize, BrokenMetadataIsRefused) {
  Graph graph;
  graph.metadata = {{"octavo.mean", "0.5,zero"}, {"octavo.std", "1,1"}};
  EXPECT_THROW(get_normalization(graph), Error);
  graph.metadata = {{"octavo.mean", "0.5"}, {"octavo.std", "1,1"}};
  EXPECT_THROW(get_normalization(graph), Error);
  graph.metadata = {{"octavo.mean", "0.5"}, {"octavo.std", "0"}};
  EXPECT_THROW(get_normalization(graph), Error);
}

}  // namespace
}  // namespace octavo
