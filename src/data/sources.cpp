/// Where data sets are looked for, in which order, and what is said about it.
#include "octavo/data/sources.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "internal.h"
#include "octavo/core/error.h"

namespace octavo {
namespace fs = std::filesystem;

namespace {

constexpr const char* kDebianFashionMnist = "/usr/share/datasets/fashion-mnist";

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

void note(const DataRequest& request, const std::string& text) {
  if (request.on_note) request.on_note(text);
}

DatasetPair announce(const DataRequest& request, DatasetPair pair) {
  note(request, fmt::format("{}: read from {}{}", pair.train.name, pair.train.source,
                            pair.train.official && pair.test.official
                                ? ""
                                : " (not the official files: their checksums differ)"));
  return pair;
}

/// A search that found nothing: what was tried, and the code of the last resort's error.
struct Failure {
  std::vector<std::string> tried;
  ErrorCode code = ErrorCode::kIo;

  std::string text() const { return fmt::format("{}", fmt::join(tried, "; ")); }
};

/// $OCTAVO_DATA, if it is set. Notes in `failure` if it is not.
std::optional<fs::path> user_folder(Failure& failure) {
  const std::string folder = environment("OCTAVO_DATA");
  if (folder.empty()) {
    failure.tried.emplace_back("$OCTAVO_DATA (not set)");
    return std::nullopt;
  }
  return fs::path(folder);
}

std::optional<DatasetPair> search_cifar(const CifarLayout& layout, const DataRequest& request,
                                        Failure& failure) {
  const CifarDownload official = cifar_download(layout);
  if (const std::optional<fs::path> folder = user_folder(failure)) {
    // Named by the user: if CIFAR lies there and is broken, that is an error and not a reason to look
    // elsewhere.
    if (find_cifar(layout, *folder)) return announce(request, read_cifar(layout, *folder));
    failure.tried.push_back(fmt::format("$OCTAVO_DATA ({}: no {} there)", folder->string(), official.title));
  }
  fs::path cache;
  try {
    cache = cache_folder();
    if (find_cifar(layout, cache)) return announce(request, read_cifar(layout, cache));
    failure.tried.push_back(fmt::format("{} (no {} there)", cache.string(), official.title));
  } catch (const Error& error) {
    failure.tried.emplace_back(error.what());
    failure.code = error.code();
    // Only an archive is what a download would replace.
    std::error_code ignored;
    if (cache.empty() || !request.allow_download ||
        fs::is_directory(find_cifar(layout, cache).value_or(cache), ignored)) {
      return std::nullopt;
    }
  }
  if (!request.allow_download) {
    failure.tried.emplace_back("download (switched off)");
    return std::nullopt;
  }
  try {
    const fs::path archive = cache / official.archive;
    const std::string url = request.url.empty() ? official.url : request.url;
    const std::string md5 = request.md5.empty() ? official.md5 : request.md5 == "none" ? "" : request.md5;
    note(request, fmt::format("{}: downloading {} to {}", official.name, url, archive.string()));
    download({.url = url,
              .target = archive,
              .md5 = md5,
              .on_progress = request.on_progress,
              .stop = request.stop});
    return announce(request, read_cifar(layout, archive));
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kInterrupted) throw;
    failure.tried.emplace_back(error.what());
    failure.code = error.code();
    return std::nullopt;
  }
}

/// Where an IDX data set is looked for, in this order.
std::vector<fs::path> idx_folders(const std::string& name, Failure& failure) {
  std::vector<fs::path> folders;
  if (const std::optional<fs::path> folder = user_folder(failure)) folders = {*folder / name, *folder};
  folders.push_back(cache_folder() / name);
  if (name == "fashion-mnist") folders.emplace_back(kDebianFashionMnist);
  return folders;
}

std::optional<DatasetPair> search_idx(const DataRequest& request, const std::string& name, Failure& failure) {
  for (const fs::path& folder : idx_folders(name, failure)) {
    if (has_idx(folder)) return announce(request, read_idx(folder, name));
    failure.tried.push_back(fmt::format("{} (no {} there)", folder.string(), name));
  }
  return std::nullopt;
}

[[noreturn]] void throw_not_found(const std::string& name, const Failure& failure, const std::string& hint) {
  throw Error(failure.code, name, fmt::format("not found; tried: {} ({})", failure.text(), hint));
}

std::string cifar_hint(const CifarLayout& layout) {
  return fmt::format("give a folder with {} or its unpacked files: --data FOLDER",
                     cifar_download(layout).archive);
}
constexpr const char* kFashionHint =
    "install the package dataset-fashion-mnist, or give a folder with the four IDX files: --data FOLDER";
constexpr const char* kMnistHint = "give a folder with the four IDX files: --data FOLDER";

DatasetPair read_images(const DataRequest& request) {
  ImageFolderConfig config = request.images;
  if (!config.on_note) config.on_note = request.on_note;
  return read_image_folder(request.path, config);
}

/// "auto" with a folder: whatever lies there, said where that is several things.
DatasetPair read_any(const DataRequest& request) {
  const fs::path& path = request.path;
  // A single file may be either's archive.
  std::error_code ignored;
  const bool is_100 =
      fs::is_regular_file(path, ignored) && path.filename() == cifar_download(cifar100_layout()).archive;
  std::vector<std::string> found;
  if (find_cifar(cifar10_layout(), path) && !is_100) found.emplace_back("cifar10");
  if (find_cifar(cifar100_layout(), path) && !(fs::is_regular_file(path, ignored) && !is_100))
    found.emplace_back("cifar100");
  if (has_idx(path)) {
    const std::string unknown = request.preferred == "mnist" ? "mnist" : "fashion-mnist";
    found.push_back(identify_idx(path).value_or(unknown));
  }
  if (has_image_folder(path)) found.emplace_back("image-folder");
  if (!found.empty()) {
    const auto preferred = std::ranges::find(found, request.preferred);
    const std::string taken = preferred == found.end() ? found.front() : *preferred;
    if (found.size() > 1) {
      note(request, fmt::format("{}: holds {}; {} is taken (--dataset chooses)", path.string(),
                                fmt::join(found, " and "), taken));
    }
    if (taken == "cifar10") return read_cifar(cifar10_layout(), path);
    if (taken == "cifar100") return read_cifar(cifar100_layout(), path);
    if (taken == "image-folder") return read_images(request);
    return read_idx(path, taken);
  }
  throw Error(
      ErrorCode::kIo, path.string(),
      fmt::format(
          "{}; expected CIFAR-10 or CIFAR-100 in its binary layout, MNIST's four IDX files, or folders of "
          "JPEG or PNG images, one per class",
          fs::exists(path, ignored) ? "no data set here" : "no such file or folder"));
}

}  // namespace

fs::path cache_folder() {
  const std::string cache = environment("XDG_CACHE_HOME");
  // The XDG base directory specification has relative paths ignored.
  if (!cache.empty() && fs::path(cache).is_absolute()) return fs::path(cache) / "octavo";
  const std::string home = environment("HOME");
  if (home.empty()) {
    throw Error(ErrorCode::kIo, "cache", "neither $XDG_CACHE_HOME nor $HOME is set; expected one of them");
  }
  return fs::path(home) / ".cache" / "octavo";
}

std::optional<fs::path> locate_dataset(const std::string& dataset) {
  Failure ignored;
  if (dataset == "cifar10" || dataset == "cifar100") {
    const CifarLayout& layout = dataset == "cifar10" ? cifar10_layout() : cifar100_layout();
    if (const std::optional<fs::path> folder = user_folder(ignored)) {
      if (std::optional<fs::path> found = find_cifar(layout, *folder)) return found;
    }
    return find_cifar(layout, cache_folder());
  }
  if (dataset != "mnist" && dataset != "fashion-mnist") {
    throw Error(ErrorCode::kUsage, dataset,
                "unknown data set; expected cifar10, cifar100, fashion-mnist or mnist");
  }
  for (const fs::path& folder : idx_folders(dataset, ignored)) {
    // A folder of the user's may hold the other of the two under the same file names.
    if (has_idx(folder) && identify_idx(folder).value_or(dataset) == dataset) return folder;
  }
  return std::nullopt;
}

DatasetPair load_dataset(const DataRequest& request) {
  const std::string& name = request.dataset;
  const bool is_auto = name == "auto";
  const bool is_folder = name == "image-folder";
  const bool is_100 = name == "cifar100";
  if (name != "cifar10" && !is_100 && name != "fashion-mnist" && name != "mnist" && !is_folder && !is_auto) {
    throw Error(ErrorCode::kUsage, name,
                "unknown data set; expected cifar10, cifar100, fashion-mnist, mnist, image-folder or auto");
  }
  if (is_folder && request.path.empty())
    throw Error(ErrorCode::kUsage, name, "no folder given; expected the one with the images: --data FOLDER");
  if (!request.path.empty()) {
    if (is_auto) return announce(request, read_any(request));
    if (is_folder) return announce(request, read_images(request));
    if (name == "cifar10" || is_100)
      return announce(request, is_100 ? read_cifar100(request.path) : read_cifar10(request.path));
    return announce(request, read_idx(request.path, name));
  }
  Failure failure;
  if (name == "cifar10" || is_100 || is_auto) {
    const CifarLayout& layout = is_100 ? cifar100_layout() : cifar10_layout();
    if (std::optional<DatasetPair> pair = search_cifar(layout, request, failure)) return std::move(*pair);
    if (!is_auto) throw_not_found(name, failure, cifar_hint(layout));
    note(request, fmt::format("cifar10: not found, so Fashion-MNIST is used instead; tried: {} ({})",
                              failure.text(), cifar_hint(layout)));
  }
  const std::string idx_name = is_auto ? "fashion-mnist" : name;
  if (std::optional<DatasetPair> pair = search_idx(request, idx_name, failure)) return std::move(*pair);
  throw_not_found(idx_name, failure, idx_name == "mnist" ? kMnistHint : kFashionHint);
}

}  // namespace octavo
