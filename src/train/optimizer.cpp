#include "optimizer.h"

#include <algorithm>

#include "octavo/core/error.h"
#include "octavo/core/parallel.h"

namespace octavo::train_detail {
namespace {

// Small parameters (biases) are not worth a second thread.
constexpr std::int64_t kGrain = 1 << 15;

}  // namespace

Sgd::Sgd(const std::vector<NamedTensor>& parameters, const OptimizerConfig& config)
    : parameters_(parameters), config_(config) {
  for (const NamedTensor& parameter : parameters_)
    momentum_.push_back(at::zeros_like(parameter.tensor.detach()));
}

void Sgd::step(double lr) {
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    at::Tensor& parameter = parameters_[i].tensor;
    at::Tensor& gradient = parameter.mutable_grad();
    if (!gradient.defined()) continue;
    // Same element order in memory as the parameter, so that one flat loop does.
    if (gradient.strides() != parameter.strides())
      gradient = at::empty_like(parameter.detach()).copy_(gradient);
    const bool decays = parameters_[i].decay || config_.decay_norm_and_bias;
    const auto decay = static_cast<float>(decays ? config_.weight_decay : 0.0);
    const auto rate = static_cast<float>(lr);
    const auto momentum = static_cast<float>(config_.momentum);
    // The update is rate * (from_gradient * g + from_velocity * v) for both forms of momentum.
    const float from_gradient = config_.nesterov ? 1.0F : 0.0F;
    const float from_velocity = config_.nesterov ? momentum : 1.0F;
    auto* w = parameter.data_ptr<float>();
    auto* v = momentum_[i].data_ptr<float>();
    const auto* g = gradient.data_ptr<float>();
    parallel_for(parameter.numel(), kGrain, [=](std::int64_t begin, std::int64_t end) {
      for (std::int64_t k = begin; k < end; ++k) {
        const float slope = g[k] + decay * w[k];
        v[k] = momentum * v[k] + slope;
        w[k] -= rate * (from_gradient * slope + from_velocity * v[k]);
      }
    });
    gradient = at::Tensor();
  }
}

MovingAverage::MovingAverage(const Model& model, double decay) : decay_(decay) {
  for (const auto* group : {&model.parameters(), &model.statistics()}) {
    for (const NamedTensor& item : *group) {
      tensors_.push_back(item.tensor.detach());
      averages_.push_back(tensors_.back().clone());
    }
  }
}

void MovingAverage::update(std::int64_t steps_done) {
  const double n = static_cast<double>(steps_done);
  const double decay = std::min(decay_, (1 + n) / (10 + n));
  for (std::size_t i = 0; i < tensors_.size(); ++i) averages_[i].lerp_(tensors_[i], 1 - decay);
}

void MovingAverage::swap() {
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    const at::Tensor own = tensors_[i].clone();
    tensors_[i].copy_(averages_[i]);
    averages_[i].copy_(own);
  }
}

}  // namespace octavo::train_detail
