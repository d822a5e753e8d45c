/// What training says of each epoch. Without LibTorch: reports read it too.
#pragma once

#include <cstdint>
#include <string>

namespace octavo {

/// One epoch of training or QAT.
struct EpochRecord {
  std::string phase;       ///< "train", "qat"
  std::int64_t epoch = 0;  ///< From 1.
  double lr = 0;           ///< At its last step.
  double train_loss = 0;
  double train_accuracy = 0;
  double test_accuracy = -1;  ///< -1: not measured this epoch.
  double images_per_second = 0;
  double seconds = 0;
};

}  // namespace octavo
