/// What the readers and the search for data share.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "octavo/data/dataset.h"

namespace octavo {

/// What tells CIFAR-10 and CIFAR-100 apart: files, records, classes.
struct CifarLayout;
const CifarLayout& cifar10_layout();
const CifarLayout& cifar100_layout();

/// What read_cifar(layout, path) would read: a folder with the files, or an archive; nothing if there is
/// neither.
std::optional<std::filesystem::path> find_cifar(const CifarLayout& layout, const std::filesystem::path& path);
/// read_cifar10() and read_cifar100().
DatasetPair read_cifar(const CifarLayout& layout, const std::filesystem::path& path);

/// The data set's names and its official archive.
struct CifarDownload {
  std::string name;     ///< "cifar10"
  std::string title;    ///< "CIFAR-10"
  std::string archive;  ///< File name.
  std::string url;
  std::string md5;
};
CifarDownload cifar_download(const CifarLayout& layout);

/// What `dataset` says of itself, with no image in it, and neither hash nor labels.
Dataset without_images(const Dataset& dataset);

/// Throws kUsage, beginning with `where`, if `images` of so many bytes would fill the machine's memory.
void check_memory(const std::string& where, std::int64_t images, std::int64_t image_bytes);

/// Whether `folder` has the training images of an IDX data set, compressed or not.
bool has_idx(const std::filesystem::path& folder);

/// Which data set ("mnist", "fashion-mnist") the official training labels in `folder` belong to; nothing if
/// they are not official.
std::optional<std::string> identify_idx(const std::filesystem::path& folder);

/// Whether there are JPEG or PNG files in `folder`, in its first folder, or in the first of that, ...
bool has_image_folder(const std::filesystem::path& folder);

}  // namespace octavo
