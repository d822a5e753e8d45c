/// Residual networks: He et al. 2015 (arXiv 1512.03385) in CIFAR and ImageNet form, and ResNet-9.
#include <vector>

#include "octavo/core/error.h"
#include "zoo_models.h"

namespace octavo::zoo {
namespace {

/// The input, or where its shape changes a 1x1 projection of it (option B of the paper).
ValueId shortcut(GraphBuilder& b, const std::string& name, ValueId x, std::int64_t width,
                 std::int64_t stride) {
  if (stride == 1 && b.shape(x)[1] == width) return x;
  x = b.conv(name + ".shortcut", x, width, square(1, stride), false);
  return b.batch_norm(name + ".shortcut_bn", x);
}

ValueId conv_bn(GraphBuilder& b, const std::string& name, const std::string& number, ValueId x,
                std::int64_t width, const ConvAttributes& attributes) {
  x = b.conv(name + ".conv" + number, x, width, attributes, false);
  return b.batch_norm(name + ".bn" + number, x);
}

/// Two 3x3 convolutions and a shortcut.
ValueId basic_block(GraphBuilder& b, const std::string& name, ValueId x, std::int64_t width,
                    std::int64_t stride) {
  const ValueId skipped = shortcut(b, name, x, width, stride);
  ValueId y = b.relu(name + ".relu1", conv_bn(b, name, "1", x, width, square(3, stride)));
  y = conv_bn(b, name, "2", y, width, square(3));
  return b.relu(name + ".relu2", b.add(name + ".add", y, skipped));
}

/// 1x1, 3x3 and 1x1 to four times the width. The 3x3 has the stride, as in every library today; the paper
/// gave it to the first 1x1.
ValueId bottleneck(GraphBuilder& b, const std::string& name, ValueId x, std::int64_t width,
                   std::int64_t stride) {
  const ValueId skipped = shortcut(b, name, x, 4 * width, stride);
  ValueId y = b.relu(name + ".relu1", conv_bn(b, name, "1", x, width, square(1)));
  y = b.relu(name + ".relu2", conv_bn(b, name, "2", y, width, square(3, stride)));
  y = conv_bn(b, name, "3", y, 4 * width, square(1));
  return b.relu(name + ".relu3", b.add(name + ".add", y, skipped));
}

using Block = ValueId (*)(GraphBuilder&, const std::string&, ValueId, std::int64_t, std::int64_t);

/// Stages of blocks; each stage but the first halves the image and doubles the width.
ValueId stages(GraphBuilder& b, ValueId x, Block block, const std::vector<int>& blocks, std::int64_t width) {
  for (std::size_t stage = 0; stage < blocks.size(); ++stage, width *= 2) {
    for (int i = 0; i < blocks[stage]; ++i) {
      const std::string name = "layer" + std::to_string(stage + 1) + "." + std::to_string(i);
      x = block(b, name, x, width, stage > 0 && i == 0 ? 2 : 1);
    }
  }
  return x;
}

ValueId stem(GraphBuilder& b, std::int64_t width, const ConvAttributes& attributes) {
  return b.relu("relu0", b.batch_norm("bn0", b.conv("conv0", b.input(), width, attributes, false)));
}

Graph imagenet_form(const std::string& name, const ZooInput& input, std::uint64_t seed, Block block,
                    const std::vector<int>& blocks) {
  GraphBuilder b(name, input.channels, input.height, input.width, seed);
  const ValueId x = stem_pool(b, stem(b, 64, square(7, 2)));
  return classify(b, stages(b, x, block, blocks, 64), input.classes);
}

}  // namespace

/// "resnet<depth>", depth = 6 n + 2 with n blocks a stage.
Graph resnet_cifar(const std::string& name, const ZooInput& input, std::uint64_t seed) {
  const int depth = std::stoi(name.substr(std::string("resnet").size()));
  check_internal(depth % 6 == 2, "resnet_cifar: no such depth");
  const int n = (depth - 2) / 6;
  GraphBuilder b(name, input.channels, input.height, input.width, seed);
  return classify(b, stages(b, stem(b, 16, square(3)), basic_block, {n, n, n}, 16), input.classes);
}

Graph resnet18(const std::string& name, const ZooInput& input, std::uint64_t seed) {
  GraphBuilder b(name, input.channels, input.height, input.width, seed);
  return classify(b, stages(b, stem(b, 64, square(3)), basic_block, {2, 2, 2, 2}, 64), input.classes);
}

Graph resnet18_224(const std::string& name, const ZooInput& input, std::uint64_t seed) {
  return imagenet_form(name, input, seed, basic_block, {2, 2, 2, 2});
}

Graph resnet50_224(const std::string& name, const ZooInput& input, std::uint64_t seed) {
  return imagenet_form(name, input, seed, bottleneck, {3, 4, 6, 3});
}

/// D. Page, "How to train your ResNet" (2018): three pooled stages, a residual after the first and the third,
/// a global max pool. His last layer has no bias and is scaled by 1/8.
Graph resnet9(const std::string& name, const ZooInput& input, std::uint64_t seed) {
  GraphBuilder b(name, input.channels, input.height, input.width, seed);
  ValueId x = conv_norm_relu(b, "prep", b.input(), 64, square(3));
  int stage = 1;
  for (const std::int64_t width : {128, 256, 512}) {
    const std::string layer = "layer" + std::to_string(stage);
    x = conv_norm_relu(b, layer, x, width, square(3));
    x = b.max_pool(layer + ".pool", x, {.kernel = {2, 2}, .strides = {2, 2}});
    if (stage++ == 2) continue;
    ValueId y = conv_norm_relu(b, layer + ".res1", x, width, square(3));
    y = conv_norm_relu(b, layer + ".res2", y, width, square(3));
    x = b.add(layer + ".add", x, y);
  }
  x = b.flatten("flatten", b.global_max_pool("gmp", x));
  return b.finish(b.gemm("fc", x, input.classes));
}

}  // namespace octavo::zoo
