#include "train/checkpoint.h"

#include <gtest/gtest.h>

#include "octavo/core/file.h"
#include "octavo/core/temporary_folder.h"
#include "support.h"

namespace octavo::train_detail {
namespace {

using octavo::testing::error_of;

Checkpoint example() {
  Checkpoint checkpoint;
  checkpoint.fingerprint = {{"lr", "0.1"}, {"model", "small"}};
  checkpoint.epoch = 2;
  checkpoint.step = 7;
  checkpoint.loss_sum = 1.5;
  checkpoint.correct = 40;
  checkpoint.images = 112;
  checkpoint.seconds = 3.25;
  EpochRecord record;
  record.phase = "train";
  record.epoch = 1;
  record.lr = 0.1;
  record.train_loss = 2.25;
  record.test_accuracy = 0.5;
  checkpoint.history = {record};
  checkpoint.tensors = {{"parameter w", {1.0F, -2.0F, 3.5F}}, {"statistic m", {}}};
  return checkpoint;
}

TEST(Checkpoint, ComesBackAsItWas) {
  const TemporaryFolder folder;
  save_checkpoint(folder / "c.pt", example());
  const auto loaded = load_checkpoint(folder / "c.pt");
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->fingerprint, example().fingerprint);
  EXPECT_EQ(loaded->epoch, 2);
  EXPECT_EQ(loaded->step, 7);
  EXPECT_EQ(loaded->loss_sum, 1.5);
  EXPECT_EQ(loaded->correct, 40);
  EXPECT_EQ(loaded->images, 112);
  EXPECT_EQ(loaded->seconds, 3.25);
  ASSERT_EQ(loaded->history.size(), 1U);
  EXPECT_EQ(loaded->history[0].phase, "train");
  EXPECT_EQ(loaded->history[0].train_loss, 2.25);
  EXPECT_EQ(loaded->history[0].test_accuracy, 0.5);
  ASSERT_EQ(loaded->tensors.size(), 2U);
  EXPECT_EQ(loaded->tensors[0].name, "parameter w");
  EXPECT_EQ(loaded->tensors[0].data, (std::vector<float>{1.0F, -2.0F, 3.5F}));
  EXPECT_TRUE(loaded->tensors[1].data.empty());
}

TEST(Checkpoint, MissingFileIsNoCheckpoint) {
  const TemporaryFolder folder;
  EXPECT_FALSE(load_checkpoint(folder / "none.pt"));
}

// Not a checkpoint that is missing: training would start over.
TEST(Checkpoint, FolderThatCannotBeSearchedIsAnError) {
  const TemporaryFolder folder;
  std::filesystem::create_symlink(folder / "loop", folder / "loop");
  const auto error = error_of([&] { load_checkpoint(folder / "loop" / "checkpoint.pt"); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), ErrorCode::kIo) << error->what();
}

TEST(Checkpoint, EveryTruncationIsRefused) {
  const TemporaryFolder folder;
  save_checkpoint(folder / "whole.pt", example());
  const auto bytes = read_file(folder / "whole.pt");
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    write_file(folder / "cut.pt", std::span(bytes).first(size));
    const auto error = error_of([&] { load_checkpoint(folder / "cut.pt"); });
    ASSERT_TRUE(error) << size << " of " << bytes.size() << " bytes";
    EXPECT_EQ(error->code(), ErrorCode::kBadInput);
    EXPECT_NE(std::string(error->what()).find("cut.pt"), std::string::npos);
  }
}

TEST(Checkpoint, AnyFlippedBitIsRefused) {
  const TemporaryFolder folder;
  save_checkpoint(folder / "whole.pt", example());
  const auto bytes = read_file(folder / "whole.pt");
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    auto damaged = bytes;
    damaged[i] ^= std::byte{0x10};
    write_file(folder / "bad.pt", damaged);
    const auto error = error_of([&] { load_checkpoint(folder / "bad.pt"); });
    ASSERT_TRUE(error) << "byte " << i;
    EXPECT_EQ(error->code(), ErrorCode::kBadInput);
  }
}

TEST(Checkpoint, OtherRunIsNamedByItsSetting) {
  const Fingerprint stored{{"epochs", "3"}, {"lr", "0.1"}};
  EXPECT_FALSE(error_of([&] { require_same_run("c.pt", stored, stored); }));
  const auto changed = error_of([&] { require_same_run("c.pt", stored, {{"epochs", "3"}, {"lr", "0.2"}}); });
  ASSERT_TRUE(changed);
  EXPECT_EQ(changed->code(), ErrorCode::kBadInput);
  EXPECT_NE(std::string(changed->what()).find("'lr' differs; expected 0.2, got 0.1"), std::string::npos);
  const auto missing = error_of([&] { require_same_run("c.pt", stored, {{"epochs", "3"}}); });
  ASSERT_TRUE(missing);
  EXPECT_NE(std::string(missing->what()).find("expected nothing, got 0.1"), std::string::npos);
}

TEST(Checkpoint, UnwritableFolderIsAnError) {
  const auto error = error_of([&] { save_checkpoint("/proc/octavo/c.pt", example()); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), ErrorCode::kIo);
}

}  // namespace
}  // namespace octavo::train_detail
