#include "octavo/quantize/layer_choices.h"

#include <gtest/gtest.h>

#include "octavo/graph/builder.h"

namespace octavo {
namespace {

/// Layers whose names do not come in the order of the alphabet.
Graph layers() {
  GraphBuilder b("layers", 1, 4, 4, 1);
  ValueId x = b.conv("z, first", b.input(), 2, {.kernel = {1, 1}}, false);
  x = b.conv("a second", x, 2, {.kernel = {1, 1}}, false);
  return b.finish(b.gemm("m", b.flatten("flatten", x), 2));
}

GuardChoice guard() {
  return {.batch = 8,
          .threads = 2,
          .cpu = "Maker: CPU, 2 threads, 3.0 GHz: as chosen",
          .float_ms = 6.125,
          .int8_ms = 1.0625,
          .guarded_ms = 0.0001,
          .all_float = false,
          .layers = {{.name = "z, first", .float_ms = 0.0123, .int8_ms = 0.25, .conversion_ms = 1234.5},
                     {.name = "a second", .float_ms = 0, .int8_ms = 1, .conversion_ms = 2}}};
}

SaturationChoice saturation() {
  return {
      .images = 64,
      .proven = 1,
      .layers = {{.layer = "z, first", .largest = 64770, .risky_pairs = 3, .events = 45, .narrowed = true},
                 {.layer = "a second", .largest = 32768, .risky_pairs = 0, .events = 0, .narrowed = false}}};
}

TEST(LayerChoices, AreReadAsTheyWereRecorded) {
  Graph graph = layers();
  EXPECT_TRUE(layer_choices(graph).empty());
  record(graph, guard());
  EXPECT_FALSE(layer_choices(graph).saturation);
  record(graph, saturation());
  const LayerChoices read = layer_choices(graph);
  ASSERT_TRUE(read.guard && read.saturation);
  EXPECT_EQ(read.guard->batch, 8);
  EXPECT_EQ(read.guard->threads, 2);
  EXPECT_EQ(read.guard->cpu, guard().cpu);
  EXPECT_EQ(read.guard->float_ms, 6.125);
  EXPECT_EQ(read.guard->int8_ms, 1.0625);
  EXPECT_EQ(read.guard->guarded_ms, 0.0001);
  EXPECT_FALSE(read.guard->all_float);
  ASSERT_EQ(read.guard->layers.size(), 2U);
  EXPECT_EQ(read.guard->layers[0].name, "z, first");
  EXPECT_EQ(read.guard->layers[0].float_ms, 0.0123);
  EXPECT_EQ(read.guard->layers[0].int8_ms, 0.25);
  EXPECT_EQ(read.guard->layers[0].conversion_ms, 1234.5);
  EXPECT_EQ(read.guard->layers[1].name, "a second");
  EXPECT_EQ(read.saturation->images, 64);
  EXPECT_EQ(read.saturation->proven, 1);
  ASSERT_EQ(read.saturation->layers.size(), 2U);
  const LayerSaturation& first = read.saturation->layers[0];
  EXPECT_EQ(first.layer, "z, first");
  EXPECT_EQ(first.largest, 64770);
  EXPECT_EQ(first.risky_pairs, 3);
  EXPECT_EQ(first.events, 45);
  EXPECT_TRUE(first.narrowed);
  EXPECT_FALSE(read.saturation->layers[1].narrowed);
}

TEST(LayerChoices, FloatModelIsKnownAsOne) {
  Graph graph = layers();
  GuardChoice choice = guard();
  choice.all_float = true;
  record(graph, choice);
  EXPECT_TRUE(layer_choices(graph).guard->all_float);
}

TEST(LayerChoices, ForgottenOnesLeaveOtherMetadata) {
  Graph graph = layers();
  graph.metadata["octavo.seed"] = "3";
  const auto before = graph.metadata;
  record(graph, guard());
  record(graph, saturation());
  forget_layer_choices(graph);
  EXPECT_EQ(graph.metadata, before);
}

TEST(LayerChoices, TextOfAnotherKindIsLeftOut) {
  for (const char* text :
       {"", "batch", "batch 1, 2 threads, cpu: float32 ",
        "batch 0, 2 threads, c: float32 1 ms, int8 "
        "wherever it goes 1 ms, as chosen 1 ms",
        "batch 1, 2 threads, c: float32 -1 ms, int8 wherever it goes 1 ms, as chosen 1 ms",
        "batch 1, 2 threads, c: float32 inf ms, int8 wherever it goes 1 ms, as chosen 1 ms"}) {
    Graph graph = layers();
    graph.metadata["octavo.latency_guard"] = text;
    graph.metadata["octavo.saturation"] = text;
    EXPECT_TRUE(layer_choices(graph).empty()) << text;
  }
  Graph graph = layers();
  record(graph, guard());
  record(graph, saturation());
  graph.metadata["octavo.latency_guard.z, first"] = "its input is not quantized";
  graph.metadata["octavo.saturation.z, first"] = "8 bits: 99999999999999999999 sums; 1 pairs, up to 1";
  EXPECT_EQ(layer_choices(graph).guard->layers.size(), 1U);
  EXPECT_EQ(layer_choices(graph).saturation->layers.size(), 1U);
}

}  // namespace
}  // namespace octavo
