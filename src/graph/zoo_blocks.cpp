#include "zoo_models.h"

namespace octavo::zoo {

ConvAttributes square(std::int64_t kernel, std::int64_t stride, std::int64_t group) {
  const std::int64_t pad = kernel / 2;
  return {
      .kernel = {kernel, kernel}, .strides = {stride, stride}, .pads = {pad, pad, pad, pad}, .group = group};
}

ValueId conv_norm(GraphBuilder& b, const std::string& name, ValueId x, std::int64_t width,
                  const ConvAttributes& attributes, const BatchNormAttributes& norm) {
  return b.batch_norm(name + ".bn", b.conv(name + ".conv", x, width, attributes, false), norm);
}

ValueId conv_norm_relu(GraphBuilder& b, const std::string& name, ValueId x, std::int64_t width,
                       const ConvAttributes& attributes) {
  return b.relu(name + ".relu", conv_norm(b, name, x, width, attributes));
}

ValueId stem_pool(GraphBuilder& b, ValueId x) {
  return b.max_pool("pool", x, {.kernel = {3, 3}, .strides = {2, 2}, .pads = {1, 1, 1, 1}});
}

Graph classify(GraphBuilder& b, ValueId x, std::int64_t classes) {
  x = b.flatten("flatten", b.global_average_pool("gap", x));
  return b.finish(b.gemm("fc", x, classes));
}

}  // namespace octavo::zoo
