#include "work_budget.h"

#include <fmt/format.h>

#include "octavo/core/error.h"

namespace octavo::onnx_format {

void WorkBudget::add_file_once(std::uint64_t device, std::uint64_t inode, std::uint64_t bytes) {
  if (files_.emplace(device, inode).second) add_file(bytes);
}

void WorkBudget::charge(std::uint64_t bytes) {
  const std::uint64_t most = kMemoryPerByte * file_bytes_ + kLeastMemory;
  if (bytes > most - memory_) {
    throw Error(
        ErrorCode::kUnsupported, where_,
        fmt::format("its constants expand to more than {} times the size of the file", kMemoryPerByte));
  }
  memory_ += bytes;
  work(bytes);
}

void WorkBudget::work(std::uint64_t steps, std::string_view whose) {
  const std::uint64_t most = kStepsPerByte * file_bytes_ + kLeastSteps;
  if (steps > most - steps_) {
    throw Error(
        ErrorCode::kUnsupported, where_,
        fmt::format("{} take more than {} steps for each byte of the file to compute", whose, kStepsPerByte));
  }
  steps_ += steps;
}

}  // namespace octavo::onnx_format
