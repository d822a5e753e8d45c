#include "unique_names.h"

#include <fmt/format.h>

namespace octavo::onnx_format {

std::string UniqueNames::take(const std::string& wanted) {
  if (taken_.insert(wanted).second) return wanted;
  int& last = last_[wanted];
  while (true) {
    std::string name = fmt::format("{}_{}", wanted, ++last);
    if (taken_.insert(name).second) return name;
  }
}

}  // namespace octavo::onnx_format
