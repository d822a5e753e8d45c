#include "failures.h"

#include <c10/util/Exception.h>

#include <new>
#include <string_view>

#include "octavo/core/error.h"

namespace octavo::train_detail {
namespace {

/// LibTorch has no type for it on the CPU: its allocator says so in words, and oneDNN inside it in others.
bool is_out_of_memory(std::string_view text) {
  return text.find("DefaultCPUAllocator") != std::string_view::npos ||
         text.find("could not create a memory") != std::string_view::npos;
}

}  // namespace

void rethrow(const std::string& where) {
  try {
    throw;
  } catch (const Error&) {
    throw;
  } catch (const c10::Error& error) {
    if (is_out_of_memory(error.what_without_backtrace())) throw std::bad_alloc();
    throw Error(ErrorCode::kInternal, where, error.what_without_backtrace());
  } catch (const std::exception& error) {
    if (is_out_of_memory(error.what())) throw std::bad_alloc();
    throw;
  }
}

}  // namespace octavo::train_detail
