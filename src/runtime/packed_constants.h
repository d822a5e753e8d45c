// Constants as kernels want them, shared by a model's programs for different batch sizes.
#pragma once

#include <map>
#include <memory>
#include <typeindex>
#include <utility>

#include "octavo/graph/graph.h"

namespace octavo {

/// By the type of the packed form and the value that the kernel makes.
class PackedConstants {
 public:
  /// What make() gave when it was first asked for.
  template <typename Make>
  auto get(ValueId id, const Make& make) {
    using T = decltype(make());
    std::shared_ptr<const void>& slot = packed_[{std::type_index(typeid(T)), id}];
    if (!slot) slot = std::make_shared<const T>(make());
    return std::static_pointer_cast<const T>(slot);
  }

 private:
  std::map<std::pair<std::type_index, ValueId>, std::shared_ptr<const void>> packed_;
};

}  // namespace octavo
