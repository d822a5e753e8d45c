#include "external_data.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>

#include "octavo/core/error.h"
#include "octavo/core/file.h"
#include "tensor_proto.h"

namespace octavo::onnx_format {
namespace {

namespace fs = std::filesystem;

/// "offset" or "length": digits that fit 63 bits.
std::uint64_t read_size(const std::string& text, const std::string& key, const std::string& what) {
  std::int64_t value = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0) {
    throw Error(
        ErrorCode::kBadInput, what,
        fmt::format("external data's {} reads '{}'; expected a number of bytes", key, printable(text)));
  }
  return static_cast<std::uint64_t>(value);
}

/// Where the bytes are, after every link; checked to lie within one of the folders.
fs::path resolve(const std::string& location, const DataFolders& folders, const std::string& what) {
  const fs::path relative = location;
  const auto refuse = [&](const std::string& problem) {
    throw Error(ErrorCode::kBadInput, what,
                fmt::format("external data in '{}': {}; expected a file in the model's folder",
                            printable(location), problem));
  };
  if (location.empty() || location.find('\0') != std::string::npos) refuse("no file name");
  if (relative.is_absolute() || relative.has_root_name()) refuse("an absolute path");
  if (std::ranges::find(relative, fs::path("..")) != relative.end()) refuse("a path with '..'");
  std::error_code error;
  const fs::path base = fs::canonical(folders.named, error);
  if (error) throw Error(ErrorCode::kIo, folders.named.string(), error.message());
  const fs::path file = fs::canonical(base / relative, error);
  if (error) {
    throw Error(ErrorCode::kIo, what,
                fmt::format("external data in '{}': {}", printable(location), error.message()));
  }
  const auto within = [&](const fs::path& folder) {
    return !folder.empty() && std::ranges::mismatch(folder, file).in1 == folder.end();
  };
  if (!within(base) && !within(folders.linked)) refuse("a link that leaves the folder");
  if (!fs::is_regular_file(file, error)) refuse("not a regular file");
  return file;
}

}  // namespace

bool is_external(const onnx::TensorProto& proto) {
  return proto.data_location() == onnx::TensorProto::EXTERNAL || proto.external_data_size() > 0;
}

Tensor read_external_tensor(const onnx::TensorProto& proto, const DataFolders& folders,
                            const std::string& what, WorkBudget& budget) {
  if (folders.named.empty()) {
    throw Error(
        ErrorCode::kUnsupported, what,
        "its data are in another file; expected a model in one file, or one that is loaded by its path");
  }
  std::map<std::string, std::string> entries;
  for (const auto& entry : proto.external_data()) entries[entry.key()] = entry.value();
  const StoredType type = read_type(proto, what);
  const std::uint64_t needed = type.bytes;
  const std::uint64_t offset = entries.contains("offset") ? read_size(entries["offset"], "offset", what) : 0;
  const std::uint64_t length =
      entries.contains("length") ? read_size(entries["length"], "length", what) : needed;
  if (length != needed) {
    throw Error(ErrorCode::kBadInput, what,
                fmt::format("shape {} needs {} bytes, external data's length is {}", to_string(type.shape),
                            needed, length));
  }
  const fs::path file = resolve(entries["location"], folders, what);
  const InputFile input(file);
  const std::uint64_t size = input.size();
  if (offset > size || length > size - offset) {
    throw Error(ErrorCode::kBadInput, what,
                fmt::format("external data need {} bytes from {} on; '{}' has {}", length, offset,
                            printable(entries["location"]), size));
  }
  budget.add_file_once(input.device(), input.inode(), input.stored_bytes());
  budget.charge(static_cast<std::uint64_t>(element_count(type.shape)) * size_of(type.dtype));
  return tensor_from_raw(type, needed, what, [&](std::byte* to) {
    input.read(offset, {to, static_cast<std::size_t>(needed)});
  });
}

}  // namespace octavo::onnx_format
