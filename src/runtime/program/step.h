// A compiled model is a list of steps over numbered buffers. One step, one kernel.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "octavo/runtime/runtime.h"

namespace octavo {

using BufferId = int;
inline constexpr BufferId kInputBuffer = 0;   ///< The caller's images, read only.
inline constexpr BufferId kOutputBuffer = 1;  ///< The caller's logits.

/// What a step needs of one run.
struct StepArguments {
  std::span<std::byte* const> buffers;  ///< By BufferId.
  void* stream = nullptr;               ///< The context's dnnl::stream.
  const ValueObserver* observer = nullptr;
  int threads = 1;
  /// Where this step may keep what it made of the buffers until the context's next run of this batch size; of
  /// all buffers only the caller's two lie elsewhere by then. Empty at first.
  std::shared_ptr<void>* kept = nullptr;

  template <typename T>
  T* buffer(BufferId id) const {
    return reinterpret_cast<T*>(buffers[static_cast<std::size_t>(id)]);
  }
};

/// Immutable after construction; run() may be called from several threads with different arguments.
class Step {
 public:
  /// `constant_bytes`: what the step holds of weights, packed, and of other constants that large.
  Step(std::string kernel, std::size_t constant_bytes)
      : kernel_(std::move(kernel)), constant_bytes_(constant_bytes) {}
  Step(const Step&) = delete;
  Step& operator=(const Step&) = delete;
  virtual ~Step() = default;

  virtual void run(const StepArguments& arguments) const = 0;
  /// True if a library runs it on OpenMP's threads.
  virtual bool uses_openmp() const { return false; }
  /// For people.
  const std::string& kernel() const { return kernel_; }
  std::size_t constant_bytes() const { return constant_bytes_; }

 private:
  std::string kernel_;
  std::size_t constant_bytes_;
};

/// Steps for one batch size and where their buffers lie in a context's memory.
struct Program {
  std::int64_t batch = 0;
  std::vector<std::unique_ptr<Step>> steps;
  std::vector<StepInfo> infos;       ///< By step.
  std::vector<std::size_t> offsets;  ///< By BufferId; the first two are the caller's.
  std::size_t arena_bytes = 0;

  bool uses_openmp() const {
    return std::ranges::any_of(steps, [](const auto& step) { return step->uses_openmp(); });
  }
  std::size_t constant_bytes() const {
    std::size_t bytes = 0;
    for (const auto& step : steps) bytes += step->constant_bytes();
    return bytes;
  }
};

}  // namespace octavo
