/// Networks without residuals: the simple CNN, VGG-16 and SqueezeNet.
#include <vector>

#include "zoo_models.h"

namespace octavo::zoo {
namespace {

/// Halves the image; an odd size is rounded up, so that 28 pixels pass five of them.
ValueId halve(GraphBuilder& b, const std::string& name, ValueId x) {
  const bool odd = b.shape(x)[2] % 2 != 0 || b.shape(x)[3] % 2 != 0;
  return b.max_pool(name, x, {.kernel = {2, 2}, .strides = {2, 2}, .ceil_mode = odd});
}

/// Iandola et al. 2016 (arXiv 1602.07360): a 1x1 convolution, then 1x1 and 3x3 ones side by side.
ValueId fire(GraphBuilder& b, const std::string& name, ValueId x, std::int64_t squeeze, std::int64_t expand) {
  x = b.relu(name + ".squeeze_relu", b.conv(name + ".squeeze", x, squeeze, square(1), true));
  const ValueId narrow = b.relu(name + ".relu1", b.conv(name + ".expand1", x, expand, square(1), true));
  const ValueId wide = b.relu(name + ".relu3", b.conv(name + ".expand3", x, expand, square(3), true));
  return b.concat(name + ".concat", {narrow, wide});
}

}  // namespace

Graph simple_cnn(const std::string& name, const ZooInput& input, std::uint64_t seed) {
  GraphBuilder b(name, input.channels, input.height, input.width, seed);
  ValueId x = b.input();
  int stage = 1;
  for (const std::int64_t width : {64, 128, 256, 512}) {
    const std::string n = std::to_string(stage++);
    x = b.conv("conv" + n, x, width, square(3), true);
    x = b.batch_norm("bn" + n, x);
    x = b.relu("relu" + n, x);
    x = b.max_pool("pool" + n, x, {.kernel = {2, 2}, .strides = {2, 2}});
  }
  return classify(b, x, input.classes);
}

/// Simonyan and Zisserman 2014 (arXiv 1409.1556), configuration D with batch norm and one fully connected
/// layer, as is usual for CIFAR.
Graph vgg16_bn(const std::string& name, const ZooInput& input, std::uint64_t seed) {
  GraphBuilder b(name, input.channels, input.height, input.width, seed);
  const std::vector<std::vector<std::int64_t>> stages{
      {64, 64}, {128, 128}, {256, 256, 256}, {512, 512, 512}, {512, 512, 512}};
  ValueId x = b.input();
  int layer = 1;
  int stage = 1;
  for (const auto& widths : stages) {
    for (const std::int64_t width : widths) {
      const std::string n = std::to_string(layer++);
      x = b.relu("relu" + n, b.batch_norm("bn" + n, b.conv("conv" + n, x, width, square(3), true)));
    }
    x = halve(b, "pool" + std::to_string(stage++), x);
  }
  return classify(b, x, input.classes);
}

/// SqueezeNet 1.1; its stem has stride 1 here, and 3 max pools are left.
Graph squeezenet(const std::string& name, const ZooInput& input, std::uint64_t seed) {
  GraphBuilder b(name, input.channels, input.height, input.width, seed);
  struct Fire {
    std::int64_t squeeze, expand;
  };
  const std::vector<std::vector<Fire>> stages{
      {{16, 64}, {16, 64}}, {{32, 128}, {32, 128}}, {{48, 192}, {48, 192}, {64, 256}, {64, 256}}};
  ValueId x = b.relu("relu1", b.conv("conv1", b.input(), 64, square(3), true));
  int stage = 1;
  int number = 2;
  for (const auto& fires : stages) {
    const PoolAttributes pool{.kernel = {3, 3}, .strides = {2, 2}, .ceil_mode = true};
    x = b.max_pool("pool" + std::to_string(stage++), x, pool);
    for (const Fire& f : fires) x = fire(b, "fire" + std::to_string(number++), x, f.squeeze, f.expand);
  }
  x = b.relu("relu10", b.conv("conv10", x, input.classes, square(1), true));
  return b.finish(b.flatten("flatten", b.global_average_pool("gap", x)));
}

}  // namespace octavo::zoo
