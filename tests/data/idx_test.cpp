#include <algorithm>
#include <cmath>

#include "data/support.h"
#include "octavo/core/temporary_folder.h"
#include "octavo/data/sources.h"

namespace octavo {
namespace {

using testing::expect_error;
using testing::get;
using testing::put;
using testing::put_gzip;

const std::filesystem::path kDebian = "/usr/share/datasets/fashion-mnist";

std::string word(std::uint32_t value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift & 0xffU);
  return bytes;
}

std::string images(std::uint32_t count, std::uint32_t height, std::uint32_t width) {
  std::string bytes = word(0x803) + word(count) + word(height) + word(width);
  for (std::uint32_t i = 0; i < count * height * width; ++i) bytes += static_cast<char>(i * 7 % 256);
  return bytes;
}

std::string labels(std::uint32_t count) {
  std::string bytes = word(0x801) + word(count);
  for (std::uint32_t i = 0; i < count; ++i) bytes += static_cast<char>(i % 10);
  return bytes;
}

/// Five training and three test images of 4x3.
class Idx : public ::testing::Test {
 protected:
  void SetUp() override {
    put(train_images, images(5, 4, 3));
    put(train_labels, labels(5));
    put(test_images, images(3, 4, 3));
    put(test_labels, labels(3));
  }
  void expect_bad(const std::vector<std::string>& parts) {
    expect_error(ErrorCode::kBadInput, parts, [&] { read_idx(folder.path(), "mnist"); });
  }

  TemporaryFolder folder;
  std::filesystem::path train_images = folder / "train-images-idx3-ubyte";
  std::filesystem::path train_labels = folder / "train-labels-idx1-ubyte";
  std::filesystem::path test_images = folder / "t10k-images-idx3-ubyte";
  std::filesystem::path test_labels = folder / "t10k-labels-idx1-ubyte";
};

TEST_F(Idx, PlainFilesAreRead) {
  const DatasetPair pair = read_idx(folder.path(), "mnist");
  EXPECT_EQ(pair.train.size(), 5);
  EXPECT_EQ(pair.test.size(), 3);
  EXPECT_EQ(pair.train.name, "mnist");
  EXPECT_EQ(pair.train.split, "train");
  EXPECT_EQ(pair.test.split, "test");
  EXPECT_EQ(pair.train.channels, 1);
  EXPECT_EQ(pair.train.height, 4);
  EXPECT_EQ(pair.train.width, 3);
  EXPECT_EQ(pair.train.labels, (std::vector<std::int32_t>{0, 1, 2, 3, 4}));
  EXPECT_EQ(pair.train.image(1)[2], (12 + 2) * 7);
  EXPECT_FALSE(pair.train.official);
  EXPECT_FALSE(pair.test.official);
  EXPECT_EQ(pair.train.hash, content_hash(pair.train));
  EXPECT_EQ(pair.train.class_names.size(), 10U);
  EXPECT_EQ(pair.normalization.mean.size(), 1U);
}

TEST_F(Idx, CompressedFilesHoldTheSame) {
  const std::string plain = read_idx(folder.path(), "mnist").train.hash;
  put_gzip(folder / "train-images-idx3-ubyte.gz", get(train_images));
  std::filesystem::remove(train_images);
  EXPECT_EQ(read_idx(folder.path(), "mnist").train.hash, plain);
}

TEST_F(Idx, MissingFileIsNamed) {
  std::filesystem::remove(test_labels);
  expect_error(ErrorCode::kIo, {folder.path().string(), "t10k-labels-idx1-ubyte", "--data"},
               [&] { read_idx(folder.path(), "mnist"); });
  expect_error(ErrorCode::kIo, {"nowhere", "no such folder"}, [&] { read_idx(folder / "nowhere", "mnist"); });
  const TemporaryFolder empty;
  expect_error(ErrorCode::kIo, {empty.path().string()}, [&] { read_idx(empty.path(), "mnist"); });
}

TEST_F(Idx, UnknownNameIsAUsageError) {
  expect_error(ErrorCode::kUsage, {"kmnist", "expected mnist or fashion-mnist"},
               [&] { read_idx(folder.path(), "kmnist"); });
}

TEST_F(Idx, WrongMagicIsRefused) {
  put(train_images, labels(5));
  expect_bad({train_images.string(), "expected magic number 0x00000803", "got 0x00000801"});
  put(train_images, "\x89PNG\r\n\x1a\n..............");
  expect_bad({train_images.string(), "got 0x89504e47"});
}

TEST_F(Idx, EmptyAndShortFilesAreRefused) {
  put(train_images, "");
  expect_bad({train_images.string(), "expected 4 more bytes, got 0"});
  put(train_images, images(5, 4, 3).substr(0, 70));
  expect_bad({train_images.string(), "expected 60 more bytes, got 54"});
  put(train_images, images(5, 4, 3) + "x");
  expect_bad({train_images.string(), "bytes after the last element"});
}

TEST_F(Idx, HugeDeclaredSizesAreRefusedWithoutTheMemory) {
  // More than four billion labels, of which two are there.
  put(train_labels, word(0x801) + word(0xffffffff) + "ab");
  expect_bad({train_labels.string(), "expected 4294967295 more bytes, got 2"});
  put(train_labels, labels(5));
  put(train_images, word(0x803) + word(5) + word(0xffffffff) + word(0xffffffff));
  expect_bad({train_images.string(), "impossible size", "4294967295x4294967295"});
  put(train_images, word(0x803) + word(5) + word(0) + word(3));
  expect_bad({train_images.string(), "impossible size"});
  put(train_images, word(0x803) + word(5) + word(16384) + word(16384) + "ab");
  expect_bad({train_images.string(), "expected 1342177280 more bytes, got 2"});
}

TEST_F(Idx, GzipBombIsRefusedBeforeItFillsTheMemory) {
  // 512 MiB of labels in a file of 2 MB; read to the end they would take five times that.
  std::filesystem::remove(train_labels);
  const std::string zeros(1 << 20, '\0');
  gzFile file = gzopen((folder / "train-labels-idx1-ubyte.gz").c_str(), "wb1");
  const std::string header = word(0x801) + word(0x20000000U);
  gzwrite(file, header.data(), static_cast<unsigned>(header.size()));
  for (int i = 0; i < 512; ++i) gzwrite(file, zeros.data(), static_cast<unsigned>(zeros.size()));
  ASSERT_EQ(gzclose(file), Z_OK);
  expect_bad({"train-labels-idx1-ubyte.gz", "unpacks to more than 128 times its size"});
}

TEST_F(Idx, CountsThatDifferAreRefused) {
  put(train_images, images(6, 4, 3));
  expect_bad({train_images.string(), "expected 5", "got 6"});
  put(train_images, images(5, 3, 4));
  expect_bad({folder.path().string(), "expected test images of 3x4, got 4x3"});
  put(train_labels, labels(0));
  expect_bad({train_labels.string(), "no labels"});
}

TEST_F(Idx, LabelOutOfRangeIsRefused) {
  std::string bytes = labels(5);
  bytes[8 + 3] = 10;
  put(train_labels, bytes);
  expect_bad({train_labels.string(), "label out of range at 3", "expected 0 to 9", "got 10"});
}

TEST_F(Idx, DamagedGzipIsRefused) {
  std::filesystem::remove(train_images);
  const std::filesystem::path path = folder / "train-images-idx3-ubyte.gz";
  put_gzip(path, images(5, 4, 3));
  const std::string good = get(path);
  put(path, good.substr(0, good.size() - 12));
  expect_bad({path.string(), "end too early"});
  std::string bad_checksum = good;
  bad_checksum[good.size() - 7] ^= 1;  // In the CRC-32.
  put(path, bad_checksum);
  expect_bad({path.string(), "damaged"});
  std::string bad_data = good;
  bad_data[14] ^= 0x55;
  put(path, bad_data);
  expect_bad({path.string()});
}

TEST(FashionMnist, DebianPackageIsOfficial) {
  if (!std::filesystem::exists(kDebian))
    GTEST_SKIP() << "The package dataset-fashion-mnist is not installed.";
  const DatasetPair pair = read_idx(kDebian, "fashion-mnist");
  EXPECT_TRUE(pair.train.official);
  EXPECT_TRUE(pair.test.official);
  EXPECT_EQ(pair.train.size(), 60'000);
  EXPECT_EQ(pair.test.size(), 10'000);
  EXPECT_EQ(pair.train.height, 28);
  EXPECT_EQ(pair.train.class_names.at(9), "Ankle boot");
  EXPECT_EQ(pair.train.labels[0], 9);  // The first training image is a boot.
  for (std::int32_t label = 0; label < 10; ++label)
    EXPECT_EQ(std::ranges::count(pair.test.labels, label), 1000);
  // The customary normalization is this split's own mean and deviation.
  double sum = 0, squares = 0;
  for (const std::uint8_t pixel : pair.train.pixels) {
    sum += pixel / 255.0;
    squares += pixel / 255.0 * pixel / 255.0;
  }
  const double mean = sum / static_cast<double>(pair.train.pixels.size());
  EXPECT_NEAR(mean, pair.normalization.mean[0], 5e-4);
  EXPECT_NEAR(std::sqrt(squares / static_cast<double>(pair.train.pixels.size()) - mean * mean),
              pair.normalization.std[0], 5e-4);
}

TEST(FashionMnist, IsNotTakenForMnist) {
  if (!std::filesystem::exists(kDebian))
    GTEST_SKIP() << "The package dataset-fashion-mnist is not installed.";
  expect_error(ErrorCode::kBadInput, {"expected mnist, got fashion-mnist"},
               [] { read_idx(kDebian, "mnist"); });
}

TEST(FashionMnist, OneChangedPixelIsNotOfficial) {
  if (!std::filesystem::exists(kDebian))
    GTEST_SKIP() << "The package dataset-fashion-mnist is not installed.";
  const DatasetPair original = read_idx(kDebian, "fashion-mnist");
  const TemporaryFolder folder;
  for (const auto& entry : std::filesystem::directory_iterator(kDebian)) {
    std::filesystem::create_symlink(entry.path(), folder.path() / entry.path().filename());
  }
  std::string bytes = word(0x803) + word(10'000) + word(28) + word(28);
  bytes.append(original.test.pixels.begin(), original.test.pixels.end());
  bytes[16 + 400] ^= 1;
  put(folder / "t10k-images-idx3-ubyte", bytes);  // Found before the compressed one.
  const DatasetPair changed = read_idx(folder.path(), "fashion-mnist");
  EXPECT_TRUE(changed.train.official);
  EXPECT_FALSE(changed.test.official);
  EXPECT_NE(changed.test.hash, original.test.hash);
}

}  // namespace
}  // namespace octavo
