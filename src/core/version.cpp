#include "octavo/core/version.h"

namespace octavo {

std::string version() { return OCTAVO_VERSION; }

}  // namespace octavo
