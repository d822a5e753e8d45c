/// Image folders: one folder per class, JPEG and PNG files of any size in it.
#include <fmt/format.h>

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <optional>
#include <set>
#include <tuple>

#include "image.h"
#include "internal.h"
#include "octavo/core/error.h"
#include "octavo/core/file.h"
#include "octavo/core/parallel.h"
#include "octavo/data/picture.h"
#include "octavo/data/sources.h"

namespace octavo {
namespace fs = std::filesystem;

namespace {

constexpr const char* kExpected =
    "expected folders train/ and val/ (or test/, validation/, valid/) with one folder per class, or, to "
    "calibrate "
    "or evaluate only, one folder per class";

/// ImageNet's, which most models of this kind were trained with; its mean over the channels for grey images.
Normalization usual_normalization(std::int64_t channels) {
  if (channels == 1) return {.mean = {0.449F}, .std = {0.226F}};
  return {.mean = {0.485F, 0.456F, 0.406F}, .std = {0.229F, 0.224F, 0.225F}};
}

std::string in_lower_case(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

/// Hidden, or left behind by a system that shows folders: no part of a data set.
bool hidden(const fs::path& path) {
  const std::string name = in_lower_case(path.filename().string());
  return name.starts_with('.') || name == "__macosx" || name == "thumbs.db" || name == "desktop.ini";
}

/// What is in `folder` and not hidden, by name.
std::vector<fs::path> entries(const fs::path& folder) {
  std::vector<fs::path> result;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (!hidden(it->path())) result.push_back(it->path());
  }
  if (error) throw Error(ErrorCode::kIo, folder.string(), "cannot be listed: " + error.message());
  std::ranges::sort(result);
  return result;
}

/// What a path leads to, after every link. What is neither file nor folder is passed over: reading a pipe
/// would wait for its writer, and a link to itself leads nowhere.
enum class Kind : std::uint8_t { kFile, kFolder, kOther };

Kind kind_of(const fs::path& path) {
  std::error_code error;
  switch (fs::status(path, error).type()) {
    case fs::file_type::directory:
      return Kind::kFolder;
    case fs::file_type::regular:
    case fs::file_type::not_found:  // A link whose target is gone: an error once it is read.
      return Kind::kFile;
    case fs::file_type::none:
      if (error == std::errc::too_many_symbolic_link_levels) return Kind::kOther;
      throw Error(ErrorCode::kIo, path.string(), "cannot be examined: " + error.message());
    default:
      return Kind::kOther;
  }
}

bool is_folder(const fs::path& path) { return kind_of(path) == Kind::kFolder; }

std::vector<fs::path> folders_in(const fs::path& folder) {
  std::vector<fs::path> result = entries(folder);
  std::erase_if(result, [](const fs::path& path) { return !is_folder(path); });
  return result;
}

/// Folders by device and inode, whatever links lead to them.
class Visited {
 public:
  /// False if it has been added before.
  bool add(const fs::path& folder) {
    struct stat info {};
    if (::stat(folder.c_str(), &info) != 0) {
      throw Error(ErrorCode::kIo, folder.string(),
                  std::string("cannot be examined: ") + std::strerror(errno));
    }
    return folders_.emplace(info.st_dev, info.st_ino).second;
  }

 private:
  std::set<std::pair<dev_t, ino_t>> folders_;
};

/// The folder, those that it lies in, and `others`: a link from below to one of them would bring in images of
/// other classes and splits.
Visited not_to_enter(const fs::path& folder, const std::vector<fs::path>& others) {
  Visited visited;
  std::error_code error;
  fs::path at = fs::canonical(folder, error);
  if (error) throw Error(ErrorCode::kIo, folder.string(), "cannot be examined: " + error.message());
  while (true) {
    visited.add(at);
    if (!at.has_relative_path()) break;
    at = at.parent_path();
  }
  for (const fs::path& other : others) visited.add(other);
  return visited;
}

bool is_image_file(const fs::path& path) {
  if (kind_of(path) != Kind::kFile) return false;
  std::ifstream file(path, std::ios::binary);
  std::array<char, 8> start{};
  file.read(start.data(), start.size());
  return looks_like_image(std::as_bytes(std::span(start.data(), static_cast<std::size_t>(file.gcount()))));
}

/// True of what is called an image that we read, or is one.
bool may_be_image(const fs::path& path) {
  const std::string extension = in_lower_case(path.extension().string());
  return extension == ".jpg" || extension == ".jpeg" || extension == ".png" || is_image_file(path);
}

/// Files of a class.
struct Found {
  std::vector<fs::path> images;
  std::vector<fs::path> passed_over;  ///< Neither called JPEG or PNG nor such by their contents.
};

/// All files below `folder`, by name. A folder that links lead to again is visited once.
void collect_files(const fs::path& folder, Visited& visited, Found& found) {
  for (const fs::path& path : entries(folder)) {
    const Kind kind = kind_of(path);
    if (kind == Kind::kFolder) {
      if (visited.add(path)) collect_files(path, visited, found);
    } else if (kind == Kind::kFile) {
      (may_be_image(path) ? found.images : found.passed_over).push_back(path);
    }
  }
}

struct Labelled {
  fs::path file;
  std::int32_t label;
};

/// A split before any image is read.
struct Listing {
  std::vector<std::string> classes;
  std::vector<Labelled> images;
  std::vector<fs::path> passed_over;
};

/// Classes take turns, so that the first images of a split are a fair sample of it.
enum class Labels : std::uint8_t { kNeeded, kIgnored };

Listing list_split(const fs::path& folder, Labels labels) {
  Listing listing;
  std::vector<Found> files;
  const std::vector<fs::path> folders = folders_in(folder);
  const Visited outside = not_to_enter(folder, folders);
  for (const fs::path& folder_of_class : folders) {
    Visited visited = outside;
    listing.classes.push_back(folder_of_class.filename().string());
    collect_files(folder_of_class, visited, files.emplace_back());
    if (files.back().images.empty())
      throw Error(ErrorCode::kBadInput, folder_of_class.string(),
                  "has no images; expected those of one class");
  }
  if (files.empty() && labels == Labels::kIgnored) {  // Calibration asks for no labels.
    listing.classes.push_back(folder.filename().string());
    Visited visited = outside;
    collect_files(folder, visited, files.emplace_back());
  }
  std::size_t most = 0;
  for (const Found& of_class : files) {
    most = std::max(most, of_class.images.size());
    listing.passed_over.insert(listing.passed_over.end(), of_class.passed_over.begin(),
                               of_class.passed_over.end());
  }
  for (std::size_t i = 0; i < most; ++i) {
    for (std::size_t label = 0; label < files.size(); ++label) {
      if (i < files[label].images.size())
        listing.images.push_back({files[label].images[i], static_cast<std::int32_t>(label)});
    }
  }
  if (listing.images.empty())
    throw Error(ErrorCode::kBadInput, folder.string(), fmt::format("has no images; {}", kExpected));
  return listing;
}

/// The folder of `root` that has the first of these names, written in any case.
std::optional<fs::path> split_folder(const fs::path& root, std::initializer_list<const char*> names) {
  const std::vector<fs::path> folders = folders_in(root);
  for (const char* name : names) {
    for (const fs::path& folder : folders) {
      if (in_lower_case(folder.filename().string()) == name) return folder;
    }
  }
  return std::nullopt;
}

/// Whether folders beside `folder` hold images themselves: then it is a class like them, whatever its name.
bool is_one_of_classes(const fs::path& folder) {
  for (const fs::path& sibling : folders_in(folder.parent_path())) {
    if (sibling != folder && std::ranges::any_of(entries(sibling), is_image_file)) return true;
  }
  return false;
}

/// Says what was not taken for images.
void note_passed_over(const Listing& listing, const fs::path& folder, const ImageFolderConfig& config) {
  if (listing.passed_over.empty() || !config.on_note) return;
  config.on_note(fmt::format(
      "{}: {} file{} neither JPEG nor PNG {} passed over ({}{})", folder.string(), listing.passed_over.size(),
      listing.passed_over.size() == 1 ? "" : "s", listing.passed_over.size() == 1 ? "is" : "are",
      listing.passed_over.front().string(), listing.passed_over.size() == 1 ? "" : ", ..."));
}

void read_image(const fs::path& file, const ImageFolderConfig& config, std::span<std::uint8_t> planes) {
  const std::vector<std::uint8_t> picture = decode_picture(
      read_regular_file(file, std::uint64_t{1} << 30),
      {.channels = config.channels, .height = config.height, .width = config.width, .shorter = config.resize},
      file.string());
  std::ranges::copy(picture, planes.begin());
}

Dataset read_split(const fs::path& folder, const std::string& name, const Listing& listing,
                   std::int64_t limit, const ImageFolderConfig& config) {
  Dataset split;
  split.name = "image-folder";
  split.split = name;
  split.source = folder.string();
  split.class_names = listing.classes;
  split.channels = config.channels;
  split.height = config.height;
  split.width = config.width;
  const auto all = static_cast<std::int64_t>(listing.images.size());
  const std::int64_t count = limit > 0 ? std::min(limit, all) : all;
  check_memory(folder.string(), count, split.image_size());
  const auto image_bytes = static_cast<std::size_t>(split.image_size());
  split.pixels.resize(static_cast<std::size_t>(count) * image_bytes);
  std::vector<std::optional<Error>> failures(static_cast<std::size_t>(count));
  constexpr std::int64_t kAtOnce = 256;  // between looks at what the caller wants
  for (std::int64_t first = 0; first < count; first += kAtOnce) {
    if (config.stop.stop_requested()) throw Error(ErrorCode::kInterrupted, "images", "interrupted");
    if (config.on_image) config.on_image(first, count);
    parallel_for(std::min(kAtOnce, count - first), 1, [&](std::int64_t begin, std::int64_t end) {
      for (auto i = static_cast<std::size_t>(first + begin); i < static_cast<std::size_t>(first + end); ++i) {
        try {
          read_image(listing.images[i].file, config,
                     std::span(split.pixels).subspan(i * image_bytes, image_bytes));
        } catch (const Error& error) {
          failures[i] = error;
        }
      }
    });
  }
  const auto failed =
      std::ranges::count_if(failures, [](const auto& failure) { return failure.has_value(); });
  for (const auto& failure : failures) {
    if (!failure) continue;
    if (failed == 1) throw *failure;
    throw Error(failure->code(),
                fmt::format("{}, and {} more of {} images fail", failure->what(), failed - 1, count));
  }
  for (std::int64_t i = 0; i < count; ++i)
    split.labels.push_back(listing.images[static_cast<std::size_t>(i)].label);
  split.hash = content_hash(split);
  return split;
}

void check_same_classes(const Listing& train, const Listing& test, const fs::path& test_folder) {
  for (const auto& [wanted, other, place] :
       {std::tuple(&train, &test, "test"), std::tuple(&test, &train, "training")}) {
    for (const std::string& name : wanted->classes) {
      if (std::ranges::find(other->classes, name) == other->classes.end()) {
        throw Error(ErrorCode::kBadInput, test_folder.string(),
                    fmt::format("class '{}' has no {} images; expected the same class folders in both splits",
                                name, place));
      }
    }
  }
}

}  // namespace

bool has_image_folder(const fs::path& folder) {
  if (!is_folder(folder)) return false;
  fs::path at = folder;
  for (int depth = 0; depth < 4; ++depth) {
    fs::path down;
    for (const fs::path& path : entries(at)) {
      if (is_folder(path)) {
        if (down.empty()) down = path;
      } else if (is_image_file(path)) {
        return true;
      }
    }
    if (down.empty()) return false;
    at = down;
  }
  return false;
}

DatasetPair read_image_folder(const fs::path& path, const ImageFolderConfig& config) {
  if ((config.channels != 1 && config.channels != 3) || config.height < 1 || config.width < 1 ||
      config.resize < 0) {
    throw Error(
        ErrorCode::kUsage, path.string(),
        fmt::format("expected 1 or 3 channels and a positive image size, got {} x {} x {} (--image-size)",
                    config.channels, config.height, config.width));
  }
  if (!is_folder(path)) {
    std::error_code ignored;
    throw Error(
        ErrorCode::kIo, path.string(),
        fmt::format("{}; {}", fs::exists(path, ignored) ? "is no folder" : "no such folder", kExpected));
  }
  const bool want_train = config.splits != WantedSplits::kTest;
  const bool want_test = config.splits != WantedSplits::kTrain;
  std::optional<fs::path> train = split_folder(path, {"train", "training"});
  std::optional<fs::path> test = split_folder(path, {"val", "test", "validation", "valid", "testing"});
  if (train && !test && is_one_of_classes(*train)) train.reset();
  if (test && !train && is_one_of_classes(*test)) test.reset();
  if (!train && !test && config.splits != WantedSplits::kBoth) (want_train ? train : test) = path;
  if ((want_train && !train) || (want_test && !test)) {
    throw Error(ErrorCode::kBadInput, path.string(),
                fmt::format("has no {} images; {}", want_train && !train ? "training" : "test", kExpected));
  }
  DatasetPair pair;
  pair.normalization = usual_normalization(config.channels);
  Listing train_list, test_list;
  if (want_train) train_list = list_split(*train, want_test ? Labels::kNeeded : Labels::kIgnored);
  if (want_test)
    test_list = list_split(*test, config.labels || want_train ? Labels::kNeeded : Labels::kIgnored);
  if (want_train) note_passed_over(train_list, *train, config);
  if (want_test) note_passed_over(test_list, *test, config);
  if (want_train && want_test) check_same_classes(train_list, test_list, *test);
  if (want_train) pair.train = read_split(*train, "train", train_list, config.train_limit, config);
  if (want_test) pair.test = read_split(*test, "test", test_list, config.test_limit, config);
  // What was not asked for is empty, and of the same kind.
  const auto describe_as = [](Dataset& empty, const Dataset& other, const char* split) {
    empty = head(other, 1);
    empty.pixels.clear();
    empty.labels.clear();
    empty.split = split;
    empty.hash = content_hash(empty);
  };
  if (!want_train) describe_as(pair.train, pair.test, "train");
  if (!want_test) describe_as(pair.test, pair.train, "test");
  return pair;
}

}  // namespace octavo
