#include "octavo/graph/zoo.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "octavo/core/error.h"
#include "zoo_models.h"

namespace octavo {
namespace {

struct Entry {
  const char* name;
  const char* description;
  zoo::Make make;
};

constexpr std::array kZoo{
    Entry{"simple-cnn", "4 x [conv 3x3, batch norm, ReLU, max pool], 64 to 512 channels; 1.56 M parameters",
          zoo::simple_cnn},
    Entry{"resnet20", "He et al. 2015, CIFAR form, projection shortcuts; 0.27 M parameters",
          zoo::resnet_cifar},
    Entry{"resnet32", "as resnet20, 5 blocks a stage; 0.47 M parameters", zoo::resnet_cifar},
    Entry{"resnet44", "as resnet20, 7 blocks a stage; 0.66 M parameters", zoo::resnet_cifar},
    Entry{"resnet56", "as resnet20, 9 blocks a stage; 0.86 M parameters", zoo::resnet_cifar},
    Entry{"resnet18", "the ImageNet network behind a 3x3 stem without pooling; 11.2 M parameters",
          zoo::resnet18},
    Entry{"resnet9", "Page 2018, quick to train, global max pool; 6.57 M parameters", zoo::resnet9},
    Entry{"vgg16-bn", "Simonyan and Zisserman 2014, batch norm, one fully connected layer; 14.7 M parameters",
          zoo::vgg16_bn},
    Entry{"mobilenet-v2", "Sandler et al. 2018, depthwise, ReLU6, strides for CIFAR; 2.30 M parameters",
          zoo::mobilenet_v2},
    Entry{"mobilenet-v3-small",
          "Howard et al. 2019, squeeze and excitation, hard-swish, strides for CIFAR; 1.53 M parameters",
          zoo::mobilenet_v3_small},
    Entry{"squeezenet", "Iandola et al. 2016, version 1.1, no batch norm, stem for CIFAR; 0.73 M parameters",
          zoo::squeezenet},
    Entry{"shufflenet-v2", "Ma et al. 2018, width 1.0, channel shuffles, stem for CIFAR; 1.26 M parameters",
          zoo::shufflenet_v2},
    Entry{"densenet", "Huang et al. 2016, DenseNet-BC of 100 layers, growth rate 12; 0.77 M parameters",
          zoo::densenet},
    Entry{"efficientnet-b0",
          "Tan and Le 2019, squeeze and excitation, SiLU, strides for CIFAR; 4.02 M parameters",
          zoo::efficientnet_b0},
    Entry{"efficientnet-lite0", "the same with ReLU6 and without squeeze and excitation; 3.38 M parameters",
          zoo::efficientnet_lite0},
    Entry{"regnet-y-400mf",
          "Radosavovic et al. 2020, groups of 8 channels, strides for CIFAR; 3.91 M parameters",
          zoo::regnet_y_400mf},
    Entry{"mobilenet-v4-small",
          "Qin et al. 2024, universal bottlenecks, strides for CIFAR; 2.51 M parameters",
          zoo::mobilenet_v4_small},
    Entry{"vit-tiny", "Dosovitskiy et al. 2020, patches of 4 x 4, 12 blocks of 192; 5.36 M parameters",
          zoo::vit_tiny},
    Entry{"convnext-tiny", "Liu et al. 2022, patches of 2 x 2 for CIFAR; 27.8 M parameters",
          zoo::convnext_tiny},
    Entry{"resnet18-224", "ResNet-18 for ImageNet; 11.7 M parameters with 1000 classes", zoo::resnet18_224},
    Entry{"resnet50-224", "ResNet-50 for ImageNet; 25.6 M parameters with 1000 classes", zoo::resnet50_224},
    Entry{"mobilenet-v2-224", "MobileNetV2 for ImageNet; 3.50 M parameters with 1000 classes",
          zoo::mobilenet_v2_224},
    Entry{"deit-tiny-224", "Touvron et al. 2020, patches of 16 x 16; 5.72 M parameters with 1000 classes",
          zoo::deit_tiny_224},
    Entry{"swin-tiny-224", "Liu et al. 2021, windows of 7 x 7; 28 M parameters with 1000 classes",
          zoo::swin_tiny_224},
    Entry{"convnext-tiny-224", "Liu et al. 2022; 28.6 M parameters with 1000 classes",
          zoo::convnext_tiny_224},
};

const Entry& find(const std::string& name) {
  const auto* entry = std::ranges::find_if(kZoo, [&](const Entry& e) { return name == e.name; });
  if (entry != kZoo.end()) return *entry;
  throw Error(ErrorCode::kUsage, "model",
              fmt::format("unknown model '{}'; expected one of {}", name, fmt::join(model_names(), ", ")));
}

}  // namespace

std::vector<std::string> model_names() {
  std::vector<std::string> names;
  for (const Entry& entry : kZoo) names.emplace_back(entry.name);
  return names;
}

std::string model_description(const std::string& name) { return find(name).description; }

Graph make_model(const std::string& name, const ZooInput& input, std::uint64_t seed) {
  const Entry& entry = find(name);
  if (input.channels < 1 || input.height < 1 || input.width < 1 || input.classes < 1) {
    throw Error(ErrorCode::kBadInput, name, "input sizes and the number of classes must be at least 1");
  }
  try {
    return entry.make(name, input, seed);
  } catch (const Error& error) {
    // The architecture is right: only the image can be too small for one of its windows.
    if (error.code() != ErrorCode::kBadInput) throw;
    throw Error(ErrorCode::kBadInput, name,
                fmt::format("images of {} x {} pixels are too small for the model; expected larger ones ({})",
                            input.height, input.width, error.what()));
  }
}

}  // namespace octavo
