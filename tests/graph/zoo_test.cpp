#include "octavo/graph/zoo.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "octavo/core/error.h"

namespace octavo {
namespace {

TEST(Zoo, SimpleCnnHasThePublishedSize) {
  const Graph graph = make_model("simple-cnn", {}, 1);
  EXPECT_EQ(parameter_count(graph), 1558026);
  // 27*64*1024 + 576*128*256 + 1152*256*64 + 2304*512*16 + 5120
  EXPECT_EQ(mac_count(graph), 58397696);
  EXPECT_EQ(graph.value(graph.output).shape, (Shape{kDynamic, 10}));
}

struct Published {
  const char* name;
  ZooInput input;
  std::int64_t parameters;
  double macs = 0;  ///< Multiply-accumulates, 1e9; 0: not compared.
};

constexpr ZooInput kCifar{};
constexpr ZooInput kCifar1000{.classes = 1000};
constexpr ZooInput kImageNet{.channels = 3, .height = 224, .width = 224, .classes = 1000};

/// Two 1x1 projections with their batch norms, 16 to 32 and 32 to 64 channels.
constexpr std::int64_t kProjections = (16 * 32 + 2 * 32) + (32 * 64 + 2 * 64);

/// Which tokens of a shifted window see each other is a constant of so many numbers, and counted.
constexpr std::int64_t kMasks = (64 + 16 + 3 * 4) * 49 * 49;

class ZooParameters : public ::testing::TestWithParam<Published> {};

TEST_P(ZooParameters, EqualThePublishedOnes) {
  const Graph graph = make_model(GetParam().name, GetParam().input, 1);
  EXPECT_EQ(parameter_count(graph), GetParam().parameters);
  EXPECT_EQ(graph.name, GetParam().name);
  if (GetParam().macs > 0) {
    EXPECT_NEAR(1e-9 * static_cast<double>(mac_count(graph)), GetParam().macs, 0.005);
  }
  EXPECT_EQ(graph.value(graph.output).shape, (Shape{kDynamic, GetParam().input.classes}));
}

INSTANTIATE_TEST_SUITE_P(
    Zoo, ZooParameters,
    ::testing::Values(
        // He et al. 2015, table 6: 0.27, 0.46, 0.66 and 0.85 M. Exactly 269,722, 464,154, 658,586 and 853,018
        // without parameters in the shortcuts (option A; github.com/akamaster/pytorch_resnet_cifar10), and
        // ours has the projections of option B.
        Published{"resnet20", kCifar, 269722 + kProjections},
        Published{"resnet32", kCifar, 464154 + kProjections},
        Published{"resnet44", kCifar, 658586 + kProjections},
        Published{"resnet56", kCifar, 853018 + kProjections},
        // github.com/kuangliu/pytorch-cifar: ResNet18, VGG16, MobileNetV2 with 10 classes.
        Published{"resnet18", kCifar, 11173962}, Published{"vgg16-bn", kCifar, 14728266},
        Published{"mobilenet-v2", kCifar, 2296922},
        // github.com/davidcpage/cifar10-fast: 6,573,120 with a last layer without bias.
        Published{"resnet9", kCifar, 6573120 + 10},
        // torchvision.models (num_params and GFLOPS of its weights), 1000 classes: strides change no
        // parameter.
        Published{"mobilenet-v3-small", kCifar1000, 2542856}, Published{"squeezenet", kCifar1000, 1235496},
        Published{"shufflenet-v2", kCifar1000, 2278604}, Published{"resnet18-224", kImageNet, 11689512, 1.81},
        // torchvision's efficientnet_b0 and regnet_y_400mf; timm's efficientnet_lite0 and
        // mobilenetv4_conv_small.
        Published{"efficientnet-b0", kCifar1000, 5288548}, Published{"regnet-y-400mf", kCifar1000, 4344144},
        Published{"efficientnet-lite0", kCifar1000, 4652008},
        Published{"mobilenet-v4-small", kCifar1000, 3774024},
        // github.com/huggingface/pytorch-image-models counts 5,717,416 in deit_tiny_patch16_224, the 192 of
        // the class token among them, which the first position has here; 28,589,128 in convnext_tiny.
        Published{"deit-tiny-224", kImageNet, 5717416 - 192, 1.25},
        Published{"convnext-tiny-224", kImageNet, 28589128, 4.46},
        // swin_tiny_patch4_window7_224: 28,288,354, with tables of 169 biases a head; here each pair of the
        // 49 tokens has its own. Heads: 2 blocks of 3, 2 of 6, 6 of 12, 2 of 24.
        Published{"swin-tiny-224", kImageNet,
                  28288354 + (49 * 49 - 169) * (2 * 3 + 2 * 6 + 6 * 12 + 2 * 24) + kMasks},
        // Patches of 4 x 4 pixels instead of 16 x 16, 65 positions instead of 197, 10 classes.
        Published{"vit-tiny", kCifar, 5717416 - 192 - 192 * 3 * (256 - 16) - 192 * (197 - 65) - 990 * 193},
        // A stem of 2 x 2.
        Published{"convnext-tiny", kCifar1000, 28589128 - 96 * 3 * (16 - 4)},
        Published{"resnet50-224", kImageNet, 25557032, 4.09},
        Published{"mobilenet-v2-224", kImageNet, 3504872, 0.30},
        // The same with 10 classes: 990 rows of the last layer fewer.
        Published{"mobilenet-v3-small", kCifar, 2542856 - 990 * 1025},
        Published{"squeezenet", kCifar, 1235496 - 990 * 513},
        Published{"shufflenet-v2", kCifar, 2278604 - 990 * 1025},
        // Huang et al. 2016, table 2: 0.8 M; github.com/andreasveit/densenet-pytorch counts 769,162.
        Published{"densenet", kCifar, 769162}),
    [](const auto& param) {
      std::string name = param.param.name + ("_" + std::to_string(param.param.input.classes));
      std::ranges::replace(name, '-', '_');
      return name;
    });

class ZooModel : public ::testing::TestWithParam<std::string> {};

TEST_P(ZooModel, TakesSmallGreyImages) {
  EXPECT_FALSE(model_description(GetParam()).empty());
  const std::int64_t side = GetParam().ends_with("-224") ? 32 : 28;
  const Graph graph = make_model(GetParam(), {.channels = 1, .height = side, .width = side, .classes = 7}, 3);
  EXPECT_EQ(graph.value(graph.output).shape, (Shape{kDynamic, 7}));
}

INSTANTIATE_TEST_SUITE_P(Zoo, ZooModel, ::testing::ValuesIn(model_names()), [](const auto& param) {
  std::string name = param.param;
  std::ranges::replace(name, '-', '_');
  return name;
});

TEST(Zoo, ModelsTakeOblongImages) {
  for (const char* name : {"resnet20", "mobilenet-v3-small", "shufflenet-v2", "densenet", "squeezenet"}) {
    EXPECT_NO_THROW(make_model(name, {.channels = 3, .height = 48, .width = 66, .classes = 2}, 3)) << name;
  }
}

TEST(Zoo, SeedDecidesTheWeights) {
  EXPECT_EQ(make_model("resnet20", {}, 5), make_model("resnet20", {}, 5));
  EXPECT_FALSE(make_model("resnet20", {}, 5) == make_model("resnet20", {}, 6));
}

TEST(Zoo, WeightsAreHeNormal) {
  const Graph graph = make_model("simple-cnn", {}, 1);
  const auto w = graph.value(graph.find_value("conv4.weight")).constant->data<float>();
  double sum = 0;
  double squares = 0;
  for (const float x : w) {
    sum += x;
    squares += static_cast<double>(x) * x;
  }
  const double n = static_cast<double>(w.size());
  const double expected = std::sqrt(2.0 / (512 * 9));
  EXPECT_NEAR(sum / n, 0.0, 5 * expected / std::sqrt(n));
  EXPECT_NEAR(std::sqrt(squares / n), expected, 5 * expected / std::sqrt(2 * n));
}

TEST(Zoo, UnknownModelNamesTheKnownOnes) {
  try {
    make_model("resnet21", {}, 1);
    FAIL() << "expected an Error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUsage);
    EXPECT_NE(std::string(error.what()).find("resnet20"), std::string::npos);
  }
}

TEST(Zoo, InputTooSmallForTheModelIsRefused) {
  try {
    make_model("simple-cnn", {.channels = 3, .height = 8, .width = 8}, 1);
    FAIL() << "expected an Error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kBadInput);
    EXPECT_NE(std::string(error.what()).find("8 x 8"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace octavo
