/// CIFAR-10 and CIFAR-100, binary version (https://www.cs.toronto.edu/~kriz/cifar.html): files of records,
/// each one byte of label (CIFAR-100: the coarse one, then the fine one) and 3,072 of pixels, planes R, G, B,
/// row-major.
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

/// `first` is the number of its first record in its split. The SHA-256 of CIFAR-10's official files are
/// published, among others, by torchvision for Ruby; of CIFAR-100's, MD5 are.
struct CifarFile {
  std::string_view name;
  std::string_view digest;
  std::size_t first = 0;
  std::size_t records = 10'000;
  bool test = false;
};

}  // namespace

struct CifarLayout {
  std::string_view name;
  std::string_view title;
  std::string_view folder;  ///< In the archive.
  std::string_view archive;
  std::string_view url;
  std::string_view md5;
  std::size_t label_bytes = 1;  ///< The last one is the label.
  std::vector<CifarFile> files;
  std::vector<std::string> classes;
  Normalization normalization;

  std::size_t record_bytes() const { return label_bytes + kImageBytes; }
  std::uint64_t file_bytes(const CifarFile& file) const { return file.records * record_bytes(); }
  std::string hint() const {
    std::string names;
    for (const CifarFile& file : files)
      names += std::string(names.empty() ? "" : ", ") + std::string(file.name);
    return fmt::format("give a folder with {}, or {}, with --data", names, archive);
  }
};

const CifarLayout& cifar10_layout() {
  static const CifarLayout kLayout{
      .name = "cifar10",
      .title = "CIFAR-10",
      .folder = "cifar-10-batches-bin",
      .archive = "cifar-10-binary.tar.gz",
      .url = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
      .md5 = "c32a1d4ab5d03f1284b67883e8d87530",
      .files =
          {{"data_batch_1.bin", "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5"},
           {"data_batch_2.bin", "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed", 10'000},
           {"data_batch_3.bin", "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67", 20'000},
           {"data_batch_4.bin", "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48", 30'000},
           {"data_batch_5.bin", "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add", 40'000},
           {.name = "test_batch.bin",
            .digest = "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
            .test = true}},
      .classes = {"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"},
      .normalization = {.mean = {0.4914F, 0.4822F, 0.4465F}, .std = {0.2023F, 0.1994F, 0.2010F}}};
  return kLayout;
}

const CifarLayout& cifar100_layout() {
  static const CifarLayout kLayout{
      .name = "cifar100",
      .title = "CIFAR-100",
      .folder = "cifar-100-binary",
      .archive = "cifar-100-binary.tar.gz",
      .url = "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
      .md5 = "03b5dce01913d631647c71ecec9e9cb8",
      .label_bytes = 2,
      .files = {{.name = "train.bin", .digest = "6172c7755cfe09b2fe270c85cebc1b15", .records = 50'000},
                {.name = "test.bin", .digest = "4499cfba6c016c1be1438163640a0898", .test = true}},
      .classes = {"apple",       "aquarium_fish", "baby",      "bear",       "beaver",       "bed",
                  "bee",         "beetle",        "bicycle",   "bottle",     "bowl",         "boy",
                  "bridge",      "bus",           "butterfly", "camel",      "can",          "castle",
                  "caterpillar", "cattle",        "chair",     "chimpanzee", "clock",        "cloud",
                  "cockroach",   "couch",         "crab",      "crocodile",  "cup",          "dinosaur",
                  "dolphin",     "elephant",      "flatfish",  "forest",     "fox",          "girl",
                  "hamster",     "house",         "kangaroo",  "keyboard",   "lamp",         "lawn_mower",
                  "leopard",     "lion",          "lizard",    "lobster",    "man",          "maple_tree",
                  "motorcycle",  "mountain",      "mouse",     "mushroom",   "oak_tree",     "orange",
                  "orchid",      "otter",         "palm_tree", "pear",       "pickup_truck", "pine_tree",
                  "plain",       "plate",         "poppy",     "porcupine",  "possum",       "rabbit",
                  "raccoon",     "ray",           "road",      "rocket",     "rose",         "sea",
                  "seal",        "shark",         "shrew",     "skunk",      "skyscraper",   "snail",
                  "snake",       "spider",        "squirrel",  "streetcar",  "sunflower",    "sweet_pepper",
                  "table",       "tank",          "telephone", "television", "tiger",        "tractor",
                  "train",       "trout",         "tulip",     "turtle",     "wardrobe",     "whale",
                  "willow_tree", "wolf",          "woman",     "worm"},
      .normalization = {.mean = {0.5071F, 0.4865F, 0.4409F}, .std = {0.2673F, 0.2564F, 0.2762F}}};
  return kLayout;
}

namespace {

/// Both splits, filled file by file in any order.
class Splits {
 public:
  Splits(const CifarLayout& layout, const fs::path& source) : layout_(layout) {
    for (Dataset* split : {&pair_.train, &pair_.test}) {
      split->name = layout.name;
      split->split = split == &pair_.test ? "test" : "train";
      split->source = source.string();
      split->class_names = layout.classes;
      split->channels = 3;
      split->height = 32;
      split->width = 32;
    }
    pair_.normalization = layout.normalization;
  }

  /// `bytes` are as many as the file has.
  void fill(const CifarFile& file, std::span<const std::byte> bytes, const std::string& where) {
    Dataset& split = file.test ? pair_.test : pair_.train;
    // Not before a file of the right size is at hand.
    std::size_t count = 0;
    for (const CifarFile& other : layout_.files) count += other.test == file.test ? other.records : 0;
    split.pixels.resize(count * kImageBytes);
    split.labels.resize(count);
    const auto classes = static_cast<std::int32_t>(layout_.classes.size());
    for (std::size_t i = 0; i < file.records; ++i) {
      const std::byte* pixels = bytes.data() + i * layout_.record_bytes() + layout_.label_bytes;
      const auto label = std::to_integer<std::int32_t>(pixels[-1]);
      if (label >= classes) {
        throw Error(ErrorCode::kBadInput, where,
                    fmt::format("label out of range in record {}; expected 0 to {}, got {} (is this the "
                                "binary version of {}?)",
                                i, classes - 1, label, layout_.title));
      }
      split.labels[file.first + i] = label;
      std::memcpy(split.pixels.data() + (file.first + i) * kImageBytes, pixels, kImageBytes);
    }
    if (digest_of(bytes, file.digest) != file.digest) split.official = false;
  }

  DatasetPair take() {
    pair_.train.hash = content_hash(pair_.train);
    pair_.test.hash = content_hash(pair_.test);
    return std::move(pair_);
  }

 private:
  /// In the kind that `like` is of.
  static std::string digest_of(std::span<const std::byte> bytes, std::string_view like) {
    constexpr std::size_t kMd5Digits = 32;
    Digest digest(like.size() == kMd5Digits ? DigestKind::kMd5 : DigestKind::kSha256);
    digest.update(bytes);
    return digest.hex();
  }

  const CifarLayout& layout_;
  DatasetPair pair_;
};

[[noreturn]] void throw_wrong_size(const CifarLayout& layout, const CifarFile& file, const std::string& where,
                                   std::uint64_t got) {
  throw Error(
      ErrorCode::kBadInput, where,
      fmt::format("wrong size; expected {} bytes ({} records of {}), got {} (copy or download it again)",
                  layout.file_bytes(file), file.records, layout.record_bytes(), got));
}

DatasetPair read_folder(const CifarLayout& layout, const fs::path& folder) {
  // Sizes first: an incomplete folder is refused before 180 MB are read.
  for (const CifarFile& file : layout.files) {
    const fs::path path = folder / file.name;
    std::error_code error;
    const std::uintmax_t size = fs::file_size(path, error);
    if (error) {
      throw Error(ErrorCode::kIo, path.string(),
                  fmt::format("cannot read: {} ({})", error.message(), layout.hint()));
    }
    if (size != layout.file_bytes(file)) throw_wrong_size(layout, file, path.string(), size);
  }
  Splits splits(layout, folder);
  for (const CifarFile& file : layout.files) {
    const fs::path path = folder / file.name;
    const std::vector<std::byte> bytes = read_regular_file(path, layout.file_bytes(file));
    if (bytes.size() != layout.file_bytes(file)) throw_wrong_size(layout, file, path.string(), bytes.size());
    splits.fill(file, bytes, path.string());
  }
  return splits.take();
}

/// What libarchive needs to pull bytes through a GzipReader, which, unlike libarchive, verifies the CRC-32.
struct ArchiveSource {
  GzipReader reader;
  std::uint64_t left;  ///< Bytes that it may still unpack to.
  std::vector<std::byte> buffer = std::vector<std::byte>(1 << 18);
  std::exception_ptr failure = nullptr;

  std::size_t read() {
    const std::size_t count = reader.read(buffer);
    if (count > left) {
      throw Error(ErrorCode::kBadInput, reader.path().string(),
                  "unpacks to far more than CIFAR has; expected the official archive (download it again)");
    }
    left -= count;
    return count;
  }
};

la_ssize_t pull(archive* /*archive*/, void* client, const void** data) {
  auto& source = *static_cast<ArchiveSource*>(client);
  *data = source.buffer.data();
  try {
    return static_cast<la_ssize_t>(source.read());
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
  TarReader(const CifarLayout& layout, const fs::path& path)
      : layout_(layout),
        source_{.reader = GzipReader(path), .left = most_bytes(layout)},
        archive_(archive_read_new()) {
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
    while (source_.read() > 0) {
    }
  }

 private:
  /// Twice what the files of the data set hold.
  static std::uint64_t most_bytes(const CifarLayout& layout) {
    std::uint64_t bytes = 0;
    for (const CifarFile& file : layout.files) bytes += 2 * layout.file_bytes(file);
    return bytes;
  }
  void check(int code) {
    if (code != ARCHIVE_OK && code != ARCHIVE_WARN) fail();
  }
  [[noreturn]] void fail() {
    if (source_.failure) std::rethrow_exception(source_.failure);
    const char* text = archive_error_string(archive_.get());
    throw Error(ErrorCode::kBadInput, source_.reader.path().string(),
                fmt::format("not a readable archive ({}); expected {} (download it again)",
                            text != nullptr ? text : "unknown error", layout_.archive));
  }

  const CifarLayout& layout_;
  ArchiveSource source_;
  std::unique_ptr<archive, FreeArchive> archive_;
};

DatasetPair read_archive(const CifarLayout& layout, const fs::path& path) {
  // The official archives have less than ten entries; anything much longer is another archive and not worth
  // unpacking.
  constexpr int kMostEntries = 100;
  constexpr std::int64_t kLargestOther = std::int64_t{1} << 28;
  TarReader tar(layout, path);
  Splits splits(layout, path);
  std::vector<bool> seen(layout.files.size());
  std::vector<std::byte> bytes;
  int entries = 0;
  while (archive_entry* entry = tar.next()) {
    const char* raw_name = archive_entry_pathname(entry);
    const std::string name = raw_name != nullptr ? raw_name : "";
    const std::string where = path.string() + "/" + name;
    const std::int64_t size = archive_entry_size(entry);
    const std::string base = fs::path(name).filename().string();
    const auto file = std::ranges::find(layout.files, base, &CifarFile::name);
    if (file == layout.files.end()) {
      if (++entries > kMostEntries || size > kLargestOther) {
        throw Error(ErrorCode::kBadInput, path.string(),
                    fmt::format("a foreign archive (it holds '{}'); expected {}", name, layout.archive));
      }
      continue;
    }
    const auto index = static_cast<std::size_t>(file - layout.files.begin());
    if (archive_entry_filetype(entry) != AE_IFREG) {
      throw Error(ErrorCode::kBadInput, where, "not a regular file in the archive; expected one");
    }
    if (seen[index]) throw Error(ErrorCode::kBadInput, where, "twice in the archive; expected once");
    const std::uint64_t wanted = layout.file_bytes(*file);
    if (size != static_cast<std::int64_t>(wanted))
      throw_wrong_size(layout, *file, where, static_cast<std::uint64_t>(std::max<std::int64_t>(size, 0)));
    bytes.resize(wanted);
    const std::size_t got = tar.read(bytes);
    if (got != wanted) throw_wrong_size(layout, *file, where, got);
    splits.fill(*file, bytes, where);
    seen[index] = true;
  }
  tar.finish();
  for (std::size_t i = 0; i < layout.files.size(); ++i) {
    if (!seen[i]) {
      throw Error(ErrorCode::kBadInput, path.string(),
                  fmt::format("no {} in the archive; expected {}", layout.files[i].name, layout.archive));
    }
  }
  return splits.take();
}

}  // namespace

CifarDownload cifar_download(const CifarLayout& layout) {
  return {.name = std::string(layout.name),
          .title = std::string(layout.title),
          .archive = std::string(layout.archive),
          .url = std::string(layout.url),
          .md5 = std::string(layout.md5)};
}

std::optional<fs::path> find_cifar(const CifarLayout& layout, const fs::path& path) {
  std::error_code ignored;
  if (fs::is_regular_file(path, ignored)) return path;
  for (const fs::path& folder : {path, path / layout.folder}) {
    // One file is enough: a folder that misses some is broken, not something else.
    for (const CifarFile& file : layout.files) {
      if (fs::exists(folder / file.name, ignored)) return folder;
    }
  }
  if (fs::is_regular_file(path / layout.archive, ignored)) return path / layout.archive;
  return std::nullopt;
}

DatasetPair read_cifar(const CifarLayout& layout, const fs::path& path) {
  std::error_code ignored;
  if (const fs::file_status status = fs::status(path, ignored); !fs::exists(status)) {
    if (status.type() == fs::file_type::none) {
      throw Error(ErrorCode::kIo, path.string(),
                  fmt::format("cannot be examined: {} ({})", ignored.message(), layout.hint()));
    }
    throw Error(ErrorCode::kIo, path.string(), fmt::format("no such file or folder ({})", layout.hint()));
  }
  const std::optional<fs::path> found = find_cifar(layout, path);
  if (!found)
    throw Error(ErrorCode::kIo, path.string(), fmt::format("no {} here ({})", layout.title, layout.hint()));
  return fs::is_directory(*found, ignored) ? read_folder(layout, *found) : read_archive(layout, *found);
}

DatasetPair read_cifar10(const fs::path& path) { return read_cifar(cifar10_layout(), path); }
DatasetPair read_cifar100(const fs::path& path) { return read_cifar(cifar100_layout(), path); }

}  // namespace octavo
