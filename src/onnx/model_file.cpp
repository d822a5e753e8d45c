#include "model_file.h"

#include <fmt/format.h>
#include <google/protobuf/stubs/logging.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <memory>

#include "octavo/core/error.h"
#include "octavo/core/file.h"

namespace octavo::onnx_format {
namespace {

/// The bytes are not those of messages within messages.
struct Malformed {};

/// Protocol buffers' wire format: https://protobuf.dev/programming-guides/encoding
enum WireType : std::uint8_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

void append_varint(std::uint64_t value, std::string& to) {
  for (; value >= 0x80; value >>= 7) to += static_cast<char>(value | 0x80);
  to += static_cast<char>(value);
}

/// Reads forward, through a small window.
class Cursor {
 public:
  Cursor(const ReadAt& read_at, std::uint64_t size) : read_at_(read_at), size_(size) {}

  std::uint64_t position() const { return position_; }

  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      const std::uint64_t byte = next();
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    throw Malformed{};
  }
  void skip(std::uint64_t count) {
    check(count);
    position_ += count;
  }
  void copy(std::uint64_t count, std::string& to) {
    check(count);
    const std::size_t before = to.size();
    to.resize(before + count);
    read_at_(position_, std::as_writable_bytes(std::span(to).subspan(before)));
    position_ += count;
  }

 private:
  void check(std::uint64_t count) const {
    if (count > size_ - position_) throw Malformed{};
  }
  std::uint8_t next() {
    check(1);
    if (position_ < begin_ || position_ - begin_ >= window_.size()) {
      begin_ = position_;
      window_.resize(std::min<std::uint64_t>(kWindow, size_ - begin_));
      read_at_(begin_, window_);
    }
    return static_cast<std::uint8_t>(window_[position_++ - begin_]);
  }

  static constexpr std::uint64_t kWindow = 4096;
  const ReadAt& read_at_;
  std::uint64_t size_;
  std::uint64_t position_ = 0;
  std::uint64_t begin_ = 0;  ///< Of the window.
  std::vector<std::byte> window_;
};

/// Copies a model without the raw_data of the graph's initializers, and notes where those are.
class Outline {
 public:
  Outline(const ReadAt& read_at, std::uint64_t size, std::vector<std::optional<Extent>>& raw)
      : cursor_(read_at, size), raw_(raw) {
    text_ = message(Message::kModel, size);
  }
  const std::string& text() const { return text_; }

 private:
  enum class Message : std::uint8_t { kModel, kGraph, kTensor };

  /// The fields of a message that ends at `end`.
  std::string message(Message kind, std::uint64_t end) {
    std::string fields;
    while (cursor_.position() < end) {
      const std::uint64_t tag = cursor_.varint();
      const std::uint64_t number = tag >> 3;
      if (tag > std::numeric_limits<std::uint32_t>::max()) throw Malformed{};
      switch (tag & 7) {
        case kVarint:
          append_varint(tag, fields);
          append_varint(cursor_.varint(), fields);
          break;
        case kFixed64:
          append_varint(tag, fields);
          cursor_.copy(8, fields);
          break;
        case kFixed32:
          append_varint(tag, fields);
          cursor_.copy(4, fields);
          break;
        case kBytes:
          bytes(kind, number, end, fields);
          break;
        default:
          throw Malformed{};
      }
    }
    if (cursor_.position() > end) throw Malformed{};
    return fields;
  }

  void bytes(Message kind, std::uint64_t number, std::uint64_t end, std::string& fields) {
    const std::uint64_t size = cursor_.varint();
    if (cursor_.position() > end || size > end - cursor_.position()) throw Malformed{};
    const std::uint64_t tag = number << 3 | kBytes;
    const auto nested = [&](Message inner) {
      const std::string content = message(inner, cursor_.position() + size);
      append_varint(tag, fields);
      append_varint(content.size(), fields);
      fields += content;
    };
    if (kind == Message::kModel && number == onnx::ModelProto::kGraphFieldNumber) {
      nested(Message::kGraph);
    } else if (kind == Message::kGraph && number == onnx::GraphProto::kInitializerFieldNumber) {
      raw_.emplace_back();
      nested(Message::kTensor);
    } else if (kind == Message::kTensor && number == onnx::TensorProto::kRawDataFieldNumber) {
      raw_.back() = Extent{.offset = cursor_.position(), .size = size};
      cursor_.skip(size);
    } else {
      append_varint(tag, fields);
      append_varint(size, fields);
      cursor_.copy(size, fields);
    }
  }

  Cursor cursor_;
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
    throw Error(ErrorCode::kBadInput, where,
                fmt::format("not an ONNX model, or cut short; got {} bytes", size_));
  }
  // What the outline took for initializers, the parser did too.
  check_internal(model_.graph().initializer_size() == static_cast<int>(raw_.size()),
                 "an ONNX file's initializers were miscounted");
}

}  // namespace octavo::onnx_format
