/// MNIST's IDX files (http://yann.lecun.com/exdb/mnist, "the IDX file format"): a big-endian magic number
/// that names the element type and the number of dimensions, the dimensions, then uint8 elements, row-major.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "digest.h"
#include "gzip.h"
#include "internal.h"
#include "octavo/core/error.h"
#include "octavo/data/sources.h"

namespace octavo {
namespace fs = std::filesystem;

namespace {

constexpr std::uint32_t kImagesMagic = 0x00000803;  // uint8, three dimensions
constexpr std::uint32_t kLabelsMagic = 0x00000801;  // uint8, one dimension
constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 33;
constexpr std::size_t kPiece = std::size_t{1} << 24;
/// Real images shrink to a half or a fifth. gzip can pack zeros to a thousandth: a file of a few megabytes
/// would fill the memory. Small files may.
constexpr std::uint64_t kMostExpansion = 128;
constexpr std::uint64_t kFreeBytes = std::uint64_t{1} << 26;

/// File names in the order train images, train labels, test images, test labels.
constexpr std::array<std::string_view, 4> kStems = {"train-images-idx3-ubyte", "train-labels-idx1-ubyte",
                                                    "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"};
constexpr std::size_t kTrainLabels = 1;

/// SHA-256 of the decompressed official files, so that another compression of the same bytes still counts.
/// Fashion-MNIST: those whose official .gz files have the MD5 sums of its README (Debian's package holds the
/// same deflate streams under another gzip header). MNIST: those of the .gz files with the SHA-256 sums
/// published widely.
struct Known {
  std::string_view name;
  std::array<std::string_view, 4> sha256;
  float mean;
  float std;
  std::array<const char*, 10> classes;
};
constexpr std::array<Known, 2> kKnown = {{
    {"fashion-mnist",
     {"c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
      "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
      "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
      "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"},
     0.2860F,
     0.3530F,
     {"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag",
      "Ankle boot"}},
    {"mnist",
     {"ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
      "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
      "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
      "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"},
     0.1307F,
     0.3081F,
     {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}},
}};

std::optional<fs::path> find_file(const fs::path& folder, std::size_t file) {
  for (const char* ending : {"", ".gz"}) {
    fs::path path = folder / (std::string(kStems[file]) + ending);
    std::error_code ignored;
    if (fs::is_regular_file(path, ignored)) return path;
  }
  return std::nullopt;
}

fs::path require_file(const fs::path& folder, std::size_t file) {
  if (std::optional<fs::path> found = find_file(folder, file)) return *found;
  throw Error(
      ErrorCode::kIo, folder.string(),
      fmt::format("no {0} or {0}.gz here (give a folder with it and its three companions with --data)",
                  kStems[file]));
}

/// Reads one file from its start to its end, hashing what goes by.
class IdxFile {
 public:
  explicit IdxFile(const fs::path& path) : reader_(path), digest_(DigestKind::kSha256) {}

  std::string where() const { return reader_.path().string(); }

  std::uint32_t read_word() {
    std::array<std::byte, 4> bytes{};
    read_fully(bytes);
    std::uint32_t word = 0;
    for (const std::byte byte : bytes) word = word << 8U | std::to_integer<std::uint32_t>(byte);
    return word;
  }

  void expect_magic(std::uint32_t magic, const char* kind) {
    const std::uint32_t got = read_word();
    if (got != magic) {
      throw Error(ErrorCode::kBadInput, where(),
                  fmt::format("not an IDX file of {}; expected magic number 0x{:08x}, got 0x{:08x}", kind,
                              magic, got));
    }
  }

  /// The declared size is believed only as far as there are bytes: memory grows with what was read.
  std::vector<std::uint8_t> read_elements(std::uint64_t count) {
    const std::uint64_t most = kMostExpansion * reader_.stored_bytes() + kFreeBytes;
    std::vector<std::uint8_t> elements;
    while (elements.size() < count) {
      if (elements.size() > most) {
        throw Error(
            ErrorCode::kBadInput, where(),
            fmt::format("unpacks to more than {} times its size; expected real images", kMostExpansion));
      }
      const std::size_t old = elements.size();
      elements.resize(old + std::min<std::size_t>(kPiece, static_cast<std::size_t>(count) - old));
      read_fully(std::as_writable_bytes(std::span(elements).subspan(old)), count - old);
    }
    return elements;
  }

  /// Makes sure that nothing follows and returns the SHA-256 of the whole.
  std::string finish() {
    std::array<std::byte, 1> extra{};
    if (reader_.read(extra) != 0) {
      throw Error(ErrorCode::kBadInput, where(),
                  "bytes after the last element; expected the end of the file");
    }
    return digest_.hex();
  }

 private:
  void read_fully(std::span<std::byte> bytes) { read_fully(bytes, bytes.size()); }

  void read_fully(std::span<std::byte> bytes, std::uint64_t wanted) {
    const std::size_t got = reader_.read(bytes);
    if (got != bytes.size()) {
      throw Error(ErrorCode::kBadInput, where(),
                  fmt::format("ends too early; expected {} more bytes, got {} (copy or download it again)",
                              wanted, got));
    }
    digest_.update(bytes);
  }

  GzipReader reader_;
  Digest digest_;
};

enum class Split : std::uint8_t { kTrain, kTest };

Dataset read_split(const fs::path& folder, Split split, const Known& known) {
  const bool train = split == Split::kTrain;
  const std::size_t images_file = train ? 0 : 2;
  Dataset dataset;
  dataset.name = known.name;
  dataset.split = train ? "train" : "test";
  dataset.source = folder.string();
  dataset.class_names.assign(known.classes.begin(), known.classes.end());
  dataset.channels = 1;

  // Labels first: they are small, and their number is what the images must match.
  IdxFile labels(require_file(folder, images_file + 1));
  labels.expect_magic(kLabelsMagic, "labels");
  const std::uint32_t count = labels.read_word();
  for (const std::uint8_t label : labels.read_elements(count)) {
    if (label > 9) {
      throw Error(
          ErrorCode::kBadInput, labels.where(),
          fmt::format("label out of range at {}; expected 0 to 9, got {}", dataset.labels.size(), label));
    }
    dataset.labels.push_back(label);
  }
  const std::string labels_digest = labels.finish();
  if (count == 0) throw Error(ErrorCode::kBadInput, labels.where(), "no labels; expected at least one");

  IdxFile images(require_file(folder, images_file));
  images.expect_magic(kImagesMagic, "images");
  const std::uint32_t image_count = images.read_word();
  if (image_count != count) {
    throw Error(ErrorCode::kBadInput, images.where(),
                fmt::format("wrong number of images; expected {}, as {} has labels, got {}", count,
                            labels.where(), image_count));
  }
  const std::uint64_t height = images.read_word();
  const std::uint64_t width = images.read_word();
  constexpr std::uint64_t kLargestSide = 1U << 14;
  if (height == 0 || width == 0 || height > kLargestSide || width > kLargestSide ||
      height * width * count > kMostBytes) {
    throw Error(
        ErrorCode::kBadInput, images.where(),
        fmt::format("impossible size; expected images of 1 to {} pixels a side and at most {} bytes, got {} "
                    "images of {}x{}",
                    kLargestSide, kMostBytes, count, height, width));
  }
  dataset.height = static_cast<std::int64_t>(height);
  dataset.width = static_cast<std::int64_t>(width);
  dataset.pixels = images.read_elements(height * width * count);
  const std::string images_digest = images.finish();

  dataset.official =
      images_digest == known.sha256.at(images_file) && labels_digest == known.sha256.at(images_file + 1);
  dataset.hash = content_hash(dataset);
  return dataset;
}

}  // namespace

bool has_idx(const fs::path& folder) { return find_file(folder, 0).has_value(); }

std::optional<std::string> identify_idx(const fs::path& folder) {
  const std::optional<fs::path> path = find_file(folder, kTrainLabels);
  if (!path) return std::nullopt;
  IdxFile labels(*path);
  labels.expect_magic(kLabelsMagic, "labels");
  labels.read_elements(labels.read_word());
  const std::string digest = labels.finish();
  for (const Known& known : kKnown) {
    if (digest == known.sha256.at(kTrainLabels)) return std::string(known.name);
  }
  return std::nullopt;
}

DatasetPair read_idx(const fs::path& folder, const std::string& name) {
  const auto* known =
      std::find_if(kKnown.begin(), kKnown.end(), [&](const Known& k) { return k.name == name; });
  if (known == kKnown.end()) {
    throw Error(ErrorCode::kUsage, name, "not a data set in IDX files; expected mnist or fashion-mnist");
  }
  std::error_code ignored;
  if (!fs::is_directory(folder, ignored)) {
    throw Error(ErrorCode::kIo, folder.string(),
                fmt::format("no such folder; expected one with {} and its three companions", kStems[0]));
  }
  // The two data sets have the same file names and shapes: only the contents tell them apart.
  if (const std::optional<std::string> actual = identify_idx(folder); actual && *actual != name) {
    throw Error(ErrorCode::kBadInput, folder.string(),
                fmt::format("another data set; expected {}, got {} (choose it with --dataset {})", name,
                            *actual, *actual));
  }
  DatasetPair pair{.train = read_split(folder, Split::kTrain, *known),
                   .test = read_split(folder, Split::kTest, *known),
                   .normalization = {.mean = {known->mean}, .std = {known->std}}};
  if (pair.train.height != pair.test.height || pair.train.width != pair.test.width) {
    throw Error(ErrorCode::kBadInput, folder.string(),
                fmt::format("splits of different sizes; expected test images of {}x{}, got {}x{}",
                            pair.train.height, pair.train.width, pair.test.height, pair.test.width));
  }
  return pair;
}

}  // namespace octavo
