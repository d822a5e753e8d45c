/// Found by search and for phones: EfficientNet-B0 (Tan and Le 2019, arXiv 1905.11946) and its Lite form
/// (github.com/tensorflow/tpu, models/official/efficientnet/lite), RegNetY (Radosavovic et al. 2020, arXiv
/// 2003.13678) and MobileNetV4 (Qin et al. 2024, arXiv 2404.10518). Strides of the stem and of the first
/// stage that has one are 1 here.
#include <cmath>
#include <vector>

#include "zoo_models.h"

namespace octavo::zoo {
namespace {

/// Channels weighed by what is in the whole image, of which `squeezed` channels are made.
ValueId weighed(GraphBuilder& b, const std::string& name, ValueId x, std::int64_t squeezed, Op activation) {
  const std::int64_t width = b.shape(x)[1];
  ValueId weights = b.conv(name + ".fc1", b.global_average_pool(name + ".gap", x), squeezed, square(1), true);
  weights = b.conv(name + ".fc2", b.unary(name + ".act", activation, weights), width, square(1), true);
  return b.mul(name + ".mul", x, b.sigmoid(name + ".gate", weights));
}

/// The two forms of EfficientNet-B0.
struct Efficient {
  bool lite;  ///< ReLU6 and no squeeze and excitation.

  ValueId layer(GraphBuilder& b, const std::string& name, ValueId x, std::int64_t width,
                const ConvAttributes& attributes) const {
    x = conv_norm(b, name, x, width, attributes, {.epsilon = 1e-3F, .momentum = 0.99F});
    return lite ? b.clip(name + ".relu6", x, 0, 6) : b.silu(name + ".silu", x);
  }
  ValueId block(GraphBuilder& b, const std::string& name, ValueId x, std::int64_t expansion,
                std::int64_t kernel, std::int64_t stride, std::int64_t width) const {
    const std::int64_t in = b.shape(x)[1];
    ValueId y = x;
    if (expansion > 1) y = layer(b, name + ".expand", y, in * expansion, square(1));
    y = layer(b, name + ".depthwise", y, in * expansion, square(kernel, stride, in * expansion));
    if (!lite) y = weighed(b, name + ".se", y, in / 4, Op::kSilu);
    y = conv_norm(b, name + ".project", y, width, square(1), {.epsilon = 1e-3F, .momentum = 0.99F});
    return stride == 1 && in == width ? b.add(name + ".add", y, x) : y;
  }
  Graph make(const std::string& name, const ZooInput& input, std::uint64_t seed) const {
    struct Stage {
      std::int64_t expansion, kernel, stride, width;
      int blocks;
    };
    GraphBuilder b(name, input.channels, input.height, input.width, seed);
    ValueId x = layer(b, "stem", b.input(), 32, square(3));
    int number = 0;
    for (const Stage& stage : {Stage{1, 3, 1, 16, 1},
                               {6, 3, 1, 24, 2},
                               {6, 5, 2, 40, 2},
                               {6, 3, 2, 80, 3},
                               {6, 5, 1, 112, 3},
                               {6, 5, 2, 192, 4},
                               {6, 3, 1, 320, 1}}) {
      for (int i = 0; i < stage.blocks; ++i) {
        x = block(b, "block" + std::to_string(number++), x, stage.expansion, stage.kernel,
                  i == 0 ? stage.stride : 1, stage.width);
      }
    }
    return classify(b, layer(b, "head", x, 1280, square(1)), input.classes);
  }
};

/// 1x1, 3x3 in groups of 8 channels, squeeze and excitation, 1x1; a projected shortcut where the shape
/// changes.
ValueId regnet_block(GraphBuilder& b, const std::string& name, ValueId x, std::int64_t width,
                     std::int64_t stride) {
  const std::int64_t in = b.shape(x)[1];
  ValueId y = conv_norm_relu(b, name + ".a", x, width, square(1));
  y = conv_norm_relu(b, name + ".b", y, width, square(3, stride, width / 8));
  y = weighed(b, name + ".se", y, static_cast<std::int64_t>(std::nearbyint(0.25 * static_cast<double>(in))),
              Op::kRelu);
  y = conv_norm(b, name + ".c", y, width, square(1));
  if (in != width || stride != 1) x = conv_norm(b, name + ".shortcut", x, width, square(1, stride));
  return b.relu(name + ".relu", b.add(name + ".add", y, x));
}

/// A universal inverted bottleneck: depthwise, expand, depthwise, project; a kernel of 0 leaves its layer
/// out.
struct Universal {
  std::int64_t first, middle, stride, expansion, width;
};
ValueId universal_block(GraphBuilder& b, const std::string& name, ValueId x, const Universal& u) {
  const std::int64_t in = b.shape(x)[1];
  ValueId y = x;
  if (u.first > 0) y = conv_norm(b, name + ".start", y, in, square(u.first, u.middle > 0 ? 1 : u.stride, in));
  const std::int64_t hidden = in * u.expansion;
  y = conv_norm_relu(b, name + ".expand", y, hidden, square(1));
  if (u.middle > 0) y = conv_norm_relu(b, name + ".depthwise", y, hidden, square(u.middle, u.stride, hidden));
  y = conv_norm(b, name + ".project", y, u.width, square(1));
  return u.stride == 1 && in == u.width ? b.add(name + ".add", y, x) : y;
}

}  // namespace

Graph efficientnet_b0(const std::string& name, const ZooInput& input, std::uint64_t seed) {
  return Efficient{.lite = false}.make(name, input, seed);
}

Graph efficientnet_lite0(const std::string& name, const ZooInput& input, std::uint64_t seed) {
  return Efficient{.lite = true}.make(name, input, seed);
}

Graph regnet_y_400mf(const std::string& name, const ZooInput& input, std::uint64_t seed) {
  struct Stage {
    std::int64_t width;
    int blocks;
  };
  GraphBuilder b(name, input.channels, input.height, input.width, seed);
  ValueId x = conv_norm_relu(b, "stem", b.input(), 32, square(3));
  int number = 0;
  for (const Stage& stage : {Stage{48, 1}, {104, 3}, {208, 6}, {440, 6}}) {
    for (int i = 0; i < stage.blocks; ++i, ++number)
      x = regnet_block(b, "block" + std::to_string(number), x, stage.width,
                       i == 0 && stage.width != 48 ? 2 : 1);
  }
  return classify(b, x, input.classes);
}

Graph mobilenet_v4_small(const std::string& name, const ZooInput& input, std::uint64_t seed) {
  GraphBuilder b(name, input.channels, input.height, input.width, seed);
  ValueId x = conv_norm_relu(b, "stem", b.input(), 32, square(3));
  x = conv_norm_relu(b, "conv1", x, 32, square(3));
  x = conv_norm_relu(b, "conv2", x, 32, square(1));
  x = conv_norm_relu(b, "conv3", x, 96, square(3, 2));
  x = conv_norm_relu(b, "conv4", x, 64, square(1));
  int number = 0;
  for (const Universal& block : {Universal{5, 5, 2, 3, 96},
                                 {0, 3, 1, 2, 96},
                                 {0, 3, 1, 2, 96},
                                 {0, 3, 1, 2, 96},
                                 {0, 3, 1, 2, 96},
                                 {3, 0, 1, 4, 96},
                                 {3, 3, 2, 6, 128},
                                 {5, 5, 1, 4, 128},
                                 {0, 5, 1, 4, 128},
                                 {0, 5, 1, 3, 128},
                                 {0, 3, 1, 4, 128},
                                 {0, 3, 1, 4, 128}})
    x = universal_block(b, "block" + std::to_string(number++), x, block);
  x = b.global_average_pool("gap", conv_norm_relu(b, "conv5", x, 960, square(1)));
  x = b.flatten("flatten", conv_norm_relu(b, "head", x, 1280, square(1)));
  return b.finish(b.gemm("fc", x, input.classes));
}

}  // namespace octavo::zoo
