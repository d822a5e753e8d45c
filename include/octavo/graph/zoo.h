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

/// A freshly initialized model. Sources, forms and how they differ from the papers stand beside each
/// architecture (src/graph/zoo_*.cpp) and in docs/models.md; parameters as published are a test.
///
/// Names ending in "-224" are ImageNet forms, which begin by making the image four times smaller; the others
/// are CIFAR forms, for images of 28 to 64 pixels or so. Either takes images of any size, square or not, that
/// its windows fit. Residual networks have 1x1 projection shortcuts (option B of He et al.) where shapes
/// change.
///
/// Throws kUsage for an unknown name (naming the known ones) and kBadInput for an image too small for the
/// model.
Graph make_model(const std::string& name, const ZooInput& input, std::uint64_t seed);

}  // namespace octavo
