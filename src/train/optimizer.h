/// Stochastic gradient descent over the model's parameters, and their moving average.
#pragma once

#include <vector>

#include "model.h"
#include "octavo/train/trainer.h"

namespace octavo::train_detail {

/// SGD with (Nesterov) momentum and coupled weight decay, as torch.optim.SGD computes it:
/// g += decay * w; v = momentum * v + g; w -= lr * (nesterov ? g + momentum * v : v). One pass over memory.
class Sgd {
 public:
  Sgd(const std::vector<NamedTensor>& parameters, const OptimizerConfig& config);

  /// Updates every parameter that has a gradient, then drops the gradients.
  void step(double lr);
  /// Momentum buffers, in the parameters' order and memory format.
  const std::vector<at::Tensor>& momentum() const { return momentum_; }

 private:
  std::vector<NamedTensor> parameters_;
  std::vector<at::Tensor> momentum_;
  OptimizerConfig config_;
};

/// Exponential moving average of parameters and statistics, with the decay rising to its value over the first
/// steps (min(decay, (1 + n) / (10 + n))) so that the starting point is forgotten.
class MovingAverage {
 public:
  MovingAverage(const Model& model, double decay);
  void update(std::int64_t steps_done);
  /// Exchanges the averages and the model's own values.
  void swap();
  const std::vector<at::Tensor>& averages() const { return averages_; }

 private:
  std::vector<at::Tensor> tensors_;
  std::vector<at::Tensor> averages_;
  double decay_;
};

}  // namespace octavo::train_detail
