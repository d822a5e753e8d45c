#include <algorithm>
#include <cmath>
#include <numbers>

#include "octavo/train/trainer.h"

namespace octavo {

double learning_rate(const OptimizerConfig& config, std::int64_t step, std::int64_t total_steps,
                     std::int64_t steps_per_epoch) {
  const double total = static_cast<double>(total_steps);
  const double warmup = std::clamp(std::round(config.warmup_fraction * total), 0.0, total);
  const double position = static_cast<double>(step);
  switch (config.schedule) {
    case Schedule::kConstant:
      return config.lr;
    case Schedule::kStep: {
      const std::int64_t epoch = step / std::max<std::int64_t>(steps_per_epoch, 1);
      return config.lr * std::pow(config.step_factor, static_cast<double>(epoch / config.step_epochs));
    }
    case Schedule::kCosine:
      if (position < warmup) return config.lr * (position + 1) / warmup;
      return config.lr * 0.5 * (1 + std::cos(std::numbers::pi * (position - warmup) / (total - warmup)));
    case Schedule::kOneCycle:
      if (position < warmup) return config.lr * (position + 1) / warmup;
      return config.lr * (total - position) / (total - warmup);
  }
  return config.lr;
}

}  // namespace octavo
