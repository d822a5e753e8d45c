#include <gtest/gtest.h>

#include "octavo/train/trainer.h"

namespace octavo {
namespace {

double rate(const OptimizerConfig& config, std::int64_t step) { return learning_rate(config, step, 20, 5); }

TEST(Schedule, ConstantStays) {
  const OptimizerConfig config{.lr = 0.5, .schedule = Schedule::kConstant};
  EXPECT_DOUBLE_EQ(rate(config, 0), 0.5);
  EXPECT_DOUBLE_EQ(rate(config, 19), 0.5);
}

TEST(Schedule, StepDropsByEpoch) {
  const OptimizerConfig config{.lr = 1.0, .schedule = Schedule::kStep, .step_epochs = 2, .step_factor = 0.1};
  EXPECT_DOUBLE_EQ(rate(config, 9), 1.0);   // the last step of epoch 2
  EXPECT_DOUBLE_EQ(rate(config, 10), 0.1);  // the first of epoch 3
  EXPECT_DOUBLE_EQ(rate(config, 19), 0.1);
}

TEST(Schedule, CosineWarmsUpAndFalls) {
  const OptimizerConfig config{.lr = 1.0, .schedule = Schedule::kCosine, .warmup_fraction = 0.2};
  EXPECT_DOUBLE_EQ(rate(config, 0), 0.25);
  EXPECT_DOUBLE_EQ(rate(config, 3), 1.0);
  EXPECT_DOUBLE_EQ(rate(config, 4), 1.0);              // cos(0)
  EXPECT_NEAR(rate(config, 12), 0.5, 1e-12);           // half of the 16 falling steps
  EXPECT_NEAR(rate(config, 8), 0.853553390593, 1e-9);  // (1 + cos(pi / 4)) / 2
}

TEST(Schedule, OneCycleRisesAndFallsLinearly) {
  const OptimizerConfig config{.lr = 1.0, .schedule = Schedule::kOneCycle, .warmup_fraction = 0.25};
  EXPECT_DOUBLE_EQ(rate(config, 0), 0.2);
  EXPECT_DOUBLE_EQ(rate(config, 4), 1.0);
  EXPECT_DOUBLE_EQ(rate(config, 5), 1.0);
  EXPECT_DOUBLE_EQ(rate(config, 11), 0.6);  // 9 of 15 falling steps are left
  EXPECT_DOUBLE_EQ(rate(config, 19), 1.0 / 15.0);
}

TEST(Schedule, NoWarmupStartsAtThePeak) {
  const OptimizerConfig config{.lr = 2.0, .schedule = Schedule::kOneCycle, .warmup_fraction = 0};
  EXPECT_DOUBLE_EQ(rate(config, 0), 2.0);
  EXPECT_DOUBLE_EQ(rate(config, 10), 1.0);
}

}  // namespace
}  // namespace octavo
