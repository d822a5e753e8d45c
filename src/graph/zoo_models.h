/// The zoo's architectures, one file per family, and the blocks that they share.
#pragma once

#include <array>
#include <string>

#include "octavo/graph/builder.h"
#include "octavo/graph/zoo.h"

namespace octavo::zoo {

/// An architecture: what "resnet18" and "resnet18-224" differ in is `name`.
using Make = Graph (*)(const std::string& name, const ZooInput& input, std::uint64_t seed);

// CIFAR forms, made for images of 28 to 64 pixels.
Graph simple_cnn(const std::string& name, const ZooInput& input, std::uint64_t seed);
Graph resnet_cifar(const std::string& name, const ZooInput& input, std::uint64_t seed);
Graph resnet18(const std::string& name, const ZooInput& input, std::uint64_t seed);
Graph resnet9(const std::string& name, const ZooInput& input, std::uint64_t seed);
Graph vgg16_bn(const std::string& name, const ZooInput& input, std::uint64_t seed);
Graph mobilenet_v2(const std::string& name, const ZooInput& input, std::uint64_t seed);
Graph mobilenet_v3_small(const std::string& name, const ZooInput& input, std::uint64_t seed);
Graph squeezenet(const std::string& name, const ZooInput& input, std::uint64_t seed);
Graph shufflenet_v2(const std::string& name, const ZooInput& input, std::uint64_t seed);
Graph densenet(const std::string& name, const ZooInput& input, std::uint64_t seed);

Graph efficientnet_b0(const std::string& name, const ZooInput& input, std::uint64_t seed);
Graph efficientnet_lite0(const std::string& name, const ZooInput& input, std::uint64_t seed);
Graph regnet_y_400mf(const std::string& name, const ZooInput& input, std::uint64_t seed);
Graph mobilenet_v4_small(const std::string& name, const ZooInput& input, std::uint64_t seed);
Graph vit_tiny(const std::string& name, const ZooInput& input, std::uint64_t seed);
Graph convnext_tiny(const std::string& name, const ZooInput& input, std::uint64_t seed);

// 224-pixel forms.
Graph resnet18_224(const std::string& name, const ZooInput& input, std::uint64_t seed);
Graph resnet50_224(const std::string& name, const ZooInput& input, std::uint64_t seed);
Graph mobilenet_v2_224(const std::string& name, const ZooInput& input, std::uint64_t seed);
Graph deit_tiny_224(const std::string& name, const ZooInput& input, std::uint64_t seed);
Graph swin_tiny_224(const std::string& name, const ZooInput& input, std::uint64_t seed);
Graph convnext_tiny_224(const std::string& name, const ZooInput& input, std::uint64_t seed);

/// Square windows padded by half of the kernel: with stride 1 the size stays.
ConvAttributes square(std::int64_t kernel, std::int64_t stride = 1, std::int64_t group = 1);

/// Conv without bias, then batch norm; nodes "<name>.conv" and "<name>.bn".
ValueId conv_norm(GraphBuilder& b, const std::string& name, ValueId x, std::int64_t width,
                  const ConvAttributes& attributes, const BatchNormAttributes& norm = {});

/// conv_norm() and Relu "<name>.relu".
ValueId conv_norm_relu(GraphBuilder& b, const std::string& name, ValueId x, std::int64_t width,
                       const ConvAttributes& attributes);

/// Max pooling with 3x3 windows by 2, padded by 1: what 224-pixel stems end with.
ValueId stem_pool(GraphBuilder& b, ValueId x);

/// Global average pool, Flatten, Gemm "fc" and the end of the graph.
Graph classify(GraphBuilder& b, ValueId x, std::int64_t classes);

}  // namespace octavo::zoo
