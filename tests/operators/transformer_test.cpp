// Transformers of the zoo, quantized: what runs in integers, with the reference's bits, and in ONNX Runtime.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "octavo/core/temporary_folder.h"
#include "octavo/graph/zoo.h"
#include "octavo/onnx/onnx.h"
#include "octavo/quantize/ptq.h"
#include "octavo/runtime/placement.h"
#include "octavo/runtime/reference.h"
#include "octavo/runtime/runtime.h"
#include "quantize/random_images.h"
#include "support/ort.h"

namespace octavo {
namespace {

constexpr std::int64_t kSide = 32;
constexpr std::int64_t kImages = 3;

class Transformer : public ::testing::TestWithParam<const char*> {
 protected:
  Transformer()
      : data_(testing::random_images(16, kSide)),
        float_(make_model(GetParam(), {.height = kSide, .width = kSide}, 5)),
        graph_(
            parse_onnx(serialize_onnx(quantize_ptq(stored_form(float_), data_, testing::kNoiseNormalization,
                                                   {.calibration_samples = 16})
                                          .graph),
                       "file.onnx")) {
    std::vector<std::int64_t> indices(kImages);
    std::iota(indices.begin(), indices.end(), 0);
    batch_ = normalized_batch(data_, indices, testing::kNoiseNormalization);
  }

  std::vector<float> compiled(int threads) const {
    const CompiledModel model(graph_, {.max_batch = kImages, .threads = threads, .observe = {}});
    CompiledModel::Context context(model);
    std::vector<float> logits(static_cast<std::size_t>(kImages * model.classes()));
    model.run(context, batch_.data<float>(), kImages, logits);
    return logits;
  }

  Dataset data_;
  Graph float_, graph_;
  Tensor batch_;
};

TEST_P(Transformer, MultipliesInIntegersAlone) {
  bool rows = false;
  for (const Placement& placement : placements(graph_)) {
    const Node& node = graph_.nodes[static_cast<std::size_t>(placement.nodes[0])];
    const bool multiplies = has_weight(node.op) || node.op == Op::kMatMulOfValues;
    rows = rows || node.op == Op::kLayerNormalization || node.op == Op::kSoftmax;
    if (multiplies || node.op == Op::kSoftmax || node.op == Op::kGelu) {
      EXPECT_TRUE(placement.integer) << node.name << ": " << placement.reason;
    }
    // What flows past the layers and what attention scores are not rounded.
    // (A window of one token has a table for its bias.)
    const bool scores = node.op == Op::kMatMulOfValues && node.name.ends_with(".scores") &&
                        graph_.value(node.output).shape.back() > 1;
    if (scores) {
      EXPECT_FALSE(graph_.value(node.output).quant) << node.name;
    }
  }
  EXPECT_TRUE(rows);
}

TEST_P(Transformer, EqualsTheReferenceBitForBit) {
  const Tensor expected = interpret(graph_, batch_);
  const auto logits = expected.data<float>();
  for (const int threads : {1, 2}) {
    EXPECT_EQ(compiled(threads), std::vector<float>(logits.begin(), logits.end())) << threads << " threads";
  }
}

// Its layer norms and softmaxes sum in another order, so that a number in a hundred thousand is rounded to
// its neighbour.
TEST_P(Transformer, IsNearInOnnxRuntime) {
  if (const std::string why = test::why_no_onnx_runtime(); !why.empty()) GTEST_SKIP() << why;
  const TemporaryFolder folder;
  const auto file = folder / "model.onnx";
  save_onnx(graph_, file);
  const std::vector<float> theirs =
      test::onnx_runtime_logits(file, batch_, {.modules = {}, .optimize = false});
  const std::vector<float> ours = compiled(1);
  float largest = 0;
  for (const float logit : theirs) largest = std::max(largest, std::abs(logit));
  for (std::size_t i = 0; i < ours.size(); ++i)
    EXPECT_NEAR(ours[i], theirs[i], 0.1F * largest) << "logit " << i;
}

INSTANTIATE_TEST_SUITE_P(Zoo, Transformer, ::testing::Values("vit-tiny", "swin-tiny-224", "convnext-tiny"),
                         [](const auto& instance) {
                           std::string name = instance.param;
                           std::ranges::replace(name, '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace octavo
