// Rules of other engines: what PTQ makes by them, how the file says it, and who breaks them.
#include "octavo/quantize/target.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <string>
#include <vector>

#include "octavo/core/error.h"
#include "octavo/core/temporary_folder.h"
#include "octavo/graph/builder.h"
#include "octavo/onnx/file_form.h"
#include "octavo/onnx/onnx.h"
#include "octavo/quantize/ptq.h"
#include "octavo/runtime/reference.h"
#include "octavo/runtime/runtime.h"
#include "quantize/random_images.h"

namespace octavo {
namespace {

const Target& tensorrt() { return find_target("tensorrt"); }

TEST(FindTarget, UnknownNameThrowsUsage) {
  try {
    find_target("cuda");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUsage);
    EXPECT_NE(std::string(error.what()).find("tensorrt"), std::string::npos) << error.what();
  }
}

TEST(ChooseParams, SymmetricOnesHaveTheMiddleForZero) {
  const QuantParams both = choose_params(tensorrt(), {-0.5F, 12.7F});
  EXPECT_EQ(both, activation_params(0.1F, 128));
  EXPECT_EQ(choose_params(tensorrt(), {-25.4F, 3}), activation_params(0.2F, 128));
  EXPECT_EQ(choose_params(tensorrt(), {0, 0}), activation_params(1, 128));
  EXPECT_EQ(as_int8(both).zero_point(), 0);
  EXPECT_EQ(as_int8(both).qmin, -128);
  EXPECT_EQ(as_int8(both).qmax, 127);
}

TEST(ChooseParams, WithoutARuleAreThoseOfAnyEngine) {
  for (const char* name : {"any", "onnxruntime", "openvino", "litert"})
    EXPECT_EQ(choose_params(find_target(name), {-1, 3}), choose_activation_params({-1, 3})) << name;
}

TEST(ChooseParams, RangeIsAsWideAsTheTargetWants) {
  const Target& qnn = find_target("qnn");
  EXPECT_FLOAT_EQ(choose_params(qnn, {0, 1e-9F}).scale(), 1e-4F / 255);
  EXPECT_EQ(choose_params(qnn, {-1, 3}), choose_activation_params({-1, 3}));
}

TEST(LevelsWithin, CountsThoseOfASymmetricGridInTheRange) {
  EXPECT_EQ(levels_within(tensorrt(), {0, 6}), 128);
  EXPECT_EQ(levels_within(tensorrt(), {-6, 6}), 255);
  EXPECT_EQ(levels_within(tensorrt(), {-2, 6}), 170);
  EXPECT_EQ(levels_within(find_target("any"), {0, 6}), 256);
}

TEST(RunsInFloat, RowsAndFunctionsForTensorRt) {
  for (const Op op : {Op::kSoftmax, Op::kLayerNormalization, Op::kGelu, Op::kSigmoid})
    EXPECT_TRUE(runs_in_float(tensorrt(), op)) << to_string(op);
  for (const Op op : {Op::kConv, Op::kRelu, Op::kClip, Op::kAdd, Op::kMatMulOfValues, Op::kMaxPool})
    EXPECT_FALSE(runs_in_float(tensorrt(), op)) << to_string(op);
  EXPECT_FALSE(runs_in_float(find_target("any"), Op::kSoftmax));
}

/// A gate, a residual sum, a tanh and a softmax between layers.
Graph gated() {
  GraphBuilder b("gated", 3, 16, 16, 7);
  const ConvAttributes window{.kernel = {3, 3}, .pads = {1, 1, 1, 1}};
  ValueId x = b.relu("relu1", b.batch_norm("bn1", b.conv("conv1", b.input(), 8, window, true)));
  const ValueId gate = b.sigmoid("gate", b.conv("conv2", x, 8, window, true));
  x = b.add("add", b.mul("gated", b.conv("conv3", x, 8, window, true), gate), x);
  x = b.conv("conv5", b.unary("tanh", Op::kTanh, b.conv("conv4", x, 8, window, true)), 8, window, true);
  return b.finish(b.gemm("fc", b.flatten("flatten", b.global_average_pool("gap", x)), 4));
}

class EveryTarget : public ::testing::TestWithParam<std::string> {
 protected:
  EveryTarget()
      : target_(find_target(GetParam())),
        data_(testing::random_images(32, 16)),
        ptq_(quantize_ptq(gated(), data_, testing::kNoiseNormalization,
                          {.calibration_samples = 32, .target = GetParam()})
                 .graph) {
    save_onnx(ptq_, path_,
              {.int8_activations = target_.int8_activations, .float_biases = target_.float_biases});
  }

  const Target& target_;
  Dataset data_;
  Graph ptq_;
  TemporaryFolder folder_;
  std::filesystem::path path_ = folder_ / "model.onnx";
};

TEST_P(EveryTarget, FileKeepsItsRules) {
  for (const Violation& v : violations(target_, read_file_form(path_)))
    ADD_FAILURE() << v.node << ": " << v.rule << " (" << v.fix << ")";
}

TEST_P(EveryTarget, FileGivesTheGraphBack) { EXPECT_EQ(load_onnx(path_), stored_form(ptq_)); }

TEST_P(EveryTarget, MetadataNameIt) {
  EXPECT_EQ(ptq_.metadata.at("octavo.target"), GetParam());
  EXPECT_EQ(&target_of(load_onnx(path_)), &target_);
}

TEST_P(EveryTarget, ActivationsHaveTheZeroPointsItWants) {
  int quantized = 0;
  for (const Value& value : ptq_.values) {
    if (!value.quant || value.constant) continue;
    ++quantized;
    if (target_.symmetric_activations) {
      EXPECT_EQ(value.quant->zero_point(), 128) << value.name;
    }
  }
  EXPECT_GE(quantized, 6);
}

TEST_P(EveryTarget, RuntimeEqualsTheReferenceBitForBit) {
  const Graph graph = load_onnx(path_);
  std::vector<std::int64_t> indices(8);
  std::iota(indices.begin(), indices.end(), 0);
  const Tensor batch = normalized_batch(data_, indices, testing::kNoiseNormalization);
  const CompiledModel model(graph, {.max_batch = 8, .threads = 1, .observe = {}});
  CompiledModel::Context context(model);
  std::vector<float> logits(static_cast<std::size_t>(8 * model.classes()));
  model.run(context, batch.data<float>(), 8, logits);
  const Tensor expected = interpret(graph, batch);
  const auto values = expected.data<float>();
  EXPECT_EQ(logits, std::vector<float>(values.begin(), values.end()));
}

INSTANTIATE_TEST_SUITE_P(Table, EveryTarget, ::testing::ValuesIn(target_names()),
                         [](const auto& instance) { return instance.param; });

TEST(Ptq, FixedOutputsHaveTheScalesOfTheTarget) {
  const Graph graph = quantize_ptq(gated(), testing::random_images(32, 16), testing::kNoiseNormalization,
                                   {.calibration_samples = 32, .target = "litert"})
                          .graph;
  for (const Node& node : graph.nodes) {
    const auto& quant = graph.value(node.output).quant;
    if (node.op == Op::kSigmoid) {
      EXPECT_EQ(quant, activation_params(1.0F / 256, 0));
    }
    if (node.op == Op::kTanh) {
      EXPECT_EQ(quant, activation_params(1.0F / 128, 128));
    }
  }
}

TEST(Ptq, UnknownTargetThrowsUsage) {
  try {
    quantize_ptq(gated(), testing::random_images(4, 16), testing::kNoiseNormalization,
                 {.calibration_samples = 4, .target = "cuda"});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUsage);
  }
}

/// Rules of `target` that a plain file breaks, by node.
std::vector<Violation> of_plain_file(const char* target,
                                     const PtqConfig& config = {.calibration_samples = 8}) {
  const Graph graph =
      quantize_ptq(gated(), testing::random_images(8, 16), testing::kNoiseNormalization, config).graph;
  const TemporaryFolder folder;
  save_onnx(graph, folder / "model.onnx");
  return violations(find_target(target), read_file_form(folder / "model.onnx"));
}

const Violation* find(const std::vector<Violation>& broken, const std::string& node,
                      const std::string& part) {
  const auto found = std::ranges::find_if(
      broken, [&](const Violation& v) { return v.node == node && v.rule.find(part) != std::string::npos; });
  return found == broken.end() ? nullptr : &*found;
}

TEST(Violations, NameNodeRuleAndFix) {
  const std::vector<Violation> broken = of_plain_file("tensorrt");
  const Violation* type =
      find(broken, "relu1.out_QuantizeLinear", "TensorRT takes activations in INT8; this is UINT8");
  ASSERT_NE(type, nullptr);
  EXPECT_EQ(type->fix, "quantize with --target tensorrt");
  EXPECT_NE(find(broken, "input_QuantizeLinear", "zero points of 0"), nullptr);
  EXPECT_NE(find(broken, "conv2.bias_DequantizeLinear", "biases in float32; this one is INT32"), nullptr);
  EXPECT_EQ(find(broken, "conv1.weight_DequantizeLinear", ""), nullptr) << "weights are as it wants them";
}

TEST(Violations, OfLiteRtAreFixedOutputs) {
  const std::vector<Violation> broken = of_plain_file("litert");
  EXPECT_NE(find(broken, "gate.out_QuantizeLinear", "Sigmoid with the scale"), nullptr);
}

TEST(Violations, PlainFileHasNoneForOthers) {
  for (const char* target : {"any", "onnxruntime", "openvino", "qnn"})
    EXPECT_TRUE(of_plain_file(target).empty()) << target;
}

TEST(Target, RulesAreForEightBits) {
  PtqConfig config;
  config.target = "tensorrt";
  EXPECT_NO_THROW(check_target(config));
  config.bits.all.weights = 4;
  EXPECT_THROW(check_target(config), Error);
  config.target = "any";
  EXPECT_NO_THROW(check_target(config));
}

}  // namespace
}  // namespace octavo
