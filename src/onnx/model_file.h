/// A ModelProto whose large parts stay where they are, in memory or on disk, until they become tensors: a
/// file is then held once, as tensors, and copied once.
#pragma once

#include <onnx/onnx_pb.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace octavo::onnx_format {

/// Fills all of `target` with the file's bytes from `offset` on, which the caller knows to be there.
using ReadAt = std::function<void(std::uint64_t offset, std::span<std::byte> target)>;

/// Bytes of a file.
struct Extent {
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
};

class ModelFile {
 public:
  /// `bytes` must outlive this. `where` names them in errors. Throws kBadInput if they are no model.
  ModelFile(std::span<const std::byte> bytes, const std::string& where);
  /// Keeps the file open. Throws kIo too.
  explicit ModelFile(const std::filesystem::path& path);

  /// Without raw_data in the graph's initializers.
  const onnx::ModelProto& model() const { return model_; }
  std::uint64_t size() const { return size_; }
  /// Where the raw_data of initializer `index` lie, if it has any.
  const std::optional<Extent>& raw_data(int index) const { return raw_[static_cast<std::size_t>(index)]; }
  /// Copies an extent to `target`, which has its size. Throws kIo if the file has changed.
  void read(const Extent& extent, std::byte* target) const {
    read_at_(extent.offset, {target, static_cast<std::size_t>(extent.size)});
  }

 private:
  void parse(const std::string& where);

  std::uint64_t size_ = 0;
  ReadAt read_at_;
  onnx::ModelProto model_;
  std::vector<std::optional<Extent>> raw_;  ///< One per initializer.
};

}  // namespace octavo::onnx_format
