#include "checkpoint.h"

#include <fmt/format.h>

#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>

#include "octavo/core/error.h"
#include "octavo/core/file.h"
#include "octavo/core/hash.h"

namespace octavo::train_detail {
namespace {

// Layout: magic, payload, 64-bit FNV-1a of the payload. Integers and floats as in memory (little-endian
// machines).
constexpr std::string_view kMagic = "OCTAVO-CHECKPOINT-1\n";

std::uint64_t checksum(std::span<const std::byte> bytes) {
  // FNV-1a over 8-byte words, the rest by bytes: as sensitive to damage as the byte-wise form and 8 times as
  // fast.
  std::uint64_t hash = kFnvBasis;
  std::size_t i = 0;
  for (; i + 8 <= bytes.size(); i += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data() + i, 8);
    hash = fnv1a_step(hash, word);
    hash ^= hash >> 29;
  }
  for (; i < bytes.size(); ++i) hash = fnv1a_step(hash, static_cast<std::uint64_t>(bytes[i]));
  return hash;
}

class Writer {
 public:
  template <typename T>
  requires std::is_arithmetic_v<T>
  void put(T value) { append(&value, sizeof value); }
  void put(const std::string& text) {
    put(static_cast<std::uint64_t>(text.size()));
    append(text.data(), text.size());
  }
  void put(const std::vector<float>& values) {
    put(static_cast<std::uint64_t>(values.size()));
    append(values.data(), values.size() * sizeof(float));
  }
  void append(const void* data, std::size_t size) {
    const auto* first = static_cast<const std::byte*>(data);
    bytes.insert(bytes.end(), first, first + size);
  }

  std::vector<std::byte> bytes;
};

class Reader {
 public:
  Reader(std::span<const std::byte> bytes, std::string where) : bytes_(bytes), where_(std::move(where)) {}

  template <typename T>
  T get() {
    T value{};
    std::memcpy(&value, take(sizeof value).data(), sizeof value);
    return value;
  }
  std::uint64_t get_count() {
    const auto count = get<std::uint64_t>();
    if (count > bytes_.size()) fail();
    return count;
  }
  std::string get_string() {
    const auto part = take(get_count());
    return {reinterpret_cast<const char*>(part.data()), part.size()};
  }
  std::vector<float> get_floats() {
    const std::uint64_t count = get_count();
    const auto part = take(count * sizeof(float));
    std::vector<float> values(count);
    if (count > 0) std::memcpy(values.data(), part.data(), part.size());
    return values;
  }
  void expect_end() const {
    if (!bytes_.empty()) fail();
  }

 private:
  std::span<const std::byte> take(std::uint64_t size) {
    if (size > bytes_.size()) fail();
    const auto part = bytes_.first(size);
    bytes_ = bytes_.subspan(size);
    return part;
  }
  [[noreturn]] void fail() const {
    throw Error(ErrorCode::kBadInput, where_, "its contents do not fit together (delete it to start again)");
  }

  std::span<const std::byte> bytes_;
  std::string where_;
};

}  // namespace

void save_checkpoint(const std::filesystem::path& path, const Checkpoint& checkpoint) {
  Writer out;
  out.append(kMagic.data(), kMagic.size());
  out.put(static_cast<std::uint64_t>(checkpoint.fingerprint.size()));
  for (const auto& [key, value] : checkpoint.fingerprint) {
    out.put(key);
    out.put(value);
  }
  out.put(checkpoint.epoch);
  out.put(checkpoint.step);
  out.put(checkpoint.loss_sum);
  out.put(checkpoint.correct);
  out.put(checkpoint.images);
  out.put(checkpoint.seconds);
  out.put(static_cast<std::uint64_t>(checkpoint.history.size()));
  for (const EpochRecord& record : checkpoint.history) {
    out.put(record.phase);
    out.put(record.epoch);
    for (const double number : {record.lr, record.train_loss, record.train_accuracy, record.test_accuracy,
                                record.images_per_second, record.seconds}) {
      out.put(number);
    }
  }
  out.put(static_cast<std::uint64_t>(checkpoint.tensors.size()));
  for (const StoredTensor& tensor : checkpoint.tensors) {
    out.put(tensor.name);
    out.put(tensor.data);
  }
  out.put(checksum(std::span(out.bytes).subspan(kMagic.size())));
  write_file(path, out.bytes);
}

std::optional<Checkpoint> load_checkpoint(const std::filesystem::path& path) {
  std::error_code error;
  const std::filesystem::file_status status = std::filesystem::status(path, error);
  if (status.type() == std::filesystem::file_type::not_found) return std::nullopt;
  if (error) {
    throw Error(
        ErrorCode::kIo, path.string(),
        "cannot be looked for; expected a folder that may be searched, got '" + error.message() + "'");
  }
  const std::vector<std::byte> bytes = read_file(path);
  const std::string where = path.string();
  if (bytes.size() < kMagic.size() || std::memcmp(bytes.data(), kMagic.data(), kMagic.size()) != 0) {
    throw Error(
        ErrorCode::kBadInput, where,
        "not a checkpoint of this version; expected a file that octavo wrote (delete it to start again)");
  }
  if (bytes.size() < kMagic.size() + sizeof(std::uint64_t)) {
    throw Error(ErrorCode::kBadInput, where, "truncated (delete it to start again)");
  }
  const auto payload =
      std::span(bytes).subspan(kMagic.size(), bytes.size() - kMagic.size() - sizeof(std::uint64_t));
  std::uint64_t stored = 0;
  std::memcpy(&stored, bytes.data() + bytes.size() - sizeof stored, sizeof stored);
  if (const std::uint64_t computed = checksum(payload); computed != stored) {
    throw Error(
        ErrorCode::kBadInput, where,
        fmt::format("truncated or corrupt; expected checksum {:016x}, got {:016x} (delete it to start again)",
                    stored, computed));
  }
  Reader in(payload, where);
  Checkpoint checkpoint;
  for (std::uint64_t i = in.get_count(); i > 0; --i) {
    std::string key = in.get_string();
    checkpoint.fingerprint[std::move(key)] = in.get_string();
  }
  checkpoint.epoch = in.get<std::int64_t>();
  checkpoint.step = in.get<std::int64_t>();
  checkpoint.loss_sum = in.get<double>();
  checkpoint.correct = in.get<std::int64_t>();
  checkpoint.images = in.get<std::int64_t>();
  checkpoint.seconds = in.get<double>();
  for (std::uint64_t i = in.get_count(); i > 0; --i) {
    EpochRecord record;
    record.phase = in.get_string();
    record.epoch = in.get<std::int64_t>();
    for (double* number : {&record.lr, &record.train_loss, &record.train_accuracy, &record.test_accuracy,
                           &record.images_per_second, &record.seconds}) {
      *number = in.get<double>();
    }
    checkpoint.history.push_back(std::move(record));
  }
  for (std::uint64_t i = in.get_count(); i > 0; --i) {
    StoredTensor tensor;
    tensor.name = in.get_string();
    tensor.data = in.get_floats();
    checkpoint.tensors.push_back(std::move(tensor));
  }
  in.expect_end();
  return checkpoint;
}

void require_same_run(const std::filesystem::path& path, const Fingerprint& stored,
                      const Fingerprint& wanted) {
  const auto text = [](const Fingerprint& fingerprint, const std::string& key) {
    const auto found = fingerprint.find(key);
    return found == fingerprint.end() ? std::string("nothing") : found->second;
  };
  Fingerprint keys = wanted;
  keys.insert(stored.begin(), stored.end());
  for (const auto& [key, unused] : keys) {
    if (const std::string has = text(stored, key), wants = text(wanted, key); has != wants) {
      throw Error(
          ErrorCode::kBadInput, path.string(),
          fmt::format("the checkpoint is of another run: '{}' differs; expected {}, got {} (delete the file "
                      "to start again, or use the settings it was made with)",
                      key, wants, has));
    }
  }
}

}  // namespace octavo::train_detail
