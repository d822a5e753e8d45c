/// Synthetic files in CIFAR-10's binary layout, full-sized, and archives of them.
#pragma once

#include <archive.h>
#include <archive_entry.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "data/support.h"

namespace octavo::testing {

inline constexpr std::size_t kCifarRecord = 3073;
inline constexpr std::size_t kCifarFile = 10'000 * kCifarRecord;

inline std::vector<std::string> cifar_names() {
  return {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin",
          "data_batch_4.bin", "data_batch_5.bin", "test_batch.bin"};
}

/// Record r of file f: label (r + f) % 10, first pixel f, second r % 256, all others (r + f) % 256.
inline std::string cifar_file(std::size_t file) {
  std::string bytes(kCifarFile, '\0');
  for (std::size_t r = 0; r < 10'000; ++r) {
    char* record = bytes.data() + r * kCifarRecord;
    std::fill_n(record, kCifarRecord, static_cast<char>((r + file) % 256));
    record[0] = static_cast<char>((r + file) % 10);
    record[1] = static_cast<char>(file);
    record[2] = static_cast<char>(r % 256);
  }
  return bytes;
}

inline void put_cifar_folder(const std::filesystem::path& folder) {
  std::filesystem::create_directories(folder);
  for (std::size_t i = 0; i < 6; ++i) put(folder / cifar_names()[i], cifar_file(i));
}

struct ArchiveFile {
  std::string name;
  std::string bytes;
  unsigned type = AE_IFREG;
};

inline void put_archive(const std::filesystem::path& path, const std::vector<ArchiveFile>& files) {
  archive* writer = archive_write_new();
  archive_write_add_filter_gzip(writer);
  archive_write_set_filter_option(writer, "gzip", "compression-level", "1");
  archive_write_set_format_gnutar(writer);
  bool good = archive_write_open_filename(writer, path.c_str()) == ARCHIVE_OK;
  for (const ArchiveFile& file : files) {
    archive_entry* entry = archive_entry_new();
    archive_entry_set_pathname(entry, file.name.c_str());
    archive_entry_set_size(entry, static_cast<std::int64_t>(file.bytes.size()));
    archive_entry_set_filetype(entry, file.type);
    archive_entry_set_perm(entry, 0644);
    if (file.type == AE_IFLNK) archive_entry_set_symlink(entry, "/etc/passwd");
    good = good && archive_write_header(writer, entry) == ARCHIVE_OK;
    if (file.type == AE_IFREG && !file.bytes.empty()) {
      good = good && archive_write_data(writer, file.bytes.data(), file.bytes.size()) ==
                         static_cast<la_ssize_t>(file.bytes.size());
    }
    archive_entry_free(entry);
  }
  good = archive_write_close(writer) == ARCHIVE_OK && good;
  archive_write_free(writer);
  if (!good) throw std::runtime_error("cannot write the archive");
}

/// Entries as in the official archive: a folder, the batches, two files of text.
inline std::vector<ArchiveFile> cifar_archive_files() {
  std::vector<ArchiveFile> files = {{"cifar-10-batches-bin/", "", AE_IFDIR}};
  for (std::size_t i = 0; i < 6; ++i)
    files.push_back({"cifar-10-batches-bin/" + cifar_names()[i], cifar_file(i)});
  files.push_back({"cifar-10-batches-bin/readme.html", "<a/>"});
  files.push_back({"cifar-10-batches-bin/batches.meta.txt", "airplane\n"});
  return files;
}

/// CIFAR-100's: record r has coarse label 99, fine label r % 100, first pixel r % 256 and zeros.
inline std::string cifar100_file(std::size_t records) {
  constexpr std::size_t kRecord = 3074;
  std::string bytes(records * kRecord, '\0');
  for (std::size_t r = 0; r < records; ++r) {
    char* record = bytes.data() + r * kRecord;
    record[0] = 99;
    record[1] = static_cast<char>(r % 100);
    record[2] = static_cast<char>(r % 256);
  }
  return bytes;
}

inline std::vector<ArchiveFile> cifar100_archive_files() {
  return {{"cifar-100-binary/", "", AE_IFDIR},
          {"cifar-100-binary/train.bin", cifar100_file(50'000)},
          {"cifar-100-binary/test.bin", cifar100_file(10'000)},
          {"cifar-100-binary/fine_label_names.txt", "apple\n"}};
}

/// The real CIFAR-10, if it is on this machine.
inline std::optional<std::filesystem::path> real_cifar10() {
  if (const char* named = std::getenv("OCTAVO_TEST_CIFAR10")) return std::filesystem::path(named);
  if (const char* home = std::getenv("HOME")) {
    std::filesystem::path folder = std::filesystem::path(home) / ".cache/octavo/cifar-10-batches-bin";
    if (std::filesystem::exists(folder / "test_batch.bin")) return folder;
  }
  return std::nullopt;
}

}  // namespace octavo::testing
