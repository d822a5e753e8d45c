/// CIFAR-10, binary version (https://www.cs.toronto.edu/~kriz/cifar.html): six files of 10,000 records, each
/// one byte of label and 3,072 of pixels, planes R, G, B, row-major.
#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>

#include "digest.h"
#include "gzip.h"
#include "internal.h"
#include "octavo/core/error.h"
#include "octavo/core/file.h"
#include "octavo/data/sources.h"

namespace octavo {
namespace fs = std::filesystem;

namespace {

constexpr std::size_t kImageBytes = 3 * 32 * 32;
constexpr std::size_t kRecordBytes = 1 + kImageBytes;
constexpr std::size_t kRecords = 10'000;
constexpr std::uint64_t kFileBytes = kRecords * kRecordBytes;
constexpr std::size_t kTrainFiles = 5;
constexpr const char* kFolderName = "cifar-10-batches-bin";
constexpr const char* kArchiveName = "cifar-10-binary.tar.gz";
constexpr const char* kHint =
    "give a folder with data_batch_1.bin to data_batch_5.bin and test_batch.bin, or cifar-10-binary.tar.gz, "
    "with "
    "--data";

/// The last is the test split. The SHA-256 of the official files are published, among others, by torchvision
/// for Ruby.
struct BatchFile {
  std::string_view name;
  std::string_view sha256;
};
constexpr std::array<BatchFile, kTrainFiles + 1> kFiles = {{
    {"data_batch_1.bin", "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5"},
    {"data_batch_2.bin", "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed"},
    {"data_batch_3.bin", "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67"},
    {"data_batch_4.bin", "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48"},
    {"data_batch_5.bin", "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add"},
    {"test_batch.bin", "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b"},
}};

Dataset empty_split(const std::string& split, const fs::path& source) {
  Dataset dataset;
  dataset.name = "cifar10";
  dataset.split = split;
  dataset.source = source.string();
  dataset.class_names = {"airplane", "automobile", "bird",  "cat",  "deer",
                         "dog",      "frog",       "horse", "ship", "truck"};
  dataset.channels = 3;
  dataset.height = 32;
  dataset.width = 32;
  return dataset;
}

/// Both splits, filled file by file in any order.
class Splits {
 public:
  explicit Splits(const fs::path& source)
      : train_(empty_split("train", source)), test_(empty_split("test", source)) {}

  /// `bytes` are the kFileBytes bytes of file number `file`.
  void fill(std::size_t file, std::span<const std::byte> bytes, const std::string& where) {
    Dataset& split = file < kTrainFiles ? train_ : test_;
    const std::size_t first = file < kTrainFiles ? file * kRecords : 0;
    // Not before a file of the right size is at hand.
    const std::size_t count = (file < kTrainFiles ? kTrainFiles : 1) * kRecords;
    split.pixels.resize(count * kImageBytes);
    split.labels.resize(count);
    for (std::size_t i = 0; i < kRecords; ++i) {
      const std::byte* record = bytes.data() + i * kRecordBytes;
      const auto label = std::to_integer<std::int32_t>(record[0]);
      if (label > 9) {
        throw Error(
            ErrorCode::kBadInput, where,
            fmt::format(
                "label out of range in record {}; expected 0 to 9, got {} (is this the binary version "
                "of CIFAR-10?)",
                i, label));
      }
      split.labels[first + i] = label;
      std::memcpy(split.pixels.data() + (first + i) * kImageBytes, record + 1, kImageBytes);
    }
    if (sha256(bytes) != kFiles[file].sha256) split.official = false;
  }

  DatasetPair take() {
    train_.hash = content_hash(train_);
    test_.hash = content_hash(test_);
    return {.train = std::move(train_),
            .test = std::move(test_),
            .normalization = {.mean = {0.4914F, 0.4822F, 0.4465F}, .std = {0.2023F, 0.1994F, 0.2010F}}};
  }

 private:
  Dataset train_;
  Dataset test_;
};

[[noreturn]] void throw_wrong_size(const std::string& where, std::uint64_t got) {
  throw Error(
      ErrorCode::kBadInput, where,
      fmt::format(
          "wrong size; expected {} bytes (10,000 records of 3,073), got {} (copy or download it again)",
          kFileBytes, got));
}

DatasetPair read_folder(const fs::path& folder) {
  // Sizes first: an incomplete folder is refused before 180 MB are read.
  for (const BatchFile& file : kFiles) {
    const fs::path path = folder / file.name;
    std::error_code error;
    const std::uintmax_t size = fs::file_size(path, error);
    if (error) {
      throw Error(ErrorCode::kIo, path.string(), fmt::format("cannot read: {} ({})", error.message(), kHint));
    }
    if (size != kFileBytes) throw_wrong_size(path.string(), size);
  }
  Splits splits(folder);
  for (std::size_t i = 0; i < kFiles.size(); ++i) {
    const fs::path path = folder / kFiles[i].name;
    const std::vector<std::byte> bytes = read_file(path, kFileBytes);
    if (bytes.size() != kFileBytes) throw_wrong_size(path.string(), bytes.size());
    splits.fill(i, bytes, path.string());
  }
  return splits.take();
}

/// What libarchive needs to pull bytes through a GzipReader, which, unlike libarchive, verifies the CRC-32.
struct ArchiveSource {
  GzipReader reader;
  std::vector<std::byte> buffer = std::vector<std::byte>(1 << 18);
  std::exception_ptr failure;
};

la_ssize_t pull(archive* /*archive*/, void* client, const void** data) {
  auto& source = *static_cast<ArchiveSource*>(client);
  *data = source.buffer.data();
  try {
    return static_cast<la_ssize_t>(source.reader.read(source.buffer));
  } catch (...) {
    source.failure = std::current_exception();
    return -1;
  }
}

struct FreeArchive {
  void operator()(archive* pointer) const noexcept { archive_read_free(pointer); }
};

class TarReader {
 public:
  explicit TarReader(const fs::path& path)
      : source_{.reader = GzipReader(path), .failure = nullptr}, archive_(archive_read_new()) {
    check_internal(archive_ != nullptr, "libarchive is out of memory");
    archive_read_support_format_tar(archive_.get());
    check(archive_read_open(archive_.get(), &source_, nullptr, pull, nullptr));
  }

  /// The next entry, or null at the end.
  archive_entry* next() {
    archive_entry* entry = nullptr;
    const int code = archive_read_next_header(archive_.get(), &entry);
    if (code == ARCHIVE_EOF) return nullptr;
    check(code);
    return entry;
  }

  std::size_t read(std::span<std::byte> bytes) {
    std::size_t filled = 0;
    while (filled < bytes.size()) {
      const la_ssize_t count =
          archive_read_data(archive_.get(), bytes.data() + filled, bytes.size() - filled);
      if (count < 0) fail();
      if (count == 0) break;
      filled += static_cast<std::size_t>(count);
    }
    return filled;
  }

  /// Reads what follows the last entry, so that the checksum at the end of the file is verified.
  void finish() {
    while (source_.reader.read(source_.buffer) > 0) {
    }
  }

 private:
  void check(int code) {
    if (code != ARCHIVE_OK && code != ARCHIVE_WARN) fail();
  }
  [[noreturn]] void fail() {
    if (source_.failure) std::rethrow_exception(source_.failure);
    const char* text = archive_error_string(archive_.get());
    throw Error(ErrorCode::kBadInput, source_.reader.path().string(),
                fmt::format("not a readable archive ({}); expected {} (download it again)",
                            text != nullptr ? text : "unknown error", kArchiveName));
  }

  ArchiveSource source_;
  std::unique_ptr<archive, FreeArchive> archive_;
};

DatasetPair read_archive(const fs::path& path) {
  // The official archive has eight entries; anything much longer is another archive and not worth unpacking.
  constexpr int kMostEntries = 100;
  constexpr std::int64_t kLargestOther = std::int64_t{1} << 28;
  TarReader tar(path);
  Splits splits(path);
  std::array<bool, kFiles.size()> seen{};
  std::vector<std::byte> bytes;
  int entries = 0;
  while (archive_entry* entry = tar.next()) {
    const char* raw_name = archive_entry_pathname(entry);
    const std::string name = raw_name != nullptr ? raw_name : "";
    const std::string where = path.string() + "/" + name;
    const std::int64_t size = archive_entry_size(entry);
    const std::string base = fs::path(name).filename().string();
    const auto* file =
        std::find_if(kFiles.begin(), kFiles.end(), [&](const auto& f) { return f.name == base; });
    if (file == kFiles.end()) {
      if (++entries > kMostEntries || size > kLargestOther) {
        throw Error(ErrorCode::kBadInput, path.string(),
                    fmt::format("a foreign archive (it holds '{}'); expected {}", name, kArchiveName));
      }
      continue;
    }
    const auto index = static_cast<std::size_t>(file - kFiles.begin());
    if (archive_entry_filetype(entry) != AE_IFREG) {
      throw Error(ErrorCode::kBadInput, where, "not a regular file in the archive; expected one");
    }
    if (seen.at(index)) throw Error(ErrorCode::kBadInput, where, "twice in the archive; expected once");
    if (size != static_cast<std::int64_t>(kFileBytes)) {
      throw_wrong_size(where, static_cast<std::uint64_t>(std::max<std::int64_t>(size, 0)));
    }
    bytes.resize(kFileBytes);
    const std::size_t got = tar.read(bytes);
    if (got != kFileBytes) throw_wrong_size(where, got);
    splits.fill(index, bytes, where);
    seen.at(index) = true;
  }
  tar.finish();
  for (std::size_t i = 0; i < kFiles.size(); ++i) {
    if (!seen.at(i)) {
      throw Error(ErrorCode::kBadInput, path.string(),
                  fmt::format("no {} in the archive; expected {}", kFiles[i].name, kArchiveName));
    }
  }
  return splits.take();
}

}  // namespace

std::optional<fs::path> find_cifar10(const fs::path& path) {
  std::error_code ignored;
  if (fs::is_regular_file(path, ignored)) return path;
  for (const fs::path& folder : {path, path / kFolderName}) {
    // One file is enough: a folder that misses some is broken CIFAR-10, not something else.
    for (const BatchFile& file : kFiles) {
      if (fs::exists(folder / file.name, ignored)) return folder;
    }
  }
  if (fs::is_regular_file(path / kArchiveName, ignored)) return path / kArchiveName;
  return std::nullopt;
}

DatasetPair read_cifar10(const fs::path& path) {
  std::error_code ignored;
  if (!fs::exists(path, ignored)) {
    throw Error(ErrorCode::kIo, path.string(), fmt::format("no such file or folder ({})", kHint));
  }
  const std::optional<fs::path> found = find_cifar10(path);
  if (!found) throw Error(ErrorCode::kIo, path.string(), fmt::format("no CIFAR-10 here ({})", kHint));
  return fs::is_directory(*found) ? read_folder(*found) : read_archive(*found);
}

}  // namespace octavo
