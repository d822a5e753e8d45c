// Constants as kernels want them, shared by a model's programs for different batch sizes.
#pragma once

#include <map>
#include <memory>
#include <tuple>
#include <typeindex>

#include "octavo/graph/graph.h"

namespace octavo {

/// By the type of the packed form, the value that the kernel makes, and which of several forms of that type
/// it is.
class PackedConstants {
 public:
  /// What make() gave when it was first asked for.
  template <typename Make>
  auto get(ValueId id, int form, const Make& make) {
    using T = decltype(make());
    std::shared_ptr<const void>& slot = packed_[{std::type_index(typeid(T)), id, form}];
    if (!slot) slot = std::make_shared<const T>(make());
    return std::static_pointer_cast<const T>(slot);
  }

 private:
  std::map<std::tuple<std::type_index, ValueId, int>, std::shared_ptr<const void>> packed_;
};

}  // namespace octavo
