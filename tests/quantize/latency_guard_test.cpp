// The latency guard: what it decides depends on the machine, that the result is consistent does not.
#include "octavo/quantize/latency_guard.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "octavo/core/cpu.h"
#include "octavo/core/error.h"
#include "octavo/graph/passes.h"
#include "octavo/graph/zoo.h"
#include "octavo/quantize/layer_choices.h"
#include "octavo/quantize/ptq.h"
#include "octavo/runtime/placement.h"
#include "octavo/runtime/reference.h"
#include "octavo/runtime/runtime.h"
#include "quantize/random_images.h"

namespace octavo {
namespace {

Graph quantized_model(const char* name) {
  const ZooInput input{.channels = 3, .height = 32, .width = 32};
  return quantize_ptq(make_model(name, input, 1), testing::random_images(4, 32), testing::kNoiseNormalization,
                      {.calibration_samples = 4, .batch_size = 4})
      .graph;
}

std::vector<bool> integer_of(const Graph& graph) {
  std::vector<bool> result;
  for (const Placement& placement : placements(graph, quantizable_groups(graph)))
    result.push_back(placement.integer);
  return result;
}

Tensor one_image() {
  Tensor input({1, 3, 32, 32}, DType::kFloat32);
  std::mt19937 random(2);
  std::normal_distribution<float> normal;
  for (float& x : input.data<float>()) x = normal(random);
  return input;
}

/// What is quantized has the parameters it had, and some integer group reads it.
void expect_consistent(const Graph& guarded, const Graph& all) {
  validate(guarded);
  ASSERT_EQ(guarded.values.size(), all.values.size());
  std::vector<bool> read(guarded.values.size(), false);
  for (const Placement& placement : placements(guarded)) {
    if (!placement.integer) continue;
    for (const int node : placement.nodes) {
      for (const ValueId id : guarded.nodes[static_cast<std::size_t>(node)].inputs)
        read[static_cast<std::size_t>(id)] = true;
    }
  }
  for (std::size_t i = 0; i < guarded.values.size(); ++i) {
    const Value& value = guarded.values[i];
    if (!value.quant) continue;
    EXPECT_EQ(value.quant, all.values[i].quant) << value.name;
    EXPECT_TRUE(read[i]) << value.name << " is quantized, and nothing reads its integers";
  }
}

/// The runtime's logits against the reference interpreter's: the same bits, or for a model with float32
/// layers behind its integer ones as near as float32 sums are.
void expect_reference_logits(const Graph& graph, bool exactly) {
  const Tensor input = one_image();
  const CompiledModel model(graph, {.max_batch = 1, .threads = 1, .observe = {}});
  CompiledModel::Context context(model);
  std::vector<float> logits(static_cast<std::size_t>(model.classes()));
  model.run(context, input.data<float>(), 1, logits);
  const Tensor expected = interpret(graph, input);
  const auto wanted = expected.data<float>();
  float largest = 0;
  for (const float logit : wanted) largest = std::max(largest, std::abs(logit));
  for (std::size_t i = 0; i < logits.size(); ++i) {
    EXPECT_NEAR(logits[i], wanted[i], exactly ? 0.0F : 1e-4F * largest) << "logit " << i;
  }
}

class LatencyGuard : public ::testing::TestWithParam<const char*> {};

TEST_P(LatencyGuard, AnyChoiceOfGroupsGivesAConsistentModel) {
  const Graph all = quantized_model(GetParam());
  const std::vector<bool> before = integer_of(all);
  std::mt19937 random(7);
  for (const unsigned in_ten : {1U, 5U, 9U}) {
    std::vector<bool> wanted;
    for (const bool integer : before) wanted.push_back(integer && random() % 10 < in_ten);
    const Graph guarded = keep_in_integers(all, wanted);
    const std::vector<bool> after = integer_of(guarded);
    ASSERT_EQ(after.size(), before.size());
    const auto groups = quantizable_groups(all);
    for (std::size_t g = 0; g < after.size(); ++g) {
      const Op op = all.nodes[static_cast<std::size_t>(groups[g].anchor)].op;
      // What has no weights follows its neighbours.
      if (op == Op::kConv || op == Op::kGemm) {
        EXPECT_LE(after[g], wanted[g]) << "group " << g;
      }
    }
    EXPECT_GT(std::ranges::count(after, true), 0) << in_ten;
    expect_consistent(guarded, all);
  }
  EXPECT_EQ(keep_in_integers(all, before), all);
  expect_reference_logits(all, true);
  EXPECT_FALSE(keep_in_integers(all, std::vector<bool>(before.size(), false)).quantized());
}

TEST_P(LatencyGuard, IntegersFirstAndFloatsBehindThemFollowTheReference) {
  const Graph all = quantized_model(GetParam());
  std::vector<bool> wanted = integer_of(all);
  std::fill(wanted.begin() + std::ssize(wanted) / 2, wanted.end(), false);
  const Graph guarded = keep_in_integers(all, wanted);
  expect_consistent(guarded, all);
  expect_reference_logits(guarded, false);
}

INSTANTIATE_TEST_SUITE_P(Zoo, LatencyGuard,
                         ::testing::Values("resnet20", "mobilenet-v3-small", "shufflenet-v2"));

TEST(LatencyGuard, TheResultSaysWhatItDidAndWhy) {
  const Graph all = quantized_model("mobilenet-v3-small");
  const GuardedModel guarded = guard_latency(all, {.batch = 1, .threads = 1, .warmup = 1, .runs = 5});
  expect_consistent(guarded.graph, all);
  EXPECT_LE(guarded.guarded_ms, guarded.float_ms);
  EXPECT_LE(guarded.guarded_ms, guarded.int8_ms);
  const auto placed = placements(guarded.graph, quantizable_groups(all));
  const auto before = placements(all, quantizable_groups(all));
  ASSERT_EQ(guarded.layers.size(), placed.size());
  for (std::size_t g = 0; g < placed.size(); ++g) {
    const GuardedLayer& layer = guarded.layers[g];
    EXPECT_EQ(layer.integer, placed[g].integer) << layer.name;
    EXPECT_EQ(layer.reason.empty(), layer.integer) << layer.name;
    EXPECT_EQ(guarded.graph.metadata.contains("octavo.latency_guard." + layer.name),
              before[g].integer && !layer.integer)
        << layer.name;
  }
  const auto choice = layer_choices(guarded.graph).guard;
  ASSERT_TRUE(choice);
  EXPECT_EQ(choice->batch, 1);
  EXPECT_EQ(choice->threads, 1);
  EXPECT_EQ(choice->cpu, cpu_name());
  EXPECT_NEAR(choice->guarded_ms, guarded.guarded_ms, 0.00005);
  EXPECT_EQ(choice->all_float, !guarded.graph.quantized());
  std::vector<std::string> left;
  for (std::size_t g = 0; g < placed.size(); ++g) {
    if (before[g].integer && !placed[g].integer) left.push_back(guarded.layers[g].name);
  }
  ASSERT_EQ(choice->layers.size(), left.size());
  for (std::size_t i = 0; i < left.size(); ++i) EXPECT_EQ(choice->layers[i].name, left[i]);
}

TEST(LatencyGuard, FloatModelsAndBadSettingsAreRefused) {
  const Graph all = quantized_model("simple-cnn");
  EXPECT_THROW(guard_latency(make_model("simple-cnn", {.channels = 3, .height = 32, .width = 32}, 1)), Error);
  EXPECT_THROW(guard_latency(all, {.batch = 0}), Error);
  EXPECT_THROW(guard_latency(all, {.runs = 0}), Error);
}

}  // namespace
}  // namespace octavo
