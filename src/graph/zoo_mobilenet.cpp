/// MobileNetV2 (Sandler et al. 2018, arXiv 1801.04381) and MobileNetV3 (Howard et al. 2019, arXiv
/// 1905.02244).
#include <vector>

#include "zoo_models.h"

namespace octavo::zoo {
namespace {

ValueId conv_norm_relu6(GraphBuilder& b, const std::string& name, ValueId x, std::int64_t width,
                        const ConvAttributes& attributes) {
  return b.clip(name + ".relu6", conv_norm(b, name, x, width, attributes), 0, 6);
}

/// How the common CIFAR form differs from the paper's.
struct V2Form {
  std::int64_t stem_stride, second_stride;  ///< Of the stem and of the stage with 24 channels.
  bool cifar;  ///< Expands with factor 1 too, and projects the shortcut where the width changes.
};

/// An inverted residual: expand, depthwise, project; a shortcut where the stride is 1.
ValueId inverted_residual(GraphBuilder& b, const std::string& name, ValueId x, std::int64_t expansion,
                          std::int64_t width, std::int64_t stride, bool cifar) {
  const std::int64_t in = b.shape(x)[1];
  const std::int64_t hidden = in * expansion;
  ValueId y = x;
  if (expansion != 1 || cifar) y = conv_norm_relu6(b, name + ".expand", y, hidden, square(1));
  y = conv_norm_relu6(b, name + ".depthwise", y, hidden, square(3, stride, hidden));
  y = conv_norm(b, name + ".project", y, width, square(1));
  if (stride != 1 || (in != width && !cifar)) return y;
  if (in != width) x = conv_norm(b, name + ".shortcut", x, width, square(1));
  return b.add(name + ".add", y, x);
}

Graph v2(const std::string& name, const ZooInput& input, std::uint64_t seed, const V2Form& form) {
  struct Stage {
    std::int64_t expansion, width;
    int blocks;
    std::int64_t stride;
  };
  const std::vector<Stage> stages{{1, 16, 1, 1}, {6, 24, 2, form.second_stride},
                                  {6, 32, 3, 2}, {6, 64, 4, 2},
                                  {6, 96, 3, 1}, {6, 160, 3, 2},
                                  {6, 320, 1, 1}};
  GraphBuilder b(name, input.channels, input.height, input.width, seed);
  ValueId x = conv_norm_relu6(b, "stem", b.input(), 32, square(3, form.stem_stride));
  int number = 1;
  for (const Stage& stage : stages) {
    for (int i = 0; i < stage.blocks; ++i) {
      x = inverted_residual(b, "block" + std::to_string(number++), x, stage.expansion, stage.width,
                            i == 0 ? stage.stride : 1, form.cifar);
    }
  }
  return classify(b, conv_norm_relu6(b, "head", x, 1280, square(1)), input.classes);
}

/// Batch norm as MobileNetV3 has it. (PyTorch's momentum of 0.01 is 0.99 in ONNX.)
constexpr BatchNormAttributes kV3Norm{.epsilon = 1e-3F, .momentum = 0.99F};

/// Channels rounded to a multiple of 8, never down by more than a tenth.
std::int64_t round_to_8(std::int64_t channels) {
  const std::int64_t rounded = std::max<std::int64_t>(8, (channels + 4) / 8 * 8);
  return rounded * 10 < channels * 9 ? rounded + 8 : rounded;
}

enum class Activation : std::uint8_t { kRelu, kHardSwish };

ValueId v3_activation(GraphBuilder& b, const std::string& name, ValueId x, Activation activation) {
  return activation == Activation::kHardSwish ? b.hard_swish(name + ".hswish", x) : b.relu(name + ".relu", x);
}

/// Squeeze and excitation (Hu et al. 2017, arXiv 1709.01507): channels weighed by what is in the whole image.
ValueId squeeze_excite(GraphBuilder& b, const std::string& name, ValueId x) {
  const std::int64_t width = b.shape(x)[1];
  ValueId weights = b.global_average_pool(name + ".gap", x);
  weights = b.relu(name + ".relu", b.conv(name + ".fc1", weights, round_to_8(width / 4), square(1), true));
  weights = b.hard_sigmoid(name + ".gate", b.conv(name + ".fc2", weights, width, square(1), true));
  return b.mul(name + ".mul", x, weights);
}

}  // namespace

/// The common CIFAR form: stem and second stage without stride, an expansion in the first block as well, and
/// projections where a block without stride changes the width.
Graph mobilenet_v2(const std::string& name, const ZooInput& input, std::uint64_t seed) {
  return v2(name, input, seed, {.stem_stride = 1, .second_stride = 1, .cifar = true});
}

Graph mobilenet_v2_224(const std::string& name, const ZooInput& input, std::uint64_t seed) {
  return v2(name, input, seed, {.stem_stride = 2, .second_stride = 2, .cifar = false});
}

/// The published layers; stem and first block have stride 1 instead of 2 here.
Graph mobilenet_v3_small(const std::string& name, const ZooInput& input, std::uint64_t seed) {
  enum class Squeeze : std::uint8_t { kNo, kYes };
  struct Block {
    std::int64_t kernel, hidden, width;
    Squeeze squeeze;
    Activation activation;
    std::int64_t stride;
  };
  using enum Squeeze;
  using enum Activation;
  const std::vector<Block> blocks{
      {3, 16, 16, kYes, kRelu, 1},       {3, 72, 24, kNo, kRelu, 2},        {3, 88, 24, kNo, kRelu, 1},
      {5, 96, 40, kYes, kHardSwish, 2},  {5, 240, 40, kYes, kHardSwish, 1}, {5, 240, 40, kYes, kHardSwish, 1},
      {5, 120, 48, kYes, kHardSwish, 1}, {5, 144, 48, kYes, kHardSwish, 1}, {5, 288, 96, kYes, kHardSwish, 2},
      {5, 576, 96, kYes, kHardSwish, 1}, {5, 576, 96, kYes, kHardSwish, 1}};
  GraphBuilder b(name, input.channels, input.height, input.width, seed);
  const auto layer = [&](const std::string& n, ValueId x, std::int64_t width, const ConvAttributes& a,
                         Activation activation) {
    return v3_activation(b, n, conv_norm(b, n, x, width, a, kV3Norm), activation);
  };
  ValueId x = layer("stem", b.input(), 16, square(3), kHardSwish);
  int number = 1;
  for (const Block& block : blocks) {
    const std::string n = "block" + std::to_string(number++);
    ValueId y = x;
    if (block.hidden != b.shape(x)[1]) y = layer(n + ".expand", y, block.hidden, square(1), block.activation);
    y = layer(n + ".depthwise", y, block.hidden, square(block.kernel, block.stride, block.hidden),
              block.activation);
    if (block.squeeze == kYes) y = squeeze_excite(b, n + ".se", y);
    y = conv_norm(b, n + ".project", y, block.width, square(1), kV3Norm);
    x = block.stride == 1 && block.width == b.shape(x)[1] ? b.add(n + ".add", y, x) : y;
  }
  x = layer("head", x, 576, square(1), kHardSwish);
  x = b.flatten("flatten", b.global_average_pool("gap", x));
  x = b.hard_swish("fc1.hswish", b.gemm("fc1", x, 1024));
  return b.finish(b.gemm("fc2", x, input.classes));
}

}  // namespace octavo::zoo
