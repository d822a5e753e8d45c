/// What the readers and the search for data share.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "octavo/data/dataset.h"

namespace octavo {

/// What read_cifar10(path) would read: a folder with CIFAR-10's files, or an archive; nothing if there is
/// neither.
std::optional<std::filesystem::path> find_cifar10(const std::filesystem::path& path);

/// Whether `folder` has the training images of an IDX data set, compressed or not.
bool has_idx(const std::filesystem::path& folder);

/// Which data set ("mnist", "fashion-mnist") the official training labels in `folder` belong to; nothing if
/// they are not official.
std::optional<std::string> identify_idx(const std::filesystem::path& folder);

/// Whether there are JPEG or PNG files in `folder`, in its first folder, or in the first of that, ...
bool has_image_folder(const std::filesystem::path& folder);

}  // namespace octavo
