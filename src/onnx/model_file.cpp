#include "model_file.h"

#include <fmt/format.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/stubs/logging.h>
#include <google/protobuf/wire_format_lite.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <memory>

#include "octavo/core/error.h"
#include "octavo/core/file.h"

namespace octavo::onnx_format {
namespace {

namespace io = google::protobuf::io;
using google::protobuf::internal::WireFormatLite;

/// The bytes are not those of messages within messages.
struct Malformed {};

/// A file as protobuf's readers want it; what they skip is not read.
class FileStream final : public io::CopyingInputStream {
 public:
  FileStream(const ReadAt& read_at, std::uint64_t size) : read_at_(read_at), size_(size) {}

  int Read(void* buffer, int size) override {
    const std::uint64_t count = std::min<std::uint64_t>(static_cast<std::uint64_t>(size), size_ - position_);
    read_at_(position_, {static_cast<std::byte*>(buffer), static_cast<std::size_t>(count)});
    position_ += count;
    return static_cast<int>(count);
  }
  int Skip(int count) override {
    const std::uint64_t skipped =
        std::min<std::uint64_t>(static_cast<std::uint64_t>(count), size_ - position_);
    position_ += skipped;
    return static_cast<int>(skipped);
  }

 private:
  const ReadAt& read_at_;
  std::uint64_t size_;
  std::uint64_t position_ = 0;
};

/// Copies a model without the raw_data of the graph's initializers, and notes where those are.
class Outline {
 public:
  /// `raw` gets an entry for each initializer; `size` is below 2^31. Throws Malformed.
  Outline(const ReadAt& read_at, std::uint64_t size, std::vector<std::optional<Extent>>& raw)
      : file_(read_at, size), stream_(&file_, kBlock), from_(&stream_), raw_(raw) {
    from_.PushLimit(static_cast<int>(size));  // So that no nested message is taken for a longer one.
    io::StringOutputStream target(&text_);
    io::CodedOutputStream to(&target);
    copy_message(Message::kModel, to);
  }
  const std::string& text() const { return text_; }

 private:
  enum class Message : std::uint8_t { kModel, kGraph, kTensor };
  static constexpr int kBlock = 16384;  // Bytes read at once.

  /// The fields of a message that ends where the stream or its limit does.
  void copy_message(Message kind, io::CodedOutputStream& to) {
    while (const std::uint32_t tag = from_.ReadTag()) {
      if (WireFormatLite::GetTagWireType(tag) == WireFormatLite::WIRETYPE_LENGTH_DELIMITED) {
        copy_bytes(kind, tag, to);
      } else if (!WireFormatLite::SkipField(&from_, tag, &to)) {
        throw Malformed{};
      }
    }
    if (from_.BytesUntilLimit() != 0 || !from_.ConsumedEntireMessage()) throw Malformed{};
  }

  void copy_bytes(Message kind, std::uint32_t tag, io::CodedOutputStream& to) {
    const int number = WireFormatLite::GetTagFieldNumber(tag);
    int size = 0;
    if (!from_.ReadVarintSizeAsInt(&size)) throw Malformed{};
    if (kind == Message::kModel && number == onnx::ModelProto::kGraphFieldNumber) {
      copy_nested(Message::kGraph, tag, size, to);
    } else if (kind == Message::kGraph && number == onnx::GraphProto::kInitializerFieldNumber) {
      raw_.emplace_back();
      copy_nested(Message::kTensor, tag, size, to);
    } else if (kind == Message::kTensor && number == onnx::TensorProto::kRawDataFieldNumber) {
      raw_.back() = Extent{.offset = static_cast<std::uint64_t>(from_.CurrentPosition()),
                           .size = static_cast<std::uint64_t>(size)};
      if (!from_.Skip(size)) throw Malformed{};
    } else {
      std::string content;
      if (!from_.ReadString(&content, size)) throw Malformed{};
      append(tag, content, to);
    }
  }

  void copy_nested(Message kind, std::uint32_t tag, int size, io::CodedOutputStream& to) {
    std::string content;
    {
      const io::CodedInputStream::Limit limit = from_.PushLimit(size);
      if (from_.BytesUntilLimit() != size) throw Malformed{};  // Beyond the message that it is in.
      io::StringOutputStream target(&content);
      io::CodedOutputStream nested(&target);
      copy_message(kind, nested);
      from_.PopLimit(limit);
    }
    append(tag, content, to);
  }

  static void append(std::uint32_t tag, const std::string& content, io::CodedOutputStream& to) {
    to.WriteVarint32(tag);
    to.WriteVarint32(static_cast<std::uint32_t>(content.size()));
    to.WriteString(content);
  }

  FileStream file_;
  io::CopyingInputStreamAdaptor stream_;
  io::CodedInputStream from_;
  std::vector<std::optional<Extent>>& raw_;
  std::string text_;
};

}  // namespace

ModelFile::ModelFile(std::span<const std::byte> bytes, const std::string& where)
    : size_(bytes.size()), read_at_([bytes](std::uint64_t offset, std::span<std::byte> target) {
        if (!target.empty()) std::memcpy(target.data(), bytes.data() + offset, target.size());
      }) {
  parse(where);
}

ModelFile::ModelFile(const std::filesystem::path& path) {
  const auto file = std::make_shared<const InputFile>(path);
  size_ = file->size();
  read_at_ = [file](std::uint64_t offset, std::span<std::byte> target) { file->read(offset, target); };
  parse(path.string());
}

void ModelFile::parse(const std::string& where) {
  if (size_ > std::numeric_limits<std::int32_t>::max()) {
    throw Error(ErrorCode::kBadInput, where, fmt::format("expected at most 2 GiB, got {} bytes", size_));
  }
  bool parsed = false;
  try {
    const Outline outline(read_at_, size_, raw_);
    const google::protobuf::LogSilencer silencer;
    parsed = model_.ParseFromString(outline.text());
  } catch (const Malformed&) {
  }
  if (!parsed || !model_.has_graph()) {
    constexpr std::string_view kPointer = "version https://git-lfs";
    std::string begin(std::min<std::size_t>(size_, kPointer.size()), ' ');
    read_at_(0, std::as_writable_bytes(std::span(begin)));
    if (begin == kPointer) {
      throw Error(ErrorCode::kBadInput, where,
                  "is a Git LFS pointer; expected the file that it stands for (run: git lfs pull)");
    }
    throw Error(ErrorCode::kBadInput, where,
                fmt::format("not an ONNX model, or cut short; got {} bytes", size_));
  }
  // What the outline took for initializers, the parser did too.
  check_internal(model_.graph().initializer_size() == static_cast<int>(raw_.size()),
                 "an ONNX file's initializers were miscounted");
}

}  // namespace octavo::onnx_format
