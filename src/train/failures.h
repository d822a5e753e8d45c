/// What LibTorch throws, as callers of this module know it.
#pragma once

#include <string>

namespace octavo::train_detail {

/// For the handlers around everything that calls LibTorch: the exception being handled becomes std::bad_alloc
/// where memory was short, and kInternal, beginning with `where`, if it is LibTorch's own; others go on as
/// they are.
[[noreturn]] void rethrow(const std::string& where);

}  // namespace octavo::train_detail
