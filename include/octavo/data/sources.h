/// Finding, downloading and reading data sets.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "octavo/data/dataset.h"

namespace octavo {

/// CIFAR-10 in its official binary layout: a folder with (or containing cifar-10-batches-bin with)
/// data_batch_1..5.bin and test_batch.bin, or cifar-10-binary.tar.gz (read without unpacking to disk). Throws
/// kIo or kBadInput, naming the file: missing, truncated (expected size against got), label out of range.
DatasetPair read_cifar10(const std::filesystem::path& path);

/// CIFAR-100 likewise: cifar-100-binary with train.bin and test.bin, or cifar-100-binary.tar.gz. Labels are
/// the 100 fine ones.
DatasetPair read_cifar100(const std::filesystem::path& path);

/// MNIST or Fashion-MNIST (`name`: "mnist", "fashion-mnist"): a folder with train-images-idx3-ubyte[.gz] and
/// its three companions. Throws kIo (missing, unreadable), kBadInput (not IDX, truncated, damaged, sizes that
/// do not fit, label out of range, or the official files of the other of the two), kUsage (another name).
DatasetPair read_idx(const std::filesystem::path& folder, const std::string& name);

/// Which splits a caller needs. Those of the classic data sets are read whole anyway.
enum class WantedSplits : std::uint8_t { kBoth, kTrain, kTest };

struct ImageFolderConfig {
  std::int64_t channels = 3;  ///< 3 (RGB) or 1 (grey).
  std::int64_t height = 0;    ///< Of the window cut from the middle: the model's input.
  std::int64_t width = 0;
  std::int64_t resize = 0;       ///< Shorter side before that; 0: as small as covers the window.
  std::int64_t train_limit = 0;  ///< Read so many images at most; 0: all.
  std::int64_t test_limit = 0;
  WantedSplits splits = WantedSplits::kBoth;
  bool labels = true;  ///< Whether test images need classes; one split that needs none may be a flat folder.
  std::function<void(std::int64_t done, std::int64_t total)> on_image = {};
  std::function<void(const std::string&)> on_note = {};  ///< What was passed over.
  std::stop_token stop = {};
};

/// Images in folders, one per class, named anything; classes are numbered by name. `path` holds train/ and
/// val/ (or test/, validation/, valid/; training/ and testing/, in any case); where one split is asked for,
/// it may hold the class folders itself, and where no labels are wanted of it (they are not of the training
/// split) also the images themselves, without classes. A split that is not asked for stays empty.
///
/// Files are JPEG or PNG by content; others are passed over and said, unless they are called so; hidden ones
/// and what systems leave behind (__MACOSX, Thumbs.db, desktop.ini) without a word. Each is resized (bilinear
/// with antialiasing, as Pillow and torchvision do) and cut to the window. Classes take turns in the order of
/// images, so that any first part of a split is a fair sample. Normalization is ImageNet's. Decodes on
/// num_threads() threads.
///
/// Throws kIo (no such folder), kBadInput (no images, an image that is damaged, empty or of another kind,
/// splits with other classes), kUsage (sizes that make no sense, more images than memory holds),
/// kInterrupted.
DatasetPair read_image_folder(const std::filesystem::path& path, const ImageFolderConfig& config);

struct DownloadProgress {
  std::uint64_t received = 0;
  std::uint64_t total = 0;  ///< 0 while unknown.
};

struct DownloadConfig {
  std::string url = {};
  std::filesystem::path target = {};
  std::string md5 = {};  ///< Lower-case hex; empty: not checked.
  std::function<void(const DownloadProgress&)> on_progress = {};
  std::stop_token stop = {};
};

/// Downloads to `target` by way of `target`.part, resuming it if it is there; renamed only when complete and
/// its MD5 is right. Throws kIo (network, status, disk), kBadInput (checksum: the .part file is removed),
/// kInterrupted.
void download(const DownloadConfig& config);

struct DataRequest {
  /// "cifar10", "cifar100", "fashion-mnist", "mnist", "image-folder" (in `path`), or "auto": what is in
  /// `path`, else CIFAR-10, else Fashion-MNIST.
  std::string dataset = "cifar10";
  std::string preferred = {};       ///< With "auto" and a `path` that holds several: this one.
  std::filesystem::path path = {};  ///< --data; empty: search.
  ImageFolderConfig images = {};    ///< Of "image-folder".
  bool allow_download = true;
  std::string url = {};  ///< Of CIFAR's archive; empty: the official one.
  std::string md5 = {};  ///< Of that archive; empty: the official one's; "none": not checked.
  std::function<void(const DownloadProgress&)> on_progress = {};
  std::function<void(const std::string&)>
      on_note;  ///< One line per remark: where data were found, a fallback taken.
  std::stop_token stop = {};
};

/// Finds and reads a data set. CIFAR: `path`, $OCTAVO_DATA, the user's cache ($XDG_CACHE_HOME or ~/.cache,
/// /octavo), then download into the cache. Fashion-MNIST: `path`, $OCTAVO_DATA, the cache,
/// /usr/share/dataset-fashion-mnist... A `path` that was given is the only place looked at. Throws the error
/// of the last resort, naming all that was tried.
DatasetPair load_dataset(const DataRequest& request);

/// Where load_dataset() would find `dataset` ("cifar10", "cifar100", "fashion-mnist", "mnist") without a path
/// and without downloading; nothing if nowhere. The files are told by their names, and of the IDX sets by
/// their labels: nothing else is read. Throws kUsage for another name, kIo or kBadInput for damaged labels.
std::optional<std::filesystem::path> locate_dataset(const std::string& dataset);

/// Folder where downloads go.
std::filesystem::path cache_folder();

}  // namespace octavo
