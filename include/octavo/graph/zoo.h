/// The model zoo: architectures by name.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "octavo/graph/graph.h"

namespace octavo {

struct ZooInput {
  std::int64_t channels = 3;
  std::int64_t height = 32;
  std::int64_t width = 32;
  std::int64_t classes = 10;
};

/// Names make_model knows, in the order help shows them.
std::vector<std::string> model_names();

/// One line on a model, for help.
std::string model_description(const std::string& name);

/// A freshly initialized model.
///  - "simple-cnn": 4 x [Conv 3x3 with bias, BatchNorm, ReLU, MaxPool 2], widths 64, 128, 256, 512; global
///  average
///    pool; Gemm. 1,558,026 parameters for [3, 32, 32] and 10 classes.
///  - "resnet20": He et al. 2015 (arXiv 1512.03385), CIFAR form, with 1x1 projection shortcuts (option B).
/// Throws kUsage for an unknown name (naming the known ones) and kBadInput for an input too small for the
/// model.
Graph make_model(const std::string& name, const ZooInput& input, std::uint64_t seed);

}  // namespace octavo
