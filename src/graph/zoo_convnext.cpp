// ConvNeXt-T of Liu et al. 2022 (arXiv 2201.03545).
#include "zoo_models.h"

namespace octavo::zoo {
namespace {

constexpr float kEpsilon = 1e-6F;

/// Of the channels of each pixel.
ValueId channel_norm(GraphBuilder& b, const std::string& name, ValueId x) {
  x = b.layer_norm(name, b.transpose(name + ".last", x, {0, 2, 3, 1}), kEpsilon);
  return b.transpose(name + ".first", x, {0, 3, 1, 2});
}

ConvAttributes patches(std::int64_t size) { return {.kernel = {size, size}, .strides = {size, size}}; }

ValueId block(GraphBuilder& b, const std::string& name, ValueId x) {
  const std::int64_t width = b.shape(x)[1];
  ValueId y = b.conv(name + ".dwconv", x, width, square(7, 1, width), true);
  y = b.layer_norm(name + ".norm", b.transpose(name + ".last", y, {0, 2, 3, 1}), kEpsilon);
  y = b.gelu(name + ".gelu", b.matmul(name + ".pwconv1", y, 4 * width, true));
  y = b.matmul(name + ".pwconv2", y, width, true);
  y = b.mul(name + ".scaled", y, b.filled(name + ".gamma", {width}, 1e-6F));
  return b.add(name + ".add", x, b.transpose(name + ".first", y, {0, 3, 1, 2}));
}

Graph convnext(const std::string& name, const ZooInput& input, std::uint64_t seed, std::int64_t stem) {
  GraphBuilder b(name, input.channels, input.height, input.width, seed);
  ValueId x = channel_norm(b, "stem.norm", b.conv("stem", b.input(), 96, patches(stem), true));
  int stage = 0;
  for (const int depth : {3, 3, 9, 3}) {
    const std::string prefix = "stage" + std::to_string(stage);
    if (stage > 0) {
      const std::string down = prefix + ".down";
      x = b.conv(down, channel_norm(b, down + ".norm", x), 2 * b.shape(x)[1], patches(2), true);
    }
    for (int i = 0; i < depth; ++i) x = block(b, prefix + ".block" + std::to_string(i), x);
    ++stage;
  }
  x = b.layer_norm("norm", b.flatten("flatten", b.global_average_pool("pool", x)), kEpsilon);
  return b.finish(b.gemm("head", x, input.classes));
}

}  // namespace

Graph convnext_tiny(const std::string& name, const ZooInput& input, std::uint64_t seed) {
  return convnext(name, input, seed, 2);
}

Graph convnext_tiny_224(const std::string& name, const ZooInput& input, std::uint64_t seed) {
  return convnext(name, input, seed, 4);
}

}  // namespace octavo::zoo
