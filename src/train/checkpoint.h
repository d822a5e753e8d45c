/// The state of an interrupted training run on disk: enough to go on as if it had never stopped. No LibTorch.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "octavo/eval/results.h"

namespace octavo::train_detail {

/// A tensor's elements in the order they have in memory.
struct StoredTensor {
  std::string name;
  std::vector<float> data;
};

/// What makes two runs the same run, as readable key and value: model, data, settings.
using Fingerprint = std::map<std::string, std::string>;

struct Checkpoint {
  Fingerprint fingerprint;
  std::int64_t epoch = 0;  ///< Epochs finished.
  std::int64_t step = 0;   ///< Batches of the next epoch already trained on.
  double loss_sum = 0;     ///< Over the images of those batches.
  std::int64_t correct = 0;
  std::int64_t images = 0;
  double seconds = 0;  ///< Spent on those batches.
  std::vector<EpochRecord> history;
  std::vector<StoredTensor> tensors;
};

/// Writes the file whole or not at all. Throws kIo.
void save_checkpoint(const std::filesystem::path& path, const Checkpoint& checkpoint);

/// nullopt if there is no such file. Throws kBadInput if it is truncated, corrupt or of another kind.
std::optional<Checkpoint> load_checkpoint(const std::filesystem::path& path);

/// Throws kBadInput, naming the first setting that differs, unless the two are equal.
void require_same_run(const std::filesystem::path& path, const Fingerprint& stored,
                      const Fingerprint& wanted);

}  // namespace octavo::train_detail
