/// Networks that join channels: ShuffleNetV2 (Ma et al. 2018, arXiv 1807.11164) and DenseNet-BC (Huang et al.
/// 2016, arXiv 1608.06993).
#include <array>
#include <vector>

#include "zoo_models.h"

namespace octavo::zoo {
namespace {

/// Interleaves the two halves of the channels.
ValueId shuffle(GraphBuilder& b, const std::string& name, ValueId x) {
  const Shape shape = b.shape(x);
  const std::int64_t half = shape[1] / 2;
  x = b.reshape(name + ".split", x, {kDynamic, 2, half, shape[2], shape[3]});
  x = b.transpose(name + ".transpose", x, {0, 2, 1, 3, 4});
  return b.reshape(name + ".join", x, shape);
}

ValueId shuffle_unit(GraphBuilder& b, const std::string& name, ValueId x, std::int64_t width,
                     std::int64_t stride) {
  const std::int64_t in = b.shape(x)[1];
  const std::int64_t half = width / 2;
  ValueId left = x;
  ValueId right = x;
  if (stride == 1) {  // Half of the channels pass as they are.
    left = b.slice(name + ".left", x, 1, 0, half);
    right = b.slice(name + ".right", x, 1, half, width);
  } else {
    left = conv_norm(b, name + ".left_depthwise", x, in, square(3, stride, in));
    left = conv_norm_relu(b, name + ".left_project", left, half, square(1));
  }
  right = conv_norm_relu(b, name + ".expand", right, half, square(1));
  right = conv_norm(b, name + ".depthwise", right, half, square(3, stride, half));
  right = conv_norm_relu(b, name + ".project", right, half, square(1));
  return shuffle(b, name + ".shuffle", b.concat(name + ".concat", {left, right}));
}

/// Batch norm, Relu, Conv: DenseNet's order.
ValueId norm_relu_conv(GraphBuilder& b, const std::string& name, ValueId x, std::int64_t width,
                       const ConvAttributes& attributes) {
  x = b.relu(name + ".relu", b.batch_norm(name + ".bn", x));
  return b.conv(name + ".conv", x, width, attributes, false);
}

}  // namespace

/// Width 1.0; the stem has stride 1 and no max pool here.
Graph shufflenet_v2(const std::string& name, const ZooInput& input, std::uint64_t seed) {
  struct Stage {
    std::int64_t width;
    int units;
  };
  constexpr std::array kStages{Stage{116, 4}, Stage{232, 8}, Stage{464, 4}};
  GraphBuilder b(name, input.channels, input.height, input.width, seed);
  ValueId x = conv_norm_relu(b, "stem", b.input(), 24, square(3));
  int number = 2;
  for (const Stage& stage : kStages) {
    for (int unit = 0; unit < stage.units; ++unit) {
      const std::string n = "stage" + std::to_string(number) + "." + std::to_string(unit);
      x = shuffle_unit(b, n, x, stage.width, unit == 0 ? 2 : 1);
    }
    ++number;
  }
  return classify(b, conv_norm_relu(b, "head", x, 1024, square(1)), input.classes);
}

/// DenseNet-BC with 100 layers, growth rate 12 and compression 1/2: the smallest of the paper's CIFAR
/// networks.
Graph densenet(const std::string& name, const ZooInput& input, std::uint64_t seed) {
  constexpr std::int64_t kGrowth = 12;
  constexpr int kLayers = 16;  // a block: (100 - 4) / 3 / 2
  GraphBuilder b(name, input.channels, input.height, input.width, seed);
  ValueId x = b.conv("conv0", b.input(), 2 * kGrowth, square(3), false);
  for (int block = 1; block <= 3; ++block) {
    const std::string n = "block" + std::to_string(block);
    for (int layer = 1; layer <= kLayers; ++layer) {
      const std::string l = n + "." + std::to_string(layer);
      ValueId y = norm_relu_conv(b, l + ".bottleneck", x, 4 * kGrowth, square(1));
      y = norm_relu_conv(b, l + ".grow", y, kGrowth, square(3));
      x = b.concat(l + ".concat", {x, y});
    }
    if (block == 3) break;
    x = norm_relu_conv(b, n + ".transition", x, b.shape(x)[1] / 2, square(1));
    x = b.average_pool(n + ".pool", x, {.kernel = {2, 2}, .strides = {2, 2}});
  }
  return classify(b, b.relu("relu", b.batch_norm("bn", x)), input.classes);
}

}  // namespace octavo::zoo
