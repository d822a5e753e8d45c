#include <torch/version.h>

#include "octavo/train/trainer.h"

namespace octavo {

std::string libtorch_version() { return TORCH_VERSION; }

}  // namespace octavo
