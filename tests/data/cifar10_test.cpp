#include <algorithm>
#include <cstdio>

#include "data/cifar_files.h"
#include "octavo/core/temporary_folder.h"
#include "octavo/data/sources.h"

namespace octavo {
namespace {

namespace fs = std::filesystem;
using testing::ArchiveFile;
using testing::expect_error;
using testing::get;
using testing::kCifarFile;
using testing::kCifarRecord;
using testing::put;

void expect_synthetic(const DatasetPair& pair) {
  EXPECT_EQ(pair.train.size(), 50'000);
  EXPECT_EQ(pair.test.size(), 10'000);
  EXPECT_EQ(pair.train.image_size(), 3072);
  EXPECT_EQ(pair.train.pixels.size(), 50'000U * 3072U);
  EXPECT_EQ(pair.train.split, "train");
  EXPECT_EQ(pair.test.split, "test");
  for (const std::int64_t i :
       {std::int64_t{0}, std::int64_t{9'999}, std::int64_t{10'000}, std::int64_t{43'210}}) {
    const std::int64_t file = i / 10'000, record = i % 10'000;
    EXPECT_EQ(pair.train.labels[static_cast<std::size_t>(i)], (record + file) % 10);
    EXPECT_EQ(pair.train.image(i)[0], file);
    EXPECT_EQ(pair.train.image(i)[1], record % 256);
    EXPECT_EQ(pair.train.image(i)[3071], (record + file) % 256);
  }
  EXPECT_EQ(pair.test.image(77)[0], 5);
  EXPECT_EQ(pair.test.labels[77], (77 + 5) % 10);
  EXPECT_FALSE(pair.train.official);
  EXPECT_FALSE(pair.test.official);
  EXPECT_EQ(pair.train.hash, content_hash(pair.train));
  EXPECT_EQ(pair.train.class_names.at(9), "truck");
  EXPECT_EQ(pair.normalization.mean.size(), 3U);
}

/// One set of full-sized files for the tests that need them; each test that breaks one works on links to it.
class Cifar10 : public ::testing::Test {
 protected:
  static fs::path files() {
    static const TemporaryFolder shared;
    const fs::path path = shared / "cifar-10-batches-bin";
    if (!fs::exists(path)) testing::put_cifar_folder(path);
    return path;
  }

  void link_all() {
    for (const std::string& name : testing::cifar_names()) fs::create_symlink(files() / name, folder / name);
  }
  void replace(const std::string& name, const std::string& bytes) {
    fs::remove(folder / name);
    put(folder / name, bytes);
  }

  TemporaryFolder folder;
};

TEST_F(Cifar10, FolderIsRead) { expect_synthetic(read_cifar10(files())); }

TEST_F(Cifar10, FolderAboveIsEnough) {
  EXPECT_EQ(read_cifar10(files().parent_path()).test.source, files().string());
}

TEST_F(Cifar10, ArchiveIsReadWithoutUnpacking) {
  const fs::path path = folder / "cifar-10-binary.tar.gz";
  testing::put_archive(path, testing::cifar_archive_files());
  const DatasetPair pair = read_cifar10(path);
  expect_synthetic(pair);
  EXPECT_EQ(pair.train.source, path.string());
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator()), 1);
  EXPECT_EQ(read_cifar10(folder.path()).test.hash, pair.test.hash);

  // The same archive, cut off: inside the data, and just before the checksum at its end.
  const std::string bytes = get(path);
  for (const std::size_t size : {bytes.size() / 2, bytes.size() - 6}) {
    put(path, bytes.substr(0, size));
    expect_error(ErrorCode::kBadInput, {path.string(), "end too early"}, [&] { read_cifar10(path); });
  }
  std::string damaged = bytes;
  damaged[bytes.size() - 6] ^= 1;  // In the CRC-32.
  put(path, damaged);
  expect_error(ErrorCode::kBadInput, {path.string(), "damaged"}, [&] { read_cifar10(path); });
}

TEST_F(Cifar10, MissingPathFolderAndFileAreNamed) {
  expect_error(ErrorCode::kIo, {"nowhere", "no such file or folder", "--data"},
               [&] { read_cifar10(folder / "nowhere"); });
  expect_error(ErrorCode::kIo, {folder.path().string(), "no CIFAR-10 here", "test_batch.bin", "--data"},
               [&] { read_cifar10(folder.path()); });
  link_all();
  fs::remove(folder / "data_batch_3.bin");
  expect_error(ErrorCode::kIo, {(folder / "data_batch_3.bin").string(), "No such file"},
               [&] { read_cifar10(folder.path()); });
}

TEST_F(Cifar10, WrongSizeIsRefused) {
  link_all();
  for (const std::size_t size : {std::size_t{0}, kCifarFile - kCifarRecord, kCifarFile + 1}) {
    replace("test_batch.bin", std::string(size, '\0'));
    expect_error(
        ErrorCode::kBadInput,
        {(folder / "test_batch.bin").string(), "expected 30730000 bytes", "got " + std::to_string(size)},
        [&] { read_cifar10(folder.path()); });
  }
}

TEST_F(Cifar10, LabelOutOfRangeIsRefused) {
  link_all();
  std::string bytes = testing::cifar_file(1);
  bytes[1234 * kCifarRecord] = 10;
  replace("data_batch_2.bin", bytes);
  expect_error(ErrorCode::kBadInput,
               {(folder / "data_batch_2.bin").string(), "record 1234", "expected 0 to 9", "got 10"},
               [&] { read_cifar10(folder.path()); });
}

TEST_F(Cifar10, ForeignFilesAreRefused) {
  const fs::path path = folder / "data.tar.gz";
  const auto expect_bad = [&](const std::vector<std::string>& parts) {
    expect_error(ErrorCode::kBadInput, parts, [&] { read_cifar10(path); });
  };
  put(path, "");
  expect_bad({path.string()});
  put(path, "These are not the pictures that you are looking for.\n");
  expect_bad({path.string(), "not a readable archive", "expected cifar-10-binary.tar.gz"});
  testing::put_gzip(path, "Neither are these, though they are compressed.\n");
  expect_bad({path.string(), "not a readable archive"});
  testing::put_archive(path, {{"cifar-10-batches-py/data_batch_1", "pickle"}});
  expect_bad({path.string(), "no data_batch_1.bin in the archive"});
}

TEST_F(Cifar10, ArchiveWithBadEntriesIsRefused) {
  const fs::path path = folder / "data.tar.gz";
  const auto expect_bad = [&](const std::vector<ArchiveFile>& files, const std::vector<std::string>& parts) {
    testing::put_archive(path, files);
    expect_error(ErrorCode::kBadInput, parts, [&] { read_cifar10(path); });
  };
  expect_bad({{"a/data_batch_1.bin", "short"}}, {"a/data_batch_1.bin", "expected 30730000 bytes", "got 5"});
  expect_bad({{"a/data_batch_1.bin", "", AE_IFLNK}}, {"a/data_batch_1.bin", "not a regular file"});
  const ArchiveFile good{"a/test_batch.bin", testing::cifar_file(5)};
  expect_bad({good, good}, {"a/test_batch.bin", "twice"});
  std::vector<ArchiveFile> many;
  for (int i = 0; i < 200; ++i) many.push_back({"file" + std::to_string(i), "x"});
  expect_bad(many, {"a foreign archive"});
}

TEST_F(Cifar10, ChecksumBehindPaddingIsVerified) {
  // A tar file that ends long before its compressed stream does.
  const fs::path path = folder / "data.tar.gz";
  testing::put_gzip(path, std::string(1 << 20, '\0'));
  std::string bytes = get(path);
  bytes[bytes.size() - 6] ^= 1;  // In the CRC-32.
  put(path, bytes);
  expect_error(ErrorCode::kBadInput, {path.string(), "damaged"}, [&] { read_cifar10(path); });
}

TEST_F(Cifar10, EndlessPaddingIsRefused) {
  // A gigabyte of zeros behind the end of the archive, in a megabyte or five.
  const fs::path path = folder / "data.tar.gz";
  gzFile file = gzopen(path.c_str(), "wb1");
  const std::string zeros(1 << 20, '\0');
  for (int i = 0; i < 1024; ++i) gzwrite(file, zeros.data(), static_cast<unsigned>(zeros.size()));
  ASSERT_EQ(gzclose(file), Z_OK);
  expect_error(ErrorCode::kBadInput, {path.string(), "unpacks to far more than CIFAR has"},
               [&] { read_cifar10(path); });
}

TEST_F(Cifar10, ArchiveThatPromisesHugeFilesIsRefusedBeforeReadingThem) {
  // A tar header alone, for a member of 2^40 bytes that does not exist.
  std::string header(512, '\0');
  const auto field = [&header](std::size_t at, const std::string& text) {
    header.replace(at, text.size(), text);
  };
  field(0, "a/data_batch_1.bin");
  field(100, "0000644");
  field(108, "0000000");
  field(116, "0000000");
  field(124, std::string("\x80\0\0\0\0\0\x01\0\0\0\0\0", 12));  // Base 256.
  field(136, "00000000000");
  field(148, "        ");
  field(156, "0");
  field(257, "ustar  ");
  unsigned sum = 0;
  for (const char c : header) sum += static_cast<unsigned char>(c);
  char text[8];
  std::snprintf(text, sizeof(text), "%06o", sum);
  field(148, text);
  const fs::path path = folder / "data.tar.gz";
  testing::put_gzip(path, header);
  expect_error(ErrorCode::kBadInput, {"data_batch_1.bin", "expected 30730000 bytes", "got 1099511627776"},
               [&] { read_cifar10(path); });
}

TEST(Cifar100, HasFineLabelsBehindCoarseOnes) {
  const TemporaryFolder folder;
  const fs::path files = folder / "cifar-100-binary";
  fs::create_directories(files);
  put(files / "train.bin", testing::cifar100_file(50'000));
  expect_error(ErrorCode::kIo, {(files / "test.bin").string(), "No such file", "cifar-100-binary.tar.gz"},
               [&] { read_cifar100(folder.path()); });
  std::string test = testing::cifar100_file(10'000);
  put(files / "test.bin", test);
  const DatasetPair pair = read_cifar100(folder.path());
  EXPECT_EQ(pair.train.name, "cifar100");
  EXPECT_EQ(pair.train.size(), 50'000);
  EXPECT_EQ(pair.test.size(), 10'000);
  EXPECT_EQ(pair.train.labels[43'210], 10);
  EXPECT_EQ(pair.train.image(43'210)[0], 43'210 % 256);
  EXPECT_EQ(pair.train.image(43'210)[1], 0);
  EXPECT_EQ(pair.test.labels[9'999], 99);
  EXPECT_FALSE(pair.train.official);
  ASSERT_EQ(pair.train.class_names.size(), 100U);
  EXPECT_EQ(pair.train.class_names.front(), "apple");
  EXPECT_EQ(pair.train.class_names[53], "orange");
  EXPECT_EQ(pair.train.class_names.back(), "worm");
  EXPECT_TRUE(std::ranges::is_sorted(pair.train.class_names));

  test[77 * 3074 + 1] = 100;
  put(files / "test.bin", test);
  expect_error(ErrorCode::kBadInput, {"record 77", "expected 0 to 99", "got 100", "CIFAR-100"},
               [&] { read_cifar100(folder.path()); });
  put(files / "test.bin", testing::cifar_file(0));
  expect_error(ErrorCode::kBadInput, {"expected 30740000 bytes (10000 records of 3074)", "got 30730000"},
               [&] { read_cifar100(folder.path()); });
}

TEST(RealCifar10, HasItsClassesEvenlyAndSmoothPictures) {
  const std::optional<fs::path> folder = testing::real_cifar10();
  if (!folder) GTEST_SKIP() << "CIFAR-10 is not here; name its folder in OCTAVO_TEST_CIFAR10.";
  const DatasetPair pair = read_cifar10(*folder);
  for (std::int32_t label = 0; label < 10; ++label) {
    EXPECT_EQ(std::ranges::count(pair.train.labels, label), 5000);
    EXPECT_EQ(std::ranges::count(pair.test.labels, label), 1000);
  }
  // Photographs, not noise: neighbouring pixels are alike, which a wrong plane or row order would destroy.
  double neighbours = 0;
  for (std::size_t i = 0; i + 1 < 3072 * 100; ++i) {
    if (i % 32 != 31) neighbours += std::abs(pair.train.pixels[i] - pair.train.pixels[i + 1]);
  }
  EXPECT_LT(neighbours / (3072.0 * 100.0 * 31.0 / 32.0), 15.0);
  std::vector<std::int64_t> indices(1000);
  for (std::size_t i = 0; i < indices.size(); ++i) indices[i] = static_cast<std::int64_t>(i);
  EXPECT_EQ(count_shared_images(pair.train, indices, pair.train), 1000);
}

}  // namespace
}  // namespace octavo
