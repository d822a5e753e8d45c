#include <sys/stat.h>

#include <numeric>

#include "data/image_files.h"
#include "octavo/core/temporary_folder.h"
#include "octavo/data/sources.h"

namespace octavo {
namespace {

using testing::expect_error;
using testing::grey_png;
using testing::jpeg_bytes;
using testing::put_image;

ImageFolderConfig eight(WantedSplits splits = WantedSplits::kBoth) {
  return {.height = 8, .width = 8, .splits = splits};
}

/// train/ with classes "a b" (3 images) and "z" (1), val/ with one of each, of different sizes and names.
void fill(const TemporaryFolder& folder) {
  put_image(folder / "train/z/only.png", grey_png(50, 8, 8));
  put_image(folder / "train/a b/1.PNG", grey_png(10, 20, 9));
  put_image(folder / "train/a b/2.jpg", jpeg_bytes(JCS_RGB, 30, 40, {20, 20, 20}));
  put_image(folder / "train/a b/below/3", grey_png(30, 8, 100));
  put_image(folder / "train/a b/.DS_Store", "not an image, but hidden");
  put_image(folder / "val/z/wrongly-named.jpg", grey_png(60, 9, 9));
  put_image(folder / "val/a b/x.png", grey_png(40, 9, 9));
}

TEST(ImageFolder, ClassesAreFoldersByNameAndTakeTurns) {
  const TemporaryFolder folder;
  fill(folder);
  const DatasetPair pair = read_image_folder(folder.path(), eight());
  EXPECT_EQ(pair.train.name, "image-folder");
  EXPECT_EQ(pair.train.class_names, (std::vector<std::string>{"a b", "z"}));
  EXPECT_EQ(pair.train.labels, (std::vector<std::int32_t>{0, 1, 0, 0}));
  EXPECT_EQ(pair.train.channels, 3);
  EXPECT_EQ(pair.train.height, 8);
  EXPECT_EQ(pair.train.image_size(), 3 * 64);
  const std::vector<int> greys{10, 50, 20, 30};
  for (std::int64_t i = 0; i < 4; ++i) {
    for (const std::uint8_t p : pair.train.image(i))
      ASSERT_NEAR(p, greys[static_cast<std::size_t>(i)], 1) << i;
  }
  EXPECT_EQ(pair.test.labels, (std::vector<std::int32_t>{0, 1}));
  EXPECT_EQ(pair.test.image(1)[0], 60);
  EXPECT_EQ(pair.train.hash, content_hash(pair.train));
  EXPECT_EQ(pair.normalization.mean, (std::vector<float>{0.485F, 0.456F, 0.406F}));
}

TEST(ImageFolder, WhatIsNoImageIsPassedOverAndSaid) {
  const TemporaryFolder folder;
  fill(folder);
  put_image(folder / "train/a b/Thumbs.db", "left behind");
  put_image(folder / "train/a b/notes.txt", "no image");
  put_image(folder / "train/z/picture.webp", "RIFF....WEBP");
  put_image(folder / "__MACOSX/train/a b/1.png", "left behind");
  std::vector<std::string> notes;
  ImageFolderConfig config = eight();
  config.on_note = [&](const std::string& note) { notes.push_back(note); };
  EXPECT_EQ(read_image_folder(folder.path(), config).train.size(), 4);
  ASSERT_EQ(notes.size(), 1U);
  EXPECT_NE(notes[0].find("2 files neither JPEG nor PNG are passed over ("), std::string::npos) << notes[0];
  EXPECT_NE(notes[0].find("notes.txt, ...)"), std::string::npos) << notes[0];
  // What is called an image has to be one.
  put_image(folder / "train/z/broken.png", "no image");
  expect_error(ErrorCode::kBadInput, {"broken.png", "neither a JPEG nor a PNG"},
               [&] { read_image_folder(folder.path(), config); });
}

TEST(ImageFolder, SplitsAreKnownInAnyCaseAndAsTrainingAndTesting) {
  const TemporaryFolder folder;
  put_image(folder / "Training/a/1.png", grey_png(10, 8, 8));
  put_image(folder / "TESTING/a/1.png", grey_png(20, 8, 8));
  put_image(folder / "TESTING/a/2.png", grey_png(20, 8, 8));
  const DatasetPair pair = read_image_folder(folder.path(), eight());
  EXPECT_EQ(pair.train.size(), 1);
  EXPECT_EQ(pair.test.size(), 2);
}

TEST(ImageFolder, ClassMayBeCalledLikeASplit) {
  const TemporaryFolder folder;
  for (const char* name : {"bus", "car", "train"}) put_image(folder / name / "1.png", grey_png(10, 8, 8));
  EXPECT_EQ(read_image_folder(folder.path(), eight(WantedSplits::kTest)).test.class_names,
            (std::vector<std::string>{"bus", "car", "train"}));
}

TEST(ImageFolder, GreyModelsGetOneChannel) {
  const TemporaryFolder folder;
  fill(folder);
  ImageFolderConfig config = eight();
  config.channels = 1;
  const DatasetPair pair = read_image_folder(folder.path(), config);
  EXPECT_EQ(pair.train.image_size(), 64);
  EXPECT_EQ(pair.normalization.mean.size(), 1U);
}

TEST(ImageFolder, LimitsReadTheFirstOnly) {
  const TemporaryFolder folder;
  fill(folder);
  put_image(folder / "train/a b/zz.png", "broken, and never looked at");
  ImageFolderConfig config = eight();
  config.train_limit = 2;
  EXPECT_EQ(read_image_folder(folder.path(), config).train.labels, (std::vector<std::int32_t>{0, 1}));
}

TEST(ImageFolder, OneSplitIsEnoughWhereOneIsAskedFor) {
  const TemporaryFolder folder;
  put_image(folder / "cats/1.png", grey_png(10, 8, 8));
  put_image(folder / "dogs/1.png", grey_png(20, 8, 8));
  const DatasetPair calibration = read_image_folder(folder.path(), eight(WantedSplits::kTrain));
  EXPECT_EQ(calibration.train.size(), 2);
  EXPECT_EQ(calibration.test.size(), 0);
  EXPECT_EQ(calibration.test.class_names, calibration.train.class_names);
  const DatasetPair evaluation = read_image_folder(folder.path(), eight(WantedSplits::kTest));
  EXPECT_EQ(evaluation.train.size(), 0);
  EXPECT_EQ(evaluation.test.labels, (std::vector<std::int32_t>{0, 1}));
  expect_error(ErrorCode::kBadInput, {"no training images", "train/ and val/"},
               [&] { read_image_folder(folder.path(), eight()); });
}

TEST(ImageFolder, OnlyTheSplitAskedForIsRead) {
  const TemporaryFolder folder;
  fill(folder);
  put_image(folder / "val/z/broken.png", "no image");
  EXPECT_EQ(read_image_folder(folder.path(), eight(WantedSplits::kTrain)).train.size(), 4);
}

TEST(ImageFolder, CalibrationTakesImagesWithoutClasses) {
  const TemporaryFolder folder;
  put_image(folder / "1.png", grey_png(10, 8, 8));
  put_image(folder / "2.png", grey_png(20, 8, 8));
  EXPECT_EQ(read_image_folder(folder.path(), eight(WantedSplits::kTrain)).train.labels,
            (std::vector<std::int32_t>{0, 0}));
  expect_error(ErrorCode::kBadInput, {"no images", "one folder per class"},
               [&] { read_image_folder(folder.path(), eight(WantedSplits::kTest)); });
}

/// Links to where they lie, to another class, to the other split, to themselves and to each other.
TEST(ImageFolder, TestImagesNeedNoClassesWhereNobodyAsksForThem) {
  const TemporaryFolder folder;
  put_image(folder / "one.png", grey_png(50, 8, 8));
  put_image(folder / "two.png", grey_png(60, 8, 8));
  ImageFolderConfig config = eight(WantedSplits::kTest);
  expect_error(ErrorCode::kBadInput, {}, [&] { read_image_folder(folder.path(), config); });
  config.labels = false;
  EXPECT_EQ(read_image_folder(folder.path(), config).test.size(), 2);
}

TEST(ImageFolder, LoopingLinksArePassedOver) {
  const TemporaryFolder folder;
  fill(folder);
  const DatasetPair without = read_image_folder(folder.path(), eight());
  const std::filesystem::path at = folder / "train/z";
  std::filesystem::create_directory_symlink(".", at / "here");
  std::filesystem::create_directory_symlink("..", at / "split");
  std::filesystem::create_directory_symlink(folder.path(), at / "root");
  std::filesystem::create_directory_symlink("../a b", at / "other class");
  std::filesystem::create_symlink("itself", at / "itself");
  std::filesystem::create_symlink("pong", at / "ping");
  std::filesystem::create_symlink("ping", at / "pong");
  const DatasetPair with = read_image_folder(folder.path(), eight());
  EXPECT_EQ(with.train.hash, without.train.hash);
  DataRequest request;
  request.dataset = "auto";
  request.path = folder.path();
  request.images = eight();
  EXPECT_EQ(load_dataset(request).train.hash, without.train.hash);
}

TEST(ImageFolder, LinkedFoldersAreReadOnce) {
  const TemporaryFolder folder, elsewhere;
  fill(folder);
  put_image(elsewhere / "more/1.png", grey_png(70, 8, 8));
  std::filesystem::create_directory_symlink(elsewhere.path(), folder / "train/z/once");
  std::filesystem::create_directory_symlink(elsewhere.path(), folder / "train/z/twice");
  EXPECT_EQ(read_image_folder(folder.path(), eight()).train.labels,
            (std::vector<std::int32_t>{0, 1, 0, 1, 0}));
}

TEST(ImageFolder, PipesAndSocketsArePassedOver) {
  const TemporaryFolder folder;
  fill(folder);
  const std::string without = read_image_folder(folder.path(), eight()).train.hash;
  ASSERT_EQ(::mkfifo((folder / "train/z/0-pipe").c_str(), 0600), 0);
  ASSERT_EQ(::mkfifo((folder / "train/0-pipe").c_str(), 0600), 0);
  ASSERT_EQ(::mkfifo((folder / "0-pipe").c_str(), 0600), 0);
  std::filesystem::create_symlink("/dev/zero", folder / "train/z/0-zeros");
  EXPECT_EQ(read_image_folder(folder.path(), eight()).train.hash, without);
  DataRequest request;
  request.dataset = "auto";
  request.path = folder.path();
  request.images = eight();
  EXPECT_EQ(load_dataset(request).train.hash, without);
}

TEST(ImageFolder, FolderThatLoopsIsAnIoError) {
  const TemporaryFolder folder;
  std::filesystem::create_symlink("loop", folder / "loop");
  for (const char* name : {"cifar10", "cifar100", "mnist", "image-folder", "auto"}) {
    DataRequest request;
    request.dataset = name;
    request.path = folder / "loop";
    request.images = eight();
    expect_error(ErrorCode::kIo, {(folder / "loop").string()}, [&] { load_dataset(request); });
    request.path = folder / "loop" / "below";
    expect_error(ErrorCode::kIo, {(folder / "loop").string()}, [&] { load_dataset(request); });
  }
}

TEST(ImageFolder, BadFilesAreNamedAndCounted) {
  const TemporaryFolder folder;
  fill(folder);
  put_image(folder / "train/z/b-empty.png", "");
  expect_error(ErrorCode::kBadInput, {"b-empty.png", "empty"},
               [&] { read_image_folder(folder.path(), eight()); });
  put_image(folder / "train/z/c-cut.png", grey_png(1, 30, 30).substr(0, 40));
  expect_error(ErrorCode::kBadInput, {"b-empty.png", "1 more of 6"},
               [&] { read_image_folder(folder.path(), eight()); });
}

TEST(ImageFolder, BadFoldersAreRefusedWithWhatIsExpected) {
  const TemporaryFolder folder;
  expect_error(ErrorCode::kIo, {"no such folder"}, [&] { read_image_folder(folder / "missing", eight()); });
  expect_error(ErrorCode::kBadInput, {"train/ and val/"}, [&] { read_image_folder(folder.path(), eight()); });
  fill(folder);
  expect_error(ErrorCode::kUsage, {"--image-size"}, [&] { read_image_folder(folder.path(), {}); });
  ImageFolderConfig small = eight();
  small.resize = 4;
  expect_error(ErrorCode::kUsage, {"--resize", "8 x 8"}, [&] { read_image_folder(folder.path(), small); });
  put_image(folder / "val/new/1.png", grey_png(1, 8, 8));
  expect_error(ErrorCode::kBadInput, {"class 'new' has no training images"},
               [&] { read_image_folder(folder.path(), eight()); });
  std::filesystem::create_directories(folder / "train/new");
  expect_error(ErrorCode::kBadInput, {"train/new", "no images"},
               [&] { read_image_folder(folder.path(), eight()); });
}

TEST(ImageFolder, LoadDatasetFindsItByNameAndByLooking) {
  const TemporaryFolder folder;
  fill(folder);
  for (const char* name : {"image-folder", "auto"}) {
    DataRequest request;
    request.dataset = name;
    request.path = folder.path();
    request.images = eight();
    EXPECT_EQ(load_dataset(request).train.size(), 4) << name;
  }
  DataRequest nowhere;
  nowhere.dataset = "image-folder";
  expect_error(ErrorCode::kUsage, {"--data"}, [&] { load_dataset(nowhere); });
}

}  // namespace
}  // namespace octavo
