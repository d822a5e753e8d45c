/// What reading a model may cost, measured in the bytes it was read from.
#pragma once

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <utility>

namespace octavo::onnx_format {

/// A file of a few hundred bytes can ask for tensors and loops of any size: shapes are only numbers. So
/// whatever the size of a loop or of an allocation comes from the file is asked for here first. Throws
/// kUnsupported, naming the file, once an import has asked for more than its files are worth.
class WorkBudget {
 public:
  /// Bytes of memory, and steps of loops, for each byte of the model's files.
  static constexpr std::uint64_t kMemoryPerByte = 16;
  static constexpr std::uint64_t kStepsPerByte = 64;
  /// For files so small that the multiple of their bytes means nothing.
  static constexpr std::uint64_t kLeastMemory = 4096;
  static constexpr std::uint64_t kLeastSteps = 65536;

  explicit WorkBudget(std::string where) : where_(std::move(where)) {}

  /// Counts bytes that the model was read from.
  void add_file(std::uint64_t bytes) { file_bytes_ += bytes; }
  /// The same for a file beside the model, known by device and inode: once, however many tensors lie in it.
  void add_file_once(std::uint64_t device, std::uint64_t inode, std::uint64_t bytes);

  /// Before `bytes` are allocated, which takes as many steps to fill.
  void charge(std::uint64_t bytes);
  /// Before a loop of so many steps. `whose` says in the error what takes them.
  void work(std::uint64_t steps, std::string_view whose = "its constants");

  std::uint64_t file_bytes() const { return file_bytes_; }
  std::uint64_t memory() const { return memory_; }  ///< Bytes charged so far.
  std::uint64_t steps() const { return steps_; }

 private:
  std::string where_;
  std::uint64_t file_bytes_ = 0;
  std::uint64_t memory_ = 0;
  std::uint64_t steps_ = 0;
  std::set<std::pair<std::uint64_t, std::uint64_t>> files_;
};

}  // namespace octavo::onnx_format
