#include "octavo/data/sources.h"

#include <algorithm>

#include "data/cifar_files.h"
#include "data/http_server.h"
#include "data/image_files.h"
#include "octavo/core/temporary_folder.h"

namespace octavo {
namespace {

namespace fs = std::filesystem;
using testing::expect_error;
using testing::get;
using testing::HttpServer;
using testing::put;
using testing::ScopedVariable;

const fs::path kDebian = "/usr/share/datasets/fashion-mnist";

/// A machine of its own: nothing in $OCTAVO_DATA, an empty cache, a server on loopback for the only network.
class Sources : public ::testing::Test {
 protected:
  /// Made by the first test that needs it.
  static fs::path archive() {
    static const TemporaryFolder shared;
    const fs::path path = shared / "cifar-10-binary.tar.gz";
    if (!fs::exists(path)) testing::put_archive(path, testing::cifar_archive_files());
    return path;
  }

  DataRequest request(const std::string& dataset) {
    DataRequest result;
    result.dataset = dataset;
    result.url = server.url("/cifar-10-binary.tar.gz");
    result.on_note = [this](const std::string& text) { notes.push_back(text); };
    return result;
  }
  void make_cached_archive() {
    fs::create_directories(cache());
    fs::create_symlink(archive(), cache() / "cifar-10-binary.tar.gz");
  }
  fs::path cache() const { return folder / "cache/octavo"; }
  bool noted(const std::string& part) const {
    return std::ranges::any_of(notes,
                               [&](const std::string& n) { return n.find(part) != std::string::npos; });
  }

  TemporaryFolder folder;
  ScopedVariable no_proxy{"no_proxy", "127.0.0.1"};
  ScopedVariable data{"OCTAVO_DATA", std::nullopt};
  ScopedVariable cache_home{"XDG_CACHE_HOME", (folder / "cache").string()};
  HttpServer server;
  std::vector<std::string> notes;
};

TEST_F(Sources, GivenPathIsTheOnlyPlaceLookedAt) {
  make_cached_archive();
  DataRequest wanted = request("cifar10");
  wanted.path = folder / "nothing-here";
  expect_error(ErrorCode::kIo, {"nothing-here", "--data"}, [&] { load_dataset(wanted); });
  wanted.dataset = "auto";
  expect_error(ErrorCode::kIo, {"nothing-here"}, [&] { load_dataset(wanted); });
  EXPECT_TRUE(server.ranges().empty());
}

TEST_F(Sources, VariableComesBeforeTheCache) {
  make_cached_archive();
  const ScopedVariable named("OCTAVO_DATA", archive().parent_path().string());
  const DatasetPair pair = load_dataset(request("cifar10"));
  EXPECT_EQ(pair.train.source, archive().string());
  EXPECT_EQ(notes.size(), 1U);
  EXPECT_TRUE(noted(archive().string()));
  EXPECT_TRUE(noted("not the official files"));
}

TEST_F(Sources, BrokenDataOfTheVariableAreAnErrorNotAFallback) {
  make_cached_archive();
  put(folder / "test_batch.bin", "short");
  const ScopedVariable named("OCTAVO_DATA", folder.path().string());
  for (const char* dataset : {"cifar10", "auto"}) {
    expect_error(ErrorCode::kIo, {"data_batch_1.bin"}, [&] { load_dataset(request(dataset)); });
  }
}

TEST_F(Sources, CacheComesBeforeDownload) {
  make_cached_archive();
  const ScopedVariable named("OCTAVO_DATA", (folder / "empty").string());
  const DatasetPair pair = load_dataset(request("cifar10"));
  EXPECT_EQ(pair.train.source, (cache() / "cifar-10-binary.tar.gz").string());
  EXPECT_TRUE(server.ranges().empty());
}

TEST_F(Sources, DownloadFillsTheCacheOnce) {
  server.set("/cifar-10-binary.tar.gz", {.body = get(archive())});
  DataRequest wanted = request("cifar10");
  wanted.md5 = "none";  // The synthetic archive is another one at every run of the tests.
  std::uint64_t received = 0;
  wanted.on_progress = [&](const DownloadProgress& progress) { received = progress.received; };
  EXPECT_EQ(load_dataset(wanted).train.size(), 50'000);
  EXPECT_EQ(received, fs::file_size(archive()));
  EXPECT_EQ(load_dataset(wanted).train.size(), 50'000);
  EXPECT_EQ(server.ranges().size(), 1U);
}

TEST_F(Sources, BrokenCachedArchiveIsDownloadedAnew) {
  fs::create_directories(cache());
  put(cache() / "cifar-10-binary.tar.gz", "rotten");
  server.set("/cifar-10-binary.tar.gz", {.body = get(archive())});
  DataRequest wanted = request("cifar10");
  wanted.md5 = "none";
  EXPECT_EQ(load_dataset(wanted).train.size(), 50'000);
}

TEST_F(Sources, Cifar100IsDownloadedToo) {
  const fs::path archive = folder / "source.tar.gz";
  testing::put_archive(archive, testing::cifar100_archive_files());
  server.set("/cifar-10-binary.tar.gz", {.body = get(archive)});
  DataRequest wanted = request("cifar100");
  expect_error(ErrorCode::kBadInput, {"wrong checksum", "03b5dce01913d631647c71ecec9e9cb8"},
               [&] { load_dataset(wanted); });
  wanted.md5 = "none";
  EXPECT_EQ(load_dataset(wanted).train.name, "cifar100");
  EXPECT_TRUE(fs::exists(cache() / "cifar-100-binary.tar.gz"));
  DataRequest any = request("auto");
  any.path = cache() / "cifar-100-binary.tar.gz";
  EXPECT_EQ(load_dataset(any).train.name, "cifar100");
  any.path = cache();
  EXPECT_EQ(load_dataset(any).train.name, "cifar100");
}

TEST_F(Sources, FailureNamesAllThatWasTried) {
  expect_error(ErrorCode::kIo,
               {"cifar10: not found", "$OCTAVO_DATA (not set)", cache().string(),
                server.url("/cifar-10-binary.tar.gz"), "got 404", "--data FOLDER"},
               [&] { load_dataset(request("cifar10")); });
  DataRequest offline = request("cifar10");
  offline.allow_download = false;
  expect_error(ErrorCode::kIo, {"download (switched off)", "--data FOLDER"}, [&] { load_dataset(offline); });
  expect_error(ErrorCode::kIo, {"mnist: not found", (cache() / "mnist").string(), "--data FOLDER"},
               [&] { load_dataset(request("mnist")); });
}

TEST_F(Sources, WrongDownloadIsBadInput) {
  server.set("/cifar-10-binary.tar.gz", {.body = "<html>Please log in.</html>"});
  expect_error(ErrorCode::kBadInput, {"wrong checksum", "c32a1d4ab5d03f1284b67883e8d87530"},
               [&] { load_dataset(request("cifar10")); });
}

TEST_F(Sources, AutoWithoutDataAndNetworkTakesFashionMnistAndSaysSoInOneLine) {
  if (!fs::exists(kDebian)) GTEST_SKIP() << "The package dataset-fashion-mnist is not installed.";
  DataRequest wanted = request("auto");
  wanted.url = "http://127.0.0.1:1/cifar-10-binary.tar.gz";  // Nobody listens there.
  const DatasetPair pair = load_dataset(wanted);
  EXPECT_EQ(pair.train.name, "fashion-mnist");
  EXPECT_EQ(pair.train.size(), 60'000);
  EXPECT_TRUE(pair.train.official);
  const auto fallbacks = std::ranges::count_if(notes, [](const std::string& text) {
    return text.find("Fashion-MNIST is used instead") != std::string::npos;
  });
  EXPECT_EQ(fallbacks, 1);
  EXPECT_TRUE(noted("127.0.0.1:1"));
  EXPECT_TRUE(noted("--data FOLDER"));
  for (const std::string& text : notes) EXPECT_EQ(text.find('\n'), std::string::npos) << text;
}

TEST_F(Sources, AutoTakesCifar10WhereThereIsOne) {
  make_cached_archive();
  EXPECT_EQ(load_dataset(request("auto")).train.name, "cifar10");
}

TEST_F(Sources, AutoWithAFolderTakesWhatLiesThere) {
  if (!fs::exists(kDebian)) GTEST_SKIP() << "The package dataset-fashion-mnist is not installed.";
  DataRequest wanted = request("auto");
  wanted.path = kDebian;
  EXPECT_EQ(load_dataset(wanted).train.name, "fashion-mnist");
}

// What the caller's model was trained on is preferred; else the first. Which it was is said.
TEST_F(Sources, FolderOfSeveralKindsSaysWhatItTakes) {
  const fs::path both = folder / "both";
  testing::put_cifar_folder(both);
  testing::put_image(both / "train" / "cats" / "1.png", testing::grey_png(10, 8, 8));
  testing::put_image(both / "val" / "cats" / "1.png", testing::grey_png(20, 8, 8));
  DataRequest wanted = request("auto");
  wanted.path = both;
  wanted.images.height = wanted.images.width = 8;
  EXPECT_EQ(load_dataset(wanted).train.name, "cifar10");
  EXPECT_TRUE(noted("holds cifar10 and image-folder; cifar10 is taken (--dataset chooses)"));
  notes.clear();
  wanted.preferred = "image-folder";
  EXPECT_EQ(load_dataset(wanted).train.name, "image-folder");
  EXPECT_TRUE(noted("image-folder is taken"));
  notes.clear();
  wanted.path = both / "train" / "..";
  fs::remove(both / "test_batch.bin");
  EXPECT_EQ(load_dataset(wanted).train.name, "image-folder");
}

TEST_F(Sources, StoppedDownloadIsNotAFallback) {
  server.set("/cifar-10-binary.tar.gz", {.body = std::string(1000, 'x'), .stop_after = 500, .stall = true});
  std::stop_source stop;
  DataRequest wanted = request("auto");
  wanted.stop = stop.get_token();
  wanted.on_progress = [&](const DownloadProgress&) { stop.request_stop(); };
  expect_error(ErrorCode::kInterrupted, {"stopped"}, [&] { load_dataset(wanted); });
}

TEST_F(Sources, UnknownDataSetIsAUsageError) {
  expect_error(ErrorCode::kUsage, {"imagenet", "expected cifar10"},
               [&] { load_dataset(request("imagenet")); });
}

TEST_F(Sources, CacheFolderFollowsTheEnvironment) {
  EXPECT_EQ(cache_folder(), cache());
  const ScopedVariable home("HOME", "/somewhere");
  const ScopedVariable relative("XDG_CACHE_HOME", "not/absolute");
  EXPECT_EQ(cache_folder(), "/somewhere/.cache/octavo");
  const ScopedVariable unset("XDG_CACHE_HOME", std::nullopt);
  EXPECT_EQ(cache_folder(), "/somewhere/.cache/octavo");
  const ScopedVariable homeless("HOME", std::nullopt);
  expect_error(ErrorCode::kIo, {"XDG_CACHE_HOME", "HOME"}, [] { cache_folder(); });
}

}  // namespace
}  // namespace octavo
