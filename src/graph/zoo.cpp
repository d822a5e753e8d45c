#include "octavo/graph/zoo.h"

#include <algorithm>
#include <array>
#include <functional>

#include "octavo/core/error.h"
#include "octavo/graph/builder.h"

namespace octavo {
namespace {

constexpr ConvAttributes k3x3{.kernel = {3, 3}, .pads = {1, 1, 1, 1}};

Graph simple_cnn(const ZooInput& input, std::uint64_t seed) {
  GraphBuilder b("simple-cnn", input.channels, input.height, input.width, seed);
  ValueId x = b.input();
  int stage = 1;
  for (const std::int64_t width : {64, 128, 256, 512}) {
    const std::string n = std::to_string(stage++);
    x = b.conv("conv" + n, x, width, k3x3, true);
    x = b.batch_norm("bn" + n, x);
    x = b.relu("relu" + n, x);
    x = b.max_pool("pool" + n, x, {.kernel = {2, 2}, .strides = {2, 2}});
  }
  x = b.flatten("flatten", b.global_average_pool("gap", x));
  return b.finish(b.gemm("fc", x, input.classes));
}

/// Two 3x3 convolutions and a shortcut; 1x1 projection where the shape changes.
ValueId basic_block(GraphBuilder& b, const std::string& name, ValueId x, std::int64_t width,
                    std::int64_t stride) {
  ConvAttributes first = k3x3;
  first.strides = {stride, stride};
  ValueId shortcut = x;
  if (stride != 1 || b.shape(x)[1] != width) {
    shortcut = b.conv(name + ".shortcut", x, width, {.kernel = {1, 1}, .strides = {stride, stride}}, false);
    shortcut = b.batch_norm(name + ".shortcut_bn", shortcut);
  }
  ValueId y =
      b.relu(name + ".relu1", b.batch_norm(name + ".bn1", b.conv(name + ".conv1", x, width, first, false)));
  y = b.batch_norm(name + ".bn2", b.conv(name + ".conv2", y, width, k3x3, false));
  return b.relu(name + ".relu2", b.add(name + ".add", y, shortcut));
}

Graph resnet20(const ZooInput& input, std::uint64_t seed) {
  GraphBuilder b("resnet20", input.channels, input.height, input.width, seed);
  ValueId x = b.relu("relu0", b.batch_norm("bn0", b.conv("conv0", b.input(), 16, k3x3, false)));
  constexpr std::array<std::int64_t, 3> kWidths{16, 32, 64};
  for (std::size_t stage = 0; stage < kWidths.size(); ++stage) {
    for (int block = 0; block < 3; ++block) {
      const std::string name = "layer" + std::to_string(stage + 1) + "." + std::to_string(block);
      x = basic_block(b, name, x, kWidths[stage], stage > 0 && block == 0 ? 2 : 1);
    }
  }
  x = b.flatten("flatten", b.global_average_pool("gap", x));
  return b.finish(b.gemm("fc", x, input.classes));
}

struct Entry {
  const char* name;
  const char* description;
  Graph (*make)(const ZooInput&, std::uint64_t);
};

constexpr std::array kZoo{
    Entry{"simple-cnn", "4 x [conv 3x3, batch norm, ReLU, max pool], 64 to 512 channels; 1.56 M parameters",
          simple_cnn},
    Entry{"resnet20", "He et al. 2015, CIFAR form, projection shortcuts; 0.27 M parameters", resnet20},
};

const Entry& find(const std::string& name) {
  const auto* entry = std::ranges::find_if(kZoo, [&](const Entry& e) { return name == e.name; });
  if (entry != kZoo.end()) return *entry;
  std::string known;
  for (const Entry& e : kZoo) known += (known.empty() ? "" : ", ") + std::string(e.name);
  throw Error(ErrorCode::kUsage, "model", "unknown model '" + name + "'; expected one of " + known);
}

}  // namespace

std::vector<std::string> model_names() {
  std::vector<std::string> names;
  for (const Entry& entry : kZoo) names.emplace_back(entry.name);
  return names;
}

std::string model_description(const std::string& name) { return find(name).description; }

Graph make_model(const std::string& name, const ZooInput& input, std::uint64_t seed) {
  if (input.channels < 1 || input.height < 1 || input.width < 1 || input.classes < 1) {
    throw Error(ErrorCode::kBadInput, name, "input sizes and the number of classes must be at least 1");
  }
  return find(name).make(input, seed);
}

}  // namespace octavo
